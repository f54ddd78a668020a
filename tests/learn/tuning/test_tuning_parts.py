"""Space, samplers, objectives, folds, influence and intervals, each by itself."""

from __future__ import annotations

import builtins
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from semetric.errors import MissingExtraError, UsageError
from semetric.learn.triplets import Choice, ScoredTriplet, Triplet
from semetric.learn.tuning.heldout import fold_numbers
from semetric.learn.tuning.influence import influences
from semetric.learn.tuning.intervals import from_trials
from semetric.learn.tuning.judged import Judged, judged_of
from semetric.learn.tuning.memo import Memo
from semetric.learn.tuning.objectives import OBJECTIVES
from semetric.learn.tuning.samplers import Trial, best, search
from semetric.learn.tuning.space import Space
from semetric.metrics.sess_settings import SessSettings
from semetric.scene.batch import PairBatch
from semetric.scene.graded import GradedSettings


def bowl(settings: SessSettings) -> float:
    return (settings.alpha - 0.3) ** 2 + (settings.gamma - 0.8) ** 2


def test_a_space_draws_evenly_and_maps_to_the_unit_cube() -> None:
    space = Space()
    drawn = [space.draw(np.random.default_rng([0, i])) for i in range(400)]
    for p in space.parameters:
        values = np.array([getattr(one, p.name) for one in drawn], float)
        assert values.min() >= p.low
        assert values.max() <= p.high
        # the mean of 400 even draws strays from the middle by 0.0144 of the range; five of those
        assert abs(p.unit(float(values.mean())) - 0.5) < 0.073
    one = drawn[0]
    back = space.at(space.units(one))
    for name, value in one.to_dict().items():
        assert getattr(back, name) == pytest.approx(value)


def test_parameters_vary_or_stay() -> None:
    space = Space().narrowed(fixed={"iterations": 5, "alpha": 0.5})
    assert len(space.parameters) == len(Space().parameters) - 2
    assert (space.base.iterations, space.base.alpha, space.base.beta) == (5, 0.5, 0.05)
    assert [p.name for p in Space().narrowed(vary=["gamma"]).parameters] == ["gamma"]
    with pytest.raises(UsageError, match=r"'alhpa'.*Did you mean alpha"):
        Space().narrowed(vary=["alhpa"])
    with pytest.raises(UsageError, match="alpha is both"):
        Space().narrowed(vary=["alpha"], fixed={"alpha": 0.1})
    with pytest.raises(UsageError, match="iterations as int"):
        Space().narrowed(fixed={"iterations": 5.5})
    with pytest.raises(UsageError, match="found all fixed"):
        Space().narrowed(fixed={p.name: getattr(SessSettings.PAPER, p.name) for p in Space().parameters})


def test_the_space_of_graded_sess_lies_around_its_calibration() -> None:
    calibrated = GradedSettings(midpoint=0.6, scale=0.06, image_midpoint=0.65, image_scale=0.08)
    space = Space.graded(calibrated).narrowed(fixed={"gamma": 0.2})
    assert [p.name for p in space.parameters] == ["midpoint", "scale", "image_midpoint", "image_scale", "beta"]
    assert space.base == replace(calibrated, gamma=0.2)
    assert space.baseline == ("graded", calibrated)
    assert isinstance(space.draw(np.random.default_rng(0)), GradedSettings)
    assert 0 < space.units(calibrated).min() <= space.units(calibrated).max() < 1
    with pytest.raises(UsageError, match=r"among midpoint, .*found 'alpha'"):
        space.narrowed(vary=["alpha"])


def test_random_search_is_repeatable_and_a_longer_one_begins_with_a_shorter() -> None:
    space = Space().narrowed(vary=["alpha", "gamma"])
    short, long = (search(space, bowl, trials=n, seed=3) for n in (5, 12))
    assert long[:5] == short
    assert search(space, bowl, trials=5, seed=4) != short
    assert best(long).loss == min(one.loss for one in long)


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "qmc"])
def test_optunas_samplers_search_and_repeat(sampler: str) -> None:
    pytest.importorskip("optuna")
    space = Space().narrowed(vary=["alpha", "gamma", "iterations"])
    found = search(space, bowl, trials=30, sampler=sampler, seed=0)
    assert search(space, bowl, trials=30, sampler=sampler, seed=0) == found
    # thirty even draws leave about 1/30 of the unit square, so a squared distance near 0.01, to the nearest
    assert best(found).loss < 0.05
    assert all(isinstance(one.settings.iterations, int) for one in found)


