"""Pictures of a tuning: every trial across all parameters, and how much each parameter decides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from semetric.learn.tuning.space import Parameter, Space
from semetric.metrics.sess_settings import Settings
from semetric.report.lab.style import COLOURS, PAGE_INCHES, PAPER
from semetric.report.output import write

if TYPE_CHECKING:
    from semetric.learn.tuning import Trial, Tuning

__all__ = ["draw_tuning", "influence_figure", "parallel_figure"]

INFLUENCE = "influence"
PARALLEL = "parallel"

_RESULT, _GOOD, _CHANCE = COLOURS[1], COLOURS[0], "#444444"
_SHOWN = 1000  # trials in a picture, at most
_WIDE = 5.0  # largest over smallest loss above which a logarithmic axis shows more
_TITLES = {
    "mse": "mean squared error",
    "2afc": "2AFC disagreement",
    "srcc": "1 − rank correlation",
    "mse+2afc": "error and disagreement",
}


def draw_tuning(tuning: Tuning, out: Path, *, suffix: str = ".png") -> dict[str, Path]:
    """Writes parallel and, where there are trials enough, influence; one of an earlier run does not stay.

    Args:
        tuning: by `semetric.learn.tuning.tune`.
        out: the folder.
        suffix: .png, .pdf or .svg.

    Returns:
        Role → path.

    Raises:
        UsageError: another suffix.
        StoreError: they cannot be written.
    """
    paths = {PARALLEL: out / f"{PARALLEL}{suffix}"}
    write(lambda: parallel_figure(tuning), paths[PARALLEL], PAPER)
    (out / f"{INFLUENCE}{suffix}").unlink(missing_ok=True)
    if tuning.influence:
        paths[INFLUENCE] = out / f"{INFLUENCE}{suffix}"
        write(lambda: influence_figure(tuning), paths[INFLUENCE], PAPER)
    return paths


def parallel_figure(tuning: Tuning) -> Figure:
    """Parallel coordinates: a line a trial, the darker the better; the tuning settings with intervals; a baseline."""
    space = tuning.space
    baseline, settings = space.baseline
    before = tuning.baseline_losses[baseline]
    trials = _thinned(tuning.trials)
    figure = Figure(figsize=(PAGE_INCHES, 3.4))
    axes = figure.subplots()
    count = len(space.parameters)
    losses = np.array([trial.loss for trial in trials])
    finite = losses[np.isfinite(losses)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    low = min(low, tuning.loss, before)
    high = max(high, before)
    logarithmic = low > 0.0 and high / low > _WIDE

    def height(loss: float) -> float:
        """Of a loss on the last axis, in [0, 1]."""
        if logarithmic:
            return float(np.log(loss / low) / np.log(high / low))
        return (loss - low) / ((high - low) or 1.0)

    order = np.argsort(-losses, kind="stable")  # the best drawn last
    places = np.empty(len(trials))
    places[order] = np.linspace(0.0, 1.0, len(trials)) if len(trials) > 1 else 1.0
    x = np.arange(count + 1)
    for i in order:
        trial = trials[i]
        if not np.isfinite(trial.loss):
            continue
        y = [*space.units(trial.settings), height(trial.loss)]
        good = places[i] >= 0.9
        axes.plot(
            x,
            y,
            color=_GOOD if good else "#9FB8C8",
            alpha=0.55 if good else 0.15 + 0.25 * places[i] ** 2,
            linewidth=0.9 if good else 0.6,
            zorder=2 if good else 1,
        )
    _settings_line(axes, space, settings, height(before), "#222222", (0, (4, 2)))
    _settings_line(axes, space, tuning.settings, height(tuning.loss), _RESULT, "-")
    for d, p in enumerate(space.parameters):
        estimate = tuning.estimates[d]
        bounds = [p.unit(v) for v in estimate.interval_95]
        axes.plot([d, d], bounds, color=_RESULT, linewidth=5, alpha=0.35, solid_capstyle="butt", zorder=3)
        axes.plot([d, d], [0, 1], color="#444444", linewidth=0.6, zorder=0)
        for level, value in ((0.0, p.low), (1.0, p.high)):
            axes.text(d, level + (-0.03 if level == 0 else 0.03), f"{value:g}", **_small(level))
    axes.plot([count, count], [0, 1], color="#444444", linewidth=0.6, zorder=0)
    for level, value in ((0.0, low), (1.0, high)):
        axes.text(count, level + (-0.03 if level == 0 else 0.03), f"{value:.3g}", **_small(level))
    axes.set_xlim(-0.3, count + 0.3)
    axes.set_ylim(-0.12, 1.12)
    axes.set_yticks([])
    axes.set_xticks(x, [*(_two_lines(p) for p in space.parameters), _loss_label(tuning.options.objective, logarithmic)])
    axes.tick_params(axis="x", length=0, pad=2)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    lines = [
        (_RESULT, "-", "tuned, 95% interval"),
        ("#222222", (0, (4, 2)), f"settings of the variant {baseline}"),
        (_GOOD, "-", "best tenth of the trials"),
        ("#9FB8C8", "-", "other trials"),
    ]
    for colour, dashes, label in lines:
        axes.plot([], [], color=colour, linestyle=dashes, label=label)
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return figure


def influence_figure(tuning: Tuning) -> Figure:
    """A bar a parameter: its share of the objective's variance over all trials, and over the best quarter."""
    rows = sorted(tuning.influence, key=lambda row: row.share)
    labels = {p.name: p.label for p in tuning.space.parameters}
    figure = Figure(figsize=(PAGE_INCHES * 0.62, 0.5 + 0.34 * len(rows)))
    axes = figure.subplots()
    y = np.arange(len(rows))
    axes.barh(y + 0.17, [row.share for row in rows], height=0.32, color=COLOURS[0], label="all trials")
    if all(row.among_good is not None for row in rows):
        good = [row.among_good or 0.0 for row in rows]
        axes.barh(y - 0.17, good, height=0.32, color=COLOURS[4], label="the best quarter")
    chance = [row.chance for row in rows]
    axes.plot(chance, y + 0.17, "|", color=_CHANCE, markersize=9, markeredgewidth=1.2, label="chance stays below (95%)")
    axes.set_yticks(y, [labels[row.name] for row in rows])
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(left=0.0)
    axes.set_xlabel(f"share of the variance of the {_TITLES[tuning.options.objective]} (ranks)")
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def _settings_line(axes: Any, space: Space, settings: Settings, loss: float, colour: str, dashes: Any) -> None:
    y = [*np.clip(space.units(settings), 0.0, 1.0), loss]
    axes.plot(np.arange(len(y)), y, color=colour, linestyle=dashes, linewidth=1.8, marker="o", markersize=3.5, zorder=4)


def _loss_label(name: str, logarithmic: bool) -> str:
    return _TITLES[name].replace(" ", "\n", 1) + (" (log)" if logarithmic else "")


def _two_lines(parameter: Parameter) -> str:
    return parameter.label.replace(" ", "\n", 1)


def _small(level: float) -> dict[str, Any]:
    return {"ha": "center", "va": "top" if level == 0 else "bottom", "fontsize": 6.5, "color": "#444444"}


def _thinned(trials: Sequence[Trial]) -> list[Trial]:
    """The best and an even choice of the others, where there are more than a picture holds."""
    if len(trials) <= _SHOWN:
        return list(trials)
    ranked = sorted(trials, key=lambda trial: trial.loss)
    return [ranked[i] for i in np.unique(np.linspace(0, len(ranked) - 1, _SHOWN).round().astype(int))]
