"""How well tuned settings do on judgements that did not tune them: folds by reference image.

For each fold the whole procedure (search, refinement) runs on the other folds' triplets; its settings then score the
fold's pairs. Every pair is so scored once, by settings that never saw its reference, and the measures are taken over
all of them. The baselines, settings that were not tuned, stand beside, on the same pairs; the difference to the first
of them has an interval of its own, from the same resampled references.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.learn.agreement.resampling import Draws, Estimate, Measured, estimate
from semetric.learn.tuning.judged import Judged
from semetric.learn.tuning.objectives import OBJECTIVES, Objective
from semetric.learn.tuning.refine import Scored
from semetric.metrics.sess_settings import Settings

__all__ = ["Fold", "HeldOut", "Line", "fold_numbers", "held_out"]

_MEASURES = {
    "mse": ("mean squared error", False, False),
    "2afc": ("agreement on the closer one", True, True),
    "srcc": ("rank correlation", True, True),
}  # objective → title, whether 1 − loss is shown, whether higher is better

_Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Fold:
    """What tuning without a fold's references gave.

    Attributes:
        references: how many the fold has.
        triplets: how many the fold has.
        settings: found on the others.
        train_loss: the objective on the others.
        test_loss: the objective on the fold.
    """

    references: int
    triplets: int
    settings: Settings
    train_loss: float
    test_loss: float


@dataclass(frozen=True, kw_only=True)
class Line:
    """A measure on the held-out pairs.

    Attributes:
        name: mse, 2afc or srcc.
        title: in words.
        higher_is_better: the measure's direction.
        tuned: of the tuned settings.
        baselines: name → that of those settings.
        gain: tuned less the first baseline.
    """

    name: str
    title: str
    higher_is_better: bool
    tuned: Estimate
    baselines: Mapping[str, Estimate]
    gain: Estimate


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """The folds, and the measures over all of them."""

    folds: tuple[Fold, ...]
    lines: tuple[Line, ...]


def fold_numbers(groups: int, folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(groups,) the fold of each reference: at random, sizes equal but for one.

    Raises:
        UsageError: fewer than two folds, or fewer references than folds.
    """
    if folds < 2:
        raise UsageError(f"Expected at least 2 folds (0 for none); found {folds}.")
    if groups < folds:
        raise UsageError(f"Expected at least {folds} reference images for {folds} folds; found {groups}. Use fewer.")
    return rng.permutation(np.arange(groups) % folds)


def held_out(
    tuned: Callable[[NDArray[np.bool_]], Settings],
    baselines: Mapping[str, Settings],
    scored: Scored,
    judged: Judged,
    objective: Objective,
    *,
    folds: int,
    seed: int = 0,
    resamples: int = 2000,
) -> HeldOut:
    """Cross-validates.

    Args:
        tuned: which references count → settings found on them.
        baselines: name → settings to compare with, the first of them for the gain.
        scored: settings → (pairs,) scores.
        judged: what people said.
        objective: that the folds report.
        folds: at least 2.
        seed: of folds and resamples.
        resamples: of each interval.

    Raises:
        UsageError: as `fold_numbers`.
    """
    number = fold_numbers(judged.groups, folds, np.random.default_rng([seed, folds]))
    scores = np.empty(2 * len(judged))
    done = []
    for fold in range(folds):
        test = number == fold
        settings = tuned(~test)
        fold_scores = scored(settings)
        inside = test[judged.pair_group]
        scores[inside] = fold_scores[inside]
        done.append(
            Fold(
                references=int(test.sum()),
                triplets=int(test[judged.group].sum()),
                settings=settings,
                train_loss=objective.loss(fold_scores, judged, ~test),
                test_loss=objective.loss(fold_scores, judged, test),
            )
        )
    untuned = {name: scored(settings) for name, settings in baselines.items()}
    lines = []
    for name, (title, turned, higher) in _MEASURES.items():
        if OBJECTIVES[name].needs_scores and judged.scores is None:
            continue
        whole = _measure(OBJECTIVES[name], scores, judged, turned)
        others = {baseline: _measure(OBJECTIVES[name], of, judged, turned) for baseline, of in untuned.items()}
        lines.append(
            Line(
                name=name,
                title=title,
                higher_is_better=higher,
                tuned=_estimated(whole, judged, resamples, seed),
                baselines={baseline: _estimated(of, judged, resamples, seed) for baseline, of in others.items()},
                gain=_estimated(_less(whole, next(iter(others.values()))), judged, resamples, seed),
            )
        )
    return HeldOut(folds=tuple(done), lines=tuple(lines))


def _measure(aim: Objective, scores: _Floats, judged: Judged, turned: bool) -> Draws:
    def values(counts: _Floats) -> _Floats:
        losses = aim.losses(scores, judged, counts)
        return 1.0 - losses if turned else losses

    return values


def _less(draws: Draws, other: Draws) -> Draws:
    return lambda counts: draws(counts) - other(counts)


def _estimated(values: Draws, judged: Judged, resamples: int, seed: int) -> Estimate:
    whole = float(values(np.ones((1, judged.groups)))[0])
    measured = Measured(value=whole if np.isfinite(whole) else None, n=judged.groups, resampled=values)
    return estimate(measured, resamples=resamples, seed=seed)
