"""How far scores are from what people said. Lower is better, and every objective takes weights for resampling."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError, did_you_mean
from semetric.learn.agreement.choices import two_alternative_credits
from semetric.learn.agreement.correlations import srcc
from semetric.learn.tuning.judged import Judged

__all__ = ["OBJECTIVES", "Objective", "objective"]

_Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What a search makes small.

    Attributes:
        name: as users write it.
        summary: what it measures.
        needs_scores: whether people must have given scores and not only choices.
        losses: (scores (2T,), judged, counts (k, groups)) → (k,): the loss where each reference counts so often. NaN
            where it is undefined.
    """

    name: str
    summary: str
    needs_scores: bool
    losses: Callable[[_Floats, Judged, _Floats], _Floats]

    def loss(self, scores: _Floats, judged: Judged, groups: NDArray[np.bool_] | None = None) -> float:
        """The loss on all references, or on some; infinite where it is undefined.

        Args:
            scores: (2T,).
            judged: what people said.
            groups: (groups,) which references count.
        """
        counts = np.ones((1, judged.groups)) if groups is None else groups[None].astype(np.float64)
        value = float(self.losses(scores, judged, counts)[0])
        return value if np.isfinite(value) else float("inf")

    def check(self, judged: Judged) -> None:
        """Looks whether people said what it needs.

        Raises:
            UsageError: they chose, and it needs scores.
        """
        if self.needs_scores and judged.scores is None:
            free = ", ".join(name for name, aim in OBJECTIVES.items() if not aim.needs_scores)
            raise UsageError(f"Expected scored triplets for the objective {self.name}; found choices. Use {free}.")


def _mse(scores: _Floats, judged: Judged, counts: _Floats) -> _Floats:
    errors = (scores - _given(judged)) ** 2
    return _mean(errors, judged.pair_group, counts)


def _two_alternative(scores: _Floats, judged: Judged, counts: _Floats) -> _Floats:
    credits = two_alternative_credits(scores[::2], scores[1::2], judged.share_b, higher_is_better=True)
    return _mean(1.0 - credits, judged.group, counts)


def _rank(scores: _Floats, judged: Judged, counts: _Floats) -> _Floats:
    measured = srcc(scores, _given(judged), higher_is_better=True, units=judged.pair_group.astype(np.intp))
    return np.asarray(1.0 - measured.resampled(counts), np.float64)


def _both(scores: _Floats, judged: Judged, counts: _Floats) -> _Floats:
    """Mean squared error as a share of the scores' variance, and disagreement on the closer candidate, half each."""
    given = _given(judged)
    spread = float(given.var())
    return 0.5 * _mse(scores, judged, counts) / (spread or 1.0) + 0.5 * _two_alternative(scores, judged, counts)


def _mean(values: _Floats, group: NDArray[np.int64], counts: _Floats) -> _Floats:
    """(k,) mean of values where each group counts so often."""
    groups = counts.shape[1]
    total, many = np.bincount(group, values, groups), np.bincount(group, minlength=groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(counts @ total / (counts @ many), np.float64)


def _given(judged: Judged) -> _Floats:
    if judged.scores is None:
        raise UsageError("Expected scored triplets; found choices.")
    return judged.scores


_ALL = (
    Objective(name="mse", summary="mean squared error to the scores", needs_scores=True, losses=_mse),
    Objective(name="2afc", summary="1 − agreement on the closer one", needs_scores=False, losses=_two_alternative),
    Objective(name="srcc", summary="1 − rank correlation with the scores", needs_scores=True, losses=_rank),
    Objective(name="mse+2afc", summary="half error, half disagreement", needs_scores=True, losses=_both),
)

OBJECTIVES: Mapping[str, Objective] = {aim.name: aim for aim in _ALL}
"""Name → objective."""


def objective(name: str) -> Objective:
    """The objective of that name.

    Raises:
        UsageError: there is none.

    Examples:
        >>> objective("2afc").summary
        '1 − agreement on the closer one'
    """
    if name not in OBJECTIVES:
        raise UsageError(
            f"Expected an objective among {', '.join(OBJECTIVES)}; found {name!r}.{did_you_mean(name, OBJECTIVES)}"
        )
    return OBJECTIVES[name]
