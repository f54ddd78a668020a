"""Files that appear whole or not at all, and stay after a power cut."""

from __future__ import annotations

import errno
import json
import os
import stat
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from semetric.errors import StoreError, UsageError

__all__ = ["TEMPORARY", "check_place", "held", "named_errors", "remove_temporary", "write_json", "write_whole"]

TEMPORARY = ".tmp"  # the suffix of what is being written
_STEM = 30  # characters of the name that a temporary name keeps: any name that can be written can be written so


def check_place(path: Path, what: str, inputs: Iterable[str | os.PathLike[str]] = ()) -> None:
    """Whether a file can be written there; worth asking before minutes of work.

    Args:
        path: of the file.
        what: the words for it, "a picture".
        inputs: what the work reads. Names that are no files are passed over.

    Raises:
        UsageError: it is one of the inputs.
        StoreError: no such folder, a folder without permission to write, or the path is no file.
    """
    try:
        if not stat.S_ISDIR(os.stat(path.parent).st_mode):
            raise NotADirectoryError
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(
            f"Expected to write {path.name} in {path.parent}; there is no such folder. Make it first."
        ) from None
    except (OSError, ValueError) as error:
        raise StoreError(f"Expected to write {what} to {path}; {_reason(error)}.") from error
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise StoreError(
            f"Expected to write {path.name} in {path.parent}; writing there is not allowed. Name another folder."
        )
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise StoreError(f"Expected to write {what} to {path}; {_reason(error)}.") from error
    if stat.S_ISDIR(there.st_mode):
        raise StoreError(f"Expected to write {what} to {path}; that is a folder. Name a file.")
    if not stat.S_ISREG(there.st_mode):  # which a rename would replace
        raise StoreError(f"Expected to write {what} to {path}; that is a pipe or a device. Name a file.")
    for name in inputs:
        try:
            same = os.path.samestat(there, os.stat(name))
        except (OSError, ValueError):
            continue
        if same:
            raise UsageError(f"Expected to write {what} to a file of its own; {path} is read. Name another file.")


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Writes a file under a temporary name in its folder, brings it to the disk, and renames it.

    Raises:
        StoreError: the disk is full, or writing is not allowed. The file that was there before stays.
    """
    own = f"{os.getpid()}-{threading.get_ident()}"  # two that write one file at a time each write it whole
    temporary = path.with_name(f".{path.name[:_STEM]}.{own}{TEMPORARY}")
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
        what = _reason(error)
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


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _sync_folder(folder: Path) -> None:
    """Brings the rename itself to the disk, where the system can."""
    if os.name != "posix":
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:  # a folder that may be written to and not listed
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
