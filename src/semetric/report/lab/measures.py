"""What a run's summary says: means with their intervals, curves, crossings, correlations, sensitivities."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from semetric.report.lab.results import LabRun
from semetric.results.tables import Mean

__all__ = [
    "Correlation",
    "Crossing",
    "Curve",
    "Point",
    "correlations",
    "crossings",
    "curve",
    "curves",
    "over_levels",
    "sensitivity",
]


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
    estimate: Mean


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
    per_image: Mean
    pooled: float | None
    rows: int


def _estimate(statistics: Mapping[str, Any]) -> Mean:
    low, high = statistics["mean_interval_95"] or (None, None)
    return Mean(
        n=statistics["n"],
        mean=statistics["mean"],
        low=low,
        high=high,
        infinite=statistics["infinite"],
        missing=statistics["errors"],
    )


def curve(run: LabRun, system: int, metric: int) -> Curve:
    """One system by one metric; x is the achieved rate where the axis is a rate, else the level."""
    points = [
        Point(
            x=point["level"] if run.axis.name != "rate_bpp" or point["rate_bpp"] is None else point["rate_bpp"],
            level=point["level"],
            rate_bpp=point["rate_bpp"],
            units=point["images"],
            failed=point["failed"],
            estimate=_estimate(point["metrics"][run.metrics[metric].name]),
        )
        for point in run.summary["points"]
        if point["system"] == run.systems[system].name and point["images"]
    ]
    return Curve(system=system, metric=metric, points=tuple(sorted(points, key=lambda p: (p.x, p.level))))


@lru_cache(maxsize=1)
def curves(run: LabRun) -> tuple[tuple[Curve, ...], ...]:
    """[metric][system]: every curve of the run."""
    return tuple(tuple(curve(run, s, m) for s in range(len(run.systems))) for m in range(len(run.metrics)))


def crossings(run: LabRun, metric: int) -> list[Crossing]:
    """Where the mean curves of any two systems change places, x rising within each pair."""
    places = []
    sign = 1.0 if run.metrics[metric].higher_is_better else -1.0
    drawn = [each.drawn for each in curves(run)[metric]]
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
            places.append(Crossing(metric=metric, below=below, above=above, x=float(x)))
    return places


def correlations(run: LabRun, metric: int) -> list[Correlation]:
    """|Pearson r| between a metric and each system's strength."""
    systems = {info.name: place for place, info in enumerate(run.systems)}
    return [
        Correlation(
            metric=metric,
            system=systems[entry["system"]],
            per_image=_estimate(entry["per_image"]),
            pooled=None if entry["r"] is None else abs(entry["r"]),
            rows=entry["n"],
        )
        for entry in run.summary["correlations"]
        if entry["metric"] == run.metrics[metric].name
    ]


def over_levels(run: LabRun, system: int, metric: int, levels: Sequence[float]) -> Mean:
    """The mean over images of each image's mean over one level, all of the system's, or those that all systems have."""
    names = run.systems[system].name, run.metrics[metric].name
    if len(levels) == 1:
        return next(point.estimate for point in curves(run)[metric][system].points if point.level == levels[0])
    means = (entry for entry in run.summary["means"] if entry["system"] == names[0] and entry["levels"] == list(levels))
    return _estimate(next(means)["metrics"][names[1]])


def sensitivity(run: LabRun, systems: tuple[int, ...], metric: int) -> Mean:
    """How far a metric falls from an edit's weakest to its strongest level, in standard deviations.

    Args:
        run: the run.
        systems: the index of one, or those of a dimension.
        metric: its index.
    """
    names = [run.systems[s].name for s in systems]
    entry = next(candidate for candidate in run.summary["sensitivities"] if candidate["systems"] == names)
    return _estimate(entry["metrics"][run.metrics[metric].name])
