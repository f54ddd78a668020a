"""Many graded pairs under many settings give the numbers of one match after the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semetric.errors import UsageError
from semetric.scene.batch import GradedBatch
from semetric.scene.graded import GradedGraph, GradedSettings, faded_relations, match_graded

PREDICATES = 5
SIMILARITY = np.eye(PREDICATES) * 0.5 + 0.5


def scene(rng: np.random.Generator, n: int) -> GradedGraph:
    """Objects of one look, some of which count for nothing or are hardly there; several predicates a pair."""
    importance = rng.random(n) * (rng.random(n) < 0.8)
    probabilities = rng.random((3, n, n)) * (rng.random((3, n, n)) < 0.4)  # two predicates never occur
    relations = faded_relations(probabilities)
    return GradedGraph(
        features=rng.normal(size=(n, 8)) + 0.8,
        cells=rng.normal(size=(3, 8)) + 0.8,
        held=(importance / max(importance.sum(), 1e-9) * 0.9)[:, None] * rng.dirichlet(np.ones(3), n),
        available=np.clip(rng.uniform(-0.2, 2.0, n), 0.0, 1.0),
        relations=relations.triplets,
        probabilities=relations.probabilities,
    )


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    midpoints=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
    scales=st.tuples(st.floats(0.005, 1), st.floats(0.005, 1)),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    workers=st.integers(1, 3),
)
def test_a_batch_scores_as_match_graded_does(
    seed: int,
    midpoints: tuple[float, float],
    scales: tuple[float, float],
    shares: tuple[float, float],
    workers: int,
) -> None:
    rng = np.random.default_rng(seed)
    graphs = [scene(rng, int(n)) for n in (0, 1, 2, 0, *rng.integers(1, 12, 4))]
    graphs.append(replace(graphs[-1], features=graphs[-1].features + rng.normal(size=8) * 0.1))  # nearly a copy
    pairs = np.concatenate([rng.integers(0, len(graphs), (9, 2)), [[len(graphs) - 2, len(graphs) - 1]]])
    cosines = rng.uniform(-1, 1, len(pairs))
    own = GradedSettings(
        midpoint=midpoints[0],
        scale=scales[0],
        image_midpoint=midpoints[1],
        image_scale=scales[1],
        beta=shares[0],
        gamma=shares[1],
    )
    batch = GradedBatch(graphs, pairs, SIMILARITY, cosines, workers=workers)
    expected = [
        match_graded(graphs[i], graphs[j], SIMILARITY, cosine, own).score
        for (i, j), cosine in zip(pairs, cosines, strict=True)
    ]
    # the same sums in another order: double precision
    np.testing.assert_allclose(batch.scores(own), np.clip(expected, 0.0, 1.0), rtol=0, atol=1e-12)


def test_the_digest_is_of_everything_that_scores_depend_on() -> None:
    rng = np.random.default_rng(0)
    graphs = [scene(rng, 4), scene(rng, 5)]
    pairs, cosines = np.array([[0, 1]]), [0.5]
    first = GradedBatch(graphs, pairs, SIMILARITY, cosines).digest
    assert GradedBatch(graphs, pairs, SIMILARITY, cosines, workers=2).digest == first
    for moved in (
        replace(graphs[1], probabilities=graphs[1].probabilities * 0.5),
        replace(graphs[1], held=graphs[1].held * 0.5),
        replace(graphs[1], cells=graphs[1].cells + 1.0),
        replace(graphs[1], available=graphs[1].available * 0.5),
        replace(graphs[1], features=graphs[1].features + 1.0),
    ):
        assert GradedBatch([graphs[0], moved], pairs, SIMILARITY, cosines).digest != first
    assert GradedBatch(graphs, pairs, SIMILARITY, [0.6]).digest != first


def test_what_does_not_fit_is_refused() -> None:
    rng = np.random.default_rng(0)
    graphs = [scene(rng, 4), scene(rng, 5)]
    with pytest.raises(UsageError, match="one image similarity a pair"):
        GradedBatch(graphs, np.array([[0, 1]]), SIMILARITY, [0.5, 0.5])
    with pytest.raises(UsageError, match="finite image similarities"):
        GradedBatch(graphs, np.array([[0, 1]]), SIMILARITY, [np.nan])
    with pytest.raises(UsageError, match="indices below 2"):
        GradedBatch(graphs, np.array([[0, 2]]), SIMILARITY, [0.5])
    with pytest.raises(UsageError, match="beyond predicate"):
        GradedBatch(graphs, np.array([[0, 1]]), np.ones((1, 1)), [0.5])
    with pytest.raises(UsageError, match="one length"):
        GradedBatch(
            [graphs[0], replace(graphs[1], features=np.ones((5, 3)), cells=np.ones((3, 3)))],
            np.array([[0, 1]]),
            SIMILARITY,
            [0.5],
        )
    with pytest.raises(UsageError, match="worker"):
        GradedBatch(graphs, np.array([[0, 1]]), SIMILARITY, [0.5], workers=0)
