"""Scoring many pairs into a folder, and the workers that do it: decoding ahead, batches, one row a pair."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from semetric.errors import ImageError, SemetricError, UsageError, WeightsError
from semetric.image import Picture, read_image, resize_to
from semetric.metrics import registry
from semetric.models.runtime import Runtime
from semetric.results import Execution, Plan, Row, Run, Started, Task, execute
from semetric.results.runner import cores
from semetric.runs.choice import describe_metrics, make_metrics
from semetric.runs.loading import Loaded, load_pairs
from semetric.runs.order import visiting_order
from semetric.runs.pairing import Pair, Pairing, pair_folders, read_pairs, shown
from semetric.runs.summary import summarise
from semetric.score_settings import ScoreSettings
from semetric.scoring import StoreChoice, runtime_of, settings_of

if TYPE_CHECKING:
    import pyarrow as pa

    from semetric.metrics.base import Metric

__all__ = ["BATCH", "PairPlan", "PairRecipe", "PairWorker", "score_folders", "score_pairs"]

BATCH = 8  # pairs that are scored together, where a metric gains from it
CHUNK_BYTES = 256 << 20  # decoded pixels that are scored together at most
CHUNK_PAIRS = 32  # that a process takes at once, and with its last reference's other images up to twice as many


def score_folders(
    references: str | os.PathLike[str],
    images: str | os.PathLike[str],
    out: str | os.PathLike[str],
    metrics: str | Sequence[str] | None = None,
    profile: str = "lite",
    **options: Any,
) -> Run:
    """Scores every image of a folder against the reference of its name: relative path without suffix.

    Args:
        references: a folder, searched with its subfolders.
        images: likewise.
        out: the run's folder; see `score_pairs` for it and for everything else.
        metrics: a name or several; None takes every metric that the profile can score by default.
        profile: lite, standard or paper.
        options: those of `score_pairs`.

    Raises:
        UsageError: no image has a reference; or as `score_pairs`.
    """
    return score_pairs(pair_folders(references, images), out, metrics, profile, **options)


def score_pairs(
    pairs: Pairing | str | os.PathLike[str],
    out: str | os.PathLike[str],
    metrics: str | Sequence[str] | None = None,
    profile: str = "lite",
    *,
    device: str = "auto",
    store: StoreChoice = "default",
    shared: Runtime | None = None,
    batch: int | None = None,
    workers: int | None = None,
    execution: Execution | None = None,
    retry_failed: bool = False,
    limit: int | None = None,
    started: Callable[[Started], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Run:
    """Scores many pairs into a folder, where every finished row survives whatever ends the process.

    Called again with the same folder and the same everything else, it goes on where it ended. A pair
    whose files are broken is a row with an `error`, and listed in the summary.

    Args:
        pairs: what `pair_folders` or `read_pairs` returned, or a CSV file with the columns reference and image.
        out: the run's folder, made if need be.
        metrics: a name or several; None takes every metric that the profile can score by default.
        profile: lite, standard or paper.
        device: auto, cpu or cuda.
        store: where embeddings and scene graphs are cached; None caches in memory alone.
        shared: a runtime to use rather than making one; in this process alone.
        batch: pairs that are scored together; None takes 8, or 1 where no metric gains from more or, on a CPU,
            networks of the profile take seconds a pair.
        workers: threads that decode; None takes one a core, at most 8.
        execution: processes or a cluster that share the pairs; None scores in this process.
        retry_failed: score failed pairs again, whose files may have changed.
        limit: the first pairs alone; a later call without goes on with the others.
        started: told what is known when scoring begins.
        progress: told how many pairs were finished since it was told last, and how many workers are at it.
        options: further fields of `ScoreSettings`: resize, background, padding, variant, sam, masks, objects, …

    Raises:
        UsageError: an unknown metric, profile or option; or the folder holds a run with other settings,
            metrics, weights or pairs; the message says which.
        WeightsError: a metric that was asked for by name has no weights.
        StoreError: the folder cannot be written, or another process is writing to it.
    """
    pairing = pairs if isinstance(pairs, Pairing) else read_pairs(pairs)
    for name, value in (("batch", batch), ("workers", workers), ("limit", limit)):
        if value is not None and value < 1:
            raise UsageError(f"Expected {name} to be at least 1; found {value}.")
    settings = settings_of(profile, {"device": device, **options})
    read_image(np.zeros((1, 1, 4), np.uint8), **settings.reading)  # whether the background is a colour
    if shared is not None and execution is not None and not execution.inline:
        raise UsageError("A shared runtime stays in this process; found processes or a cluster beside it.")
    recipe = PairRecipe(
        metrics=metrics if metrics is None else tuple(registry.names_of(metrics) or ()),
        settings=settings,
        store=store,
        shared=shared,
        batch=batch,
        threads=workers or min(8, cores()),
    )
    return execute(
        PairPlan(pairing, recipe),
        Path(out),
        execution=execution,
        retry_failed=retry_failed,
        limit=limit,
        started=started,
        progress=progress,
    )


@dataclass(frozen=True, kw_only=True)
class PairRecipe:
    """How pairs are scored: the arguments of `score_pairs`, which can be sent to another process."""

    metrics: tuple[str, ...] | None
    settings: ScoreSettings = field(default_factory=ScoreSettings)
    store: StoreChoice = "default"
    shared: Runtime | None = None
    batch: int | None = None
    threads: int = 1

    def runtime(self) -> Runtime:
        """The runtime that the metrics share."""
        return runtime_of(self.settings, store=self.store, shared=self.shared)

    def worker(self) -> PairWorker:
        """Makes the metrics, whose weights must be here."""
        metrics, _ = make_metrics(self.metrics, self.runtime(), self.settings)
        return PairWorker(self, metrics)


class PairPlan(Plan):
    """Pairs × metrics, a row a pair.

    Args:
        pairing: the pairs.
        recipe: how they are scored.

    Raises:
        SemetricError: a metric that was named cannot be scored.
        UsageError: a further column of the CSV file has the name of one of ours.
    """

    recipe: PairRecipe
    words: ClassVar[Mapping[str, str]] = {"pairs.digest": "pairs: other files or cells in the list"}

    def __init__(self, pairing: Pairing, recipe: PairRecipe) -> None:
        runtime = recipe.runtime()
        made, self.left_out = make_metrics(recipe.metrics, runtime, recipe.settings)
        self.pairing = pairing
        self.metrics = tuple(made)
        self.asked = recipe.metrics is not None
        self.units = len(pairing.pairs)
        self.recipe = dataclasses.replace(recipe, metrics=self.metrics)
        self._used = runtime
        self._made = made
        taken = {"index", "reference", "image", "error", *self.metrics}.intersection(pairing.columns)
        if taken:
            raise UsageError(
                f"Expected further columns with names of their own; {', '.join(sorted(taken))} is a column of the "
                "results. Rename it in the CSV file."
            )
        self.record = {
            "kind": "pairs",
            "version": version("semetric"),
            "profile": runtime.profile,
            "settings": {
                name: getattr(recipe.settings, name) for name in ("device", "resize", "background", "max_pixels")
            },
            "metrics": describe_metrics(made, recipe.settings),
            "pairs": {"number": self.units, "digest": pairing.digest()},
            "fields": ["reference", "image", *pairing.columns],
            "source": pairing.source,
            "asked": self.asked,
            "left_out": self.left_out,
        }

    @functools.cached_property
    def _stamps(self) -> Sequence[str]:
        return self.pairing.stamps()

    def stamp(self, unit: int) -> str:
        """Size and time of change of both files, at the beginning."""
        return self._stamps[unit]

    def name(self, unit: int) -> str:
        """Reference and image."""
        pair = self.pairing.pairs[unit]
        return f"{pair.reference} – {pair.image}"

    def chunks(self, missing: Sequence[int], execution: Execution) -> Iterator[Sequence[Task]]:
        """Batches end where a pair's place among all is a multiple of their size, whatever is missing.

        So a run that was interrupted and goes on has the same batches, and the last bits of its numbers, as one that
        was not.
        """
        pairs = self.pairing.pairs
        order = visiting_order(pairs)
        wanted = bytearray(len(pairs))
        for index in missing:
            wanted[index] = 1
        size = self.recipe.batch or _batch(self._made, self._used)
        chunk: list[Task] = []
        for start in range(0, len(order), size):
            units = tuple(index for index in order[start : start + size] if wanted[index])
            if not units:
                continue
            chosen_pairs = [pairs[index] for index in units]
            files = tuple(
                dict.fromkeys(path for pair in chosen_pairs for path in (pair.reference_path, pair.image_path))
            )
            pairs_in_hand = len(chunk) * size
            apart = chunk and not set(files) & set(chunk[-1].files)
            if pairs_in_hand >= 2 * CHUNK_PAIRS or (apart and pairs_in_hand >= CHUNK_PAIRS):
                yield chunk
                chunk = []
            chunk.append(Task(units=units, items=tuple(chosen_pairs), files=files))
        if chunk:
            yield chunk

    def whole(self, row: Row) -> Row:
        """With the pair's names and further cells."""
        pair = self.pairing.pairs[row.unit]
        return Row(
            unit=row.unit,
            scores=row.scores,
            errors={metric: shown(why) for metric, why in row.errors.items()},
            fields=[pair.reference, pair.image, *pair.extra],
            stamp=self.stamp(row.unit),
        )

    def schema(self) -> pa.Schema:
        """reference, image, one a metric, error, and the CSV file's further columns."""
        import pyarrow as pa

        return pa.schema(
            [
                *((name, pa.string()) for name in ("reference", "image")),
                *((name, pa.float64()) for name in self.metrics),
                ("error", pa.string()),
                *((name, pa.string()) for name in self.pairing.columns),
            ]
        )

    def table(self, rows: Sequence[Row]) -> pa.Table:
        """A line a pair."""
        import pyarrow as pa

        scores = np.stack([row.scores for row in rows])  # (rows, metrics)
        cells: list[Any] = [[row.fields[i] for row in rows] for i in range(2)]
        cells += [pa.array(column, from_pandas=True) for column in scores.T]
        cells.append([json.dumps(dict(row.errors), ensure_ascii=False) if row.errors else None for row in rows])
        cells += [[row.fields[2 + i] for row in rows] for i in range(len(self.pairing.columns))]
        return pa.table(dict(zip(self.schema().names, cells, strict=True)), schema=self.schema())

    def summarise(self, rows: Iterable[Row]) -> Mapping[str, Any]:
        """See docs/folders.md."""
        return summarise(rows, self)


