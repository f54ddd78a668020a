"""Graded SeSS's arithmetic: worked examples, identity, symmetry, and how far small changes can move a score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semetric.errors import UsageError
from semetric.scene.graded import (
    CELLS,
    GradedGraph,
    GradedSettings,
    availability,
    calibrated,
    faded_relations,
    importance_in_cells,
    match_graded,
    membership,
)

SETTINGS = GradedSettings(midpoint=0.55, scale=0.06, image_midpoint=0.6, image_scale=0.08)
STEEPEST = 1 / (4 * SETTINGS.scale) * (1 + np.exp((SETTINGS.midpoint - 1) / SETTINGS.scale))
"""The largest slope of the calibrated similarity: that of the logistic at its midpoint, scaled as the module says."""

SIDE = 12
PREDICATES = 4
SIMILARITY = 0.5 * np.eye(PREDICATES) + 0.5


class Scene:
    """Everything that a graded graph is made of, so that each of it can be moved."""

    def __init__(self, seed: int, n: int) -> None:
        rng = np.random.default_rng(seed)
        self.masks = rng.random((n, SIDE, SIDE)) < rng.uniform(0.1, 0.6, (n, 1, 1))
        self.iou = rng.uniform(0.72, 1.0, n)
        self.stability = rng.uniform(0.8, 1.0, n)
        self.saliency = rng.random((SIDE, SIDE))
        self.features = rng.normal(size=(n, 6)) + 0.8
        self.cells = rng.normal(size=(CELLS * CELLS, 6)) + 0.4
        self.probabilities = rng.random((PREDICATES, n, n)) * (rng.random((PREDICATES, n, n)) < 0.5)

    def graph(self) -> GradedGraph:
        relations = faded_relations(self.probabilities)
        return GradedGraph(
            features=self.features,
            cells=self.cells,
            held=importance_in_cells(self.saliency, self.masks, membership(self.iou, self.stability)),
            available=availability(self.iou, self.stability),
            relations=relations.triplets,
            probabilities=relations.probabilities,
        )


def score(one: Scene, two: Scene, beta: float = 0.1, cosine: float = 0.6) -> float:
    return match_graded(one.graph(), two.graph(), SIMILARITY, cosine, replace(SETTINGS, beta=beta)).score


def test_a_worked_example() -> None:
    # Two objects of importance 0.5 and 0.3 on each side; the first pair is the same, the second unrelated.
    graph = GradedGraph(
        features=np.eye(2),
        cells=np.eye(2),
        held=np.diag([0.5, 0.3]),
        available=np.ones(2),
        relations=np.zeros((0, 3), np.int64),
        probabilities=np.zeros(0),
    )
    other = replace(graph, features=np.array([[1.0, 0.0], [0.0, -1.0]]), cells=np.array([[1.0, 0.0], [0.0, -1.0]]))
    matching = match_graded(graph, other, SIMILARITY, 1.0, SETTINGS)
    # The second object is like neither object, but as like as a cosine of 0 to the place of the first.
    lost = 0.9 * 0.3 * (1 - calibrated(0.0, 0.55, 0.06).item())  # (1 − γ) · v_2 · (1 − R_2), whole images alike
    assert matching.score == pytest.approx(1 - lost, abs=1e-12)
    assert matching.image_weight == pytest.approx(0.1 + 0.9 * 0.2)
    assert [partners.tolist() for partners in matching.partners] == [[0, -1], [0, -1]]
    assert matching.settings is SETTINGS


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9), st.integers(0, 1000))
def test_an_image_is_like_itself(n: int, seed: int) -> None:
    assert score(Scene(seed, n), Scene(seed, n), cosine=1.0) == pytest.approx(1, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 7), st.integers(0, 7), st.integers(0, 1000))
def test_symmetric_bounded_and_explained(n: int, m: int, seed: int) -> None:
    one, two = Scene(seed, n), Scene(seed + 1, m)
    matching = match_graded(one.graph(), two.graph(), SIMILARITY, 0.6, SETTINGS)
    assert matching.score == pytest.approx(score(two, one), abs=1e-12)
    assert 0 <= matching.score <= 1 + 1e-12
    explained = matching.gains[0].sum() + matching.gains[1].sum() + matching.image_contribution
    assert explained == pytest.approx(matching.score, abs=1e-12)
    alone = sum(gains[partners < 0].sum() for gains, partners in zip(matching.gains, matching.partners, strict=True))
    assert matching.contributions.sum() + alone + matching.image_contribution == pytest.approx(explained, abs=1e-12)
    assert matching.bounds[0].sum() + matching.bounds[1].sum() + matching.image_weight == pytest.approx(1, abs=1e-12)
    for stake, kept in zip(matching.bounds, matching.gains, strict=True):
        assert (kept <= stake + 1e-12).all()


def test_without_objects_the_whole_images_decide() -> None:
    expected = calibrated(0.7, SETTINGS.image_midpoint, SETTINGS.image_scale).item()
    assert score(Scene(0, 0), Scene(1, 0), cosine=0.7) == pytest.approx(expected, abs=1e-12)


def test_an_object_without_an_outline_is_looked_for_in_place() -> None:
    one, two = Scene(0, 5), Scene(1, 0)
    units = [cells / np.linalg.norm(cells, axis=1, keepdims=True) for cells in (one.cells, two.cells)]
    likest = calibrated((units[0] @ units[1].T).max(axis=1), SETTINGS.midpoint, SETTINGS.scale)
    lost = 0.45 * (one.graph().held @ (1 - likest)).sum()  # (1 − γ)/2 of what the reference's objects hold
    assert score(one, two, beta=0.0, cosine=1.0) == pytest.approx(1 - lost, abs=1e-12)
    two.cells = one.cells
    assert score(one, two, beta=0.0, cosine=1.0) == pytest.approx(1, abs=1e-12)


# How far a score moves when one input of one image moves by ε. Derived in docs/metrics/sess.md:
#   feature, by an angle of ε:      L moves by at most STEEPEST · ε, K by twice that
#   cell, likewise:                 R by at most STEEPEST · ε
#   probability of one relation:    w by v_i · v_k · ε / 0.95, counted as taken and as given, on both sides
#   saliency of one pixel:          its share moves by at most 2 ε / Σ, and with it what its objects hold
#   predicted IoU of one mask:      membership by ε / .15 (importance by at most 3 times that), availability by ε / .10
#   stability of one mask:          membership by ε / .09, availability by ε / .10
BETA = 0.1
BOUNDS = {
    "features": STEEPEST * (1 + BETA),
    "cells": STEEPEST,
    "probabilities": 2 * BETA / 0.95,
    "saliency": 2.0 / (SIDE * SIDE * 0.5),
    "iou": (3 / 0.15) * (1 + 2 * BETA) + (1 + 2 * BETA) / 0.10,
    "stability": (3 / 0.09) * (1 + 2 * BETA) + (1 + 2 * BETA) / 0.10,
}


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(BOUNDS)),
    st.integers(1, 7),
    st.integers(1, 7),
    st.integers(0, 10_000),
    st.floats(1e-6, 0.01),
    st.booleans(),
)
def test_a_small_change_moves_the_score_little(what: str, n: int, m: int, seed: int, epsilon: float, up: bool) -> None:
    one, two = Scene(seed, n), Scene(seed + 1, m)
    if seed % 3 == 0:  # copies, where matches are likely
        two = Scene(seed, n)
        two.features = two.features + 0.05
    before = score(one, two)
    rng = np.random.default_rng(seed)
    values = getattr(two, what)
    at = tuple(int(rng.integers(side)) for side in values.shape)
    if what in ("features", "cells"):
        row = values[at[0]]
        across = rng.normal(size=row.size)
        across -= across @ row / (row @ row) * row
        across *= np.linalg.norm(row) / np.linalg.norm(across)
        values[at[0]] = np.cos(epsilon) * row + np.sin(epsilon) * across
    else:
        values[at] = max(0.0, values[at] + (epsilon if up else -epsilon))
    assert abs(score(one, two) - before) <= BOUNDS[what] * epsilon + 1e-12


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 10_000), st.sampled_from(["iou", "stability"]))
def test_a_mask_comes_and_goes_unseen_at_the_threshold(n: int, m: int, seed: int, what: str) -> None:
    """Whatever it shows, a mask at either threshold of generation is as good as none."""
    one, two = Scene(seed, n), Scene(seed + 1, m)
    getattr(two, what)[-1] = {"iou": 0.70, "stability": 0.75}[what]
    two.features[-1] = one.features[0]
    with_mask = score(one, two)
    for name in ("masks", "iou", "stability", "features"):
        setattr(two, name, getattr(two, name)[:-1])
    two.probabilities = two.probabilities[:, :-1, :-1]
    assert score(one, two) == pytest.approx(with_mask, abs=1e-12)


def test_a_relation_fades_in_at_its_least_probability() -> None:
    probabilities = np.zeros((PREDICATES, 2, 2))
    probabilities[1, 0, 1], probabilities[2, 1, 0], probabilities[3, 1, 1] = 0.05, 0.525, 0.9
    faded = faded_relations(probabilities)
    assert faded.triplets.tolist() == [[1, 0, 2]]  # neither what is at the threshold nor what relates to itself
    assert faded.probabilities.tolist() == pytest.approx([0.5])


def test_another_predicate_costs_what_beta_allows() -> None:
    one = Scene(3, 4)
    one.probabilities[:] = 0
    one.probabilities[0, 0, 1] = 1.0
    two = Scene(3, 4)
    two.probabilities[:] = 0
    two.probabilities[2, 0, 1] = 1.0
    assert score(one, two, beta=0.0, cosine=1.0) == pytest.approx(1, abs=1e-12)
    v = one.graph().importance
    lost = 0.9 * 0.5 * v[0] * v[1] * 0.5  # (1 − γ) · β · w · (1 − S), predicates of similarity 0.5
    assert score(one, two, beta=0.5, cosine=1.0) == pytest.approx(1 - lost, abs=1e-12)


def test_every_pixel_counts_once() -> None:
    scene = Scene(5, 6)
    importance = importance_in_cells(scene.saliency, scene.masks, np.ones(6))
    held = scene.saliency + scene.saliency.mean()
    assert importance.sum() == pytest.approx(held[scene.masks.any(axis=0)].sum() / held.sum())
    twice = importance_in_cells(scene.saliency, np.concatenate([scene.masks, scene.masks[:1]]), np.ones(7))
    assert twice.sum() == pytest.approx(importance.sum())  # a mask that is there twice takes nothing more in all


@pytest.mark.parametrize("name", ["midpoint", "scale", "image_scale", "beta", "gamma"])
def test_settings_out_of_range(name: str) -> None:
    with pytest.raises(UsageError, match=f"Expected {name} between"):
        replace(SETTINGS, **{name: -2.0})


def test_graphs_that_do_not_fit() -> None:
    graph = Scene(0, 3).graph()
    with pytest.raises(UsageError, match="finite held"):
        replace(graph, held=np.full((3, 1), np.nan), cells=np.ones((1, 6)))
    with pytest.raises(UsageError, match="between the 3 objects"):
        replace(graph, relations=np.array([[0, 3, 1]]), probabilities=np.ones(1))
    with pytest.raises(UsageError, match="one length"):
        match_graded(
            graph,
            replace(graph, features=np.ones((3, 5)), cells=np.ones((CELLS * CELLS, 5))),
            SIMILARITY,
            1.0,
            SETTINGS,
        )
    with pytest.raises(UsageError, match="beyond predicate"):
        match_graded(graph, graph, np.eye(1), 1.0, SETTINGS)


def test_a_wall_of_like_objects_takes_no_memory_of_its_pairs() -> None:
    """150 bricks have some 9,000 relations, each with up to 22,500 pairs of partners: 200 million choices."""
    rng = np.random.default_rng(0)
    n = 150
    probabilities = np.zeros((PREDICATES, n, n))
    probabilities[2] = rng.random((n, n)) < 0.4
    relations = faded_relations(probabilities)
    wall = GradedGraph(
        features=rng.normal(size=8) + 0.15 * rng.normal(size=(n, 8)),
        cells=np.ones((1, 8)),
        held=np.full((n, 1), 0.9 / n),
        available=np.ones(n),
        relations=relations.triplets,
        probabilities=relations.probabilities,
    )
    assert match_graded(wall, wall, SIMILARITY, 1.0, SETTINGS).score == pytest.approx(1, abs=1e-12)
