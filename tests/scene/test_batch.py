"""Many pairs under many settings give the numbers of one match after the other."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semetric.errors import UsageError
from semetric.metrics.sess_settings import SessSettings
from semetric.scene.batch import PairBatch, RelatedGraph
from semetric.scene.importance import STORED_ROOT, ImportanceSettings, mask_saliency, object_importance
from semetric.scene.matching import GraphArrays, MatchingSettings, match


def scene(rng: np.random.Generator, n: int) -> RelatedGraph:
    relations = np.where(rng.random((n, n)) < 0.4, rng.integers(0, 5, (n, n)), -1)
    np.fill_diagonal(relations, -1)
    ends = np.argwhere(relations >= 0)
    importance = rng.random(n) + 0.01
    return RelatedGraph(
        arrays=GraphArrays(
            features=rng.normal(size=(n, 8)),
            relations=relations,
            importance=importance / max(importance.sum(), 1e-9),
            centres=rng.random((n, 2)),
        ),
        ends=ends,
        probabilities=rng.uniform(0.05, 1.0, len(ends)),
    )


def weigh(stored: np.ndarray, ends: np.ndarray, probabilities: np.ndarray, settings: ImportanceSettings) -> np.ndarray:
    return object_importance(stored, ends, probabilities, settings, root=STORED_ROOT)


def alone(
    graphs: list[RelatedGraph],
    pairs: np.ndarray,
    alike: np.ndarray,
    how: MatchingSettings,
    importance: ImportanceSettings,
) -> np.ndarray:
    weighed = [
        replace(g.arrays, importance=weigh(g.arrays.importance, g.ends, g.probabilities, importance)) for g in graphs
    ]
    scores = [match(weighed[i], weighed[j], LIKENESS, a, how).score for (i, j), a in zip(pairs, alike, strict=True)]
    return np.clip(scores, 0.0, 1.0)


LIKENESS = np.eye(5) * 0.5 + 0.5


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    unit=st.tuples(*(st.floats(0, 1) for _ in range(5))),
    iterations=st.integers(0, 9),
    in_place=st.booleans(),
    roots=st.tuples(st.floats(0.5, 6), st.floats(0.5, 6)),
    workers=st.integers(1, 3),
)
def test_a_batch_scores_as_match_does(
    seed: int,
    unit: tuple[float, ...],
    iterations: int,
    in_place: bool,
    roots: tuple[float, float],
    workers: int,
) -> None:
    rng = np.random.default_rng(seed)
    graphs = [scene(rng, int(n)) for n in (0, 1, 2, 0, *rng.integers(1, 12, 4))]
    pairs = rng.integers(0, len(graphs), (9, 2))
    alike = rng.uniform(0, 1, 9)
    batch = PairBatch(graphs, pairs, LIKENESS, alike, workers=workers)
    how = MatchingSettings(
        alpha=unit[0], beta=unit[1], gamma=unit[2], location=unit[3], iterations=iterations, in_place=in_place
    )
    importance = ImportanceSettings(saliency_root=roots[0], relation_root=roots[1], relation_share=unit[4])
    batch.scores(SessSettings.DEMO)  # what a round leaves behind must not show
    # one kernel on the same doubles; importance is summed in another order, which moves last digits
    own = SessSettings(**asdict(how), **asdict(importance))
    np.testing.assert_allclose(batch.scores(own), alone(graphs, pairs, alike, how, importance), atol=1e-12)


def test_importance_of_both_variants_comes_from_the_stored_one() -> None:
    rng = np.random.default_rng(3)
    saliency, masks = rng.random((30, 40)), rng.random((6, 30, 40)) < 0.3
    relations = np.array([[0, 1], [1, 4], [5, 2]]), np.array([0.9, 0.4, 0.05])
    sums = mask_saliency(saliency, masks)
    stored = object_importance(sums, *relations, ImportanceSettings.PAPER)
    for own in (ImportanceSettings.PAPER, ImportanceSettings.DEMO, ImportanceSettings(saliency_root=1.0)):
        expected = object_importance(sums, *relations, own)
        np.testing.assert_allclose(weigh(stored, *relations, own), expected, rtol=1e-12)  # powers of powers


def test_objects_without_any_saliency_stay_equal() -> None:
    even = weigh(np.full(4, 0.25), np.zeros((0, 2), np.int64), np.zeros(0), ImportanceSettings(saliency_root=1.0))
    np.testing.assert_allclose(even, 0.25)


def test_the_digest_is_of_everything_that_scores_depend_on() -> None:
    rng = np.random.default_rng(0)
    graphs = [scene(rng, 4), scene(rng, 5)]
    pairs, alike = np.array([[0, 1]]), [0.5]
    first = PairBatch(graphs, pairs, LIKENESS, alike).digest
    assert PairBatch(graphs, pairs, LIKENESS, alike, workers=2).digest == first
    moved = RelatedGraph(arrays=graphs[1].arrays, ends=graphs[1].ends, probabilities=graphs[1].probabilities * 0.5)
    assert PairBatch([graphs[0], moved], pairs, LIKENESS, alike).digest != first
    assert PairBatch(graphs, pairs, LIKENESS, [0.6]).digest != first


def test_what_does_not_fit_is_refused() -> None:
    rng = np.random.default_rng(0)
    graphs = [scene(rng, 4), scene(rng, 5)]
    with pytest.raises(UsageError, match="one image similarity a pair"):
        PairBatch(graphs, np.array([[0, 1]]), LIKENESS, [0.5, 0.5])
    with pytest.raises(UsageError, match="indices below 2"):
        PairBatch(graphs, np.array([[0, 2]]), LIKENESS, [0.5])
    with pytest.raises(UsageError, match="relations below 1"):
        PairBatch(graphs, np.array([[0, 1]]), np.ones((1, 1)), [0.5])
    flat = RelatedGraph(
        arrays=replace(graphs[0].arrays, centres=None), ends=graphs[0].ends, probabilities=graphs[0].probabilities
    )
    with pytest.raises(UsageError, match="centres"):
        PairBatch([flat, graphs[1]], np.array([[0, 1]]), LIKENESS, [0.5])
    with pytest.raises(UsageError, match="worker"):
        PairBatch(graphs, np.array([[0, 1]]), LIKENESS, [0.5], workers=0)
    with pytest.raises(UsageError, match="saliency_root"):
        ImportanceSettings(saliency_root=0.0)
