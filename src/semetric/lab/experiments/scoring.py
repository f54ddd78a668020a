"""One image through its systems: sent, scored by every metric, unit by unit."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from semetric.errors import CodecError, ImageError, UsageError
from semetric.image import Picture
from semetric.lab.experiments.base import Context, Experiment, Sweep
from semetric.lab.experiments.images import ImageFile, level_name, read_picture, read_sent
from semetric.lab.experiments.settings import RunSettings
from semetric.lab.systems import NamedSystem, Pixels, Received, System, generator
from semetric.results import Row, Task
from semetric.runs.loading import Loaded
from semetric.runs.pairing import shown
from semetric.runs.scoring import score_batch

if TYPE_CHECKING:
    from semetric.metrics.base import Metric

__all__ = ["ExperimentRecipe", "ImagePoint", "Scorer", "outcome"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagePoint:
    """One image at one operating point of one system.

    Attributes:
        image: what is sent.
        place: of the operating point, counted over all systems.
        example: the folder below "examples" that keeps what is received; None without.
    """

    image: ImageFile
    place: int
    example: str | None = None


@dataclass(frozen=True, kw_only=True)
class ExperimentRecipe:
    """What a worker makes its scorer of: plain values, so that they can be sent to another process.

    Attributes:
        experiment: the systems and levels.
        settings: the metrics.
        metrics: names of those that are scored.
        images: all that will be sent.
        cached: whether products are kept on disk.
    """

    experiment: Experiment
    settings: RunSettings
    metrics: tuple[str, ...]
    images: tuple[ImageFile, ...]
    cached: bool = True

    def worker(self) -> Scorer:
        """Makes systems and metrics, whose weights must be here."""
        from semetric.runs.choice import make_metrics

        runtime = self.settings.runtime(cached=self.cached)
        metrics, _ = make_metrics(self.metrics, runtime, self.settings)
        context = Context(runtime=runtime, images=self.images, reading=self.settings.reading)
        return Scorer(self.experiment.sweeps(context), self.settings, metrics, nested=self.experiment.nested)


class Scorer:
    """Systems and metrics at work.

    Args:
        sweeps: the systems and their levels.
        settings: how images are read, and the seed.
        metrics: name → metric.
        nested: whether all levels of a system draw from one generator an image.
    """

    def __init__(
        self, sweeps: Sequence[Sweep], settings: RunSettings, metrics: Mapping[str, Metric], *, nested: bool
    ) -> None:
        self.places: dict[str, str] = {}
        self._settings = settings
        self._metrics = metrics
        self._nested = nested
        self._points = tuple((sweep.system, level) for sweep in sweeps for level in sweep.levels)

    def rows(self, tasks: Iterable[Task]) -> Iterator[list[Row]]:
        """Sends and scores images, each at its points.

        While tasks of one image follow each other, it is decoded once, and equal pixels are scored once: at a high
        SNR every stream arrives whole, at a low one every decoder falls back. What fails on an image is an error of its
        rows.

        Raises:
            WeightsError: a system or metric has no weights: that is no image's fault.
            UsageError: an option or level that does not fit.
        """
        current: ImageFile | None = None
        reference: Picture | ImageError | None = None
        sent: Picture | None = None
        known: dict[str, Row] = {}
        original = False
        for task in tasks:
            image: ImageFile = task.items[0].image
            if image != current:
                current, known, original = image, {}, False
                try:
                    reference, sent = self._read(image)
                except ImageError as error:  # it could be read when the run began
                    reference = error
            if not isinstance(reference, Picture) or sent is None:
                yield [self._lost(unit, str(reference)) for unit in task.units]
                continue
            rows = self._score(task, reference, sent, known)
            example = task.items[0].example
            if not original and example is not None:
                original = True
                files = {f"examples/{example}/original.png": _png(reference.to_uint8())}
                if sent is not reference:
                    files[f"examples/{example}/sent.png"] = _png(sent.to_uint8())
                files |= rows[0].files
                rows[0] = replace(rows[0], files=files)
            yield rows

    def _read(self, image: ImageFile) -> tuple[Picture, Picture]:
        """What results are scored against, and what is sent."""
        reading = self._settings.reading
        reference = read_picture(self.places.get(image.path, image.path), **reading)
        if image.sent is None:
            return reference, reference
        return reference, read_sent(self.places.get(image.sent, image.sent), reference, **reading)

    def _score(self, task: Task, reference: Picture, sent: Picture, known: dict[str, Row]) -> list[Row]:
        received: dict[int, tuple[Received, str]] = {}
        rows: dict[int, Row] = {}
        fresh: dict[str, Picture] = {}
        for unit, point in zip(task.units, task.items, strict=True):
            system, level = self._points[point.place]
            try:
                arrived = self._send(system, level, sent, point.image.name)
            except (CodecError, ImageError) as error:
                rows[unit] = self._lost(unit, str(error))
                continue
            picture = _picture(arrived, f"{point.image.name} after {system.name} at {level:g}")
            received[unit] = arrived, picture.digest
            if picture.digest not in known:
                fresh.setdefault(picture.digest, picture)
        pairs = [Loaded(reference=reference, image=picture) for picture in fresh.values()]
        known.update(zip(fresh, score_batch(range(len(pairs)), pairs, self._metrics), strict=True))
        for unit, point in zip(task.units, task.items, strict=True):
            if unit not in received:
                continue
            arrived, digest = received[unit]
            files: dict[str, bytes] = {}
            if point.example is not None:
                system, level = self._points[point.place]
                name = f"examples/{point.example}/{system.name}/{level_name(level)}.png"
                files[name] = _png(arrived.pixels)
            rows[unit] = replace(known[digest], unit=unit, fields=outcome(arrived), files=files)
        return [rows[unit] for unit in task.units]

    def _send(self, system: System, level: float, sent: Picture, name: str) -> Received:
        rng = generator(sent.digest, system.name, 0.0 if self._nested else level, self._settings.seed)
        pixels = np.array(sent.to_uint8())  # a copy: it may be written to
        if isinstance(system, NamedSystem):
            return system.send_named(name, pixels, level, rng)
        return system.send(pixels, level, rng)

    def _lost(self, unit: int, why: str) -> Row:
        return Row(
            unit=unit, scores=[np.nan] * len(self._metrics), errors=dict.fromkeys(self._metrics, why), fields=outcome()
        )


def outcome(received: Received | None = None) -> list[Any]:
    """What a row holds beside scores: rate, size, channel uses, whether it failed, note, details."""
    if received is None:
        return [None, None, None, False, "", "{}"]
    return [
        received.rate_bpp,
        received.size_bytes,
        received.uses_per_pixel,
        received.failed,
        shown(received.note),
        json.dumps(dict(received.details), ensure_ascii=False, sort_keys=True),
    ]


def _png(pixels: Pixels) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def _picture(received: Received, name: str) -> Picture:
    pixels = np.ascontiguousarray(received.pixels)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise UsageError(f"Expected (H, W, 3) uint8 from a system; {name} is {pixels.shape} {pixels.dtype}.")
    pixels.setflags(write=False)
    return Picture(pixels=pixels, name=name)
