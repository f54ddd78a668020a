"""The figures of a run, ready for a paper: one a metric in a column's width, all metrics across a page."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from semetric.report.defaults import defaults
from semetric.report.drawing import new_figure, printable
from semetric.report.lab import panels
from semetric.report.lab.horizontal import Horizontal, horizontal
from semetric.report.lab.measures import curves, sensitivity
from semetric.report.lab.style import COLUMN_INCHES, PAGE_INCHES, PAPER, looks, metric_label
from semetric.report.lab.words import metric_head, slugs, system_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from semetric.report.lab.results import LabRun

__all__ = ["DPI", "Drawn", "draw", "drawn_figures"]

DPI = 300
"""Dots an inch of PNG files."""

_METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
}
_LEGEND_PT = 7
_ROW_INCHES = 0.15  # of a legend
_HANDLE_INCHES = 0.52  # a legend's line and the space round it


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One figure.

    Attributes:
        name: of its files, without a suffix.
        caption: what it shows.
        wide: whether it takes a page's width.
        paged: whether the page shows it; the others are files for a paper, and repeat what the page shows.
        files: suffix → content: pdf, png, svg.
    """

    name: str
    caption: str
    wide: bool
    paged: bool = True
    files: dict[str, bytes] = field(repr=False)


def drawn_figures(run: LabRun) -> Iterator[Drawn]:
    """Draws them one after another: the overview first, then what the experiment declares, then a figure a metric.

    The page shows each curve once: of transformations in their own units, else a figure a metric; the overview, and
    what shows the same curves in another way, are files. Metrics without any value have no figure. The same run gives
    the same bytes.
    """
    axis = horizontal(run)
    own = [m for m, of_metric in enumerate(curves(run)) if any(curve.drawn for curve in of_metric)]
    failures = bool(run.rows.failed.any())
    against = f"against {axis.label}"
    bands = "; bands: 95% bootstrap intervals of the mean"
    hollow = "; hollow marks: some decodes failed" if failures else ""
    declared = run.report.figures if own else ()
    panelled = "transformations" in declared
    if own:
        words = f"All metrics {against}{bands}{hollow}. ↑ higher is better, ↓ lower is better."
        yield draw("overview", words, lambda: _overview(run, own, axis, failures), wide=True, paged=False)
    if panelled:
        words = "Each transformation in its own unit" + bands + ". Distances are turned into 1 − distance."
        yield draw("transformations", words, lambda: _transformations(run, own), wide=True)
    if "correlations" in declared:
        words = "How closely each metric follows each strength; lines: 95% intervals over images."
        yield draw("correlations", words, lambda: _correlations(run, axis))
    if "sensitivity" in declared:
        words = "What each metric notices: its fall from weakest to strongest level, in its own standard deviations."
        yield draw("sensitivity", words, lambda: _sensitivities(run, own), wide=True)
    if failures:
        yield draw("failed", f"Share of failed decodes {against}.", lambda: _failed(run, axis))
    for m, slug in zip(own, slugs(run.metrics[m].name for m in own), strict=True):
        words = f"{metric_head(run, m)} {against}{bands}{hollow}."
        yield draw(f"metric-{slug}", words, lambda m=m: _metric(run, m, axis), paged=not panelled)  # type: ignore[misc]
    sess = next((m for m in own if run.metrics[m].name == "sess"), None)
    others = [m for m in own if m != sess]
    if sess is not None and others and "beside-sess" in declared:
        words = f"SeSS (solid, left axis) beside each metric (dashed, right axis) {against}."
        yield draw("beside-sess", words, lambda: _beside(run, sess, others, axis), wide=True, paged=False)


def draw(
    name: str,
    caption: str,
    make: Callable[[], Figure],
    *,
    wide: bool = False,
    paged: bool = True,
    kinds: Sequence[str] = ("pdf", "png", "svg"),
) -> Drawn:
    """Draws one figure with the settings of a paper, laid out once and the same in every format."""
    with defaults(PAPER):
        figure = make()
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once, the same in every format
        files = {}
        for kind in kinds:
            stream = io.BytesIO()
            figure.savefig(stream, format=kind, dpi=DPI, metadata=_METADATA[kind])
            files[kind] = stream.getvalue()
    return Drawn(name=name, caption=caption, wide=wide, paged=paged, files=files)