@dataclass(frozen=True, kw_only=True)
class _Ready:
    unit: int
    reference: Picture
    image: Picture


class PairWorker:
    """Scores pairs.

    Args:
        recipe: how.
        metrics: name → metric.
    """

    def __init__(self, recipe: PairRecipe, metrics: Mapping[str, Metric]) -> None:
        self.places: dict[str, str] = {}
        self._recipe = recipe
        self._metrics = metrics
        self._digests = any(metric.weights for metric in metrics.values())

    def rows(self, tasks: Iterable[Task]) -> Iterator[list[Row]]:
        """A row a pair; what cannot be scored is an error of its row. Images of later pairs are decoded meanwhile.

        Raises:
            WeightsError: a metric has no weights: that is no pair's fault.
            UsageError: an option that does not fit.
        """
        sizes: list[int] = []
        units: list[int] = []

        def pairs() -> Iterator[Pair]:
            for task in tasks:
                sizes.append(len(task.units))
                units.extend(task.units)
                yield from task.items

        threads = self._recipe.threads
        loaded = load_pairs(pairs(), self._read, workers=threads, ahead=BATCH + 2 * threads)
        try:
            while True:
                first = next(loaded, None)
                if first is None:
                    return
                rows: list[Row] = []
                batch: list[Loaded] = [first]
                for _ in range(sizes.pop(0) - 1):
                    pair = next(loaded)
                    if sum(one.size_bytes for one in batch) + pair.size_bytes > CHUNK_BYTES:  # as the batch has it
                        rows += self._score(units, batch)
                        batch = []
                    batch.append(pair)
                yield rows + self._score(units, batch)
        finally:
            loaded.close()

    def _read(self, path: str) -> Picture:
        place = self.places.get(path, path)
        picture = read_image(place, **self._recipe.settings.reading)
        if self._digests:
            picture.digest  # noqa: B018 (computed here, beside the networks)
        return picture

    def _score(self, units: list[int], batch: Sequence[Loaded]) -> list[Row]:
        """The rows of a batch, whose units are taken from the front of the list."""
        own, units[: len(batch)] = units[: len(batch)], []
        return score_batch(own, batch, self._metrics, resize=self._recipe.settings.resize == "reference")


