from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semetric.errors import UsageError
from semetric.learn.agreement.choices import (
    odd_one_out,
    odd_one_out_credits,
    two_alternative,
    two_alternative_ceiling,
    two_alternative_credits,
)

SCORES = st.floats(-1e6, 1e6) | st.sampled_from([math.inf, 0.0, 1.0])
TRIPLETS = st.lists(st.tuples(SCORES, SCORES, st.floats(0, 1)), min_size=1, max_size=40)


@given(TRIPLETS)
def test_it_is_the_formula_of_bapps(rows: list[tuple[float, float, float]]) -> None:
    d0, d1, j = map(np.array, zip(*rows, strict=True))
    expected = ((d0 < d1) * (1 - j) + (d1 < d0) * j + 0.5 * (d0 == d1)).tolist()
    found = two_alternative_credits(d0, d1, j, higher_is_better=False)
    # 0.5 ± (j − 0.5) rounds once where 1 − j does not
    assert found.tolist() == pytest.approx(expected, abs=2e-16)
    measured = two_alternative(d0, d1, j, higher_is_better=False)
    assert measured.value == pytest.approx(np.mean(expected), abs=1e-15)
    ceiling = two_alternative_ceiling(j)
    assert ceiling is not None
    assert measured.value is not None
    assert measured.value <= ceiling + 1e-15


@given(TRIPLETS)
def test_directions_mirror_each_other(rows: list[tuple[float, float, float]]) -> None:
    a, b, share = map(np.array, zip(*rows, strict=True))
    up = two_alternative_credits(a, b, share, higher_is_better=True)
    np.testing.assert_array_equal(up, two_alternative_credits(-a, -b, share, higher_is_better=False))
    np.testing.assert_allclose(up, two_alternative_credits(b, a, 1 - share, higher_is_better=True), atol=2e-16)


def test_majorities_draws_and_infinities() -> None:
    a, b = [1.0, 2.0, 3.0, math.inf, math.inf], [2.0, 1.0, 3.0, math.inf, 1.0]
    share = [0.9, 0.9, 0.9, 0.9, 0.5]
    found = two_alternative_credits(a, b, share, higher_is_better=True, majority=True)
    assert found.tolist() == [1.0, 0.0, 0.5, 0.5, 0.5]
    assert two_alternative_ceiling(share, majority=True) == 0.9
    assert two_alternative_ceiling(share) == pytest.approx(0.82)
    assert two_alternative_ceiling([]) is None
    assert two_alternative([], [], [], higher_is_better=True).value is None


def test_bad_choices() -> None:
    with pytest.raises(UsageError, match="one length"):
        two_alternative([1.0], [1.0, 2.0], [0.0, 1.0], higher_is_better=True)
    with pytest.raises(UsageError, match="NaN"):
        two_alternative([math.nan], [1.0], [0.0], higher_is_better=True)
    with pytest.raises(UsageError, match=r"in \[0, 1\]"):
        two_alternative([1.0], [1.0], [1.1], higher_is_better=True)


def test_the_odd_one_lies_outside_the_closest_pair() -> None:
    #  pairs without image 0, 1, 2
    pairs = [[0.9, 0.1, 0.2], [0.9, 0.1, 0.2], [0.5, 0.5, 0.1], [0.5, 0.5, 0.1], [0.3, 0.3, 0.3]]
    odd = [0, 1, 0, 2, 1]
    expected = [1.0, 0.0, 0.5, 0.0, 1 / 3]
    assert odd_one_out_credits(pairs, odd, higher_is_better=True).tolist() == expected
    assert odd_one_out(np.negative(pairs), odd, higher_is_better=False).value == pytest.approx(np.mean(expected))
    assert odd_one_out(np.empty((0, 3)), np.empty(0), higher_is_better=True).value is None
    for wrong in ([[0.1, 0.2]], [[math.nan, 0.0, 1.0]]):
        with pytest.raises(UsageError, match="3"):
            odd_one_out(wrong, [0], higher_is_better=True)
    with pytest.raises(UsageError, match="0, 1 or 2"):
        odd_one_out([[0.1, 0.2, 0.3]], [3], higher_is_better=True)
