"""Running an experiment into a folder: every image at every level of every system, resumable at any point."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from semetric.errors import UsageError
from semetric.lab.experiments.base import Arm, Context, Experiment
from semetric.lab.experiments.images import ImageFile, Known, level_name, look_at, read_picture, read_sent
from semetric.lab.experiments.record import check_folder, describe, enter
from semetric.lab.experiments.scoring import Task
from semetric.lab.experiments.settings import RunSettings
from semetric.lab.experiments.summary import is_summary, summarise
from semetric.lab.experiments.table import LongTable, Outcome, Unit
from semetric.lab.experiments.workers import Recipe, check_start, work
from semetric.lab.systems import Pixels
from semetric.runs.files import TEMPORARY, held, named_errors, remove_temporary, write_json, write_whole
from semetric.runs.journal import Journal
from semetric.runs.record import read_summary
from semetric.runs.rows import read_table, write_csv, write_parquet

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LabRun", "Started", "run_experiment"]

_LONGEST_NAME = 200  # bytes of a system's name, which is that of a folder

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class LabRun:
    """A finished experiment.

    Attributes:
        path: its folder: lab.json, rows.parquet, rows.csv, summary.json, examples.
        summary: what summary.json holds.
    """

    path: Path
    summary: Mapping[str, Any]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows, read from the disk: column → value."""
        rows: list[dict[str, Any]] = read_table(self.path / "rows.parquet").to_pylist()
        return rows


@dataclass(frozen=True, kw_only=True)
class Started:
    """What is known when the first image is sent.

    Attributes:
        units: image × system × level, all of them.
        done: how many were finished before.
        broken: images that cannot be read, each with its reason.
        left_out: metric → why the run goes without it.
    """

    units: int
    done: int
    broken: Mapping[str, str]
    left_out: Mapping[str, str]


def run_experiment(
    experiment: Experiment,
    images: Sequence[str | PathLike[str] | ImageFile],
    out: str | PathLike[str],
    settings: RunSettings | None = None,
    *,
    jobs: int = 1,
    cached: bool = True,
    started: Callable[[Started], None] | None = None,
    advance: Callable[[int], None] | None = None,
) -> LabRun:
    """Sends every image through every system at every level, and scores what arrives with every metric.

    A unit is an image at a level of a system. Finished units are written to the folder every few seconds, each part
    whole or not at all; the same call goes on from there, and ends with the bytes of an undisturbed run. What fails
    on one image is an error of its own rows.

    Args:
        experiment: the configuration.
        images: files and folders; or pairs, as `pair_images` gives them.
        out: the run's folder: new, empty, or one to go on with.
        settings: metrics, networks, seed and reading; None takes the defaults.
        jobs: worker processes, each with its share of the cores; 1 works in this process.
        cached: whether embeddings and scene graphs are kept on disk.
        started: told what there is to do.
        advance: told how many units were finished since it was told last.

    Raises:
        UsageError: an option, a level or a name that does not exist, no image, or another run in the folder.
        MissingExtraError: a system needs a package that is not here.
        WeightsError: a metric that was named, or a system, has no weights.
        StoreError: the folder cannot be written, or another process is writing to it.
    """
    chosen = settings or RunSettings()
    if jobs < 1:
        raise UsageError(f"Expected jobs to be at least 1; found {jobs}.")
    check_start(jobs)
    files = experiment.find(images)
    folder = Path(out)
    check_folder(folder, files)
    used = chosen.runtime(cached=cached)
    arms = experiment.arms(Context(runtime=used, images=files, reading=chosen.reading))
    _check_names(arms)
    metrics, left_out = chosen.make_metrics(used)
    known = look_at(files, examples=chosen.examples, **chosen.reading)
    record = describe(experiment, arms, chosen, metrics, known, files, profile=used.profile, left_out=left_out)
    points = [(arm.system.name, level) for arm in arms for level in arm.levels]
    table = LongTable(
        units=tuple(Unit(image=one.name, system=system, level=level) for one in known for system, level in points),
        metrics=tuple(metrics),
    )
    broken = {one.name: one.error for one in known if one.error is not None}
    tell = started or (lambda _: None)
    with held(folder):
        enter(folder, record)
        merged = _finished_rows(folder, table)
        if merged is None:
            journal = Journal(folder / "parts", table)
            tell(Started(units=len(table.units), done=len(journal.done), broken=broken, left_out=left_out))
            recipe = Recipe(
                experiment=experiment, settings=chosen, metrics=tuple(metrics), images=tuple(files), cached=cached
            )
            pictures = _Examples(folder, files, known, points, chosen)
            _do_missing(journal, recipe, files, known, len(points), pictures, jobs, advance or (lambda _: None))
            merged = journal.merged()
            write_parquet(folder / "rows.parquet", merged)
            write_csv(folder / "rows.csv", merged)
            summary = None
        else:
            tell(Started(units=len(table.units), done=len(table.units), broken=broken, left_out=left_out))
            if not (folder / "rows.csv").is_file():
                write_csv(folder / "rows.csv", merged)
            summary = _finished_summary(folder, record)
        if summary is None:
            summary = json.loads(json.dumps(summarise(merged, record, experiment)))
            write_json(folder / "summary.json", summary)
        if (folder / "parts").is_dir():
            Journal(folder / "parts", table).remove()  # only now
    return LabRun(path=folder, summary=summary)


