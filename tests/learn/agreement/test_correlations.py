from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from semetric.errors import UsageError
from semetric.learn.agreement import correlations
from semetric.learn.agreement.correlations import krcc, plcc, srcc
from semetric.learn.agreement.resampling import Measured, draws_of, estimate, resampled_counts

PAIRS = st.lists(st.tuples(st.integers(-20, 20), st.integers(1, 9)), min_size=2, max_size=40)


def drawn(n: int, seed: int = 0, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and opinions with ties."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return x, np.round(x + noise * rng.normal(size=n), 1)


@given(PAIRS)
def test_ranks_agree_with_scipy(rows: list[tuple[int, int]]) -> None:
    x, y = (np.array(one, np.float64) for one in zip(*rows, strict=True))
    ours = srcc(x, y, higher_is_better=True).value, krcc(x, y, higher_is_better=True).value
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert ours == (None, None)
        return
    # sums of at most 40 numbers below 40²: a few units of float64's last place
    assert ours[0] == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-13)
    assert ours[1] == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-13)


@given(PAIRS)
def test_rising_transformations_leave_ranks(rows: list[tuple[int, int]]) -> None:
    x, y = (np.array(one, np.float64) for one in zip(*rows, strict=True))
    for measure in (srcc, krcc):
        value = measure(x, y, higher_is_better=True).value
        assert measure(np.exp(x / 5) + x, y**3, higher_is_better=True).value == value
        turned = measure(-x, y, higher_is_better=True).value
        assert turned == (None if value is None else pytest.approx(-value, abs=1e-15))
        assert measure(-x, y, higher_is_better=False).value == value


def test_infinities_have_ranks() -> None:
    x, y = [1.0, math.inf, 0.5, math.inf, -math.inf], [2.0, 5.0, 1.0, 5.0, 0.0]
    assert srcc(x, y, higher_is_better=True).value == pytest.approx(1.0, abs=1e-15)
    assert krcc(x, y, higher_is_better=True).value == pytest.approx(1.0, abs=1e-15)
    measured = plcc(x, y, higher_is_better=True)
    assert measured.left_out == 3


def test_large_sets_agree_with_scipy_too() -> None:
    x, y = drawn(1500)  # above EXACT_KENDALL, and several blocks of signs
    assert krcc(x, y, higher_is_better=True).value == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)
    flat = krcc(np.zeros(1500), y, higher_is_better=True)
    assert flat.value is None


@pytest.mark.parametrize("name", ["srcc", "krcc", "plcc"])
def test_a_resample_is_the_measure_of_the_drawn_items(name: str) -> None:
    x, y = drawn(30)
    measured = getattr(correlations, name)(x, y, higher_is_better=True)
    counts = next(iter(resampled_counts(30, resamples=20, seed=5)))
    found = measured.resampled(counts)
    for row, value in zip(counts.astype(int), found, strict=True):
        one, two = np.repeat(x, row), np.repeat(y, row)
        if name == "plcc":  # the curve keeps its first fit
            fitted = correlations.fit_logistic(x, y)
            expected = stats.pearsonr(fitted(one), two).statistic
        else:
            expected = (stats.spearmanr if name == "srcc" else stats.kendalltau)(one, two).statistic
        assert value == pytest.approx(expected, abs=1e-12)  # other sums of the same 30 numbers


def test_linearised_resamples_of_kendall_agree_with_exact_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = drawn(400)
    exact = draws_of(krcc(x, y, higher_is_better=True), resamples=400)
    monkeypatch.setattr(correlations, "EXACT_KENDALL", 10)
    linear = draws_of(krcc(x, y, higher_is_better=True), resamples=400)
    # the same resamples: to first order in 1/√n they are equal; 0.02 is the standard error here
    assert np.std(linear) == pytest.approx(np.std(exact), rel=0.05)
    assert np.corrcoef(linear, exact)[0, 1] > 0.99


