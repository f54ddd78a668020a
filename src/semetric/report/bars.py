"""A bar a metric: every bar grows towards "the same as the reference", whichever way the metric counts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import shorten, wrap
from typing import TYPE_CHECKING

from semetric.errors import SemetricError, SizeMismatchError, WeightsError
from semetric.formatting import minus
from semetric.metrics.base import Scale
from semetric.metrics.registry import METRICS
from semetric.report.drawing import inches, write_text
from semetric.report.palette import BETTER_HIGHER, BETTER_LOWER, INK
from semetric.report.unrelated import LEGEND, unrelated_baseline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Polygon

    from semetric.metrics.base import Score

__all__ = ["Bar", "bar_of", "bars_height", "draw_bars", "number", "short_weights", "why"]


@dataclass(frozen=True, kw_only=True)
class Bar:
    """How one score is drawn.

    Attributes:
        name: the metric.
        value: the score in words.
        arrow: which direction is better.
        fraction: how full the bar is, in [0, 1]; 1 is the same as the reference. None: there is no scale to draw on.
        worst: what an empty bar means.
        best: what a full bar means.
        zero: where on the bar a value of 0 lies, where that is inside the range.
        note: what a reader must know about the scale; empty where it is simply the metric's range.
        higher_is_better: the direction.
        weights: short names of the networks behind it.
        unrelated: how full the bar of two unrelated photos is, on average; None where that was not measured.
        unrelated_value: what they score, in words.
    """

    name: str
    value: str
    arrow: str
    fraction: float | None
    worst: str
    best: str
    zero: float | None
    note: str
    higher_is_better: bool
    weights: str
    unrelated: float | None = None
    unrelated_value: str = ""


def bar_of(score: Score) -> Bar:
    """The bar of a score.

    It is drawn on the scale that the metric declares; without one linearly on the metric's range, from its worst value
    (empty) to its best (full).
    """
    known, scale = unrelated_baseline(score), _scale(score)
    low, high = score.range
    ends = ("", "") if scale is None else scale.labels or (f"{scale.empty:g}", f"{scale.full:g}")
    signed = low is not None and high is not None and low < 0 < high
    return Bar(
        name=score.metric,
        value=_with_unit(score, score.value),
        arrow="↑" if score.higher_is_better else "↓",
        fraction=None if scale is None else scale.fraction(score.value),
        worst=minus(ends[0]),
        best=minus(ends[1]),
        zero=None if scale is None or not signed else scale.fraction(0.0),
        note="no bounds, so no bar" if scale is None else scale.note,
        higher_is_better=score.higher_is_better,
        weights=short_weights(score.weights),
        unrelated=None if known is None or scale is None else scale.fraction(known.mean),
        unrelated_value="" if known is None else _with_unit(score, known.mean),
    )


def _scale(score: Score) -> Scale | None:
    """The scale of the metric's bar; None where it has no bounds to draw on."""
    if score.metric in METRICS and METRICS[score.metric].scale is not None:
        return METRICS[score.metric].scale
    low, high = score.range
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high) and low < high):
        return None
    return Scale(empty=low, full=high) if score.higher_is_better else Scale(empty=high, full=low)


def _with_unit(score: Score, value: float) -> str:
    unit = METRICS[score.metric].unit if score.metric in METRICS else ""
    return f"{number(value)} {unit}".rstrip()


def why(error: SemetricError) -> str:
    """The reason that a metric gave no score, in a few words; the table and the JSON have the sentence."""
    if isinstance(error, SizeMismatchError):
        return "sizes differ or are too small"
    return "weights missing or unfit" if isinstance(error, WeightsError) else "no score"


def number(value: float) -> str:
    """Three significant decimals or so, ∞ where there is no end."""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if math.isnan(value):
        return "not a number"
    if abs(value) >= 1000:
        return minus(f"{value:.0f}")
    if abs(value) >= 10:
        return minus(f"{value:.1f}")
    if value != 0 and abs(value) < 0.001:
        return minus(f"{value:.0e}")
    return minus(f"{value:.3f}")


def short_weights(weights: Mapping[str, str]) -> str:
    """The networks' names without digests, each once."""
    return ", ".join(dict.fromkeys(identity.split("@")[0] for identity in weights.values()))


