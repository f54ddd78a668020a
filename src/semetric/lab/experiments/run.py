"""Running an experiment into a folder: every image at every level of every system, resumable at any point."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from semetric.errors import UsageError
from semetric.lab.experiments.base import Context, Experiment, Sweep
from semetric.lab.experiments.images import ImageFile, look_at
from semetric.lab.experiments.scoring import ExperimentRecipe, ImagePoint, outcome
from semetric.lab.experiments.settings import RunSettings
from semetric.lab.experiments.summary import columns_of, summarise
from semetric.results import Execution, Plan, Row, Run, Started, Task, execute
from semetric.results.record import digest, plain
from semetric.results.run import check_folder
from semetric.runs.choice import describe_metrics
from semetric.runs.pairing import shown
from semetric.runs.scoring import BATCH

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FIELDS", "ExperimentPlan", "run_experiment"]

FIELDS = ("image", "system", "level", "rate_bpp", "size_bytes", "uses_per_pixel", "failed", "note", "details")
_LONGEST_NAME = 200  # bytes of a system's name, which is that of a folder


def run_experiment(
    experiment: Experiment,
    images: Sequence[str | PathLike[str] | ImageFile],
    out: str | PathLike[str],
    settings: RunSettings | None = None,
    *,
    cached: bool = True,
    execution: Execution | None = None,
    retry_failed: bool = False,
    limit: int | None = None,
    started: Callable[[Started], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Run:
    """Sends every image through every system at every level, and scores what arrives with every metric.

    A unit is an image at a level of a system. Finished units are written to the folder every second; the same call goes
    on from there, and ends with the bytes of an undisturbed run. What fails on one image is an error of its own rows.

    Args:
        experiment: the configuration.
        images: files and folders; or pairs, as `pair_images` gives them.
        out: the run's folder; new, empty, or one to go on with.
        settings: metrics, networks, seed and reading; None takes the defaults.
        cached: whether embeddings and scene graphs are kept on disk.
        execution: processes or a cluster that share the images; None works in this process.
        retry_failed: do failed units again, whose files may have changed.
        limit: the first images alone; a later call without goes on with the others.
        started: told what there is to do.
        progress: told how many units were finished since it was told last, and how many workers are at it.

    Raises:
        UsageError: an option, a level or a name that does not exist, no image, or another run in the folder.
        MissingExtraError: a system needs a package that is not here.
        WeightsError: a metric that was named, or a system, has no weights.
        StoreError: the folder cannot be written, or another process is writing to it.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"Expected limit to be at least 1; found {limit}.")
    files = experiment.find(images)
    folder = Path(out)
    check_folder(folder)
    _check_outside(folder, files)
    plan = ExperimentPlan(experiment, files, settings or RunSettings(), cached=cached)
    return execute(
        plan,
        folder,
        execution=execution,
        retry_failed=retry_failed,
        limit=None if limit is None else limit * len(plan.points),
        started=started,
        progress=progress,
    )