def test_without_optuna_the_error_carries_the_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    there = builtins.__import__

    def absent(name: str, *args: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "optuna":
            raise ModuleNotFoundError(f"No module named {name!r}")
        return there(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MissingExtraError, match=r"pip install 'semetric\[learn\]'"):
        search(Space(), bowl, trials=1, sampler="tpe")


def test_a_search_whose_objective_is_never_defined_says_so() -> None:
    with pytest.raises(UsageError, match="every trial's was not"):
        best(search(Space(), lambda settings: float("inf"), trials=2))


def small() -> Judged:
    return Judged(
        keys=("x", "y", "z"),
        group=np.array([0, 0, 1]),
        share_b=np.array([1.0, 0.0, 0.5]),
        scores=np.array([0.2, 0.6, 0.9, 0.1, 0.5, 0.5]),
    )


def test_objectives_by_hand() -> None:
    scores = np.array([0.3, 0.6, 0.4, 0.4, 0.5, 0.7])
    judged = small()
    errors = (scores - np.array([0.2, 0.6, 0.9, 0.1, 0.5, 0.5])) ** 2
    mse = OBJECTIVES["mse"].losses(scores, judged, np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 1.0], [1.0, 3.0]]))
    assert mse == pytest.approx(
        [errors.mean(), errors[:4].mean(), errors[4:].mean(), (errors[:4].sum() + 3 * errors[4:].sum()) / 10]
    )
    # right; a tie, half; people undecided, half whatever the scores
    assert OBJECTIVES["2afc"].loss(scores, judged) == pytest.approx(1 - (1 + 0.5 + 0.5) / 3)
    assert OBJECTIVES["srcc"].loss(np.asarray(judged.scores), judged) == pytest.approx(0.0)
    assert OBJECTIVES["srcc"].loss(np.full(6, 0.5), judged) == float("inf")
    given = np.asarray(judged.scores)
    assert OBJECTIVES["mse+2afc"].loss(scores, judged) == pytest.approx(
        0.5 * errors.mean() / given.var() + 0.5 * (1 - 2 / 3)
    )
    only = np.array([False, True])
    assert OBJECTIVES["mse"].loss(scores, judged, only) == pytest.approx(errors[4:].mean())


def triplet(key: str, reference: str) -> Triplet:
    return Triplet(key=key, reference=reference, a=f"{key}a", b=f"{key}b")


def test_judgements_become_arrays() -> None:
    scored = [
        ScoredTriplet(triplet=triplet("x", "r"), score_a=0.2, score_b=0.7),
        ScoredTriplet(triplet=triplet("y", "s"), score_a=0.4, score_b=0.4),
        ScoredTriplet(triplet=triplet("z", "r"), score_a=0.9, score_b=0.1),
    ]
    found = judged_of(scored)
    assert found.group.tolist() == [0, 1, 0]
    assert found.share_b.tolist() == [1.0, 0.5, 0.0]
    assert found.scores is not None
    assert found.scores.tolist() == [0.2, 0.7, 0.4, 0.4, 0.9, 0.1]
    assert found.pair_group.tolist() == [0, 0, 1, 1, 0, 0]
    chosen = Choice(triplet=triplet("w", "r"), share_b=0.25)
    assert judged_of([chosen]).scores is None
    with pytest.raises(UsageError, match="found both"):
        judged_of([*scored, chosen])
    with pytest.raises(UsageError, match="found none"):
        judged_of([])


def test_folds_are_even_and_whole() -> None:
    number = fold_numbers(23, 5, np.random.default_rng(0))
    assert sorted(np.bincount(number).tolist()) == [4, 4, 5, 5, 5]


def test_influence_finds_the_parameter_that_decides() -> None:
    space = Space().narrowed(vary=["alpha", "beta", "gamma"])

    def loss(settings: SessSettings) -> float:
        return abs(settings.alpha - 0.4) + 0.2 * settings.gamma

    found = {one.name: one for one in influences(space, search(space, loss, trials=300))}
    assert found["alpha"].share > 0.7
    assert found["alpha"].share > 3 * found["gamma"].share > 3 * found["gamma"].chance
    assert found["beta"].share < 0.1
    assert influences(space, search(space, loss, trials=20)) == ()


def test_intervals_of_trials_hold_the_best_and_narrow_with_certainty(batch: PairBatch, judged: Judged) -> None:
    space = Space().narrowed(vary=["alpha", "gamma"])
    memo, aim = Memo(batch), OBJECTIVES["mse"]
    trials = search(space, lambda s: aim.loss(memo(s), judged), trials=60)
    alpha, gamma = from_trials(memo, space, trials, judged, aim)
    assert gamma.interval_95[0] <= 0.1 + 0.1  # sixty draws of a square lie about 0.1 apart
    assert gamma.determined
    assert alpha.interval_95[1] - alpha.interval_95[0] >= gamma.interval_95[1] - gamma.interval_95[0]
    assert best([Trial(number=0, settings=SessSettings(), loss=1.0)]).number == 0
