"""How the lab's figures look: curves that stay apart in colour and in grey, names of metrics, numbers in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from semetric.metrics.registry import METRICS

__all__ = ["COLOURS", "COLUMN_INCHES", "PAGE_INCHES", "PAPER", "Look", "looks", "metric_label", "metric_unit"]

COLUMN_INCHES = 3.4
"""The width of a column of a two-column paper."""

PAGE_INCHES = 7.0
"""The width of both columns."""

COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#882255",
    "#E69F00",
    "#56B4E9",
    "#222222",
    "#CC79A7",
    "#332288",
    "#999933",
    "#6A3D00",
    "#777777",
)
"""Colours of Okabe & Ito and of Tol, dark enough for a line on white; markers and dashes tell them apart in grey."""

_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "*", ">", "p", "h")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.2, 1.4)), (0, (5, 1.4, 1.2, 1.4)), (0, (8, 2)))

PAPER: dict[str, Any] = {
    "axes.edgecolor": "#444444",
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 8,
    "axes.unicode_minus": True,
    "axes.formatter.use_mathtext": False,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.02,
    "figure.constrained_layout.w_pad": 0.02,
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",  # ships with matplotlib, so that a figure is the same everywhere
    "font.size": 8,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.5,
    "legend.fontsize": 7,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.6,
    "pdf.fonttype": 42,  # TrueType: what publishers ask for
    "ps.fonttype": 42,
    "svg.fonttype": "path",
    "text.parse_math": False,  # a dollar in a file's name is a dollar
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
}
"""Settings of matplotlib for a figure in a paper, where they differ from its defaults."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """How one curve is drawn."""

    colour: str
    marker: str
    dashes: Any


def looks(groups: Sequence[str]) -> tuple[Look, ...]:
    """A look for each system.

    Twelve systems differ in colour and in marker, neighbours in their dashes too; beyond that colour and marker recur
    with other dashes.

    Args:
        groups: a system's group, such as an edit's dimension: systems of one group share a colour. Empty for none.
    """
    colours: dict[str, int] = {}
    members: dict[str, int] = {}
    chosen = []
    for i, group in enumerate(groups):
        key = group or f"{i} alone"
        colour = colours.setdefault(key, len(colours))
        place = members[key] = members.get(key, -1) + 1
        turn = i // len(_MARKERS)
        chosen.append(
            Look(
                colour=COLOURS[colour % len(COLOURS)],
                marker=_MARKERS[i % len(_MARKERS)],
                dashes=_DASHES[(place if group else i + turn) % len(_DASHES)],
            )
        )
    return tuple(chosen)


def metric_label(name: str) -> str:
    """The metric's name as papers write it; its own name where no metric of that name is installed."""
    return METRICS[name].label if name in METRICS else name


def metric_unit(name: str) -> str:
    """The metric's unit; empty for most."""
    return METRICS[name].unit if name in METRICS else ""