def _do_missing(
    journal: Journal[Outcome],
    recipe: Recipe,
    files: Sequence[ImageFile],
    known: Sequence[Known],
    points: int,
    pictures: _Examples,
    jobs: int,
    advance: Callable[[int], None],
) -> None:
    """Finishes the units that the journal has not; what is finished is in parts, however this ends."""
    tasks = []
    try:
        for place, (file, one) in enumerate(zip(files, known, strict=True)):
            first = place * points
            missing = tuple(p for p in range(points) if first + p not in journal.done)
            if not missing:
                continue
            if one.error is not None:
                journal.add([Outcome.lost(first + p, recipe.metrics, one.error) for p in missing])
                advance(len(missing))
                continue
            pictures.original(place)
            keep = one.example is not None
            tasks.append(Task(name=file.name, path=file.path, sent=file.sent, first=first, points=missing, keep=keep))
        for finished in work(recipe, tasks, jobs=jobs):
            if finished.pixels is not None:
                pictures.received(finished.outcome.index, finished.pixels)
            journal.add([finished.outcome])
            advance(1)
    finally:
        journal.flush()


class _Examples:
    """The received pictures of the first images: written before their units count as finished."""

    def __init__(
        self,
        folder: Path,
        files: Sequence[ImageFile],
        known: Sequence[Known],
        points: Sequence[tuple[str, float]],
        settings: RunSettings,
    ) -> None:
        self._root = folder / "examples"
        self._files = files
        self._known = known
        self._points = points
        self._settings = settings
        with named_errors(self._root):
            for inner in {path.parent for path in self._root.rglob(f".*{TEMPORARY}")}:
                remove_temporary(inner)  # a process that was killed had begun to write it

    def original(self, place: int) -> None:
        example = self._known[place].example
        if example is not None:
            picture = read_picture(self._files[place].path, **self._settings.reading)
            self._write(self._root / example / "original.png", picture.to_uint8())
            sent = self._files[place].sent
            if sent is not None:
                translated = read_sent(sent, picture, **self._settings.reading)
                self._write(self._root / example / "sent.png", translated.to_uint8())

    def received(self, index: int, pixels: Pixels) -> None:
        place, point = divmod(index, len(self._points))
        system, level = self._points[point]
        self._write(self._root / str(self._known[place].example) / system / f"{level_name(level)}.png", pixels)

    def _write(self, path: Path, pixels: Pixels) -> None:
        from PIL import Image

        with named_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)

        def write(stream: BinaryIO) -> None:
            Image.fromarray(pixels).save(stream, "PNG")

        write_whole(path, write)


def _check_names(arms: Sequence[Arm]) -> None:
    """Raises UsageError where two systems have one name, or one that is no name of a folder."""
    names = [arm.system.name for arm in arms]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"Expected systems with names of their own; {name!r} comes twice.")
        known = name.isprintable() and not any(c in name for c in '/\\:*?"<>|')
        if (
            not known
            or not 0 < len(name.encode()) <= _LONGEST_NAME
            or name.startswith(".")
            or name in ("original.png", "sent.png")
        ):
            raise UsageError(
                f"Expected a system's name to be one of a folder, of at most {_LONGEST_NAME} bytes; found {name!r}."
            )


def _finished_rows(folder: Path, table: LongTable) -> pa.Table | None:
    """All rows, where they are there and whole; a table that is not, of which no parts are left, is made again."""
    import pyarrow as pa

    path = folder / "rows.parquet"
    try:
        found = read_table(path)
        if not table.holds(found):
            raise pa.ArrowInvalid("it has other rows")
    except FileNotFoundError:
        return None
    except (OSError, pa.ArrowException) as error:
        _log.warning("%s is damaged; what it held is sent and scored again (%s)", path, error)
        return None
    return found


def _finished_summary(folder: Path, record: Mapping[str, Any]) -> dict[str, Any] | None:
    """What summary.json holds; None where it is missing, or damaged and has to be made of the rows again."""
    ours = functools.partial(is_summary, record=record)
    return read_summary(folder / "summary.json", ours, "was damaged; it is made of the rows again")
