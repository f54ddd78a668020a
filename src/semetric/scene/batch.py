"""Many pairs of graphs scored again and again under other settings: what tuning does.

What no setting changes is computed once: cosines of all objects of a pair, their distances, the edges. A round then
computes each graph's importance and, for each pair, its similarities and the compiled part, without the interpreter's
lock, in as many threads as there are cores.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.scene.graded import (
    GradedGraph,
    GradedSettings,
    PreparedGraded,
    calibrated,
    likest_cells,
    predicate_codes,
    unit_rows,
)
from semetric.scene.importance import STORED_ROOT, ImportanceSettings, object_importance
from semetric.scene.matching import (
    GraphArrays,
    MatchingSettings,
    PreparedGraph,
    checked_predicates,
    compared,
    propagated,
)

if TYPE_CHECKING:
    from semetric.scene.graph import SceneGraph

__all__ = ["GradedBatch", "PairBatch", "RelatedGraph"]

_Floats = NDArray[np.float64]

MAX_CELLS = 150_000_000  # pairs of objects over all pairs of graphs; three tables of 8 bytes each


@dataclass(frozen=True, kw_only=True, eq=False)
class RelatedGraph:
    """A graph with what importance is made of.

    Attributes:
        arrays: as matching reads them, with centres; importance as the paper's variant stores it.
        ends: (E, 2) subject and object of each relation.
        probabilities: (E,) in [0, 1].
    """

    arrays: GraphArrays
    ends: NDArray[np.int64]
    probabilities: _Floats

    @classmethod
    def of(cls, graph: SceneGraph) -> RelatedGraph:
        """That of a scene graph.

        Raises:
            UsageError: the graph is not of the paper's variant.
        """
        variant = graph.settings.get("importance", "paper")
        if variant != "paper":
            raise UsageError(
                f"Expected a graph of the variant paper, whose importance can be undone; found {variant!r}."
            )
        return cls(arrays=graph.arrays, ends=graph.triplets[:, :2], probabilities=graph.probabilities)


class _Pairs:
    """P pairs of graphs: their indices, what the whole images' embeddings say, and the threads that score them."""

    def __init__(
        self,
        graphs: Sequence[GraphArrays | GradedGraph],
        pairs: NDArray[np.integer[Any]],
        image_similarities: Sequence[float] | _Floats,
        workers: int,
    ) -> None:
        self.pairs = np.asarray(pairs, np.int64).reshape(-1, 2)
        self.workers = workers
        self._image = np.asarray(image_similarities, np.float64)
        if len(self.pairs) != len(self._image):
            raise UsageError(f"Expected one image similarity a pair; found {len(self._image)} for {len(self.pairs)}.")
        if not np.isfinite(self._image).all():
            raise UsageError("Expected finite image similarities; found NaN or infinity.")
        if self.pairs.size and not (self.pairs.min() >= 0 and self.pairs.max() < len(graphs)):
            raise UsageError(f"Expected pairs of indices below {len(graphs)} (graphs); found others.")
        if workers < 1:
            raise UsageError(f"Expected at least 1 worker; found {workers}.")
        lengths = {graph.features.shape[1] for graph in graphs if len(graph)}
        if len(lengths) > 1:
            raise UsageError(f"Expected features of one length in all graphs (one encoder); found {sorted(lengths)}.")
        self._sizes = np.array([len(graph) for graph in graphs], np.int64)[self.pairs]  # (P, 2)
        if (cells := int(self._sizes.prod(axis=1).sum())) > MAX_CELLS:
            raise UsageError(
                f"Expected at most {MAX_CELLS} pairs of objects over all pairs of images; found {cells}. "
                "Tune on fewer triplets."
            )

    def __len__(self) -> int:
        return len(self.pairs)

    def _each(self, score: Callable[[int], float]) -> _Floats:
        """(P,) what `score` returns of each pair's number."""
        if self.workers == 1:
            return np.fromiter(map(score, range(len(self))), np.float64, len(self))
        with ThreadPoolExecutor(self.workers) as pool:
            return np.fromiter(pool.map(score, range(len(self))), np.float64, len(self))

    def _digest(self, arrays: Sequence[NDArray[Any]]) -> str:
        total = hashlib.sha256()
        for array in (self.pairs, self._sizes, self._image, *arrays):
            total.update(repr((array.shape, array.dtype.str)).encode())
            total.update(np.ascontiguousarray(array).tobytes())
        return total.hexdigest()


class _Settings(Protocol):
    @property
    def matching(self) -> MatchingSettings: ...

    @property
    def importance(self) -> ImportanceSettings: ...


