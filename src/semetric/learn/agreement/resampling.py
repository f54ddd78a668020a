"""Intervals of measures of agreement: each is computed again on resampled items.

A resample is a row of counts, how often each item was drawn, rather than a list of items: measures
take the counts as weights, and all resamples of a chunk are computed at once. Two metrics that are
compared see the same counts, so that their difference has an interval of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.results.statistics import LARGE, RESAMPLES, SEED

__all__ = [
    "LARGE",
    "RESAMPLES",
    "SEED",
    "Draws",
    "Estimate",
    "Floats",
    "Measured",
    "draws_of",
    "estimate",
    "interval_of",
    "means",
    "resampled_counts",
]

_CELLS = 1 << 21  # counts in memory at once: 16 MB

Floats: TypeAlias = NDArray[np.float64]
Draws: TypeAlias = Callable[[Floats], Floats]
"""(k, n) counts of n units → (k,) values; NaN where one is undefined."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A measure's value on some items, and how to compute it on resamples of them.

    Attributes:
        value: None where it is undefined.
        n: units that are drawn: pairs or triplets.
        resampled: see `Draws`.
        left_out: items that the measure cannot take, such as infinite scores.
        note: what a reader must know, e.g. that a fit fell back to a line; or empty.
        mean_of: (n,) the numbers of which the value is the mean, where it is one.
    """

    value: float | None
    n: int
    resampled: Draws
    left_out: int = 0
    note: str = ""
    mean_of: Floats | None = None


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value with its percentile bootstrap interval.

    Attributes:
        value: None where it is undefined.
        interval_95: bounds; None of fewer than two units, or where resamples are undefined.
        n: units behind it.
        left_out: items left out of it.
        note: what a reader must know, or empty.
    """

    value: float | None
    interval_95: tuple[float, float] | None
    n: int
    left_out: int = 0
    note: str = ""

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        return {
            "value": self.value,
            "interval_95": None if self.interval_95 is None else list(self.interval_95),
            "n": self.n,
            "left_out": self.left_out,
            "note": self.note,
        }


def resampled_counts(n: int, *, resamples: int = RESAMPLES, seed: int | tuple[int, ...] = SEED) -> Iterator[Floats]:
    """Chunks of (k, n) counts: n units drawn n times with replacement, k resamples a chunk.

    Args:
        n: units, at least 1.
        resamples: how many in all.
        seed: of the draws; the same n and seed give the same counts.

    Raises:
        UsageError: no units or no resamples.
    """
    if n < 1 or resamples < 1:
        raise UsageError(f"Expected at least 1 unit and 1 resample; found {n} and {resamples}.")
    rng = np.random.default_rng(seed)
    step = max(1, _CELLS // n)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = rng.integers(0, n, size=(rows, n))
        drawn += np.arange(rows)[:, None] * n
        yield np.bincount(drawn.reshape(-1), minlength=rows * n).reshape(rows, n).astype(np.float64)


def draws_of(measured: Measured, *, resamples: int = RESAMPLES, seed: int | tuple[int, ...] = SEED) -> Floats:
    """The measure on each resample.

    Returns:
        (resamples,); NaN where it is undefined.
    """
    numbers = measured.mean_of
    if numbers is not None and measured.n > LARGE:  # drawn from the normal distribution to which they tend
        rng = np.random.default_rng(seed)
        error = float(numbers.std(ddof=1)) / np.sqrt(measured.n)
        return np.asarray(numbers.mean() + error * rng.standard_normal(resamples), np.float64)
    return np.concatenate(
        [measured.resampled(counts) for counts in resampled_counts(measured.n, resamples=resamples, seed=seed)]
    )


def interval_of(draws: Floats) -> tuple[float, float] | None:
    """From the 2.5% to the 97.5% quantile of the resamples (Efron 1979, Ann. Stat. 7(1)).

    Resamples where the measure is undefined are left out, unless they are more than one in twenty: then
    there is no interval.
    """
    defined = draws[~np.isnan(draws)]
    if defined.size < max(2, 0.95 * draws.size):
        return None
    low, high = np.quantile(defined, (0.025, 0.975))
    return float(low), float(high)


def estimate(measured: Measured, *, resamples: int = RESAMPLES, seed: int | tuple[int, ...] = SEED) -> Estimate:
    """The value with its interval."""
    bounds = None
    if measured.value is not None and measured.n > 1:
        bounds = interval_of(draws_of(measured, resamples=resamples, seed=seed))
    return Estimate(
        value=measured.value, interval_95=bounds, n=measured.n, left_out=measured.left_out, note=measured.note
    )


def means(numbers: Floats, *, note: str = "") -> Measured:
    """The mean of numbers as a measure.

    Args:
        numbers: (n,) finite.
        note: see `Measured`.
    """

    def resampled(counts: Floats) -> Floats:
        return np.asarray(counts @ numbers / counts.sum(axis=1), np.float64)

    value = float(numbers.mean()) if numbers.size else None
    return Measured(value=value, n=int(numbers.size), resampled=resampled, note=note, mean_of=numbers)
