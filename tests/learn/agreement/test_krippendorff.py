"""Krippendorff's alpha against the worked examples of "Computing Krippendorff's Alpha-Reliability" (2011)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semetric.errors import UsageError
from semetric.learn.agreement.krippendorff import krippendorff_alpha

_ = np.nan
FOUR_OBSERVERS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
        [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
    ]
)
MEG_OWEN = np.array([[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]])
BEN_GERRY = np.array([[1, 1, 2, 2, 4, 3, 3, 3, 5, 4, 4, 1], [2, 1, 2, 2, 2, 3, 3, 3, 5, 4, 4, 4]])


@pytest.mark.parametrize(
    ("ratings", "level", "published"),
    [
        (MEG_OWEN, "nominal", 0.095),  # section A
        (BEN_GERRY, "nominal", 0.692),  # section B
        (FOUR_OBSERVERS, "nominal", 0.743),  # section C
        (FOUR_OBSERVERS, "ordinal", 0.815),  # section D
        (FOUR_OBSERVERS, "interval", 0.849),
    ],
)
def test_published_examples(ratings: np.ndarray, level: str, published: float) -> None:
    # the paper prints three decimals
    assert krippendorff_alpha(ratings, level) == pytest.approx(published, abs=6e-4)


def by_pairs(ratings: np.ndarray, squared: bool) -> float:
    """The definition, pair by pair."""
    columns = [column[~np.isnan(column)] for column in ratings.T]
    columns = [column for column in columns if column.size >= 2]
    values = np.concatenate(columns)

    def differences(x: np.ndarray) -> float:
        d = x[:, None] - x[None, :]
        return float((d**2 if squared else d != 0).sum())

    observed = sum(differences(c) / (c.size - 1) for c in columns) / values.size
    return 1 - observed / (differences(values) / (values.size * (values.size - 1)))


@given(
    st.integers(2, 5).flatmap(
        lambda raters: st.lists(
            st.lists(st.sampled_from([0.0, 0.25, 1.0, np.nan]), min_size=raters, max_size=raters),
            min_size=2,
            max_size=12,
        )
    ),
    st.booleans(),
)
def test_it_is_the_sum_over_pairs(units: list[list[float]], squared: bool) -> None:
    ratings = np.array(units).T
    alpha = krippendorff_alpha(ratings, "interval" if squared else "nominal")
    pairable = ratings[:, (~np.isnan(ratings)).sum(axis=0) >= 2]
    if np.unique(pairable[~np.isnan(pairable)]).size < 2:
        assert math.isnan(alpha)
    else:
        assert alpha == pytest.approx(by_pairs(ratings, squared), abs=1e-9)  # rounding of short float64 sums


def test_values_far_from_zero_lose_no_digits() -> None:
    near = krippendorff_alpha(FOUR_OBSERVERS, "interval")
    # 1e9 leaves seven digits of the ratings' differences, which are whole numbers
    assert krippendorff_alpha(FOUR_OBSERVERS + 1e9, "interval") == pytest.approx(near, abs=1e-6)


def test_perfect_agreement_is_one_and_opposition_is_below_zero() -> None:
    assert krippendorff_alpha([[0, 1, 1], [0, 1, 1]]) == 1
    assert krippendorff_alpha([[0, 1], [1, 0]]) < 0


@pytest.mark.parametrize("ratings", [np.full((2, 3), np.nan), [[1.0, np.nan], [np.nan, 2.0]], [[3, 3], [3, 3]]])
def test_where_it_is_not_defined_it_is_nan(ratings: object) -> None:
    assert math.isnan(krippendorff_alpha(ratings))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ratings", "level", "words"),
    [([1, 2], "nominal", "shape"), ([[1, np.inf], [1, 2]], "nominal", "infinite"), ([[1], [1]], "ratio", "level")],
)
def test_bad_input_is_named(ratings: object, level: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        krippendorff_alpha(ratings, level)  # type: ignore[arg-type]
