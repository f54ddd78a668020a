from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semetric.errors import UsageError
from semetric.learn.relation_head.examples import Example
from semetric.learn.relation_head.recall import AT, found_within, hits, rank, summarise
from semetric.scene.predicates import PREDICATES
from semetric.scene.relations import select


def example(relations: list[tuple[int, int, int]], n: int = 3, lost: tuple[int, ...] = (), key: str = "a") -> Example:
    return Example(
        key=key,
        tokens=np.zeros((n, 256), np.float32),
        matched=np.arange(n),
        relations=np.array(relations, np.int64).reshape(-1, 3),
        annotated=len(relations) + len(lost),
        segments=n,
        lost=np.array(lost, np.int64),
        coded=None,
        size=(4, 4),
    )


def test_places_are_counted_by_hand() -> None:
    values = np.zeros((2, 2, 2))
    values[0, 0, 1], values[1, 0, 1], values[1, 1, 0], values[0, 0, 0] = 0.9, 0.8, 0.85, 1.0
    free = rank(values)
    assert (free[0, 0, 1], free[1, 1, 0], free[1, 0, 1]) == (0, 1, 2)
    assert free[0, 1, 0] == free[0, 0, 0] == 8  # a probability of 0, and the diagonal, have no place
    held = rank(values, constrained=True)
    assert (held[0, 0, 1], held[1, 1, 0], held[1, 0, 1]) == (0, 1, 8)
    assert found_within(values, np.array([[0, 1, 1]])).tolist() == [2]


def test_what_no_mask_shows_is_missed() -> None:
    values = np.zeros((56, 3, 3))
    values[3, 0, 1] = 0.5
    counted = hits([example([(0, 1, 3)], lost=(3, 7))], [values])
    assert counted.recalls().tolist() == [[1 / 3] * 3]
    assert counted.of_predicates(0) == {
        PREDICATES[3]: {"recall": 0.5, "relations": 2},
        PREDICATES[7]: {"recall": 0.0, "relations": 1},
    }
    assert counted.mean_recall(0).value == pytest.approx(0.25)


def test_k_is_a_limit() -> None:
    rng = np.random.default_rng(0)
    values = rng.random((56, 6, 6))
    places = rank(values)
    at = {limit: np.argwhere(places == limit - 1)[0] for limit in (20, 21, 50, 51, 100, 101)}
    triplets = [(int(s), int(o), int(p)) for p, s, o in at.values()]
    counted = hits([example(triplets, n=6)], [values])
    np.testing.assert_allclose(counted.recalls(), [[1 / 6, 3 / 6, 5 / 6]])


def test_mean_recall_weighs_predicates_alike() -> None:
    right, wrong = np.zeros((56, 3, 3)), np.zeros((56, 3, 3))
    right[0, 0, 1] = right[0, 0, 2] = right[0, 1, 2] = 0.9
    examples = [example([(0, 1, 0), (0, 2, 0), (1, 2, 0)]), example([(0, 1, 5)])]
    counted = hits(examples, [right, wrong])
    assert counted.mean_recall(0).value == pytest.approx(0.5)  # 1 of predicate 0, 0 of predicate 5
    drawn = counted.mean_recall(0).resampled(np.array([[2.0, 0.0], [1.0, 1.0]]))
    np.testing.assert_allclose(drawn, [1.0, 0.5])  # without the second image there is no predicate 5


def test_the_summary_has_intervals_and_differences() -> None:
    rng = np.random.default_rng(1)
    examples = [example([(0, 1, int(rng.integers(56)))], key=str(i)) for i in range(12)]
    good, bad = [], []
    for one in examples:
        values = np.full((56, 3, 3), 0.1)
        values[one.relations[0, 2], 0, 1] = 0.9
        good.append(values)
        bad.append(1 - values)
    document = summarise({"good": hits(examples, good), "bad": hits(examples, bad)}, resamples=200)
    assert (document["images"], document["relations"]) == (12, 12)
    for limit in map(str, AT):
        assert document["methods"]["good"]["recall"][limit]["value"] == 1.0
        assert document["methods"]["bad"]["recall"][limit]["value"] == 0.0
        assert document["differences"]["bad"][limit] | {"note": ""} == {
            "value": 1.0,
            "interval_95": [1.0, 1.0],
            "n": 12,
            "left_out": 0,
            "note": "",
        }


@pytest.mark.parametrize("values", [np.zeros((2, 3)), np.zeros((2, 3, 4)), np.full((1, 2, 2), np.nan)])
def test_what_is_no_probability_is_refused(values: np.ndarray) -> None:
    with pytest.raises(UsageError, match="probabilities"):
        rank(values)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_the_order_is_that_of_scene_graphs(n: int, seed: int) -> None:
    values = np.random.default_rng(seed).random((56, n, n)).round(2)  # rounded, so that there are ties
    chosen = select(values, top=20, limit=20)
    places = rank(values)
    found = places[chosen.predicates, chosen.pairs[:, 0], chosen.pairs[:, 1]]
    assert (np.diff(found) > 0).all()
    assert (found < 20).all()
