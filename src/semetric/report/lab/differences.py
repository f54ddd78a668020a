"""Which of two systems is better, by how much, and how sure that is: paired over images."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError, did_you_mean
from semetric.report.lab.results import LabRun
from semetric.runs.compare import Difference, difference

__all__ = ["SystemDifference", "differences", "system_pairs"]

_REACH = 1.05  # a curve counts as reaching a rate that is this factor beyond its end: targets are met to 3%


@dataclass(frozen=True, kw_only=True)
class SystemDifference:
    """What one metric says of system A against system B.

    Attributes:
        metric, a, b: indices.
        level: the operating point; None where it is the mean over all that both have.
        levels: the operating points behind it.
        difference: A − B over images, paired.
    """

    metric: int
    a: int
    b: int
    level: float | None
    levels: tuple[float, ...]
    difference: Difference

    @property
    def clear(self) -> bool:
        """Whether the interval of the mean difference leaves zero out."""
        bounds = self.difference.interval_95
        return bounds is not None and (bounds[0] > 0 or bounds[1] < 0)

    @property
    def better(self) -> int | None:
        """The system that is better on average; None where neither is."""
        mean = self.difference.mean
        if not mean:
            return None
        return self.a if (mean > 0) == self.difference.higher_is_better else self.b

    def to_dict(self, run: LabRun) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "metric": run.metrics[self.metric].name,
            "a": run.systems[self.a].name,
            "b": run.systems[self.b].name,
            "level": self.level,
            "levels": list(self.levels),
            **self.difference.to_dict(),
        }


def system_pairs(run: LabRun, names: Sequence[str] | None = None, against: str | None = None) -> list[tuple[int, int]]:
    """(A, B) indices: every two systems, or each against one.

    Args:
        run: the run.
        names: of the systems that take part; None for all.
        against: the one that all others are held against.

    Raises:
        UsageError: a name that the run does not have, or fewer than two systems.
    """
    known = {system.name: s for s, system in enumerate(run.systems)}
    for name in (*(names or ()), *([against] if against else [])):
        if name not in known:
            raise UsageError(
                f"Expected systems of the run: {', '.join(known)}; found {name!r}.{did_you_mean(name, known)}"
            )
    chosen = [known[name] for name in (known if names is None else names)]
    if against is not None:
        return [(s, known[against]) for s in chosen if s != known[against]]
    if len(chosen) < 2:
        raise UsageError(f"Expected two or more systems to compare; the run has {', '.join(known)}.")
    return list(itertools.combinations(chosen, 2))


def differences(run: LabRun, pairs: Sequence[tuple[int, int]], *, by_level: bool = False) -> list[SystemDifference]:
    """Paired differences of systems, metric by metric: over all levels that both have, or level by level.

    Where the axis is a rate, both are read off straight lines between an image's own points, over the logarithm of
    the achieved rate, at the rates of the levels of either that both reach: codecs do not meet a target alike.

    Args:
        run: the run.
        pairs: (A, B) indices.
        by_level: a difference a level, too.
    """
    comparisons = []
    for metric, info in enumerate(run.metrics):
        for a, b in pairs:
            whole = _over_levels(run, metric, a, b)
            if whole is None:
                continue
            comparisons.append(whole)
            if not by_level:
                continue
            _, *values = _table(run, metric, a, b)
            for level, *scores in zip(whole.levels, *(table.T for table in values), strict=True):
                single = difference(*scores, higher_is_better=info.higher_is_better)
                comparisons.append(
                    SystemDifference(metric=metric, a=a, b=b, level=level, levels=(level,), difference=single)
                )
    return comparisons


@lru_cache(maxsize=4096)  # a report asks for each several times
def _over_levels(run: LabRun, metric: int, a: int, b: int) -> SystemDifference | None:
    """Over all levels that both have; None without any."""
    at, values_a, values_b = _table(run, metric, a, b)
    if not len(at):
        return None
    both = ~(np.isnan(values_a) | np.isnan(values_b))  # (images, levels)
    means = [_row_means(values, both) for values in (values_a, values_b)]
    whole = difference(*means, higher_is_better=run.metrics[metric].higher_is_better)
    return SystemDifference(
        metric=metric, a=a, b=b, level=None, levels=tuple(float(level) for level in at), difference=whole
    )


def _row_means(values: NDArray[np.float64], both: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(n,) means of each image over the levels at which both systems have a score; NaN of none."""
    counts = both.sum(axis=1)
    sums = np.where(both, values, 0.0).sum(axis=1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _table(
    run: LabRun, metric: int, a: int, b: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(levels,) and, of A and of B, (images, levels) scores, NaN where there is none."""
    tables = [_scores(run, metric, system) for system in (a, b)]
    if run.axis.name == "rate_bpp":
        return _at_rates(tables, [run.systems[system].at_qualities for system in (a, b)])
    levels = np.intersect1d(tables[0].levels, tables[1].levels)
    of_a, of_b = (scores.values[:, np.searchsorted(scores.levels, levels)] for scores in tables)
    return levels, of_a, of_b


@dataclass(frozen=True, kw_only=True, eq=False)
class _Scores:
    """One system by one metric.

    Attributes:
        levels: (k,) rising.
        values: (images, k) NaN where there is none.
        rates: likewise, achieved bits per pixel.
    """

    levels: NDArray[np.float64]
    values: NDArray[np.float64]
    rates: NDArray[np.float64]


@lru_cache(maxsize=256)
def _scores(run: LabRun, metric: int, system: int) -> _Scores:
    rows = run.rows
    own = np.flatnonzero((rows.metric == metric) & (rows.system == system))
    levels = np.unique(rows.level[own])
    values, rates = (np.full((len(run.images), len(levels)), np.nan) for _ in range(2))
    place = np.searchsorted(levels, rows.level[own])
    values[rows.image[own], place] = rows.value[own]
    rates[rows.image[own], place] = rows.rate_bpp[own]
    return _Scores(levels=levels, values=values, rates=rates)


def _at_rates(
    tables: Sequence[_Scores], at_qualities: Sequence[bool]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The rates that both reach on some image, and the scores of both there."""
    grids = []
    for table, qualities in zip(tables, at_qualities, strict=True):
        rated = np.isfinite(table.rates).any(axis=0)
        grids.append(np.nanmean(table.rates[:, rated], axis=0) if qualities else table.levels[rated])
    grid = np.unique(np.concatenate(grids))
    scores = [
        np.array([_interpolated(grid, rate, value) for rate, value in zip(table.rates, table.values, strict=True)])
        for table in tables
    ]
    reached = (np.isfinite(scores[0]) & np.isfinite(scores[1])).any(axis=0)
    return grid[reached], scores[0][:, reached], scores[1][:, reached]


def _interpolated(
    grid: NDArray[np.float64], rates: NDArray[np.float64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(k,) scores of one image at these rates; NaN beyond its curve."""
    known = np.isfinite(rates) & np.isfinite(values) & (rates > 0)
    if not known.any():
        return np.full(len(grid), np.nan)
    order = np.argsort(rates[known])
    x, y = rates[known][order], values[known][order]
    score = np.interp(np.log(grid), np.log(x), y)
    score[(grid * _REACH < x[0]) | (grid > x[-1] * _REACH)] = np.nan
    return np.asarray(score, np.float64)
