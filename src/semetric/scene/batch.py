"""Many pairs of graphs scored again and again under other settings: what tuning does.

What no setting changes is computed once: cosines of all objects of a pair, their distances, the edges. A round then
takes a few array operations over all pairs together (importance, shares within neighbourhoods, initial similarities)
and one compiled call a pair, without the interpreter's lock, in as many threads as there are cores.
The scores are those of `semetric.scene.matching.match`.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.scene.matching import GraphArrays, MatchingSettings, _finite, _predicates, _Prepared
from semetric.scene.weighting import ImportanceSettings, Objects

if TYPE_CHECKING:
    from semetric.scene.graph import SceneGraph

__all__ = ["MAX_CELLS", "PairBatch", "RelatedGraph", "checked_pairs"]

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
        made = graph.settings.get("importance", "paper")
        if made != "paper":
            raise UsageError(f"Expected a graph of the variant paper, whose importance can be undone; found {made!r}.")
        return cls(arrays=graph.arrays, ends=graph.triplets[:, :2], probabilities=graph.probabilities)


class _Settings(Protocol):
    @property
    def matching(self) -> MatchingSettings: ...

    @property
    def importance(self) -> ImportanceSettings: ...


def checked_pairs(pairs: NDArray[np.integer[Any]], graphs: int, similarities: int, workers: int) -> NDArray[np.int64]:
    """The pairs of a batch as (P, 2) indices.

    Args:
        pairs: (P, 2) reference and image.
        graphs: how many there are.
        similarities: how many image similarities.
        workers: threads.

    Raises:
        UsageError: numbers that do not fit together.
    """
    checked = np.asarray(pairs, np.int64).reshape(-1, 2)
    if len(checked) != similarities:
        raise UsageError(f"Expected one image similarity a pair; found {similarities} for {len(checked)}.")
    if checked.size and not (checked.min() >= 0 and checked.max() < graphs):
        raise UsageError(f"Expected pairs of indices below {graphs} (graphs); found others.")
    if workers < 1:
        raise UsageError(f"Expected at least 1 worker; found {workers}.")
    return checked


class PairBatch:
    """P pairs of graphs, ready for any settings.

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
        self.pairs = checked_pairs(pairs, len(graphs), len(image_similarities), workers)
        self.workers = workers
        self._image = np.array([_finite("image_similarity", float(s)) for s in image_similarities], np.float64)
        self._predicates = _predicates(predicate_similarity)
        ready = [_Prepared(g.arrays, MatchingSettings.PAPER) for g in graphs]
        if any(g.arrays.centres is None and len(g.arrays) for g in graphs):
            raise UsageError("Expected centres in every graph, since tuning weighs positions; found None.")
        if (most := max((r.predicates for r in ready), default=0)) > len(self._predicates):
            raise UsageError(
                f"Expected relations below {len(self._predicates)} (predicate_similarity); found {most - 1}."
            )
        self._objects = Objects(
            [r.importance for r in ready], [g.ends for g in graphs], [g.probabilities for g in graphs]
        )
        self._join_edges(ready)
        self._join_pairs(ready)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of every number that scores depend on beside the settings."""
        found = hashlib.sha256()
        for array in (
            self.pairs,
            self._sizes,
            self._image,
            self._predicates,
            self._cosine,
            self._near,
            self._objects.stored,
            self._objects.ends,
            self._objects.probabilities,
            self._start,
            self._object,
            self._predicate,
        ):
            found.update(repr((array.shape, array.dtype.str)).encode())
            found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()

    def scores(self, settings: _Settings) -> _Floats:
        """SeSS of every pair, (P,) in [0, 1]."""
        graph = self.graph_scores(settings.matching, settings.importance)
        gamma = settings.matching.gamma
        blended = (1.0 - gamma) * graph + gamma * self._image
        return np.clip(np.where(self._empty, self._image, blended), 0.0, 1.0)

    def graph_scores(self, matching: MatchingSettings, importance: ImportanceSettings) -> _Floats:
        """The part that the graphs give, (P,), before gamma; 0 where one has no object."""
        with self._lock:  # one round at a time: its threads share the buffers
            self._weigh(importance)
            np.multiply(self._cosine, 1.0 - matching.location, out=self._similarity)
            if matching.location:
                self._similarity += matching.location * self._near
            self._run(matching)
            n, m = self._sizes.T
            total: _Floats = (self._sums[:, 0] * n + self._sums[:, 1] * m) / np.maximum(n + m, 1)
            return total

    def _join_edges(self, ready: list[_Prepared]) -> None:
        """Edges of all graphs in one row; a graph's own numbering of its objects stays."""
        edges = np.array([len(r.object) for r in ready], np.int64)
        self._edge_at = np.concatenate([[0], np.cumsum(edges)])  # (graphs + 1,)
        first = self._objects.start
        whole = np.zeros(0, np.int64)
        self._object = np.concatenate([whole, *(r.object for r in ready)]).astype(np.int64)
        self._predicate = np.concatenate([whole, *(r.predicate for r in ready)]).astype(np.int64)
        self._start = np.concatenate([whole, *(r.start for r in ready)]).astype(np.int64)  # n + 1 a graph
        degree = np.concatenate([whole, *(r.degree for r in ready)]).astype(np.int64)
        self._subject = np.repeat(np.arange(len(degree)), degree)  # (edges,) among all objects
        self._target = self._object + np.repeat(first[:-1], edges)
        self._even = 1.0 / np.maximum(degree, 1)[self._subject]
        self._importance = np.empty(len(degree))
        self._share = np.empty(len(self._object))

    def _join_pairs(self, ready: list[_Prepared]) -> None:
        """Cosines and distances of all pairs in one row, and the arguments of each compiled call."""
        counts = np.array([len(r) for r in ready], np.int64)
        self._sizes = counts[self.pairs].reshape(-1, 2)  # (P, 2)
        self._empty = self._sizes.sum(axis=1) == 0
        cells = np.concatenate([[0], np.cumsum(self._sizes.prod(axis=1))])
        if cells[-1] > MAX_CELLS:
            raise UsageError(
                f"Expected at most {MAX_CELLS} pairs of objects over all pairs of images; found {cells[-1]}. "
                "Tune on fewer triplets."
            )
        self._cosine, self._near = np.empty(cells[-1]), np.empty(cells[-1])
        self._similarity = np.empty(cells[-1])
        self._sums = np.zeros((len(self.pairs), 2))
        lengths = {r.features.shape[1] for r in ready if len(r)}
        if len(lengths) > 1:
            raise UsageError(f"Expected features of one length in all graphs (one encoder); found {sorted(lengths)}.")
        self._room = _Room()
        for p, (i, j) in enumerate(self.pairs):
            one, two = ready[i], ready[j]
            if not (len(one) and len(two)):
                continue
            here = slice(int(cells[p]), int(cells[p + 1]))
            self._cosine[here] = (one.features @ two.features.T).reshape(-1)
            apart = one.centres[:, None] - two.centres[None]
            self._near[here] = (1.0 - 0.5 * np.einsum("nmc,nmc->nm", apart, apart)).reshape(-1)
            self._room.widen(one, two)
        if not (np.isfinite(self._cosine).all() and np.isfinite(self._near).all()):
            raise UsageError("Expected finite features and centres; found NaN or infinity.")
        there = np.flatnonzero(self._sizes.prod(axis=1))  # an empty graph needs no matching
        self._calls = [self._call(int(p), int(cells[p])) for p in there]

    def _call(self, p: int, cell: int) -> tuple[tuple[Any, ...], int, int]:
        """(fixed arguments, where its similarities lie, where its sums go)."""
        sides = []
        for graph in self.pairs[p]:
            at, edge = int(self._objects.start[graph]), int(self._edge_at[graph])
            sides.append(
                (
                    _at(self._importance, at),
                    _at(self._start, at + int(graph)),
                    _at(self._object, edge),
                    _at(self._predicate, edge),
                    _at(self._share, edge),
                )
            )
        n, m = (int(x) for x in self._sizes[p])
        fixed = (n, m, *sides[0], *sides[1], len(self._predicates), _at(self._predicates, 0))
        return fixed, _at(self._similarity, cell), _at(self._sums, 2 * p)

    def _weigh(self, settings: ImportanceSettings) -> None:
        """Fills the importance of all objects, and each edge's share within its subject's neighbourhood."""
        self._importance[:] = self._objects.importance(settings)
        given = self._importance[self._target]
        mass = np.bincount(self._subject, given, len(self._importance))[self._subject]
        self._share[:] = self._even
        np.divide(given, mass, out=self._share, where=mass > 0)
        if not (np.isfinite(self._importance).all() and np.isfinite(self._share).all()):
            raise UsageError("Expected finite importance; found NaN or infinity.")  # the kernel trusts its numbers

    def _run(self, settings: MatchingSettings) -> None:
        if not self._calls:
            return
        if self.workers == 1:
            self._chunk(self._calls, settings)
            return
        chunks = [self._calls[w :: self.workers] for w in range(self.workers)]
        with ThreadPoolExecutor(self.workers) as pool:
            list(pool.map(lambda chunk: self._chunk(chunk, settings), chunks))

    def _chunk(self, calls: Sequence[tuple[tuple[Any, ...], int, int]], settings: MatchingSettings) -> None:
        """Some pairs, one after the other, in scratch memory of their own."""
        from semetric.scene import _machine  # the compiler: only when graphs are matched

        room = self._room.scratch()
        tail = room.addresses
        shape = (settings.alpha, settings.beta, int(settings.iterations), int(settings.in_place))
        for fixed, similarity, sums in calls:
            _machine.graph_match(*fixed, *shape, similarity, room.other, 0, 0, *tail, sums)


