"""The bootstrap itself, and the average precision of "same"."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semetric.errors import UsageError
from semetric.learn.agreement import resampling
from semetric.learn.agreement.resampling import draws_of, estimate, interval_of, means, resampled_counts
from semetric.learn.agreement.same import average_precision
from semetric.results.statistics import bootstrap_mean

PAIRS = st.lists(st.tuples(st.integers(0, 6), st.sampled_from([0.0, 0.25, 0.5, 1.0])), min_size=1, max_size=25)


def by_hand(rows: list[tuple[float, float]], *, interpolated: bool) -> float:
    """Average precision, threshold by threshold, from its definition; the lowest distance first."""
    points = []
    total = sum(share for _, share in rows)
    for threshold in sorted({distance for distance, _ in rows}):
        called = [share for distance, share in rows if distance <= threshold]
        points.append((sum(called) / total, sum(called) / len(called)))
    found, before = 0.0, 0.0
    for place, (recall, precision) in enumerate(points):
        best = max(p for _, p in points[place:]) if interpolated else precision
        found += (recall - before) * best
        before = recall
    return found


@given(PAIRS, st.booleans(), st.randoms())
def test_average_precision_by_hand_in_any_order(
    rows: list[tuple[int, float]], interpolated: bool, random: object
) -> None:
    distances, shares = (np.array(one, np.float64) for one in zip(*rows, strict=True))
    found = average_precision(distances, shares, higher_is_better=False, interpolated=interpolated).value
    if shares.sum() == 0:
        assert found is None
        return
    # sums of at most 25 numbers in [0, 1]
    assert found == pytest.approx(by_hand(list(rows), interpolated=interpolated), abs=1e-13)
    order = np.random.default_rng(len(rows)).permutation(len(rows))
    again = average_precision(-distances[order], shares[order], higher_is_better=True, interpolated=interpolated)
    assert again.value == pytest.approx(found, abs=1e-13)


def test_average_precision_of_known_cases() -> None:
    same = [1.0, 1.0, 0.0, 0.0]
    assert average_precision([0.1, 0.2, 0.3, 0.4], same, higher_is_better=False).value == 1.0
    assert average_precision([0.1, 0.2, 0.3, math.inf], same, higher_is_better=True).value == pytest.approx(0.5)
    assert average_precision([1.0] * 4, same, higher_is_better=False).value == 0.5  # all tied: the share of "same"
    assert average_precision([], [], higher_is_better=False).value is None
    with pytest.raises(UsageError, match=r"in \[0, 1\]"):
        average_precision([1.0], [2.0], higher_is_better=False)
    with pytest.raises(UsageError, match="without NaN"):
        average_precision([math.nan], [1.0], higher_is_better=False)


@given(PAIRS)
def test_a_resample_is_the_average_precision_of_the_drawn_pairs(rows: list[tuple[int, float]]) -> None:
    distances, shares = (np.array(one, np.float64) for one in zip(*rows, strict=True))
    measured = average_precision(distances, shares, higher_is_better=False)
    counts = next(iter(resampled_counts(len(rows), resamples=4)))
    for row, value in zip(counts.astype(int), measured.resampled(counts), strict=True):
        drawn = average_precision(np.repeat(distances, row), np.repeat(shares, row), higher_is_better=False).value
        assert (drawn is None and math.isnan(value)) or value == pytest.approx(drawn, abs=1e-13)


def test_counts_are_draws_and_the_seed_decides() -> None:
    one, two, other = (np.concatenate(list(resampled_counts(7, resamples=50, seed=seed))) for seed in (3, 3, (3, 1)))
    assert one.shape == (50, 7)
    assert (one.sum(axis=1) == 7).all()
    assert (one == two).all()
    assert (one != other).any()
    for n, resamples in ((0, 1), (1, 0)):
        with pytest.raises(UsageError, match="at least 1"):
            next(resampled_counts(n, resamples=resamples))


def test_chunks_leave_the_draws_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(resampled_counts(9, resamples=40)))
    monkeypatch.setattr(resampling, "_CELLS", 30)
    assert (np.concatenate(list(resampled_counts(9, resamples=40))) == whole).all()


def test_means_have_the_interval_of_runs() -> None:
    numbers = np.random.default_rng(0).normal(size=120)
    ours = estimate(means(numbers)).interval_95
    theirs = bootstrap_mean(numbers)
    assert ours is not None
    assert theirs is not None
    # other draws of the same 2000 resamples: a quantile's own error is about 4% of the interval's width
    assert ours == pytest.approx(theirs, abs=0.15 * (theirs[1] - theirs[0]))


def test_many_items_take_the_normal_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = means(np.random.default_rng(0).normal(size=3000))
    exact = draws_of(measured)
    monkeypatch.setattr(resampling, "LARGE", 1000)
    normal = draws_of(measured)
    assert normal.std() == pytest.approx(exact.std(), rel=0.08)  # 2000 draws know it to 1.6% each
    assert normal.mean() == pytest.approx(exact.mean(), abs=0.1 * exact.std())


def test_undefined_resamples() -> None:
    assert interval_of(np.array([0.0, 1.0, np.nan])) is None
    assert interval_of(np.append(np.linspace(0, 1, 99), np.nan)) == pytest.approx((0.025, 0.975))
    assert interval_of(np.full(9, np.nan)) is None
    assert estimate(means(np.empty(0))).to_dict() == {
        "value": None,
        "interval_95": None,
        "n": 0,
        "left_out": 0,
        "note": "",
    }