ROW_INCHES = 0.36
HEAD_INCHES = 0.42
_SMALL_CHARACTERS = 48  # of small print a line


def bars_height(bars: int, missing: int) -> float:
    """Inches that the bars of that many metrics take, with a line for those not scored."""
    return HEAD_INCHES + ROW_INCHES * bars + (0.3 if missing else 0.0)


def draw_bars(axes: Axes, bars: list[Bar], missing: list[str]) -> None:
    """Fills axes with one row a metric: name, arrow, value, bar with its ends, small print.

    Args:
        axes: an empty area, `bars_height(len(bars), len(missing))` inches high.
        bars: from top to bottom.
        missing: metrics that gave no score, with a few words of reason.
    """
    from matplotlib.patches import Rectangle

    width, height = inches(axes)
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.axis("off")
    left, right = 2.55, width - 2.75
    write_text(axes, 0.0, 0.12, "↑ higher is better", size=7.5, colour=BETTER_HIGHER, ha="left")
    write_text(axes, 0.0, 0.28, "↓ lower is better", size=7.5, colour=BETTER_LOWER, ha="left")
    write_text(axes, left, 0.2, "unlike the reference", size=8, colour="#555555", ha="left")
    write_text(axes, right, 0.2, "same as the reference", size=8, colour="#555555", ha="right")
    if any(bar.unrelated is not None for bar in bars):
        _mark(axes, right + 0.5, 0.2)
        write_text(axes, right + 0.62, 0.2, LEGEND, size=8, colour="#555555", ha="left")
    for i, bar in enumerate(bars):
        y = HEAD_INCHES + ROW_INCHES * (i + 0.5)
        write_text(axes, 1.05, y, bar.name, size=10, weight="bold", ha="right")
        colour = BETTER_HIGHER if bar.higher_is_better else BETTER_LOWER
        write_text(axes, 1.13, y, bar.arrow, size=11, weight="bold", colour=colour, ha="left")
        write_text(axes, 2.08, y, bar.value, size=10, ha="right")
        if bar.fraction is not None:
            full = Rectangle((left, y - 0.1), right - left, 0.2, facecolor="#EDEDED", edgecolor="#BBBBBB", lw=0.6)
            axes.add_patch(full)
            filled = Rectangle((left, y - 0.1), (right - left) * bar.fraction, 0.2, facecolor=colour)
            filled.set_gid(f"bar {bar.name}")
            axes.add_patch(filled)
            if bar.zero is not None:
                x = left + (right - left) * bar.zero
                axes.plot([x, x], [y - 0.1, y + 0.1], color="white", lw=1.0)
                write_text(axes, x, y - 0.145, "0", size=6, colour="#555555", ha="center")
            if bar.unrelated is not None:
                _mark(axes, left + (right - left) * bar.unrelated, y).set_gid(f"unrelated {bar.name}")
            write_text(axes, left - 0.05, y, bar.worst, size=7, colour="#555555", ha="right")
            write_text(axes, right + 0.05, y, bar.best, size=7, colour="#555555", ha="left")
        small = [*wrap(bar.weights, _SMALL_CHARACTERS)[:2], *([bar.note] if bar.note else [])]
        for k, text in enumerate(small):
            offset = 0.11 * (k - (len(small) - 1) / 2)
            write_text(axes, right + 0.5, y + offset, text, size=6.5, colour="#555555", ha="left")
    if missing:
        words = shorten(f"Not scored: {', '.join(missing)}.", round(width * 13), placeholder=" …")
        write_text(axes, 0.0, height - 0.12, words, size=8, colour=INK, ha="left")


def _mark(axes: Axes, x: float, y: float) -> Polygon:
    """A dark tick through a bar, with a head: what unrelated photos get."""
    from matplotlib.patches import Polygon

    head, neck, foot = y - 0.17, y - 0.1, y + 0.12
    corners = (
        (x - 0.05, head),
        (x + 0.05, head),
        (x + 0.011, neck),
        (x + 0.011, foot),
        (x - 0.011, foot),
        (x - 0.011, neck),
    )
    mark = Polygon(corners, closed=True, facecolor=INK, edgecolor="white", linewidth=0.5, zorder=3)
    axes.add_patch(mark)
    return mark
