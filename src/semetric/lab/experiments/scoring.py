"""One image through its systems: sent, scored by every metric, unit by unit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from semetric.errors import CodecError, ImageError, SemetricError, UsageError, WeightsError
from semetric.image import Picture
from semetric.lab.experiments.base import Arm, Context, Experiment, NamedSystem
from semetric.lab.experiments.images import ImageFile, read_picture, read_sent
from semetric.lab.experiments.settings import RunSettings
from semetric.lab.experiments.table import Outcome
from semetric.lab.systems import Pixels, Received, System, generator
from semetric.runs.pairing import shown

if TYPE_CHECKING:
    from semetric.metrics.base import Metric

__all__ = ["Finished", "Scorer", "Task"]

Scored = tuple[dict[str, float | None], dict[str, str]]


@dataclass(frozen=True, kw_only=True)
class Task:
    """The units of one image that are still missing.

    Attributes:
        name: the image's.
        path: its file.
        sent: the file that goes through the systems in its place; None for itself.
        first: index of its first unit.
        points: which operating points are missing, counted over all arms.
        keep: whether the received pixels are wanted.
    """

    name: str
    path: str
    first: int
    points: tuple[int, ...]
    keep: bool
    sent: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Finished:
    """One unit that is done.

    Attributes:
        outcome: its rows.
        pixels: what was received, where the task asked for it.
    """

    outcome: Outcome
    pixels: Pixels | None = None


class Scorer:
    """Systems, metrics and the runtime they share, made once a process.

    Args:
        experiment: the systems and levels.
        settings: the metrics.
        metrics: names of those that are scored.
        images: all that will be sent.
        cached: whether products are kept on disk.

    Raises:
        SemetricError: a system or a metric cannot be made.
    """

    def __init__(
        self,
        experiment: Experiment,
        settings: RunSettings,
        metrics: Sequence[str],
        images: Sequence[ImageFile],
        *,
        cached: bool = True,
    ) -> None:
        from semetric.runs.choice import make_metrics

        used = settings.runtime(cached=cached)
        self.settings = settings
        self.metrics: Mapping[str, Metric] = make_metrics(metrics, used, settings.options)[0]
        self.nested = experiment.nested
        self.arms = experiment.arms(Context(runtime=used, images=images, reading=settings.reading))
        self.points = _points(self.arms)

    def units(self, task: Task) -> Iterator[Finished]:
        """Sends and scores one image at the missing points, in their order.

        Equal pixels are scored once: at a high SNR every stream arrives whole, at a low one every decoder falls
        back. What fails on this image is an error of its rows.

        Raises:
            WeightsError: a system or metric has no weights: that is no image's fault.
            UsageError: an option or level that does not fit.
        """
        try:
            reference = read_picture(task.path, **self.settings.reading)
            sent = reference if task.sent is None else read_sent(task.sent, reference, **self.settings.reading)
        except ImageError as error:  # it could be read when the run began
            for point in task.points:
                yield Finished(outcome=Outcome.lost(task.first + point, tuple(self.metrics), str(error)))
            return
        known: dict[str, Scored] = {}
        for point in task.points:
            index = task.first + point
            system, level = self.points[point]
            try:
                received = self._send(system, level, sent, task.name)
            except (CodecError, ImageError) as error:
                yield Finished(outcome=Outcome.lost(index, tuple(self.metrics), str(error)))
                continue
            picture = _picture(received, f"{task.name} after {system.name} at {level:g}")
            if picture.digest not in known:
                known[picture.digest] = self._score(reference, picture)
            outcome = Outcome.of(index, received, *known[picture.digest])
            yield Finished(outcome=outcome, pixels=received.pixels if task.keep else None)

    def _send(self, system: System, level: float, sent: Picture, name: str) -> Received:
        rng = generator(sent.digest, system.name, 0.0 if self.nested else level, self.settings.seed)
        sender = system.of(name) if isinstance(system, NamedSystem) else system
        return sender.send(np.array(sent.to_uint8()), level, rng)  # a copy: it may be written to

    def _score(self, reference: Picture, image: Picture) -> Scored:
        values: dict[str, float | None] = {}
        errors: dict[str, str] = {}
        for name, metric in self.metrics.items():
            values[name] = None
            try:
                value = metric(reference, image).value
            except (WeightsError, UsageError):
                raise
            except SemetricError as error:
                errors[name] = shown(str(error))
                continue
            if math.isnan(value):
                errors[name] = "Expected a number; the metric gave none (NaN) for this pair."
            else:
                values[name] = value
        return values, errors


def _points(arms: Sequence[Arm]) -> tuple[tuple[System, float], ...]:
    return tuple((arm.system, level) for arm in arms for level in arm.levels)


def _picture(received: Received, name: str) -> Picture:
    pixels = np.ascontiguousarray(received.pixels)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise UsageError(f"Expected (H, W, 3) uint8 from a system; {name} is {pixels.shape} {pixels.dtype}.")
    pixels.setflags(write=False)
    return Picture(pixels=pixels, name=name)