class PairBatch(_Pairs):
    """P pairs of graphs of the paper's variant, ready for any settings; the scores are those of `match`.

    Args:
        graphs: each image's once.
        pairs: (P, 2) reference and image, as indices into graphs.
        predicate_similarity: (predicates, predicates), as for `match`.
        image_similarities: (P,) cosine of the whole images' embeddings.
        workers: threads; a round holds them only while it runs.

    Raises:
        UsageError: arrays that do not fit together, or more pairs of objects than memory should hold.
    """

    def __init__(
        self,
        graphs: Sequence[RelatedGraph],
        pairs: NDArray[np.integer[Any]],
        predicate_similarity: NDArray[np.floating[Any]],
        image_similarities: Sequence[float] | _Floats,
        *,
        workers: int = 1,
    ) -> None:
        super().__init__([graph.arrays for graph in graphs], pairs, image_similarities, workers)
        if any(graph.arrays.centres is None and len(graph.arrays) for graph in graphs):
            raise UsageError("Expected centres in every graph, since tuning weighs positions; found None.")
        self._related = tuple(graphs)
        self._graphs = [PreparedGraph(graph.arrays) for graph in graphs]
        self._predicates = checked_predicates(predicate_similarity, self._graphs)
        self._compared = [compared(self._graphs[i], self._graphs[j]) for i, j in self.pairs]

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of every number that scores depend on beside the settings."""
        arrays: list[NDArray[Any]] = [self._predicates, *(array for pair in self._compared for array in pair)]
        for graph, related in zip(self._graphs, self._related, strict=True):
            arrays += [related.ends, related.probabilities, graph.importance, graph.start, graph.object]
            arrays.append(graph.predicate)
        return self._digest(arrays)

    def scores(self, settings: _Settings) -> _Floats:
        """SeSS of every pair, (P,) in [0, 1]."""
        matching = settings.matching
        weighed = [
            graph.weighed(
                object_importance(
                    graph.importance, related.ends, related.probabilities, settings.importance, root=STORED_ROOT
                )
            )
            for graph, related in zip(self._graphs, self._related, strict=True)
        ]
        history = np.empty((0, 0, 0))

        def graph_score(p: int) -> float:
            one, two = (weighed[i] for i in self.pairs[p])
            return propagated(one, two, matching.initial(*self._compared[p]), self._predicates, matching, history)[0]

        graph = self._each(graph_score)
        blended = (1.0 - matching.gamma) * graph + matching.gamma * self._image
        return np.clip(np.where(self._sizes.any(axis=1), blended, self._image), 0.0, 1.0)


class GradedBatch(_Pairs):
    """P pairs of graded graphs, ready for any settings; arguments and errors as of `PairBatch`.

    The scores are those of `match_graded`.
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
        super().__init__(graphs, pairs, image_similarities, workers)
        codes = _within_span(predicate_codes(predicate_similarity, graphs), graphs)
        self._graphs = [PreparedGraded.of(graph, codes) for graph in graphs]
        units = [unit_rows(graph.features) for graph in graphs]
        self._cosines = [
            units[i] @ units[j].T if size.all() else np.zeros(size)
            for (i, j), size in zip(self.pairs, self._sizes, strict=True)
        ]
        self._cells = [likest_cells(graphs[i], graphs[j]) for i, j in self.pairs]

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of every number that scores depend on beside the settings."""
        cells = [side for pair in self._cells for side in pair]
        return self._digest(
            [*self._cosines, *cells, *(array for graph in self._graphs for array in vars(graph).values())]
        )

    def scores(self, settings: GradedSettings) -> _Floats:
        """SeSS of every pair, (P,) in [0, 1]."""

        def kept(p: int) -> float:
            one, two = (self._graphs[i] for i in self.pairs[p])
            likeness, *alike = (
                calibrated(cosines, settings.midpoint, settings.scale)
                for cosines in (self._cosines[p], *self._cells[p])
            )
            first = one.kept_in(two, likeness, one.in_place(alike[0]), settings.beta)
            second = two.kept_in(one, likeness.T, two.in_place(alike[1]), settings.beta)
            return float(first.sum() + second.sum())

        objects = self._each(kept)
        whole = calibrated(self._image, settings.image_midpoint, settings.image_scale)
        held = np.array([g.importance.sum() for g in self._graphs], np.float64)[self.pairs].sum(axis=1)
        half = (1.0 - settings.gamma) / 2.0
        scores: _Floats = np.clip(half * objects + (1.0 - half * held) * whole, 0.0, 1.0)
        return scores


def _within_span(codes: _Floats, graphs: Sequence[GradedGraph]) -> _Floats:
    """(P, D) vectors with the same inner products among the D predicates that occur; zeros for the others."""
    occurring = np.unique(np.concatenate([np.zeros(0, np.int64), *(g.relations[:, 2] for g in graphs)])).astype(np.intp)
    short = np.zeros((len(codes), len(occurring)))
    short[occurring] = np.asarray(np.linalg.qr(codes[occurring].T, mode="r")).T
    return short