def score_batch(
    units: Sequence[int], batch: Sequence[Loaded], metrics: Mapping[str, Metric], *, resize: bool = False
) -> list[Row]:
    """One row a pair, where one bad pair spoils no other.

    Args:
        units: of the pairs.
        batch: the pairs, decoded.
        metrics: name → metric.
        resize: bring each image to its reference's size.

    Raises:
        WeightsError: a metric has no weights: that is no pair's fault.
        UsageError: an option that does not fit.
    """
    values = {unit: dict.fromkeys(metrics, math.nan) for unit in units}
    errors: dict[int, dict[str, str]] = {unit: {} for unit in units}
    ready: list[_Ready] = []
    for unit, pair in zip(units, batch, strict=True):
        if isinstance(pair.reference, Picture) and isinstance(pair.image, Picture):
            image = resize_to(pair.image, pair.reference.size) if resize else pair.image
            ready.append(_Ready(unit=unit, reference=pair.reference, image=image))
        else:
            why = " ".join(dict.fromkeys(str(e) for e in (pair.reference, pair.image) if isinstance(e, ImageError)))
            errors[unit] = dict.fromkeys(metrics, why)
    for name, metric in metrics.items():
        for unit, value in _values(metric, ready):
            if isinstance(value, float):
                values[unit][name] = value
            else:
                errors[unit][name] = str(value)
    return [Row(unit=unit, scores=list(values[unit].values()), errors=errors[unit]) for unit in units]