def _metric(run: LabRun, metric: int, axis: Horizontal) -> Figure:
    shown = [curve.system for curve in curves(run)[metric] if curve.drawn]
    columns, rows = _arrange([axis.names[s] for s in shown], COLUMN_INCHES)
    figure = new_figure(COLUMN_INCHES, 2.15 + _ROW_INCHES * rows)
    axes = figure.add_subplot()
    panels.draw_curves(axes, run, metric, axis)
    axes.set_xlabel(printable(axis.label))
    axes.set_ylabel(printable(metric_head(run, metric)))
    _legend(figure, shown, axis, columns, COLUMN_INCHES)
    return figure


def _overview(run: LabRun, metrics: Sequence[int], axis: Horizontal, failures: bool) -> Figure:
    count = len(metrics) + failures
    across = min(count, 3 if -count % 3 < -count % 4 else 4)  # the fewest empty places
    down = math.ceil(count / across)
    systems = range(len(run.systems))
    columns, rows = _arrange([axis.names[s] for s in systems], PAGE_INCHES)
    figure = new_figure(PAGE_INCHES if across > 1 else COLUMN_INCHES * 1.4, 1.5 * down + 0.36 + _ROW_INCHES * rows)
    figure.set_layout_engine(ConstrainedLayoutEngine(h_pad=0.045, w_pad=0.03))
    grid = figure.subplots(down, across, squeeze=False)
    for k, axes in enumerate(grid.flat):
        if k >= count:
            axes.set_visible(False)
        elif k < len(metrics):
            panels.draw_curves(axes, run, metrics[k], axis, small=True)
            axes.set_title(printable(metric_head(run, metrics[k])), pad=3)
        else:
            panels.draw_failures(axes, run, axis, small=True)
            axes.set_title("failed decodes (%)", pad=3)
    figure.supxlabel(printable(axis.label), fontsize=8)
    _legend(figure, list(systems), axis, columns, PAGE_INCHES, above=True)
    return figure


def _transformations(run: LabRun, metrics: Sequence[int]) -> Figure:
    """A panel a transformation, all metrics in it: SeSS, Fig. 17."""
    systems = [s for s in range(len(run.systems)) if any(curves(run)[m][s].drawn for m in metrics)]
    shares = [m for m in metrics if panels.is_share(run, m)]
    rest = [m for m in metrics if m not in shares]
    across = min(len(systems), 3 if len(systems) != 4 else 2)
    down = math.ceil(len(systems) / across)
    drawn = looks([""] * len(run.metrics))
    names = [panels.share_label(run, m) if m in shares else f"{metric_head(run, m)}, right axis" for m in metrics]
    columns, rows = _arrange(names, PAGE_INCHES)
    figure = new_figure(PAGE_INCHES, 1.75 * down + 0.2 + _ROW_INCHES * rows)
    figure.set_layout_engine(ConstrainedLayoutEngine(h_pad=0.05, w_pad=0.04))
    grid = figure.subplots(down, across, squeeze=False)
    right = panels.shared_range(run, rest)
    for k, axes in enumerate(grid.flat):
        if k >= len(systems):
            axes.set_visible(False)
            continue
        panels.draw_transformation(axes, run, systems[k], shares, rest, drawn, right)
        axes.set_title(printable(run.systems[systems[k]].label), pad=3)
    plain = Horizontal(
        label="", log=False, largest=(1.0,) * len(names), names=tuple(names), looks=tuple(drawn[m] for m in metrics)
    )
    _legend(figure, range(len(names)), plain, columns, PAGE_INCHES, above=True)
    return figure


def _beside(run: LabRun, sess: int, others: Sequence[int], axis: Horizontal) -> Figure:
    """SeSS and one other metric a panel: SeSS, Fig. 8."""
    across = min(len(others), 3 if len(others) != 4 else 2)
    down = math.ceil(len(others) / across)
    systems = list(range(len(run.systems)))
    columns, rows = _arrange([axis.names[s] for s in systems], PAGE_INCHES)
    figure = new_figure(PAGE_INCHES, 1.75 * down + 0.36 + _ROW_INCHES * rows)
    figure.set_layout_engine(ConstrainedLayoutEngine(h_pad=0.05, w_pad=0.04))
    grid = figure.subplots(down, across, squeeze=False)
    for k, axes in enumerate(grid.flat):
        if k >= len(others):
            axes.set_visible(False)
            continue
        panels.draw_beside(axes, run, sess, others[k], axis)
        axes.set_title(printable(f"SeSS, and {metric_head(run, others[k])} (dashed)"), pad=3)
    figure.supxlabel(printable(axis.label), fontsize=8)
    _legend(figure, systems, axis, columns, PAGE_INCHES, above=True)
    return figure


