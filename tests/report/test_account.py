from __future__ import annotations

import numpy as np
import pytest
from fake_graphs import discs, quarrel, sess_score
from hypothesis import given, settings
from hypothesis import strategies as st

from semetric.report.account import LEAST_SHARE, Account, account_of
from semetric.scene.graph import SceneGraph
from semetric.scene.matching import Matching


def taken_apart(one: SceneGraph, two: SceneGraph) -> tuple[Matching, Account]:
    matching = sess_score(one, two).artefacts["matching"]
    return matching, account_of(matching)


@settings(max_examples=25, deadline=None)  # some compile
@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 1000))
def test_losses_add_up_to_what_is_missing(n: int, m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, two = discs(n, (20, 30), seed), discs(m, (20, 30), seed + 1)
    two.features[:] += rng.normal(size=two.features.shape)
    matching, account = taken_apart(one, two)
    gone = account.lost[0].sum() + account.lost[1].sum() + account.image_lost
    # sums of at most 25 numbers below 2
    assert gone == pytest.approx(1 - matching.score, abs=1e-12)
    assert account.stakes[0].sum() + account.stakes[1].sum() + account.gamma == pytest.approx(1, abs=1e-12)
    graph = (1 - account.gamma) * account.graph_score
    assert graph + account.gamma * account.image_similarity == pytest.approx(matching.score, abs=1e-12)
    assert account.kept[0].sum() + account.kept[1].sum() == pytest.approx(graph, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 1000))
def test_what_is_kept_is_what_the_pairs_add(n: int, m: int, seed: int) -> None:
    matching, account = taken_apart(discs(n, (20, 30), seed), discs(m, (20, 30), seed + 1))
    for (i, j), adds in zip(matching.pairs.tolist(), matching.contributions, strict=True):
        by_first = account.kept[0][i] if account.partners[0][i] == j else 0.0
        by_second = account.kept[1][j] if account.partners[1][j] == i else 0.0
        assert by_first + by_second == pytest.approx(adds, abs=1e-12)


def test_an_object_that_is_left_over_has_no_counterpart() -> None:
    matching, account = taken_apart(*quarrel())
    assert matching.partners[0].tolist() == [0, 1]
    assert matching.partners[1].tolist() == [1, 0]
    assert account.counterparts.tolist() == [[1, 0]]
    assert account.match(0) == [None, 0]
    assert account.match(1) == [1, None]
    assert account.partners[0].tolist() == [0, 1]  # what the sum counts it with is kept apart
    assert account.alone(0, np.array([0.6, 0.4])) == [0]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 1000))
def test_matches_are_the_choice_that_adds_most(n: int, m: int, seed: int) -> None:
    one, two = discs(n, (20, 30), seed), discs(m, (20, 30), seed + 1)
    two.features[:] += np.random.default_rng(seed).normal(size=two.features.shape)
    matching, account = taken_apart(one, two)
    fit = []
    for (i, j), adds in zip(matching.pairs.tolist(), matching.contributions.tolist(), strict=True):
        most = account.stakes[0][i] + account.stakes[1][j]
        if matching.final[i, j] >= matching.least_similarity and adds >= LEAST_SHARE * most and adds > 0:
            fit.append((i, j, adds))

    def best(rest: list[tuple[int, int, float]]) -> float:
        if not rest:
            return 0.0
        i, j, adds = rest[0]
        return max(best(rest[1:]), adds + best([p for p in rest[1:] if p[0] != i and p[1] != j]))

    assert account.adds.sum() == pytest.approx(best(fit), abs=1e-12)
    assert {(i, j) for i, j in account.counterparts.tolist()} <= {(i, j) for i, j, _ in fit}
    assert account.adds.tolist() == sorted(account.adds.tolist(), reverse=True)
    for column in account.counterparts.T:
        assert len(set(column.tolist())) == len(column)


def test_identical_graphs_lose_nothing() -> None:
    one = discs(4, (20, 30))
    _, account = taken_apart(one, one)
    assert account.counterparts.shape == (4, 2)
    # features and predicates are compared with themselves; rounding of cosines
    assert account.lost[0] == pytest.approx(np.zeros(4), abs=1e-6)


def test_what_the_iterations_changed() -> None:
    one, two = quarrel()
    matching, account = taken_apart(one, two)
    share = 0.9 / 2
    before = (
        share * (0.6 * matching.initial[0, 0] + 0.4 * matching.initial[1, 1] + 0.9 * matching.initial[1, 0])
        + share * 0.1 * matching.initial[0, 1]
    )
    assert account.moved == pytest.approx(account.kept[0].sum() + account.kept[1].sum() - before, abs=1e-12)
    assert account.moved > 0.01  # objects without neighbours draw nearer