def _values(metric: Metric, ready: Sequence[_Ready]) -> Iterator[tuple[int, float | SemetricError]]:
    fit: list[_Ready] = []
    for pair in ready:
        try:
            metric.check(pair.reference, pair.image)
            fit.append(pair)
        except ImageError as error:
            yield pair.unit, error
    if len(fit) > 1 and gains_from_batches(metric):
        try:
            scores = metric.batch([pair.reference for pair in fit], [pair.image for pair in fit])
        except (WeightsError, UsageError):
            raise
        except SemetricError:
            pass  # one of them is bad: the next lines find which
        else:
            yield from ((pair.unit, _checked(score.value)) for pair, score in zip(fit, scores, strict=True))
            return
    for pair in fit:
        try:
            yield pair.unit, _checked(metric(pair.reference, pair.image).value)
        except (WeightsError, UsageError):
            raise
        except SemetricError as error:
            yield pair.unit, error


def gains_from_batches(metric: Metric) -> bool:
    """Whether the metric does more with a batch than score its pairs one by one."""
    from semetric.metrics.base import Metric as Base

    return type(metric)._score_batch is not Base._score_batch


def _checked(value: float) -> float | ImageError:
    return ImageError("Expected a number; the metric gave none (NaN) for this pair.") if math.isnan(value) else value


def _batch(metrics: Mapping[str, Metric], used: Runtime) -> int:
    """Pairs a batch. What is in hand is lost with Ctrl-C, so a batch must not take long.

    On a CPU the profile's networks take images one by one (`Runtime.passes`) and seconds each, and SSIM and LPIPS gain
    nothing from company: 10 and 46 ms a pair of 256 × 256 px one by one, 21 and 52 ms four at a time (one thread).
    """
    if not any(gains_from_batches(metric) for metric in metrics.values()):
        return 1
    slow = any(metric.networks for metric in metrics.values())
    return 1 if slow and used.device == "cpu" else BATCH