class ExperimentPlan(Plan):
    """Images × operating points, a unit each; a row a metric is exported.

    Attributes:
        points: (system, level), in the order of rows.

    Args:
        experiment: the configuration.
        files: the images.
        settings: metrics, networks, seed and reading.
        cached: whether embeddings and scene graphs are kept on disk.

    Raises:
        UsageError: an option, a level or a name that does not exist.
        MissingExtraError: a system needs a package that is not here.
        WeightsError: a metric that was named, or a system, has no weights.
    """

    silent: ClassVar[tuple[str, ...]] = ("source", "sent", "asked", "left_out", "images", "title", "report")
    words: ClassVar[Mapping[str, str]] = {"names": "images: other names"}

    def __init__(
        self, experiment: Experiment, files: Sequence[ImageFile], settings: RunSettings, *, cached: bool = True
    ) -> None:
        runtime = settings.runtime(cached=cached)
        sweeps = experiment.sweeps(Context(runtime=runtime, images=files, reading=settings.reading))
        _check_names(sweeps)
        metrics, self.left_out = settings.make_metrics(runtime)
        self._experiment = experiment
        self._files = files
        self._images = look_at(files, examples=settings.examples, **settings.reading)
        self._batch = 1 if runtime.device == "cpu" else BATCH  # on a CPU networks take images one by one
        self.points = [(sweep.system.name, level) for sweep in sweeps for level in sweep.levels]
        self.metrics = tuple(metrics)
        self.asked = settings.metrics is not None
        self.units = len(files) * len(self.points)
        self.broken = {image.name: image.error for image in self._images if image.error is not None}
        self.recipe = ExperimentRecipe(
            experiment=experiment, settings=settings, metrics=self.metrics, images=tuple(files), cached=cached
        )
        self.record = plain(
            {
                "kind": experiment.kind,
                "version": version("semetric"),
                "experiment": experiment.kind,
                "title": experiment.title,
                "report": experiment.report.to_dict(),
                "config": {**experiment.to_dict(), **settings.to_dict(), "metrics": list(metrics)},
                "asked": self.asked,
                "axis": dataclasses.asdict(experiment.level_axis()),
                "systems": [sweep.to_dict() for sweep in sweeps],
                "metrics": describe_metrics(metrics, settings),
                "profile": dataclasses.asdict(runtime.profile),
                "images": [dataclasses.asdict(image) for image in self._images],
                "number of images": len(files),
                "names": digest([image.name for image in files]),
                "fields": FIELDS,
                "source": [shown(file.path) for file in files],
                "sent": [shown(file.sent) for file in files if file.sent is not None],
                "left_out": self.left_out,
            }
        )

    def stamp(self, unit: int) -> str:
        """The digest of the image's pixels, when the run began."""
        image = self._images[unit // len(self.points)]
        return " ".join(filter(None, (image.digest, image.sent_digest)))

    def name(self, unit: int) -> str:
        """Image, system and level."""
        image, point = divmod(unit, len(self.points))
        system, level = self.points[point]
        return f"{self._images[image].name}, {system} at {level:g}"

    def chunks(self, missing: Sequence[int], execution: Execution) -> Iterator[Sequence[Task]]:
        """An image a chunk; where networks gain from company, tasks of several of its points."""
        for image, units in _by_image(missing, len(self.points)):
            point = [
                ImagePoint(image=self._files[image], place=unit % len(self.points), example=self._images[image].example)
                for unit in units
            ]
            yield [
                Task(
                    units=tuple(units[start : start + self._batch]),
                    items=tuple(point[start : start + self._batch]),
                    files=tuple(filter(None, (self._files[image].path, self._files[image].sent))),
                )
                for start in range(0, len(units), self._batch)
            ]

    def whole(self, row: Row) -> Row:
        """With the names of image and system, and the level."""
        image, point = divmod(row.unit, len(self.points))
        return dataclasses.replace(
            row,
            errors={metric: shown(why) for metric, why in row.errors.items()},
            fields=[self._images[image].name, *self.points[point], *row.fields],
            stamp=self.stamp(row.unit),
        )

    def lost(self, unit: int, why: str) -> Row:
        """Nothing arrived."""
        return dataclasses.replace(super().lost(unit, why), fields=outcome())

    def schema(self) -> pa.Schema:
        """The columns of docs/lab/README.md."""
        import pyarrow as pa

        kinds = dict.fromkeys((*FIELDS, "metric", "value", "error"), pa.string())
        kinds |= dict.fromkeys(("level", "rate_bpp", "uses_per_pixel", "value"), pa.float64())
        return pa.schema([*(kinds | {"size_bytes": pa.int64(), "failed": pa.bool_()}).items()])

    def table(self, rows: Sequence[Row]) -> pa.Table:
        """A line a unit and metric."""
        import pyarrow as pa

        count = len(self.metrics)
        columns: dict[str, Any] = {
            name: [value for row in rows for value in [row.fields[place]] * count] for place, name in enumerate(FIELDS)
        }
        columns["metric"] = list(self.metrics) * len(rows)
        columns["value"] = pa.array(np.concatenate([row.scores for row in rows]), from_pandas=True)
        columns["error"] = [row.errors.get(metric) for row in rows for metric in self.metrics]
        return pa.table(columns, schema=self.schema())

    def summarise(self, rows: Iterable[Row]) -> Mapping[str, Any]:
        """Means a system and level, and what the experiment says beyond."""
        columns = columns_of(rows, self.record)
        extra = self._experiment.analyse(columns, self.record["metrics"])
        return summarise(columns, self.record, asked=self.asked) | extra


def _by_image(missing: Sequence[int], points: int) -> Iterator[tuple[int, list[int]]]:
    units: list[int] = []
    for unit in missing:
        if units and unit // points != units[0] // points:
            yield units[0] // points, units
            units = []
        units.append(unit)
    if units:
        yield units[0] // points, units


def _check_outside(folder: Path, images: Sequence[ImageFile]) -> None:
    """Raises UsageError where a folder lies among the images."""
    own = Path(os.path.realpath(folder))
    for root in dict.fromkeys(image.root for image in images):
        if root is not None and own.is_relative_to(os.path.realpath(root)):
            raise UsageError(
                f"Expected --out outside of the folders of images; {folder} is in {root}, where the pictures "
                "that the run keeps would be sent as well. Choose another --out."
            )


def _check_names(sweeps: Sequence[Sweep]) -> None:
    """Raises UsageError where two systems have one name, or one that is no name of a folder."""
    names = [sweep.system.name for sweep in sweeps]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"Expected systems with names of their own; {name!r} comes twice.")
        known = name.isprintable() and not any(c in name for c in '/\\:*?"<>|')
        taken = name.startswith(".") or name in ("original.png", "sent.png")
        if not known or taken or not 0 < len(name.encode()) <= _LONGEST_NAME:
            raise UsageError(
                f"Expected a system's name to be one of a folder, of at most {_LONGEST_NAME} bytes; found {name!r}."
            )
