"""Many pairs of graded graphs scored again and again under other settings: what tuning does.

What no setting changes is computed once: cosines of all objects of a pair, the relations of each graph and the codes of
their predicates. A round takes each pair's similarities, two assignments and one compiled call a side, without the
interpreter's lock, in as many threads as there are cores. The scores are those of `semetric.scene.graded.match_graded`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.scene.batch import MAX_CELLS, checked_pairs
from semetric.scene.graded import (
    UNLIKELY,
    GradedGraph,
    GradedSettings,
    _Edges,
    _predicate_codes,
    _unit,
    calibrated,
)

__all__ = ["GradedBatch"]

_Floats = NDArray[np.float64]


class GradedBatch:
    """P pairs of graphs, ready for any settings.

    Args:
        graphs: each image's once.
        pairs: (P, 2) reference and image, as indices into graphs.
        predicate_similarity: (predicates, predicates), as for `match_graded`.
        image_similarities: (P,) cosine of the whole images' embeddings.
        workers: threads; a round holds them only while it runs.

    Raises:
        UsageError: arrays that do not fit together, or more pairs of objects than memory should hold.
    """

    def __init__(
        self,
        graphs: Sequence[GradedGraph],
        pairs: NDArray[np.integer[Any]],
        predicate_similarity: NDArray[np.floating[Any]],
        image_similarities: Sequence[float] | _Floats,
        *,
        workers: int = 1,
    ) -> None:
        self.pairs = checked_pairs(pairs, len(graphs), len(image_similarities), workers)
        lengths = {g.features.shape[1] for g in graphs if len(g)}
        if len(lengths) > 1:
            raise UsageError(f"Expected features of one length in all graphs (one encoder); found {sorted(lengths)}.")
        sizes = np.array([len(g) for g in graphs], np.int64)
        if (cells := int(sizes[self.pairs].prod(axis=1).sum())) > MAX_CELLS:
            raise UsageError(
                f"Expected at most {MAX_CELLS} pairs of objects over all pairs of images; found {cells}. "
                "Tune on fewer triplets."
            )
        self.workers = workers
        self._image = np.asarray(image_similarities, np.float64)
        if not np.isfinite(self._image).all():
            raise UsageError("Expected finite image similarities; found NaN or infinity.")
        codes = _within_span(_predicate_codes(predicate_similarity, *graphs), graphs)
        self._graphs = [_Prepared(graph, codes) for graph in graphs]
        units = [_unit(graph.features) for graph in graphs]
        empty = np.zeros((0, 0))
        self._cosines = [units[i] @ units[j].T if sizes[i] and sizes[j] else empty for i, j in self.pairs]

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of every number that scores depend on beside the settings."""
        total = hashlib.sha256()
        arrays = [self.pairs, self._image, *self._cosines]
        for graph in self._graphs:
            arrays += graph.arrays
        for array in arrays:
            total.update(repr((array.shape, array.dtype.str)).encode())
            total.update(np.ascontiguousarray(array).tobytes())
        return total.hexdigest()

    def scores(self, settings: GradedSettings) -> _Floats:
        """SeSS of every pair, (P,) in [0, 1]."""
        if self.workers == 1:
            graph = [self._objects(p, settings) for p in range(len(self))]
        else:
            with ThreadPoolExecutor(self.workers) as pool:
                graph = list(pool.map(lambda p: self._objects(p, settings), range(len(self))))
        whole = calibrated(self._image, settings.image_midpoint, settings.image_scale)
        held = np.array([g.importance.sum() for g in self._graphs], np.float64)[self.pairs].sum(axis=1)
        half = (1.0 - settings.gamma) / 2.0
        scores: _Floats = np.clip(half * np.array(graph, np.float64) + (1.0 - half * held) * whole, 0.0, 1.0)
        return scores

    def _objects(self, p: int, settings: GradedSettings) -> float:
        """What the objects and relations of both images keep, before the factor (1 − γ) / 2."""
        cosine = self._cosines[p]
        if not cosine.size:
            return 0.0
        likeness = calibrated(cosine, settings.midpoint, settings.scale)
        one, two = (self._graphs[int(i)] for i in self.pairs[p])
        return one.kept_in(two, likeness, settings.beta) + two.kept_in(one, likeness.T, settings.beta)


class _Prepared:
    """What no setting changes of one graph.

    As a reference it has n objects, those that count (v > 0), and the relations between them; as the other image all.
    """

    def __init__(self, graph: GradedGraph, codes: _Floats) -> None:
        importance = np.asarray(graph.importance, np.float64)
        self.counting = np.flatnonzero(importance > 0.0)
        self.importance = importance[self.counting]  # (n,)
        self.available = np.asarray(graph.available, np.float64)
        every = _Edges.of(graph, codes)
        self.probability, self.code = every.probability, every.code
        self.between = every.between(len(graph))
        edges = every.take((importance[every.subject] > 0.0) & (importance[every.object] > 0.0))
        number = np.cumsum(importance > 0.0) - 1
        subject, object_ = number[edges.subject], number[edges.object]
        weight = self.importance[subject] * self.importance[object_]  # v_i · v_k
        taken = np.bincount(subject, weight * edges.probability, len(self.importance))
        self.taken = taken + np.bincount(object_, weight * edges.probability, len(self.importance))  # Σ w_e at i
        self.weight, self.relations = weight, (subject, object_, edges.probability, edges.code)

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        return (
            self.importance,
            self.available,
            self.between,
            self.probability,
            self.code,
            self.weight,
            *self.relations,
        )

    def kept_in(self, other: _Prepared, likeness: _Floats, beta: float) -> float:
        """Of this graph's importance, what the other keeps; likeness is (objects of this, objects of the other)."""
        from scipy.optimize import linear_sum_assignment

        if not len(self.counting):
            return 0.0
        reachable = likeness[self.counting] * other.available
        value = (self.importance - beta / 2.0 * self.taken)[:, None] * reachable
        kept = float(value[linear_sum_assignment(value, maximize=True)].sum())
        if beta and len(self.relations[0]) and len(other.probability):
            from semetric.scene._graded_kernel import relations_kept  # numba: only where there are relations to compare

            likely = np.ascontiguousarray((reachable - UNLIKELY) / (1.0 - UNLIKELY))
            preserved = relations_kept(likely, *self.relations, other.between, other.probability, other.code)
            kept += beta * float(self.weight @ preserved)
        return kept


def _within_span(codes: _Floats, graphs: Sequence[GradedGraph]) -> _Floats:
    """(P, D) vectors with the same inner products among the D predicates that occur; zeros for the others."""
    occurring = np.unique(np.concatenate([np.zeros(0, np.int64), *(g.relations[:, 2] for g in graphs)])).astype(np.intp)
    short = np.zeros((len(codes), len(occurring)))
    short[occurring] = np.asarray(np.linalg.qr(codes[occurring].T, mode="r")).T
    return short
