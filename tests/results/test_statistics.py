from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semetric.errors import UsageError
from semetric.results import statistics
from semetric.results.statistics import bootstrap_mean, describe, pearson, sign_test

SCORES = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30)


@settings(deadline=None)  # on a busy machine
@given(SCORES)
def test_the_interval_lies_within_the_scores(values: list[float]) -> None:
    low, high = bootstrap_mean(values, resamples=50) or (math.nan, math.nan)
    assert min(values) <= low <= high <= max(values)


@settings(deadline=None)  # on a busy machine
@given(SCORES)
def test_the_interval_is_the_same_each_time(values: list[float]) -> None:
    assert bootstrap_mean(values, resamples=50) == bootstrap_mean(np.array(values), resamples=50)


@settings(deadline=None)  # on a busy machine
@given(st.lists(st.integers(-100, 100), min_size=2, max_size=30), st.integers(-5, 5), st.integers(1, 4))
def test_the_interval_moves_and_scales_with_the_scores(values: list[int], shift: int, scale: int) -> None:
    one, two = bootstrap_mean([float(v) for v in values]), bootstrap_mean([float(v * scale + shift) for v in values])
    assert one is not None
    assert two is not None
    # sums of such integers are exact; means and quantiles round in the last of 53 bits, of values up to 405
    assert two == pytest.approx([bound * scale + shift for bound in one], abs=1e-12 * 405)


def test_equal_scores_have_no_width() -> None:
    assert bootstrap_mean([0.1] * 9) == (0.1, 0.1)


def test_one_score_has_no_interval() -> None:
    assert bootstrap_mean([1.0]) is None
    assert bootstrap_mean([]) is None


def test_the_interval_is_the_normal_one_for_many_scores() -> None:
    x = np.random.default_rng(1).exponential(size=2000)
    half = 1.96 * x.std(ddof=1) / math.sqrt(x.size)
    # 2000 resamples give a 2.5% quantile to 0.06 standard errors (sqrt(p q / B) / density at 1.96) = 3% of the half
    # width; the skewness of the mean, 2 / sqrt(2000), shifts it by another 2%; three times both is 15%
    assert bootstrap_mean(x) == pytest.approx((x.mean() - half, x.mean() + half), abs=0.15 * half)


def test_the_interval_covers_the_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(400):
        low, high = bootstrap_mean(rng.normal(size=40), resamples=400) or (0.0, 0.0)
        hits += low <= 0 <= high
    # 95% less about 1.5% for n = 40 (percentile intervals are narrow); the standard error of 400 trials is 1.2%
    assert 0.89 <= hits / 400 <= 0.98


def test_chunks_of_draws_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(3).normal(size=64)
    whole = bootstrap_mean(x)
    monkeypatch.setattr(statistics, "_DRAWS", 64 * 7)
    assert bootstrap_mean(x) == whole


def test_very_many_scores_take_the_normal_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(4).normal(size=3000)
    drawn = bootstrap_mean(x)
    monkeypatch.setattr(statistics, "LARGE", 2999)
    normal = bootstrap_mean(x)
    assert drawn != normal
    # as above, without skewness: 3% of the half width, three times
    assert drawn == pytest.approx(normal, abs=0.1 * 1.96 / math.sqrt(3000))


def test_a_description_by_hand() -> None:
    description = describe([4.0, 1.0, math.nan, 2.0, math.inf, 3.0])
    assert [description[name] for name in ("n", "mean", "min", "max", "infinite", "errors")] == [4, 2.5, 1.0, 4.0, 1, 1]
    assert description["std"] == pytest.approx(math.sqrt(5 / 3), rel=1e-15)  # one rounding
    quantiles = {"0.05": 1.15, "0.25": 1.75, "0.5": 2.5, "0.75": 3.25, "0.95": 3.85}
    assert description["quantiles"] == pytest.approx(quantiles, rel=1e-15)
    assert tuple(description["mean_interval_95"]) == bootstrap_mean([4.0, 1.0, 2.0, 3.0])


def test_no_score_and_one_score_are_described() -> None:
    assert describe([]) == {
        "n": 0, "mean": None, "mean_interval_95": None, "std": None, "min": None, "quantiles": None, "max": None,
        "infinite": 0, "errors": 0,
    }  # fmt: skip
    assert (describe([2.0])["mean"], describe([2.0])["std"]) == (2.0, None)


@pytest.mark.parametrize("values", [[math.inf, 1.0], [math.nan], [[1.0]]])
def test_only_lists_of_finite_scores_are_taken(values: list[float]) -> None:
    with pytest.raises(UsageError, match="finite"):
        bootstrap_mean(values)


def test_resamples_are_counted() -> None:
    with pytest.raises(UsageError, match="at least 1 resample"):
        bootstrap_mean([1.0, 2.0], resamples=0)


@pytest.mark.parametrize(
    ("wins", "losses", "p"),
    [(5, 0, 2 / 32), (0, 5, 2 / 32), (4, 1, 12 / 32), (3, 3, 1.0), (9, 1, 22 / 1024), (1, 0, 1.0)],
)
def test_the_sign_test_is_a_sum_of_binomials(wins: int, losses: int, p: float) -> None:
    assert sign_test(wins, losses) == pytest.approx(p, rel=1e-12)  # scipy's beta function


def test_ties_alone_decide_nothing() -> None:
    assert sign_test(0, 0) is None


FINITE = st.floats(-1e6, 1e6)


@given(st.lists(st.tuples(FINITE, FINITE), min_size=3, max_size=40))
def test_pearson_is_numpys(pairs: list[tuple[float, float]]) -> None:
    x, y = (np.array(side) for side in zip(*pairs, strict=True))
    r = pearson(x, y)
    if r is None:
        return  # one side does not vary; the next test names the cases
    assert -1 <= r <= 1
    if min(np.ptp(x), np.ptp(y)) > 1e-3:  # numpy divides by variances that underflow or round for less
        # both lose digits of the means, of which the values are up to 1e6 / 1e-3 times the spread
        assert r == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-5)


def test_pearson_needs_three_pairs_that_vary() -> None:
    line = np.arange(5.0)
    assert pearson(line, 3 - 2 * line) == pytest.approx(-1)
    assert pearson(line[:2], line[:2]) is None
    assert pearson(line, np.full(5, 0.1) + 1e-17) is None
    assert pearson(np.ones(5), line) is None
    holed = np.array([0, 1, math.inf, math.nan, 4])
    assert pearson(line, holed) == pytest.approx(1)
