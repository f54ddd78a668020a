"""How much each parameter decides about the objective: the share of its variance that the parameter explains alone.

The trials are put into bins of one parameter, equally full; the variance between the bins' means over the whole
variance is the correlation ratio η², for evenly drawn parameters the first-order index of Sobol' (1993) that fANOVA
(Hutter et al. 2014) also reports first. Bins of noise have some variance too; it is taken off (ε², Kelley 1935).
The 95% level of chance comes from shuffled losses. Losses enter by rank, so that a few hopeless trials do not decide.
"Among the good" is the same over the best quarter of the trials: what still matters where the objective is low. Shares
need not sum to 1: what parameters do together is in none of them. An adaptive sampler's trials crowd where it expects
low losses, so its shares describe that neighbourhood rather than the whole space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semetric.learn.tuning.samplers import Trial
from semetric.learn.tuning.space import Space

__all__ = ["LEAST_TRIALS", "Influence", "influences"]

_BIN = 12  # trials a bin, at least
_BINS = 10  # bins, at most
LEAST_TRIALS = 3 * _BIN  # with finite losses; of fewer nothing is told
_SHUFFLES = 200

_Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Influence:
    """One parameter's share.

    Attributes:
        name: of the parameter.
        share: of the losses' variance, over all trials, in [0, 1].
        among_good: that share over the best quarter of the trials; None of fewer than 36 trials there.
        chance: what a parameter without influence stays below in 19 of 20 cases, over all trials.
    """

    name: str
    share: float
    among_good: float | None
    chance: float


def influences(space: Space, trials: Sequence[Trial], *, seed: int = 0) -> tuple[Influence, ...]:
    """The parameters' shares, in the order of the space. Empty of fewer than 36 trials.

    Args:
        space: what varied.
        trials: of the search.
        seed: of the shuffles.
    """
    known = [trial for trial in trials if np.isfinite(trial.loss)]
    if len(known) < LEAST_TRIALS:
        return ()
    losses = np.array([trial.loss for trial in known])
    good = np.argsort(losses, kind="stable")[: len(known) // 4]
    rng = np.random.default_rng(seed)
    shares = []
    for p in space.parameters:
        values = np.array([float(getattr(trial.settings, p.name)) for trial in known])
        ranks = _ranks(losses)
        chance = [_explained(values, rng.permutation(ranks)) for _ in range(_SHUFFLES)]
        shares.append(
            Influence(
                name=p.name,
                share=max(0.0, _explained(values, ranks)),
                among_good=max(0.0, _explained(values[good], _ranks(losses[good])))
                if len(good) >= LEAST_TRIALS
                else None,
                chance=max(0.0, float(np.quantile(chance, 0.95))),
            )
        )
    return tuple(shares)


def _explained(values: _Floats, losses: _Floats) -> float:
    """ε²: variance of the losses between bins of the values, less what bins of noise have; may fall below 0."""
    n = len(values)
    bins = min(_BINS, n // _BIN)
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1]))
    place = np.searchsorted(edges, values, side="right")
    many = np.bincount(place, minlength=len(edges) + 1)
    filled = int((many > 0).sum())
    means = np.bincount(place, losses, len(many)) / np.maximum(many, 1)
    total = float(((losses - losses.mean()) ** 2).sum())
    if total <= 0 or filled < 2 or n <= filled:
        return 0.0
    within = float(((losses - means[place]) ** 2).sum())
    return 1.0 - (within / (n - filled)) / (total / (n - 1))


def _ranks(values: _Floats) -> _Floats:
    """Mean ranks."""
    _, place, many = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(many).astype(np.float64)
    return np.asarray((last - (many - 1) / 2)[place], np.float64)
