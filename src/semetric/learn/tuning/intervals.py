"""How well the judgements determine each parameter.

Two kinds. After refinement on the mean squared error: non-linear least squares, θ̂ ± 1.96 standard errors, with the
errors' correlation within a reference allowed for (sandwich of Huber 1967 and White 1980, by cluster: Liang and Zeger
1986), the larger of that and the classical one. The number of updates is a whole number that trades against β: every
number within the search's range is refined, those whose error is not significantly larger (ΔSSE/σ² ≤ 3.84, the 95%
quantile of χ² with one degree of freedom) are kept, and an interval is the union over them.
Otherwise (rank objectives, or no refinement): references are drawn again with replacement, and each time the trial that
is then the best gives its values; the interval is their middle 95%. It can be no finer than the trials lie.

A parameter counts as determined where its interval takes at most half of the range that was searched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from semetric.learn.agreement.resampling import interval_of, resampled_counts
from semetric.learn.tuning.judged import Judged
from semetric.learn.tuning.objectives import Objective
from semetric.learn.tuning.refine import Refined, Scored, jacobian, refine
from semetric.learn.tuning.samplers import Trial
from semetric.learn.tuning.space import Space

if TYPE_CHECKING:
    from semetric.metrics.sess_settings import SessSettings

__all__ = ["ParameterEstimate", "from_errors", "from_trials"]

_Z = 1.959963984540054  # the 97.5% quantile of the normal distribution
_CHI_SQUARE = 3.841458820694124  # the 95% quantile of χ²(1)
_NULL = 1e-9  # directions of the squared slopes this much below the steepest say nothing
_TOGETHER = 0.8  # a correlation of two parameters from which it is told

_Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ParameterEstimate:
    """A parameter's value and how far it is determined.

    Attributes:
        name: of the parameter.
        value: what was found.
        interval_95: see the module.
        searched: the range that was searched.
        determined: whether the interval takes at most half of that range.
        effect: root mean square change of the scores if the parameter goes through its range, by its slope at the
            value; None where that was not looked at.
        note: the evidence in words, where it is not determined or moves with another; or empty.
    """

    name: str
    value: float
    interval_95: tuple[float, float]
    searched: tuple[float, float]
    determined: bool
    effect: float | None = None
    note: str = ""


def from_errors(
    scored: Scored, space: Space, start: Refined, judged: Judged
) -> tuple[Refined, list[ParameterEstimate], dict[int, float]]:
    """Least-squares intervals around a refined optimum.

    Args:
        scored: settings → scores.
        space: what varied.
        start: refined on all references.
        judged: with scores.

    Returns:
        The best over all numbers of updates; an estimate a parameter; updates → root mean squared error, where they
        vary.
    """
    by_count = {0: start}
    varies = any(p.name == "iterations" for p in space.parameters)
    if varies:
        by_count = _along_iterations(scored, space, start, judged)
    least = min(by_count.values(), key=lambda refined: refined.sse)
    pairs = 2 * len(judged)
    free = max(1, pairs - len(space.parameters))
    variance = least.sse / free
    plausible = {
        n: refined for n, refined in by_count.items() if refined.sse - least.sse <= _CHI_SQUARE * max(variance, 1e-24)
    }
    smooth = replace(space, parameters=tuple(p for p in space.parameters if not p.integer))
    spans: dict[str, list[tuple[float, float]]] = {p.name: [] for p in smooth.parameters}
    effects: dict[str, float] = {}
    partners: dict[str, str] = {}
    for refined in plausible.values():
        around = replace(smooth, base=refined.settings)
        slopes = jacobian(scored, around, refined.settings)
        residual = scored(refined.settings) - (judged.scores if judged.scores is not None else 0.0)
        covariance, blind = _covariance(slopes, residual, judged, variance)
        for d, p in enumerate(smooth.parameters):
            value = float(getattr(refined.settings, p.name))
            wide = np.inf if blind[d] else _Z * float(np.sqrt(covariance[d, d])) * (p.high - p.low)
            spans[p.name].append((max(p.low, value - wide), min(p.high, value + wide)))
        if refined is least:
            for d, p in enumerate(smooth.parameters):
                effects[p.name] = float(np.sqrt(np.mean(slopes[:, d] ** 2)))
                partners[p.name] = _partner(d, smooth, covariance, blind)
    estimates = []
    for p in space.parameters:
        value = float(getattr(least.settings, p.name))
        if p.integer:
            low, high = float(min(plausible)), float(max(plausible))
            note = f"{len(plausible)} numbers of updates fit as well" if len(plausible) > 1 else ""
            estimates.append(_estimate(p.name, value, (low, high), (p.low, p.high), None, note))
        else:
            low, high = min(s[0] for s in spans[p.name]), max(s[1] for s in spans[p.name])
            estimates.append(_estimate(p.name, value, (low, high), (p.low, p.high), effects[p.name], partners[p.name]))
    rmse = {n: float(np.sqrt(by_count[n].sse / pairs)) for n in sorted(by_count)} if varies else {}
    return least, estimates, rmse


def from_trials(
    scored: Scored,
    space: Space,
    trials: list[Trial],
    judged: Judged,
    objective: Objective,
    *,
    resamples: int = 200,
    seed: int = 0,
) -> list[ParameterEstimate]:
    """Intervals of the best trial's values over resampled references.

    Args:
        scored: settings → scores.
        space: what varied.
        trials: of the search.
        judged: what people said.
        objective: by which a trial is the best.
        resamples: number of resamples.
        seed: of the draws.
    """
    counts = np.concatenate(list(resampled_counts(judged.groups, resamples=resamples, seed=seed)))
    losses = np.stack([objective.losses(scored(trial.settings), judged, counts) for trial in trials])  # (trials, k)
    losses[~np.isfinite(losses)] = np.inf
    chosen = losses.argmin(axis=0)
    winner = min(trials, key=lambda trial: trial.loss)
    estimates = []
    for p in space.parameters:
        values = np.array([float(getattr(trial.settings, p.name)) for trial in trials])[chosen]
        value = float(getattr(winner.settings, p.name))
        low, high = interval_of(values) or (value, value)
        bounds = (min(low, value), max(high, value))
        note = f"{len(np.unique(chosen))} of {len(trials)} trials are the best of some resample"
        estimates.append(_estimate(p.name, value, bounds, (p.low, p.high), None, note))
    return estimates


def _along_iterations(scored: Scored, space: Space, start: Refined, judged: Judged) -> dict[int, Refined]:
    """Every number of updates refined, each from its neighbour; β so that (1 − β)^updates stays."""
    p = next(p for p in space.parameters if p.name == "iterations")
    middle = cast("SessSettings", start.settings).iterations  # no other settings have them
    done = {middle: start}
    tune_beta = any(q.name == "beta" for q in space.parameters)
    for way in (1, -1):
        previous = start
        count = middle + way
        while p.low <= count <= p.high:
            before = cast("SessSettings", previous.settings)
            beta = before.beta
            if tune_beta and count and before.iterations:
                beta = 1.0 - (1.0 - beta) ** (before.iterations / count)
            begin = replace(before, iterations=count, beta=beta)
            previous = done[count] = refine(scored, space, begin, judged, steps=3)
            count += way
    return done


def _covariance(
    slopes: _Floats, residual: _Floats, judged: Judged, variance: float
) -> tuple[_Floats, NDArray[np.bool_]]:
    """(d, d) covariance in units of the ranges, and which parameters the scores do not depend on at all."""
    d = slopes.shape[1]
    values, vectors = np.linalg.eigh(slopes.T @ slopes)
    seen = values > _NULL * max(float(values[-1]), 1e-30)
    blind = (vectors[:, ~seen] ** 2).sum(axis=1) > 1e-3
    bread = (vectors[:, seen] / values[seen]) @ vectors[:, seen].T
    pulls = np.zeros((judged.groups, d))
    np.add.at(pulls, judged.pair_group, slopes * residual[:, None])
    g = max(2, judged.groups)
    robust = bread @ (pulls.T @ pulls) @ bread * (g / (g - 1))
    classical = variance * bread
    larger = np.sqrt(np.maximum(np.diag(robust), np.diag(classical)) / np.maximum(np.diag(classical), 1e-300))
    return classical * np.outer(larger, larger), np.asarray(blind, np.bool_)


def _partner(d: int, space: Space, covariance: _Floats, blind: NDArray[np.bool_]) -> str:
    """The evidence in words: that scores do not depend on it, or with which other parameter it moves."""
    if blind[d]:
        return "the scores do not depend on it here"
    spread = np.sqrt(np.maximum(np.diag(covariance), 1e-300))
    correlation = covariance[d] / (spread[d] * spread)
    correlation[d] = 0.0
    correlation[blind] = 0.0
    other = int(np.abs(correlation).argmax())
    if abs(correlation[other]) < _TOGETHER:
        return ""
    return f"moves with {space.parameters[other].name} (correlation {correlation[other]:.2f})"


def _estimate(
    name: str,
    value: float,
    bounds: tuple[float, float],
    searched: tuple[float, float],
    effect: float | None,
    note: str,
) -> ParameterEstimate:
    share = (bounds[1] - bounds[0]) / (searched[1] - searched[0])
    notes = [note] if note else []
    if share > 0.5:
        notes.insert(0, f"not determined: the interval takes {share:.0%} of the range")
        if effect is not None:
            notes.append(f"over the whole range the scores change by {effect:.4f}")
    return ParameterEstimate(
        name=name,
        value=value,
        interval_95=bounds,
        searched=searched,
        determined=share <= 0.5,
        effect=effect,
        note="; ".join(notes),
    )
