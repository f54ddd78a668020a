"""Scoring decoded pairs with every metric, in batches, where one bad pair spoils no other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from semetric.errors import ImageError, SemetricError, UsageError, WeightsError
from semetric.image import Picture
from semetric.runs.loading import Loaded
from semetric.runs.rows import Row

if TYPE_CHECKING:
    from semetric.metrics.base import Metric

__all__ = ["CHUNK_BYTES", "Advance", "chunks", "gains_from_batches", "score_chunk"]

CHUNK_BYTES = 256 << 20  # decoded pixels that are scored together at most

Advance = Callable[[float], None]
"""Told how many pairs' worth of work was done since it was told last; fractions of a pair too."""


@dataclass(frozen=True, kw_only=True)
class _Ready:
    index: int
    reference: Picture
    image: Picture


def gains_from_batches(metric: Metric) -> bool:
    """Whether the metric does more with a batch than score its pairs one by one."""
    from semetric.metrics.base import Metric as Base

    return type(metric)._score_batch is not Base._score_batch


def chunks(loaded: Iterable[Loaded], place: Mapping[int, int], size: int) -> Iterator[list[Loaded]]:
    """Gathers pairs to batches.

    A batch ends where the place of a pair is a multiple of the size, so that a run that was
    interrupted and goes on has the same batches, and the last bits of its numbers, as one that was
    not; and earlier where large images would fill the memory, which depends on the batch alone.

    Args:
        loaded: pairs in the order of scoring.
        place: index of a pair → its place in the order of all pairs.
        size: pairs a batch.
    """
    batch: list[Loaded] = []
    for one in loaded:
        over = sum(other.size_bytes for other in batch) + one.size_bytes > CHUNK_BYTES
        if batch and (over or place[one.index] // size != place[batch[0].index] // size):
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def score_chunk(
    batch: Sequence[Loaded],
    metrics: Mapping[str, Metric],
    *,
    prepare: Callable[[Picture, Picture], Picture],
    advance: Advance,
) -> list[Row]:
    """One row a pair; what cannot be scored is an error of its row.

    Args:
        batch: decoded pairs.
        metrics: name → metric.
        prepare: (reference, image) → the image as it is scored, e.g. resized.
        advance: told of progress.

    Raises:
        WeightsError: a metric has no weights: that is no pair's fault.
        UsageError: an option that does not fit.
    """
    values: dict[int, dict[str, float | None]] = {one.index: {} for one in batch}
    errors: dict[int, dict[str, str]] = {one.index: {} for one in batch}
    ready: list[_Ready] = []
    for one in batch:
        if isinstance(one.reference, Picture) and isinstance(one.image, Picture):
            image = prepare(one.reference, one.image)
            ready.append(_Ready(index=one.index, reference=one.reference, image=image))
        else:
            why = " ".join(dict.fromkeys(str(e) for e in (one.reference, one.image) if isinstance(e, ImageError)))
            errors[one.index] = dict.fromkeys(metrics, why)
    share = 1 / len(metrics)
    advance(float(len(batch) - len(ready)))
    for name, metric in metrics.items():
        for index, found in _score(metric, ready, lambda pairs: advance(pairs * share)):
            if isinstance(found, float):
                values[index][name] = found
            else:
                errors[index][name] = str(found)
    return [
        Row(
            index=one.index,
            values={name: values[one.index].get(name) for name in metrics},
            errors=errors[one.index],
        )
        for one in batch
    ]


def _score(metric: Metric, ready: Sequence[_Ready], advance: Advance) -> Iterator[tuple[int, float | SemetricError]]:
    fit: list[_Ready] = []
    for one in ready:
        try:
            metric.check(one.reference, one.image)
            fit.append(one)
        except ImageError as error:
            advance(1.0)
            yield one.index, error
    if len(fit) > 1 and gains_from_batches(metric):
        try:
            found = metric.batch([one.reference for one in fit], [one.image for one in fit])
        except (WeightsError, UsageError):
            raise
        except SemetricError:
            pass  # one of them is bad: the next lines find which
        else:
            advance(float(len(fit)))
            yield from ((one.index, _checked(score.value)) for one, score in zip(fit, found, strict=True))
            return
    for one in fit:
        try:
            value = _checked(metric(one.reference, one.image).value)
        except (WeightsError, UsageError):
            raise
        except SemetricError as error:
            advance(1.0)
            yield one.index, error
            continue
        advance(1.0)
        yield one.index, value


def _checked(value: float) -> float | ImageError:
    return ImageError("Expected a number; the metric gave none (NaN) for this pair.") if math.isnan(value) else value
