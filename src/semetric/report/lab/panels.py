"""What is drawn on one pair of axes: curves with bands, failed decodes, correlations, sensitivities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from semetric.report.drawing import printable
from semetric.report.lab.measures import Curve, Estimate, correlations, curves
from semetric.report.lab.problems import failure_counts
from semetric.report.lab.style import Look, metric_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from semetric.report.lab.horizontal import Horizontal
    from semetric.report.lab.results import LabRun

__all__ = ["draw_correlations", "draw_curves", "draw_failures", "draw_sensitivities", "frame"]

_SCATTER_MOST = 3000  # points that a figure shows one by one
_LOG_Y = 30.0  # largest over smallest mean above which an unbounded metric has a logarithmic axis


def draw_curves(axes: Axes, run: LabRun, metric: int, axis: Horizontal, *, small: bool = False) -> None:
    """Every system by one metric: means, 95% bands, hollow marks where decodes failed.

    Under deformation the single images stand behind, so that the scatter that |r| measures is seen.
    """
    own = [one for one in curves(run)[metric] if one.drawn]
    if run.experiment == "deformation":
        _scatter(axes, run, metric, axis)
    for one in own:
        _curve(axes, one, axis, small=small, faint=len(own) > 5)
    frame(axes, axis, small=small)
    means = [p.estimate.mean or 0.0 for one in own for p in one.drawn]
    lows = [p.estimate.low if p.estimate.low is not None else p.estimate.mean for one in own for p in one.drawn]
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
        for found in correlations(run, m):
            one, how = found.per_image, drawn[found.system]
            if one.mean is None:
                continue
            y = m + 0.24 * (found.system - (count - 1) / 2) * min(1.0, 3 / count)
            if one.low is not None and one.high is not None:
                axes.plot([one.low, one.high], [y, y], color=how.colour, lw=1.4, alpha=0.6, solid_capstyle="butt")
            axes.plot([one.mean], [y], ls="", marker=how.marker, color=how.colour, ms=4.6)
    axes.set_yticks(range(len(run.metrics)), [printable(metric_label(one.name)) for one in run.metrics])
    axes.set_ylim(len(run.metrics) - 0.5, -0.5)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("|Pearson r| with strength, mean over images")
    axes.grid(True, axis="x")
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)


def draw_sensitivities(
    axes: Axes, cells: Sequence[Sequence[Estimate]], rows: Sequence[str], columns: Sequence[str]
) -> Any:
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
            words = f"{value:.2f}".replace("-", "−") if np.isfinite(value) else "–"
            axes.text(j, i, words, ha="center", va="center", fontsize=7, color="white" if dark else "#222222")
    axes.set_xticks(
        range(len(columns)), [printable(name) for name in columns], rotation=35, ha="right", rotation_mode="anchor"
    )
    axes.set_yticks(range(len(rows)), [printable(name) for name in rows])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return image


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


def _curve(axes: Axes, one: Curve, axis: Horizontal, *, small: bool, faint: bool) -> None:
    how = axis.looks[one.system]
    points = one.drawn
    x = np.array([p.x for p in points]) / axis.largest[one.system]
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
