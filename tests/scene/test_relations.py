from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semetric.errors import UsageError
from semetric.scene.relations import Triplets, relation_matrix, select


def table(n: int, **entries: float) -> np.ndarray:
    """(56, n, n) with p<predicate>_<subject>_<object> = probability."""
    p = np.zeros((56, n, n))
    for name, value in entries.items():
        r, s, o = map(int, name[1:].split("_"))
        p[r, s, o] = value
    return p


def test_ranks_by_probability():
    found = select(table(3, p3_0_1=0.4, p7_2_1=0.9, p0_1_0=0.2))
    np.testing.assert_array_equal(found.triplets, [[2, 1, 7], [0, 1, 3], [1, 0, 0]])
    np.testing.assert_array_equal(found.probabilities, [0.9, 0.4, 0.2])
    np.testing.assert_array_equal(found.pairs, [[2, 1], [0, 1], [1, 0]])
    np.testing.assert_array_equal(found.predicates, [7, 3, 0])
    assert len(found) == 3
    matrix = relation_matrix(3, found)
    assert matrix.tolist() == [[-1, 3, -1], [0, -1, -1], [-1, 7, -1]]


def test_one_predicate_a_directed_pair():
    found = select(table(2, p3_0_1=0.4, p7_0_1=0.9, p7_1_0=0.1))
    np.testing.assert_array_equal(found.triplets, [[0, 1, 7], [1, 0, 7]])


def test_twenty_whatever_their_probability_then_above_the_threshold():
    n = 12
    p = np.zeros((56, n, n))
    off = [(i, j) for i in range(n) for j in range(n) if i != j]
    for rank, (i, j) in enumerate(off[:60]):
        p[5, i, j] = 0.9 - 0.014 * rank  # from 0.9 down to 0.074
    assert len(select(p)) == 60
    assert len(select(p, threshold=0.5)) == 29
    assert len(select(p * 0.01)) == 20  # all below the threshold
    assert len(select(np.where(p > 0, 0.5, 0.0), limit=30)) == 30
    everything = np.full((56, n, n), 0.7)
    kept = select(everything)
    # all 7,392 tie: the first predicate's 100 pairs in order, no two alike
    assert len(kept) == 100
    assert kept.predicates.tolist() == [0] * 100
    assert kept.pairs.tolist() == [list(pair) for pair in off[:100]]


def test_the_second_predicate_takes_a_place():
    n = 30
    p = np.zeros((56, n, n))
    p[0, 0, 1:] = 0.9
    p[1, 0, 1:] = 0.8
    assert len(select(p, limit=40)) == 29  # 58 triplets, 40 of them ranked, 29 pairs
    assert len(select(p, top=10, limit=10)) == 10


def test_the_diagonal_and_zero_never_count():
    p = np.zeros((56, 3, 3))
    p[:, range(3), range(3)] = 1
    assert len(select(p)) == 0
    assert relation_matrix(3, select(p)).tolist() == [[-1] * 3] * 3
    for n in (0, 1):
        none = select(np.ones((56, n, n)))
        assert none.triplets.shape == (0, 3)
        assert relation_matrix(n, none).shape == (n, n)


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 7),
    levels=st.integers(1, 50),
    limit=st.integers(1, 40),
)
def test_equals_a_plain_sort(seed, n, levels, limit):
    rng = np.random.default_rng(seed)
    p = rng.integers(0, levels + 1, (5, n, n)) / levels / 4
    ranked = sorted(
        (-p[r, s, o], r, s, o) for r in range(5) for s in range(n) for o in range(n) if s != o and p[r, s, o] > 0
    )[:limit]
    expected, seen = [], set()
    for rank, (minus, r, s, o) in enumerate(ranked):
        if (rank < 20 or -minus >= 0.05) and (s, o) not in seen:
            seen.add((s, o))
            expected.append([s, o, r])
    assert select(p, limit=limit).triplets.tolist() == expected


def test_renumbered():
    found = select(table(6, p3_0_4=0.4, p7_4_2=0.9))
    kept = np.unique(found.pairs)
    assert kept.tolist() == [0, 2, 4]
    few = found.renumbered(kept)
    assert few.triplets.tolist() == [[2, 1, 7], [0, 2, 3]]
    assert few.probabilities.tolist() == [0.9, 0.4]
    assert found.renumbered(np.array([0, 4])).triplets.tolist() == [[0, 1, 3]]
    empty = Triplets(triplets=np.zeros((0, 3), np.int64), probabilities=np.zeros(0))
    assert len(empty.renumbered(np.arange(3))) == 0
    with pytest.raises(UsageError, match="ascending"):
        found.renumbered(np.array([4, 0]))


@pytest.mark.parametrize(
    ("p", "words"),
    [
        (np.zeros((56, 3)), "shape"),
        (np.zeros((56, 3, 2)), "shape"),
        (table(2, p0_0_1=1.2), "0, 1"),
        (table(2, p0_0_1=-0.1), "0, 1"),
        (table(2, p0_0_1=np.nan), "NaN"),
    ],
)
def test_bad_probabilities(p, words):
    with pytest.raises(UsageError, match=words):
        select(p)
