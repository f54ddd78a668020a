"""stdout and stderr as they may be found: closed, full, without a reader, or of an encoding without arrows."""

from __future__ import annotations

import codecs
import contextlib
import errno
import os
import sys
from typing import TextIO

__all__ = ["drop", "finished", "is_full", "prepare", "say", "takes_unicode", "unwritten"]

_PLAIN = {"↑": "^", "↓": "v", "∞": "inf", "−": "-", "–": "-", "—": "-", "…": "...", "─": "-", "×": "x", "→": "->"}
_HANDLER = "semetric.plain"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF, errno.EFBIG)


def prepare() -> None:
    """Makes both streams take whatever is written: nothing that follows can fail for want of one, or of a character.

    A stream that was closed swallows what it is given. A character that the encoding has not is written in ASCII: an
    arrow as ^ or v, a byte of a file name that is no UTF-8 as \\xff.
    """
    if sys.stdout is None or sys.stderr is None:
        while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:  # so that no file of ours takes a stream's number
            pass
        os.close(handle)
        sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (for the whole process)
        sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    codecs.register_error(_HANDLER, _plain)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_HANDLER)


def takes_unicode() -> bool:
    """Whether stdout has every character."""
    return (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")


def say(text: str) -> None:
    """Writes a line to stderr, if that can be written to."""
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        drop(sys.stderr)


def is_full(error: OSError) -> bool:
    """Whether a stream, or a file without a name, could not be written for want of space or of a disk."""
    return error.filename is None and error.errno in _FULL


def finished(code: int) -> int:
    """Brings to stdout what waits for it, at a command's end.

    Args:
        code: the command's own exit code.

    Returns:
        That code; 1 where the command had succeeded and its results could not be written. A reader that went away
        has what it wanted.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        drop(sys.stdout)
    except OSError as error:
        drop(sys.stdout)
        say(unwritten(error))
        return code or 1
    except ValueError:  # closed by the command
        pass
    return code


def unwritten(error: OSError) -> str:
    """What is said where results could not be written."""
    return f"semetric: Expected to write the results; {error.strerror or error}. Free some space, or write elsewhere."


def drop(stream: TextIO) -> None:
    """Lets a stream that cannot be written swallow what it holds, so that Python's own end does not fail on it."""
    with contextlib.suppress(OSError, ValueError):
        stream.flush()
        return
    with contextlib.suppress(OSError, ValueError):
        handle = os.open(os.devnull, os.O_WRONLY)
        os.dup2(handle, stream.fileno())
        os.close(handle)


def _plain(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that an encoding has not: see `codecs.register_error`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(
        _PLAIN.get(character) or _escaped(character) for character in error.object[error.start : error.end]
    ), error.end


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python holds a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("ascii", "backslashreplace").decode()
