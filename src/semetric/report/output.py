"""Where a picture or a page goes: the formats, and a write that leaves no half file."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semetric.errors import UsageError
from semetric.report.defaults import defaults
from semetric.results import files

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DPI", "check_output", "write", "write_whole"]

DPI = 160  # of PNG files

# no date, so that the same scores give the same file
_METADATA: dict[str, dict[str, Any]] = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}


def check_output(path: str | os.PathLike[str], inputs: Iterable[str | os.PathLike[str]] = ()) -> Path:
    """The path, if a picture can be written there; worth asking before minutes of scoring.

    Args:
        path: of the picture.
        inputs: files that are read, which it must not replace.

    Raises:
        UsageError: the suffix is none of .png, .pdf and .svg, or the path is one of the inputs.
        StoreError: no file can be written there.
    """
    out = Path(path)
    if out.suffix.lower().removeprefix(".") not in _METADATA:
        raise UsageError(f"Expected a picture's name to end in .png, .pdf or .svg; found {out.name!r}.")
    files.check_place(out, "a picture", inputs)
    return out


def write(make: Callable[[], Figure], path: str | os.PathLike[str], settings: Mapping[str, Any] | None = None) -> None:
    """Draws a figure into a file, which appears whole or not at all.

    Args:
        make: makes the figure; called where the user's settings of matplotlib have no part.
        path: .png (160 dots an inch), .pdf or .svg.
        settings: of matplotlib, where they differ from its defaults.

    Raises:
        UsageError, StoreError: as `check_output`.
        StoreError: the disk is full, or writing is not allowed.
    """
    out = check_output(path)
    kind = out.suffix.lower().removeprefix(".")
    drawn = io.BytesIO()
    with defaults(settings):
        make().savefig(drawn, format=kind, dpi=DPI, metadata=_METADATA[kind])
    write_whole(drawn.getvalue(), out, "a picture")


def write_whole(content: bytes, out: Path, what: str) -> None:
    """Writes a file, which appears whole or not at all.

    Raises:
        StoreError: the disk is full, or writing is not allowed.
    """
    files.check_place(out, what)
    files.write_whole(out, lambda stream: stream.write(content))
