"""What a run's rows come to: means with their intervals, curves, crossings, correlations, sensitivities."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from semetric.report.lab.results import LabRun
from semetric.results.statistics import bootstrap_mean, pearson

__all__ = [
    "Correlation",
    "Crossing",
    "Curve",
    "Estimate",
    "Point",
    "correlations",
    "crossings",
    "curve",
    "curves",
    "estimate",
    "over_levels",
    "sensitivity",
]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean with its 95% bootstrap interval.

    Attributes:
        n: finite values behind it.
        mean: None where there is none.
        low, high: bounds; None of fewer than two values.
        infinite: values left out, such as the PSNR of identical images.
        missing: values that an error took.
    """

    n: int
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    infinite: int = 0
    missing: int = 0


@dataclass(frozen=True, kw_only=True)
class Point:
    """One system at one level, by one metric.

    Attributes:
        x: where it is drawn: the achieved rate, averaged over its images, or the level.
        level: what was asked for.
        rate_bpp: the achieved rate's mean; None without streams.
        units: images sent at this level, scored by this metric or not.
        failed: of those, whose stream the decoder rejected; their fallback images are scored and count.
        estimate: of the metric.
    """

    x: float
    level: float
    rate_bpp: float | None
    units: int
    failed: int
    estimate: Estimate


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One system by one metric: its points, x rising."""

    system: int
    metric: int
    points: tuple[Point, ...]

    @property
    def drawn(self) -> tuple[Point, ...]:
        """The points that have a mean."""
        return tuple(point for point in self.points if point.estimate.mean is not None)


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """Where two mean curves change places, by straight lines between their points.

    Attributes:
        metric: its index.
        below: the system that is better to the left.
        above: the one that is better to the right.
        x: where.
    """

    metric: int
    below: int
    above: int
    x: float


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """How closely a metric follows a system's strength.

    Attributes:
        metric, system: indices.
        per_image: |Pearson r| over each image's levels, averaged over images.
        pooled: |Pearson r| over all rows at once; None where it is not defined.
        rows: finite values behind `pooled`.
    """

    metric: int
    system: int
    per_image: Estimate
    pooled: float | None
    rows: int


def estimate(values: NDArray[np.float64]) -> Estimate:
    """The mean of the finite values, and its interval.

    Args:
        values: (n,) NaN where a value is missing; infinities are counted and left out.
    """
    missing, infinite = int(np.isnan(values).sum()), int(np.isinf(values).sum())
    x = values[np.isfinite(values)]
    if not x.size:
        return Estimate(n=0, infinite=infinite, missing=missing)
    low, high = bootstrap_mean(x) or (None, None)
    return Estimate(n=int(x.size), mean=float(x.mean()), low=low, high=high, infinite=infinite, missing=missing)


def curve(run: LabRun, system: int, metric: int) -> Curve:
    """One system by one metric; x is the achieved rate where the axis is a rate, else the level."""
    rows = run.rows
    own = (rows.system == system) & (rows.metric == metric)
    points = []
    for level in np.unique(rows.level[own]):
        here = own & (rows.level == level)
        rates = rows.rate_bpp[here]
        rates = rates[np.isfinite(rates)]
        rate = float(rates.mean()) if rates.size else None
        points.append(
            Point(
                x=rate if run.axis.name == "rate_bpp" and rate is not None else float(level),
                level=float(level),
                rate_bpp=rate,
                units=int(here.sum()),
                failed=int(rows.failed[here].sum()),
                estimate=estimate(rows.value[here]),
            )
        )
    return Curve(system=system, metric=metric, points=tuple(sorted(points, key=lambda p: (p.x, p.level))))


@lru_cache(maxsize=1)
def curves(run: LabRun) -> tuple[tuple[Curve, ...], ...]:
    """[metric][system]: every curve of the run."""
    return tuple(tuple(curve(run, s, m) for s in range(len(run.systems))) for m in range(len(run.metrics)))


def crossings(run: LabRun, metric: int) -> list[Crossing]:
    """Where the mean curves of any two systems change places, x rising within each pair."""
    found = []
    sign = 1.0 if run.metrics[metric].higher_is_better else -1.0
    drawn = [one.drawn for one in curves(run)[metric]]
    for a, b in itertools.combinations(range(len(drawn)), 2):
        if len(drawn[a]) < 2 or len(drawn[b]) < 2:
            continue
        xs = [np.array([p.x for p in drawn[i]]) for i in (a, b)]
        ys = [np.array([sign * (p.estimate.mean or 0.0) for p in drawn[i]]) for i in (a, b)]
        low, high = max(xs[0][0], xs[1][0]), min(xs[0][-1], xs[1][-1])
        if low >= high:
            continue
        at = np.unique(np.concatenate([xs[0], xs[1], [low, high]]))
        at = at[(at >= low) & (at <= high)]
        gap = np.interp(at, xs[0], ys[0]) - np.interp(at, xs[1], ys[1])  # > 0: a is better
        at, gap = at[gap != 0], gap[gap != 0]  # equal at a point is no crossing yet
        for i in np.flatnonzero(np.sign(gap[1:]) != np.sign(gap[:-1])):
            x = at[i] + (at[i + 1] - at[i]) * gap[i] / (gap[i] - gap[i + 1])
            below, above = (a, b) if gap[i] > 0 else (b, a)
            found.append(Crossing(metric=metric, below=below, above=above, x=float(x)))
    return found


def correlations(run: LabRun, metric: int) -> list[Correlation]:
    """|Pearson r| between a metric and each system's strength (SAMScore, section IV-B)."""
    rows, found = run.rows, []
    for system in range(len(run.systems)):
        own = (rows.system == system) & (rows.metric == metric)
        each = []
        for image in np.unique(rows.image[own]):
            here = own & (rows.image == image)
            r = pearson(rows.level[here], rows.value[here])
            if r is not None:
                each.append(abs(r))
        pooled = pearson(rows.level[own], rows.value[own])
        found.append(
            Correlation(
                metric=metric,
                system=system,
                per_image=estimate(np.array(each, np.float64)),
                pooled=None if pooled is None else abs(pooled),
                rows=int(np.isfinite(rows.value[own]).sum()),
            )
        )
    return found


