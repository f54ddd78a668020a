"""Other people's programs: command lines with placeholders, run without a shell, with a time limit."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import string
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from semetric.errors import CodecError, ImageError, UsageError
from semetric.image.read import MAX_PIXELS, read_image
from semetric.lab.codecs.base import Size, check_size
from semetric.lab.systems import Pixels

__all__ = ["TIMEOUT_S", "Command", "received_pixels", "stream_bytes", "temporary_folder", "write_png"]

TIMEOUT_S = 600.0
"""Seconds that a program may take for one image."""

_TAIL = 2000  # characters of a program's output that an error message carries
_MAX_STREAM = 1 << 30  # bytes
_LONGEST_S = 30 * 86400.0


class Command:
    """A command line, split as a POSIX shell would; nothing else of a shell is there: no pipes, no variables.

    Attributes:
        template: the line with its placeholders.
        placeholders: those that it has.
        timeout_s: seconds until the program is killed, with all that it started.

    Examples:
        >>> line = Command("enc -q {quality:.0f} {input} {stream}", needs=("input", "stream"), may=("quality",))
        >>> sorted(line.placeholders)
        ['input', 'quality', 'stream']
    """

    def __init__(
        self, template: str, *, needs: Sequence[str] = (), may: Sequence[str] = (), timeout_s: float = TIMEOUT_S
    ) -> None:
        """Checks the line; runs nothing.

        Args:
            template: e.g. "enc -q {quality} {input} {stream}"; "{{" and "}}" stand for braces.
            needs: placeholders that must occur.
            may: placeholders that may.
            timeout_s: the time limit, above 0.

        Raises:
            UsageError: empty, an unclosed quote, a missing or unknown placeholder, or a time limit that is none.
        """
        try:
            self._words = shlex.split(template)
            fields = [
                name for word in self._words for _, name, _, _ in string.Formatter().parse(word) if name is not None
            ]
        except ValueError as error:
            raise UsageError(f"Expected a command line with placeholders; {template!r} is none: {error}.") from error
        unknown = [name for name in fields if name not in (*needs, *may)]
        missing = [name for name in needs if name not in fields]
        if not self._words or unknown or missing:
            wrong = (
                f"it is unknown: {{{unknown[0]}}}" if unknown else f"missing: {{{missing[0]}}}" if missing else "empty"
            )
            raise UsageError(
                f"Expected a command line with {', '.join(f'{{{name}}}' for name in needs)}"
                f"{' and perhaps ' + ', '.join(f'{{{name}}}' for name in may) if may else ''}; "
                f"found {template!r} ({wrong})."
            )
        number = isinstance(timeout_s, int | float) and not isinstance(timeout_s, bool)
        if not (number and 0 < timeout_s <= _LONGEST_S):  # false for NaN
            raise UsageError(f"Expected timeout_s above 0 and up to {_LONGEST_S:g} seconds; found {timeout_s!r}.")
        self.template, self.placeholders, self.timeout_s = template, frozenset(fields), timeout_s

    def run(self, folder: Path, values: Mapping[str, Any], *, inside: bool = False) -> None:
        """Runs the program and waits for it; its output is for the error message only.

        Args:
            folder: a temporary one, which takes its output.
            values: of the placeholders, each filled in its word, so that a path may hold spaces.
            inside: whether `folder` is its working folder, too; else it runs in the caller's, as it would from a shell.

        Raises:
            CodecError: it ends with another status than 0, or takes too long.
            UsageError: there is no such program, or a placeholder's format does not fit its value.
        """
        try:
            words = [word.format(**values) for word in self._words]
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            raise UsageError(f"Expected plain placeholders in {shlex.join(self._words)!r}: {error}.") from error
        program = shutil.which(words[0])
        if program is None:
            raise UsageError(
                f"Expected the program {words[0]!r} on the PATH; it is not there or may not be run. "
                "Install it, or give its whole path."
            )
        output = folder / "output.txt"
        # Into a file: a pipe would stay open, and be waited for, as long as any grandchild holds it.
        with output.open("wb") as log:
            process = subprocess.Popen(
                [program, *words[1:]],
                cwd=folder if inside else None,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                status = process.wait(self.timeout_s)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                _end(process)
        if status != 0:
            how = f"ran past {self.timeout_s:g} s and was stopped" if status is None else f"ended with status {status}"
            raise CodecError(f"{shlex.join(words)} {how}{_tail(output)}")


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for the files between programs, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="semetric-") as folder:
        yield Path(folder)


def write_png(pixels: Pixels, path: Path) -> None:
    """(H, W, 3) uint8 as a PNG file, compressed lightly."""
    from PIL import Image

    Image.fromarray(pixels).save(path, compress_level=1)


def received_pixels(path: Path, size: Size | None) -> Pixels:
    """The image that a program wrote, in any format that can be read.

    Args:
        path: of the file.
        size: (H, W) that was sent; None where it is not known.

    Raises:
        CodecError: none was written, it cannot be read, or it has another size.
    """
    try:
        picture = read_image(path, max_pixels=MAX_PIXELS if size is None else size[0] * size[1])
    except ImageError as error:
        raise CodecError(f"the program ended well, yet its image cannot be used. {error}") from error
    check_size(picture.size, size)
    return picture.to_uint8()


def stream_bytes(path: Path) -> bytes:
    """The stream that a program wrote.

    Raises:
        CodecError: none was written, it is empty, or over a gigabyte.
    """
    size = path.stat().st_size if path.is_file() else 0
    if not 0 < size <= _MAX_STREAM:
        raise CodecError(f"the program ended well and wrote {size:,} bytes to {path.name}.")
    return path.read_bytes()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kills whatever is left of a program and what it started, by the group that it was given."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.poll() is None:
        process.kill()
    process.wait()


def _tail(output: Path) -> str:
    with output.open("rb") as stream:  # which may be long
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - 4 * _TAIL))
        text = stream.read().decode(errors="replace")
    # What is no text goes to a terminal and into tables: neither escapes nor binary.
    plain = "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text.replace("\r\n", "\n"))
    plain = re.sub("\ufffd+", "\ufffd", plain).strip()[-_TAIL:]
    return f". It said: {plain}" if plain else " and said nothing"
