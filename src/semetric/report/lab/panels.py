"""What is drawn on one pair of axes: curves with bands, failed decodes, correlations, sensitivities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from semetric.formatting import minus
from semetric.report.drawing import printable
from semetric.report.lab.measures import Curve, correlations, curves
from semetric.report.lab.problems import failure_counts
from semetric.report.lab.style import Look, metric_label
from semetric.report.lab.words import strength_unit
from semetric.results.tables import Mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from semetric.report.lab.horizontal import Horizontal
    from semetric.report.lab.results import LabRun

__all__ = [
    "draw_beside",
    "draw_correlations",
    "draw_curves",
    "draw_failures",
    "draw_sensitivities",
    "draw_transformation",
    "frame",
    "is_share",
    "share_label",
    "shared_range",
]

_SCATTER_MOST = 3000  # points that a figure shows one by one
_LOG_Y = 30.0  # largest over smallest mean above which an unbounded metric has a logarithmic axis


def draw_curves(axes: Axes, run: LabRun, metric: int, axis: Horizontal, *, small: bool = False) -> None:
    """Every system by one metric: means, 95% bands, hollow marks where decodes failed.

    Where the experiment declares a scatter, the single images stand behind.
    """
    own = [curve for curve in curves(run)[metric] if curve.drawn]
    if run.report.scatter:
        _scatter(axes, run, metric, axis)
    for curve in own:
        _curve(axes, curve, axis, small=small, faint=len(own) > 5)
    frame(axes, axis, small=small)
    means = [p.estimate.mean or 0.0 for curve in own for p in curve.drawn]
    lows = [p.estimate.low if p.estimate.low is not None else p.estimate.mean for curve in own for p in curve.drawn]
    top = run.metrics[metric].range[1]
    unbounded = top is None or top > 1000
    if unbounded and means and min(low or 0.0 for low in lows) > 0 and max(means) / min(means) > _LOG_Y:
        axes.set_yscale("log")
        _log_ticks(axes.yaxis, max(means) / min(means), small)
    else:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4 if small else 6, steps=[1, 2, 2.5, 5, 10]))


def draw_failures(axes: Axes, run: LabRun, axis: Horizontal, *, small: bool = False) -> None:
    """The share of failed decodes in percent, by system."""
    by_level = [
        {p.level: p.x for of_metric in curves(run) for p in of_metric[s].points} for s in range(len(run.systems))
    ]
    for s in range(len(run.systems)):
        counts = failure_counts(run, s)
        how = axis.looks[s]
        axes.plot(
            [by_level[s][level] / axis.largest[s] for level, _, _ in counts],
            [100 * failed / units for _, units, failed in counts],
            **_line(how.colour, how.marker, how.dashes, small),
        )
    frame(axes, axis, small=small)
    axes.set_ylim(-4, 104)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10]))


def draw_correlations(axes: Axes, run: LabRun, drawn: Sequence[Look]) -> None:
    """|r| by metric, a mark a system, with intervals over images."""
    count = len(run.systems)
    for m in range(len(run.metrics)):
        for correlation in correlations(run, m):
            estimate, how = correlation.per_image, drawn[correlation.system]
            if estimate.mean is None:
                continue
            y = m + 0.24 * (correlation.system - (count - 1) / 2) * min(1.0, 3 / count)
            if estimate.low is not None and estimate.high is not None:
                axes.plot(
                    [estimate.low, estimate.high], [y, y], color=how.colour, lw=1.4, alpha=0.6, solid_capstyle="butt"
                )
            axes.plot([estimate.mean], [y], ls="", marker=how.marker, color=how.colour, ms=4.6)
    axes.set_yticks(range(len(run.metrics)), [printable(metric_label(info.name)) for info in run.metrics])
    axes.set_ylim(len(run.metrics) - 0.5, -0.5)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("|Pearson r| with strength, mean over images")
    axes.grid(True, axis="x")
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)


def draw_sensitivities(axes: Axes, cells: Sequence[Sequence[Mean]], rows: Sequence[str], columns: Sequence[str]) -> Any:
    """A shade and a number a cell; returns what a colour bar needs.

    Args:
        axes: an empty area.
        cells: [row][column].
        rows, columns: their names.
    """
    shown = np.array([[np.nan if c.mean is None else c.mean for c in row] for row in cells], np.float64)
    finite = shown[np.isfinite(shown)]
    low, high = (min(0.0, float(finite.min())), float(finite.max())) if finite.size else (0.0, 1.0)
    high = high if high > low else low + 1.0
    image = axes.imshow(shown, cmap=colormaps["Blues"].resampled(256), vmin=low, vmax=high, aspect="auto")
    for i, row in enumerate(shown):
        for j, value in enumerate(row):
            dark = np.isfinite(value) and (value - low) / (high - low) > 0.6
            words = minus(f"{value:.2f}") if np.isfinite(value) else "–"
            axes.text(j, i, words, ha="center", va="center", fontsize=7, color="white" if dark else "#222222")
    axes.set_xticks(
        range(len(columns)), [printable(name) for name in columns], rotation=35, ha="right", rotation_mode="anchor"
    )
    axes.set_yticks(range(len(rows)), [printable(name) for name in rows])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return image


def is_share(run: LabRun, metric: int) -> bool:
    """Whether its means lie in [0, 1], so that it shares an axis with others of that range; distances as 1 − d."""
    means = [p.estimate.mean or 0.0 for curve in curves(run)[metric] for p in curve.drawn]
    return bool(means) and min(means) >= -0.05 and max(means) <= 1.0 + 1e-9


def share_label(run: LabRun, metric: int) -> str:
    """Its name on the axis that it shares: 1 − LPIPS, since there higher is better."""
    info = run.metrics[metric]
    return metric_label(info.name) if info.higher_is_better else f"1 − {metric_label(info.name)}"


def shared_range(run: LabRun, metrics: Sequence[int]) -> tuple[float, float] | None:
    """The range of the right axis, the same in all panels; None without a metric."""
    drawn = [p.estimate for m in metrics for one in curves(run)[m] for p in one.drawn]
    bounds = [value for one in drawn for value in (one.mean, one.low, one.high) if value is not None]
    if not bounds:
        return None
    margin = 0.06 * (max(bounds) - min(bounds) or 1.0)
    return min(bounds) - margin, max(bounds) + margin


def draw_transformation(
    axes: Axes,
    run: LabRun,
    system: int,
    shares: Sequence[int],
    rest: Sequence[int],
    drawn: Sequence[Look],
    right: tuple[float, float] | None,
) -> None:
    """All metrics under one transformation, against its strength in its own unit.

    Args:
        axes: an empty area.
        run: the run.
        system: the transformation.
        shares: metrics in [0, 1], on the left axis.
        rest: the others, on an axis at the right.
        drawn: a look a metric.
        right: the range of the right axis.
    """
    factor, unit = strength_unit(run, system)
    twin = axes.twinx() if rest else None
    for metric in (*shares, *rest):
        points = curves(run)[metric][system].drawn
        if not points:
            continue
        turned = metric in shares and not run.metrics[metric].higher_is_better
        x = np.array([p.level for p in points]) * factor
        bounds = [(p.estimate.mean, p.estimate.low, p.estimate.high) for p in points]
        y, low, high = np.array(bounds, np.float64).T  # None becomes NaN
        if turned:
            y, low, high = 1 - y, 1 - high, 1 - low
        place = twin if metric in rest and twin is not None else axes
        how = drawn[metric]
        if len(points) > 1:
            place.fill_between(x, low, high, color=how.colour, alpha=0.12, lw=0)
        place.plot(x, y, **_line(how.colour, how.marker, how.dashes, True))
    axes.set_ylim(-0.04, 1.04)
    axes.set_xlabel(printable(unit))
    axes.grid(True)
    axes.set_axisbelow(True)
    levels = run.levels(system) * factor
    if len(levels) == 1:
        axes.set_xlim(levels[0] - 1, levels[0] + 1)
        axes.set_xticks([levels[0]])
    else:
        axes.margins(x=0.04)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    if twin is not None and right is not None:
        twin.set_ylim(*right)
        twin.spines["right"].set_visible(True)
        twin.yaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10]))


def draw_beside(axes: Axes, run: LabRun, first: int, second: int, axis: Horizontal) -> None:
    """Two metrics of all systems: the first solid on the left axis, the second dashed on the right one."""
    twin = axes.twinx()
    for place, metric, dashes in ((axes, first, "-"), (twin, second, (0, (4, 1.6)))):
        for curve in curves(run)[metric]:
            how = axis.looks[curve.system]
            x = np.array([p.x for p in curve.drawn]) / axis.largest[curve.system]
            y = np.array([p.estimate.mean for p in curve.drawn], np.float64)
            place.plot(x, y, **_line(how.colour, how.marker, dashes, True))
        place.yaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10]))
    frame(axes, axis, small=True)
    twin.spines["right"].set_visible(True)
    if not run.metrics[second].higher_is_better:
        twin.invert_yaxis()  # up is better on both sides


def frame(axes: Axes, axis: Horizontal, *, small: bool) -> None:
    """Grid and ticks of the horizontal axis."""
    axes.grid(True)
    axes.set_axisbelow(True)
    axes.margins(x=0.04)
    if axis.log:
        axes.set_xscale("log")
        low, high = axes.get_xlim()
        _log_ticks(axes.xaxis, high / low, small)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5 if small else 7, steps=[1, 2, 2.5, 5, 10]))


def _curve(axes: Axes, curve: Curve, axis: Horizontal, *, small: bool, faint: bool) -> None:
    how = axis.looks[curve.system]
    points = curve.drawn
    x = np.array([p.x for p in points]) / axis.largest[curve.system]
    y = np.array([p.estimate.mean for p in points], np.float64)
    low = np.array([np.nan if p.estimate.low is None else p.estimate.low for p in points])
    high = np.array([np.nan if p.estimate.high is None else p.estimate.high for p in points])
    if len(points) > 1:
        axes.fill_between(x, low, high, color=how.colour, alpha=0.1 if faint else 0.18, lw=0)
    elif np.isfinite(low).all():
        axes.plot([x[0], x[0]], [low[0], high[0]], color=how.colour, lw=1.0, alpha=0.7)
    line = _line(how.colour, how.marker, how.dashes, small)
    axes.plot(x, y, **line)
    hollow = np.array([p.failed > 0 for p in points], np.bool_)
    if hollow.any():
        line |= {"ls": "", "markerfacecolor": "white"}
        axes.plot(x[hollow], y[hollow], **line)


def _scatter(axes: Axes, run: LabRun, metric: int, axis: Horizontal) -> None:
    rows = run.rows
    own = (rows.metric == metric) & np.isfinite(rows.value)
    if own.sum() > _SCATTER_MOST:
        return
    for s in range(len(run.systems)):
        here, how = own & (rows.system == s), axis.looks[s]
        axes.plot(
            rows.level[here] / axis.largest[s],
            rows.value[here],
            ls="",
            marker=how.marker,
            ms=1.8,
            mew=0,
            color=how.colour,
            alpha=0.25,
        )


def _line(colour: str, marker: str, dashes: Any, small: bool) -> dict[str, Any]:
    return {
        "color": colour,
        "marker": marker,
        "ls": dashes,
        "lw": 1.0 if small else 1.2,
        "ms": 2.8 if small else 3.8,
        "mew": 0.7,
        "markeredgecolor": colour,
    }


def _log_ticks(axis: Any, span: float, small: bool) -> None:
    """Ticks at 1, 2, 5 times the powers of ten, in plain numbers; over more decades at fewer of them."""
    few = 1 if small else 3
    subs = (1.0, 2.0, 5.0) if span < 40 * few else (1.0, 3.0) if span < 400 * few else (1.0,)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
    axis.set_minor_locator(NullLocator())
