"""Files that appear whole or not at all, and stay after a power cut."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from semetric.errors import StoreError

__all__ = ["TEMPORARY", "held", "named_errors", "remove_temporary", "write_json", "write_whole"]

TEMPORARY = ".tmp"  # the suffix of what is being written


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Writes a file under a temporary name in its folder, brings it to the disk, and renames it.

    Raises:
        StoreError: the disk is full, or writing is not allowed. The file that was there before stays.
    """
    temporary = path.with_name(f".{path.name}{TEMPORARY}")
    with named_errors(path):
        try:
            with temporary.open("wb") as stream:
                write(stream)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, path)
            _sync_folder(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Writes plain JSON values.

    Raises:
        StoreError: as `write_whole`.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_whole(path, lambda stream: stream.write(text.encode()))


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Turns an OSError into a StoreError that names the file and says what to do."""
    try:
        yield
    except OSError as error:
        what = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            what = "the disk is full. What was finished is kept: free some space and start the same command again"
        raise StoreError(f"Expected to write {path}; {what}.") from error


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Makes the folder of a run and keeps other processes out of it; the lock ends with the process, however it ends.

    Raises:
        StoreError: the folder cannot be made, or another process holds it.
    """
    from filelock import FileLock, Timeout

    with named_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    with named_errors(folder):
        try:
            lock.acquire(timeout=0)
        except Timeout:  # an OSError, too
            raise StoreError(
                f"Expected {folder} to be free; another process is scoring into it. Wait for it, or choose another "
                "--out."
            ) from None
    try:
        yield
    finally:
        lock.release()


def remove_temporary(folder: Path) -> None:
    """Removes what a process that was killed had begun to write."""
    for left in folder.glob(f".*{TEMPORARY}"):
        left.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Brings the rename itself to the disk, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
