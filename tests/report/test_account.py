from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fake_graphs import discs, quarrel, sess_score
from hypothesis import given, settings
from hypothesis import strategies as st

from semetric.report.account import LEAST_SHARE, Account, account_of
from semetric.scene.graded import GradedSettings, match_graded
from semetric.scene.graph import SceneGraph


def taken_apart(one: SceneGraph, two: SceneGraph) -> Account:
    account = account_of(sess_score(one, two))
    assert account is not None
    return account


@settings(max_examples=25, deadline=None)  # some compile
@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 1000))
def test_losses_add_up_to_what_is_missing(n: int, m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, two = discs(n, (20, 30), seed), discs(m, (20, 30), seed + 1)
    two.features[:] += rng.normal(size=two.features.shape)
    account = taken_apart(one, two)
    matching, objects = account.matching, [*account.objects[0], *account.objects[1]]
    image_lost = matching.image_weight * (1 - matching.image_similarity)
    # sums of at most 25 numbers below 2
    assert sum(each.lost for each in objects) + image_lost == pytest.approx(1 - matching.score, abs=1e-12)
    assert sum(each.bound for each in objects) + matching.image_weight == pytest.approx(1, abs=1e-12)
    graph = (1 - matching.image_weight) * matching.graph_score
    assert graph + matching.image_weight * matching.image_similarity == pytest.approx(matching.score, abs=1e-12)
    assert sum(each.gain for each in objects) == pytest.approx(graph, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 1000))
def test_what_is_kept_is_what_the_pairs_add(n: int, m: int, seed: int) -> None:
    account = taken_apart(discs(n, (20, 30), seed), discs(m, (20, 30), seed + 1))
    for (i, j), adds in zip(account.matching.pairs.tolist(), account.matching.contributions, strict=True):
        one, two = account.objects[0][i], account.objects[1][j]
        by_first = one.gain if one.partner == j else 0.0
        by_second = two.gain if two.partner == i else 0.0
        assert by_first + by_second == pytest.approx(adds, abs=1e-12)


def test_an_object_that_is_left_over_has_no_counterpart() -> None:
    account = taken_apart(*quarrel())
    matching = account.matching
    assert matching.partners[0].tolist() == [0, 1]
    assert matching.partners[1].tolist() == [1, 0]
    assert account.counterparts.tolist() == [[1, 0]]
    assert [[each.match for each in side] for side in account.objects] == [[None, 0], [1, None]]
    assert [each.partner for each in account.objects[0]] == [0, 1]  # what the sum counts it with is kept apart
    assert account.alone(0) == [0]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 1000))
def test_matches_are_the_choice_that_adds_most(n: int, m: int, seed: int) -> None:
    one, two = discs(n, (20, 30), seed), discs(m, (20, 30), seed + 1)
    two.features[:] += np.random.default_rng(seed).normal(size=two.features.shape)
    account = taken_apart(one, two)
    matching = account.matching
    fit = []
    for (i, j), adds in zip(matching.pairs.tolist(), matching.contributions.tolist(), strict=True):
        most = matching.bounds[0][i] + matching.bounds[1][j]
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
    account = taken_apart(one, one)
    assert account.counterparts.shape == (4, 2)
    # features and predicates are compared with themselves; rounding of cosines
    assert [each.lost for each in account.objects[0]] == pytest.approx([0, 0, 0, 0], abs=1e-6)


def test_what_the_iterations_changed() -> None:
    one, two = quarrel()
    account = taken_apart(one, two)
    matching = account.matching
    share = 0.9 / 2
    before = (
        share * (0.6 * matching.initial[0, 0] + 0.4 * matching.initial[1, 1] + 0.9 * matching.initial[1, 0])
        + share * 0.1 * matching.initial[0, 1]
    )
    assert account.moved == pytest.approx(matching.gains[0].sum() + matching.gains[1].sum() - before, abs=1e-12)
    assert account.moved > 0.01  # objects without neighbours draw nearer


def test_an_object_seen_in_place_is_not_told_to_be_gone() -> None:
    size = (60, 80)
    graph = replace(discs(2, size), settings={"importance": "graded"}, cell_features=np.eye(2, 16, dtype=np.float32))
    graph = replace(graph, held=np.diag([0.5, 0.3]), importance=np.array([0.5, 0.3]))
    other = replace(discs(0, size, seed=1), cell_features=graph.cell_features[:1], held=np.zeros((0, 1)))
    weights = GradedSettings(midpoint=0.5, scale=0.1, image_midpoint=0.5, image_scale=0.1)
    matching = match_graded(graph.graded, other.graded, np.eye(56), 0.6, weights)
    score = replace(sess_score(graph, other), artefacts={"graphs": (graph, other), "matching": matching})
    account = account_of(score)
    assert account is not None
    assert [one.match for one in account.objects[0]] == [None, None]
    assert [one.seen_in_place for one in account.objects[0]] == [True, False]
