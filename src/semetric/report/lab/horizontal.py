"""The horizontal axis that all systems of a run share: an achieved rate, an SNR, a strength or its share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semetric.report.lab.measures import curves
from semetric.report.lab.results import LabRun
from semetric.report.lab.style import Look, looks
from semetric.report.lab.words import axis_words, level_words, system_words

__all__ = ["Horizontal", "horizontal"]

_WIDE = 8.0  # largest over smallest rate above which a logarithmic axis shows more


@dataclass(frozen=True, kw_only=True)
class Horizontal:
    """The axis.

    Attributes:
        label: under it.
        log: whether it is logarithmic.
        largest: per system what its levels are divided by: 1 where all share one scale.
        names: per system what a legend says.
        looks: per system how it is drawn: edits of one dimension share a colour.
    """

    label: str
    log: bool
    largest: tuple[float, ...]
    names: tuple[str, ...]
    looks: tuple[Look, ...]


def horizontal(run: LabRun) -> Horizontal:
    """Chooses the axis.

    Rates are drawn as achieved, logarithmically where they span more than a factor of 8. Strengths whose
    units or values differ between systems are divided by each system's largest, which its name states.
    """
    everywhere = range(len(run.systems))
    names = tuple(system_words(run, s) for s in everywhere)
    plain = tuple(1.0 for _ in everywhere)
    drawn = looks([info.dimension for info in run.systems])
    if run.axis.name == "rate_bpp":
        xs = [p.x for of_metric in curves(run) for curve in of_metric for p in curve.drawn]
        log = bool(xs) and min(xs) > 0 and max(xs) / min(xs) > _WIDE
        return Horizontal(label=axis_words(run), log=log, largest=plain, names=names, looks=drawn)
    levels = [run.levels(s) for s in everywhere]
    distinct = {(run.unit(s), tuple(levels[s])) for s in everywhere if levels[s].size}
    if run.axis.name != "strength" or len(distinct) < 2:
        unit = next((run.unit(s) for s in everywhere if run.unit(s)), "")
        label = f"{run.axis.label} ({unit})" if unit else run.axis.label
        return Horizontal(label=label, log=False, largest=plain, names=names, looks=drawn)
    largest = tuple(float(np.abs(own).max()) or 1.0 if own.size else 1.0 for own in levels)
    to = [level_words(run, s, largest[s]) for s in everywhere]
    return Horizontal(
        label=f"{run.axis.label}, share of its largest",
        log=False,
        largest=largest,
        names=tuple(f"{name} (to {most})" for name, most in zip(names, to, strict=True)),
        looks=drawn,
    )