def test_units_are_drawn_together() -> None:
    x, y = drawn(40)
    units = np.repeat(np.arange(20), 2)
    measured = srcc(x, y, higher_is_better=True, units=units)
    assert measured.n == 20
    counts = next(iter(resampled_counts(20, resamples=5)))
    whole = srcc(x, y, higher_is_better=True)
    np.testing.assert_array_equal(measured.resampled(counts), whole.resampled(np.repeat(counts, 2, axis=1)))


def test_intervals_hold_what_is_true() -> None:
    """Of 60 sets with a known correlation nearly all intervals hold it: fewer than 50 would be beyond chance."""
    rho = 0.6
    truth = 6 / np.pi * np.arcsin(rho / 2)  # Spearman's of a bivariate normal (Kruskal 1958)
    inside = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=200)
        y = rho * x + np.sqrt(1 - rho**2) * rng.normal(size=200)
        low, high = estimate(srcc(x, y, higher_is_better=True), resamples=300, seed=seed).interval_95 or (1.0, 0.0)
        inside += low <= truth <= high
    assert 50 <= inside <= 60  # P(fewer than 50 of 60 at 0.93 or more) is below 0.4%


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.sampled_from([4, 5]))
def test_plcc_sees_through_a_logistic_curve(seed: int, form: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.uniform(-4, 4, 80)
    y = 1 + 4 / (1 + np.exp(-(x - 0.5) / 0.6))
    found = plcc(x * 7 - 30, y, higher_is_better=True, form=form)  # type: ignore[arg-type]
    assert found.note == ""
    assert found.value == pytest.approx(1.0, abs=1e-4)  # where the solver's relative tolerance of 1e-8 ends
    assert found.value > stats.pearsonr(x, y).statistic


def test_plcc_is_no_worse_than_the_line_and_knows_the_direction() -> None:
    x, y = drawn(300)
    up = plcc(x, y, higher_is_better=True).value
    down = plcc(-x, y, higher_is_better=False).value
    assert up == down
    assert up is not None
    assert up >= stats.pearsonr(x, y).statistic - 1e-6  # the line is a limit of the curve
    wrong = plcc(-x, y, higher_is_better=True).value  # a rising curve cannot follow falling opinions
    assert wrong is None or wrong < 0.2


def test_few_points_and_constants() -> None:
    few = plcc([1.0, 2.0, 3.0], [1.0, 2.0, 4.0], higher_is_better=True)
    assert few.value == pytest.approx(stats.pearsonr([1, 2, 3], [1, 2, 4]).statistic, abs=1e-12)
    assert "3 points are too few" in few.note
    flat = plcc(np.ones(9), np.arange(9.0), higher_is_better=True)
    assert (flat.value, flat.note) == (None, "all scores are equal: nothing was fitted")
    assert plcc(np.arange(9.0), np.ones(9), higher_is_better=True).value is None
    for measure in (srcc, krcc, plcc):
        assert measure([], [], higher_is_better=True).value is None
        assert estimate(measure([1.0], [1.0], higher_is_better=True)).interval_95 is None


def test_bad_ratings() -> None:
    for scores, opinions in (([1.0], [1.0, 2.0]), ([math.nan], [1.0]), ([1.0], [math.inf])):
        with pytest.raises(UsageError):
            srcc(scores, opinions, higher_is_better=True)
    with pytest.raises(UsageError, match="4 or 5"):
        plcc([1.0], [1.0], higher_is_better=True, form=3)  # type: ignore[arg-type]


@pytest.mark.parametrize("measure", [srcc, krcc, plcc])
def test_what_is_undefined_says_why(measure: Callable[..., Measured]) -> None:
    some, flat = np.arange(6.0), np.full(6, 3.0)
    for scores, opinions, why in [
        (flat, some, "all scores are equal"),
        (np.full(6, np.inf), some, "all scores are equal|all are infinite"),
        (some, flat, "all opinions are equal"),
        (some[:1], some[:1], "equal|one item"),
    ]:
        found = measure(scores, opinions, higher_is_better=True)
        assert found.value is None
        assert re.search(why, found.note)
    assert measure(some, some[::-1].copy(), higher_is_better=False).value == pytest.approx(1.0)