def _failed(run: LabRun, axis: Horizontal) -> Figure:
    systems = list(range(len(run.systems)))
    columns, rows = _arrange([axis.names[s] for s in systems], COLUMN_INCHES)
    figure = new_figure(COLUMN_INCHES, 1.6 + _ROW_INCHES * rows)
    axes = figure.add_subplot()
    panels.draw_failures(axes, run, axis)
    axes.set_xlabel(printable(axis.label))
    axes.set_ylabel("failed decodes (%)")
    _legend(figure, systems, axis, columns, COLUMN_INCHES)
    return figure


def _correlations(run: LabRun, axis: Horizontal) -> Figure:
    systems = list(range(len(run.systems)))
    names = [system.label for system in run.systems]
    plain = replace(axis, names=tuple(names))
    columns, rows = _arrange(names, COLUMN_INCHES)
    figure = new_figure(COLUMN_INCHES, 0.55 + 0.24 * len(run.metrics) + _ROW_INCHES * rows)
    panels.draw_correlations(figure.add_subplot(), run, axis.looks)
    _legend(figure, systems, plain, columns, COLUMN_INCHES, lines=False)
    return figure


def _sensitivities(run: LabRun, metrics: Sequence[int]) -> Figure:
    order = sorted(range(len(run.systems)), key=lambda s: _dimensions(run).index(run.systems[s].dimension))
    cells = [[sensitivity(run, (s,), m) for s in order] for m in metrics]
    names = [_shortened(system_words(run, s), 1.6) for s in order]
    longest = max((_text_inches(name) for name in names), default=0.0)
    figure = new_figure(PAGE_INCHES, 0.35 + 0.24 * len(metrics) + 0.6 * longest)
    axes = figure.add_subplot()
    image = panels.draw_sensitivities(axes, cells, [metric_label(run.metrics[m].name) for m in metrics], names)
    bar = figure.colorbar(image, ax=axes, pad=0.015, aspect=30)
    bar.set_label("fall (s.d.)", fontsize=7)  # a longer one does not fit beside two metrics
    bar.outline.set_linewidth(0.4)
    return figure


def _dimensions(run: LabRun) -> list[str]:
    """Dimensions of edits, each once, in the order of the systems."""
    return list(dict.fromkeys(system.dimension for system in run.systems))


def _legend(
    figure: Figure,
    systems: Sequence[int],
    axis: Horizontal,
    columns: int,
    width: float,
    *,
    lines: bool = True,
    above: bool = False,
) -> None:
    """A legend outside the axes; labels are set afterwards, since matplotlib drops those that begin with "_"."""
    handles = []
    for s in systems:
        how = axis.looks[s]
        style = how.dashes if lines else "none"
        handles.append(Line2D([], [], color=how.colour, marker=how.marker, ls=style, lw=1.2, ms=4, mew=0.7))
    legend = figure.legend(
        handles,
        [str(i) for i in range(len(handles))],
        loc="outside upper center" if above else "outside lower center",
        ncols=columns,
        frameon=False,
        handlelength=2.8,
        columnspacing=1.2,
        labelspacing=0.25,
        borderpad=0.1,
    )
    for text, s in zip(legend.get_texts(), systems, strict=True):
        text.set_text(_shortened(axis.names[s], width - _HANDLE_INCHES))


def _arrange(names: Sequence[str], width: float) -> tuple[int, int]:
    """(columns, rows) of a legend that is as wide as the figure at most."""
    if not names:
        return 1, 0
    own = [_text_inches(_shortened(name, width - _HANDLE_INCHES)) + _HANDLE_INCHES for name in names]
    for columns in range(len(own), 1, -1):
        rows = math.ceil(len(own) / columns)
        if math.ceil(len(own) / rows) == columns:  # a legend fills its columns one after another
            widths = [max(own[k : k + rows]) for k in range(0, len(own), rows)]
            if sum(widths) <= width - 0.1:
                return columns, rows
    return 1, len(own)


def _shortened(name: str, inches: float) -> str:
    """The name, its middle left out where it is wider."""
    name = printable(name)
    keep = len(name)
    shown = name
    while keep > 4 and _text_inches(shown) > inches:
        keep -= 1
        head = keep // 2
        shown = f"{name[:head]}…{name[len(name) - (keep - head) :]}"
    return shown


@lru_cache(maxsize=1024)
def _text_inches(text: str) -> float:
    font = get_font(findfont(FontProperties(family="DejaVu Sans")))
    font.set_size(_LEGEND_PT, 72)
    font.set_text(text)
    return float(font.get_width_height()[0]) / 64 / 72  # in 1/64 of a point