class _Room:
    """How much scratch memory the largest pair takes."""

    def __init__(self) -> None:
        self.cells = self.edges = self.square = self.longest = self.chosen = 1

    def widen(self, one: _Prepared, two: _Prepared) -> None:
        n, m = len(one), len(two)
        smaller = np.minimum.outer(one.degree, two.degree)
        degree = max(1, int(one.degree.max()), int(two.degree.max()))
        self.cells = max(self.cells, n * m)
        self.edges = max(self.edges, len(one.object) * len(two.object))
        self.square = max(self.square, n * m, degree**2)
        self.longest = max(self.longest, n, m)
        self.chosen = max(self.chosen, n, m, 2 * int(smaller[smaller > 4].sum()))

    def scratch(self) -> _Scratch:
        return _Scratch(self)


class _Scratch:
    """The scratch memory of one thread, and its addresses in the order of `_kernels.graph_match`."""

    def __init__(self, room: _Room) -> None:
        floats = [np.empty(size) for size in (room.cells, room.edges, room.square, room.square)]
        lines = [np.empty(room.longest) for _ in range(3)]
        integers = [np.empty(room.longest, np.int64) for _ in range(6)]
        where, chosen = np.empty(room.edges, np.int32), np.empty(room.chosen, np.int64)
        self.keep = (floats, lines, integers, where, chosen)
        self.other = _at(floats[0], 0)
        self.addresses = (
            _at(where, 0),
            _at(floats[1], 0),
            _at(chosen, 0),
            *(_at(x, 0) for x in (*floats[2:], *lines, *integers)),
        )


def _at(array: NDArray[Any], item: int) -> int:
    """Where an item of a contiguous array lies; the array must outlive the call."""
    address: int = array.__array_interface__["data"][0]
    return address + int(item) * array.itemsize
