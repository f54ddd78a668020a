"""Where a picture or a page goes: the formats, and a write that leaves no half file."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semetric.errors import StoreError, UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DPI", "check_output", "check_place", "write", "write_whole"]

DPI = 160  # of PNG files

# no date, so that the same scores give the same file
_METADATA: dict[str, dict[str, Any]] = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}


def check_output(path: str | os.PathLike[str]) -> Path:
    """The path, if a picture can be written there; worth asking before minutes of scoring.

    Raises:
        UsageError: the suffix is none of .png, .pdf and .svg.
        StoreError: the folder does not exist, or the path is a folder.
    """
    out = Path(path)
    if out.suffix.lower().removeprefix(".") not in _METADATA:
        raise UsageError(f"Expected a picture's name to end in .png, .pdf or .svg; found {out.name!r}.")
    check_place(out, "a picture")
    return out


def check_place(out: Path, what: str) -> None:
    """Raises StoreError where no file can be written there: no such folder, or the path is a folder."""
    if not out.parent.is_dir():
        raise StoreError(f"Expected to write {out.name} in {out.parent}; there is no such folder. Make it first.")
    if out.is_dir():
        raise StoreError(f"Expected to write {what} to {out}; that is a folder. Name a file.")


def write(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Draws a figure into a file, which appears whole or not at all.

    Args:
        figure: what to draw.
        path: .png (160 dots an inch), .pdf or .svg.

    Raises:
        UsageError, StoreError: as `check_output`.
        StoreError: the disk is full, or writing is not allowed.
    """
    out = check_output(path)
    kind = out.suffix.lower().removeprefix(".")
    drawn = io.BytesIO()
    figure.savefig(drawn, format=kind, dpi=DPI, metadata=_METADATA[kind])
    write_whole(drawn.getvalue(), out, "a picture")


def write_whole(content: bytes, out: Path, what: str) -> None:
    """Writes a file, which appears whole or not at all.

    Raises:
        StoreError: the disk is full, or writing is not allowed.
    """
    temporary = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        try:
            temporary.write_bytes(content)
            os.replace(temporary, out)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"Expected to write {what} to {out}; {error.strerror or error}.") from error
