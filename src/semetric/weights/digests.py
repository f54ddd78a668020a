"""SHA-256 of files, computed once in a process and again when a file changes."""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["forget", "sha256_of"]

# (path, size, time of change in ns, inode) → SHA-256
_known: dict[tuple[str, int, int, int], str] = {}


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file, in hex.

    Raises:
        OSError: it cannot be read.
    """
    status = file.stat()
    memo = (str(file), status.st_size, status.st_mtime_ns, status.st_ino)
    if memo not in _known:
        with open(file, "rb") as stream:
            _known[memo] = hashlib.file_digest(stream, "sha256").hexdigest()
    return _known[memo]


def forget() -> None:
    """Lets every file be read anew."""
    _known.clear()