def over_levels(run: LabRun, system: int, metric: int, levels: Sequence[float]) -> Estimate:
    """The mean over images of each image's mean over these levels; the interval is over images, not over rows."""
    rows = run.rows
    own = (rows.system == system) & (rows.metric == metric) & np.isin(rows.level, list(levels))
    finite = own & np.isfinite(rows.value)
    each = [rows.value[finite & (rows.image == image)].mean() for image in np.unique(rows.image[finite])]
    found = estimate(np.array(each, np.float64))
    infinite, missing = int(np.isinf(rows.value[own]).sum()), int(np.isnan(rows.value[own]).sum())
    return Estimate(n=found.n, mean=found.mean, low=found.low, high=found.high, infinite=infinite, missing=missing)


def sensitivity(run: LabRun, systems: tuple[int, ...], metric: int) -> Estimate:
    """How far a metric falls from an edit's weakest to its strongest level, in standard deviations.

    For every image and system: (score at the weakest − score at the strongest level), turned so that
    worse is positive, over the standard deviation of all finite scores of this metric in the run. So
    metrics of any range stand side by side: 0 notices nothing, 1 falls by the metric's own spread.

    Args:
        run: the run.
        systems: indices; of several the pairs are taken together.
        metric: its index.
    """
    rows = run.rows
    sign = 1.0 if run.metrics[metric].higher_is_better else -1.0
    every = rows.value[(rows.metric == metric) & np.isfinite(rows.value)]
    spread = float(every.std(ddof=1)) if every.size > 1 else 0.0
    falls = []
    for system in systems:
        own = (rows.system == system) & (rows.metric == metric) & np.isfinite(rows.value)
        for image in np.unique(rows.image[own]):
            here = np.flatnonzero(own & (rows.image == image))
            if len(here) < 2 or spread == 0:
                continue
            first, last = here[np.argmin(rows.level[here])], here[np.argmax(rows.level[here])]
            falls.append(sign * (rows.value[first] - rows.value[last]) / spread)
    return estimate(np.array(falls, np.float64))
