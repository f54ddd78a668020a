"""Judgements as arrays, beside the pairs of graphs that matching scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from semetric.errors import SemetricError, UsageError
from semetric.learn.triplets import Choice, ScoredTriplet
from semetric.scene.batch import GradedBatch, PairBatch, RelatedGraph
from semetric.scene.build import GraphBuilder
from semetric.scene.graph import SceneGraph

__all__ = ["Batch", "Judged", "judged_of", "load_batch"]

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]


class Batch(Protocol):
    """Pairs of graphs, ready for any settings of their variant of SeSS: PairBatch or GradedBatch."""

    def __len__(self) -> int: ...

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of every number that scores depend on beside the settings."""

    def scores(self, settings: Any, /) -> _Floats:
        """SeSS of every pair, (pairs,) in [0, 1]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """T triplets. Pair 2t is triplet t's reference with a, pair 2t + 1 with b.

    Attributes:
        keys: (T,) names of the triplets.
        group: (T,) number of each triplet's reference, from 0: triplets of one reference stay together in folds and
            resamples.
        share_b: (T,) share of people who find b the closer; a half where the two scores are equal.
        scores: (2T,) what people gave each pair, in [0, 1]; None where they only chose.
    """

    keys: tuple[str, ...]
    group: _Ints
    share_b: _Floats
    scores: _Floats | None

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def groups(self) -> int:
        """How many references there are."""
        return int(self.group.max(initial=-1)) + 1

    @property
    def pair_group(self) -> _Ints:
        """(2T,) the reference of each pair."""
        return np.repeat(self.group, 2)


def judged_of(items: Sequence[ScoredTriplet | Choice]) -> Judged:
    """The arrays of scored triplets or of choices; the order is kept.

    Raises:
        UsageError: none, or both kinds.
    """
    if not items:
        raise UsageError("Expected judged triplets; found none.")
    kinds = {type(item) for item in items}
    if len(kinds) > 1:
        raise UsageError("Expected either scored triplets or choices; found both. Tune on one kind.")
    numbers: dict[str, int] = {}
    group = np.array([numbers.setdefault(item.triplet.reference, len(numbers)) for item in items], np.int64)
    scores = None
    if kinds == {ScoredTriplet}:
        scores = np.array([s for item in items for s in (item.score_a, item.score_b)])  # type: ignore[union-attr]
        share_b = np.where(scores[1::2] == scores[::2], 0.5, (scores[1::2] > scores[::2]).astype(np.float64))
    else:
        share_b = np.array([item.share_b for item in items])  # type: ignore[union-attr]
    return Judged(keys=tuple(item.triplet.key for item in items), group=group, share_b=share_b, scores=scores)


def load_batch(
    items: Sequence[ScoredTriplet | Choice],
    builder: GraphBuilder,
    *,
    workers: int = 1,
    advance: Callable[[int], None] = lambda count: None,
) -> tuple[list[ScoredTriplet | Choice], Batch, dict[str, str]]:
    """The pairs of graphs behind triplets. Graphs come from the cache, or are made and kept there.

    Args:
        items: the judged triplets.
        builder: of the variant paper or graded, whose settings the batch takes.
        workers: threads that score.
        advance: progress callback: number of images finished since the last call.

    Returns:
        The triplets whose three images have a graph, their pairs in the order of `Judged`, and for the others
        path → why there is none.

    Raises:
        UsageError: no triplet is left.
        WeightsError: a graph has to be made, and the networks for it are not here.
    """
    from semetric.errors import WeightsError
    from semetric.image import read_image
    from semetric.metrics.sess import cosine

    paths = dict.fromkeys(path for item in items for path in _paths(item))
    graph_of, failed = {}, {}
    for path in paths:
        try:
            graph_of[path] = builder(read_image(path))
        except WeightsError:
            raise
        except SemetricError as error:
            failed[path] = str(error)
        advance(1)
    whole = [item for item in items if all(path in graph_of for path in _paths(item))]
    if not whole:
        raise UsageError(f"Expected triplets whose images can be read; found none. {next(iter(failed.values()), '')}")
    number = {path: i for i, path in enumerate(graph_of)}
    pairs = [(number[r], number[x]) for r, a, b in map(_paths, whole) for x in (a, b)]
    graphs = list(graph_of.values())
    alike = [cosine(graphs[i].image_feature, graphs[j].image_feature) for i, j in pairs]
    batch = _batch(
        graphs,
        np.array(pairs),
        builder.predicate_similarity,
        alike,
        graded=builder.variant == "graded",
        workers=workers,
    )
    return whole, batch, failed


def _batch(
    graphs: Sequence[SceneGraph],
    pairs: _Ints,
    predicates: _Floats,
    alike: Sequence[float],
    *,
    graded: bool,
    workers: int,
) -> Batch:
    if graded:
        return GradedBatch([graph.graded for graph in graphs], pairs, predicates, alike, workers=workers)
    return PairBatch([RelatedGraph.of(graph) for graph in graphs], pairs, predicates, alike, workers=workers)


def _paths(item: ScoredTriplet | Choice) -> tuple[str, str, str]:
    return item.triplet.reference, item.triplet.a, item.triplet.b
