"""Synthetic judgements: SeSS scores under known settings, plus noise; and random scene graphs to judge.

The settings that tuning recovers from them are compared with the true ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.learn.tuning.judged import Batch, Judged
from semetric.metrics.sess_settings import SessSettings, Settings
from semetric.scene.batch import RelatedGraph
from semetric.scene.graded import GradedGraph
from semetric.scene.matching import GraphArrays

__all__ = ["graded", "random_graphs", "simulated"]


def simulated(
    batch: Batch,
    group: Sequence[int] | NDArray[np.int64],
    rng: np.random.Generator,
    *,
    settings: Settings = SessSettings.PAPER,
    noise: float = 0.05,
) -> Judged:
    """Scores of known settings with normal noise, cut to [0, 1].

    Args:
        batch: pairs 2t and 2t + 1 of triplet t.
        group: (T,) the reference of each triplet, numbered from 0.
        rng: of the noise.
        settings: whose scores they are.
        noise: standard deviation.

    Raises:
        UsageError: other lengths.
    """
    groups = np.asarray(group, np.int64)
    if len(batch) != 2 * len(groups):
        raise UsageError(f"Expected two pairs a triplet; found {len(batch)} pairs for {len(groups)} triplets.")
    clean = batch.scores(settings)
    scores = np.clip(clean + rng.normal(0.0, noise, len(clean)), 0.0, 1.0)
    a, b = scores[::2], scores[1::2]
    return Judged(
        keys=tuple(str(t) for t in range(len(groups))),
        group=groups,
        share_b=np.where(a == b, 0.5, (b > a).astype(np.float64)),
        scores=scores,
    )


def random_graphs(
    references: int,
    candidates: int,
    rng: np.random.Generator,
    *,
    objects: tuple[int, int] = (4, 16),
    size: int = 48,
    predicates: int = 8,
) -> tuple[list[RelatedGraph], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Random scenes, and for each some that differ from it more and more: objects move, change, vanish, relations too.

    Args:
        references: how many scenes.
        candidates: of each; even, two a triplet.
        rng: of everything.
        objects: the fewest and the most in a scene.
        size: of an embedding.
        predicates: how many there are.

    Returns:
        The graphs; (references · candidates, 2) pairs, a triplet's two behind each other; the predicates' similarity;
        (pairs,) the whole images' similarity.
    """
    towards = rng.normal(size=(predicates, 6)) + 1.0
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    likeness = towards @ towards.T
    np.fill_diagonal(likeness, 1.0)
    common = rng.normal(size=size)  # embeddings of crops lie in one half of the sphere, at about 0.4 to each other
    graphs: list[RelatedGraph] = []
    pairs = []
    alike = []
    for _ in range(references):
        n = int(rng.integers(objects[0], objects[1] + 1))
        features = rng.normal(size=(n, size)) * 1.2 + common
        saliency = rng.lognormal(0.0, 1.2, n)
        centres = rng.random((n, 2))
        relations = np.where(rng.random((n, n)) < min(0.9, 3.0 / n), rng.integers(0, predicates, (n, n)), -1)
        chances = rng.uniform(0.05, 1.0, (n, n))
        reference = len(graphs)
        graphs.append(_graph(features, saliency, centres, relations, chances))
        for _ in range(candidates):
            strength = rng.uniform(0.15, 1.0)
            there = np.flatnonzero(rng.random(n) > 0.5 * strength)
            there = there if len(there) > 1 else np.arange(n)
            m = len(there)
            swapped = rng.random((m, m)) < 0.7 * strength
            graphs.append(
                _graph(
                    features[there] + rng.normal(size=(m, size)) * 2.0 * strength * rng.random((m, 1)),
                    saliency[there] * rng.lognormal(0.0, 0.8 * strength, m),
                    np.clip(centres[there] + rng.normal(size=(m, 2)) * 0.3 * rng.random(), 0.0, 1.0),
                    np.where(
                        swapped,
                        np.where(rng.random((m, m)) < 0.4, rng.integers(0, predicates, (m, m)), -1),
                        relations[np.ix_(there, there)],
                    ),
                    chances[np.ix_(there, there)],
                )
            )
            pairs.append((reference, len(graphs) - 1))
            alike.append(float(np.clip(1.0 - rng.uniform(0.2, 0.9) * strength, 0.0, 1.0)))
    return graphs, np.array(pairs), likeness, np.array(alike)


def graded(graph: RelatedGraph) -> GradedGraph:
    """A random graph as graded SeSS reads it: objects hold nine tenths of the image; its one cell is like nothing."""
    relations = graph.arrays.relations
    return GradedGraph(
        features=graph.arrays.features,
        cells=np.zeros((1, graph.arrays.features.shape[1])),
        held=0.9 * graph.arrays.importance[:, None],
        available=np.ones(len(graph.arrays)),
        relations=np.column_stack([graph.ends, relations[graph.ends[:, 0], graph.ends[:, 1]]]),
        probabilities=graph.probabilities,
    )


def _graph(
    features: NDArray[np.float64],
    saliency: NDArray[np.float64],
    centres: NDArray[np.float64],
    relations: NDArray[np.int64],
    chances: NDArray[np.float64],
) -> RelatedGraph:
    np.fill_diagonal(relations, -1)
    stored = saliency ** (1.0 / 2.25)
    ends = np.argwhere(relations >= 0)
    return RelatedGraph(
        arrays=GraphArrays(features=features, relations=relations, importance=stored / stored.sum(), centres=centres),
        ends=ends,
        probabilities=chances[ends[:, 0], ends[:, 1]],
    )
