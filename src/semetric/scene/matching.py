"""SeSS graph matching on plain arrays.

Two scene graphs in; out come the score, which object corresponds to which, and what each pair contributes.

Reference: Fan et al., "Semantic Similarity Score for Measuring Visual Similarity at Semantic Level" (SeSS,
arXiv 2406.03865), Section III-B, Eq. 18–25; Kuhn 1955 for the assignment. `MatchingSettings.PAPER` follows the
paper's equations and Table II; `MatchingSettings.DEMO` the authors' published code. Where the two disagree on which of
objects and relations alpha weighs (Eq. 20 against the text below Table II and the code), alpha is here the weight
of the relations.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError

if TYPE_CHECKING:
    from typing import Self

    from semetric.scene.graded import GradedSettings

__all__ = ["GraphArrays", "Matching", "MatchingSettings", "PreparedGraph", "at_partners", "match", "prepare"]

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]

_MAX_EDGE_PAIRS = 50_000_000  # the kernel's table of them takes 12 bytes each
_MAX_PAIRS = 50_000_000  # of objects; six tables of 8 bytes, and the kernel counts them in 31 bits
_MAX_ITERATIONS = 100_000  # seven are usual; more than this is a slip, not a setting
_MAX_COSINE = 1.01  # rounding of half-precision embeddings takes a cosine this far beyond 1
_SAFE = (1e-100, 1e150)  # vectors of such lengths have squares that neither vanish nor overflow


@dataclass(frozen=True, kw_only=True)
class MatchingSettings:
    """What shapes a match beside the graphs.

    Attributes:
        alpha: weight of the relations' similarity against the objects' (Eq. 20), in [0, 1].
        beta: weight of the neighbourhood in each update (Eq. 22), in [0, 1].
        gamma: weight of the whole images' similarity in the score (Eq. 23), in [0, 1].
        location: weight of the objects' positions in the initial similarity, in [0, 1].
        iterations: how many updates, ≥ 0.
        in_place: from the second iteration on, an update sees those before it in the same iteration (row by
            row); as the published code does, by accident of a shared array.

    Example:
        >>> MatchingSettings.DEMO.gamma
        0.05
    """

    alpha: float = 0.25
    beta: float = 0.05
    gamma: float = 0.10
    location: float = 0.0
    iterations: int = 7
    in_place: bool = False

    PAPER: ClassVar[Self]
    DEMO: ClassVar[Self]

    def __post_init__(self) -> None:
        for name in ("alpha", "beta", "gamma", "location"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise UsageError(f"Expected {name} between 0 and 1; found {value!r}.")
        if not isinstance(self.iterations, int | np.integer) or not 0 <= self.iterations <= _MAX_ITERATIONS:
            raise UsageError(f"Expected 0 to {_MAX_ITERATIONS} iterations; found {self.iterations!r}.")

    def initial(self, cosine: _Floats, nearness: _Floats) -> _Floats:
        """L before the first iteration (Eq. 19) from what `compared` returns, (n, m)."""
        return (1.0 - self.location) * cosine + self.location * nearness if self.location else cosine


MatchingSettings.PAPER = MatchingSettings()
MatchingSettings.DEMO = MatchingSettings(gamma=0.05, location=0.2, in_place=True)


@dataclass(frozen=True, kw_only=True, eq=False)
class GraphArrays:
    """A scene graph of n objects as arrays; n may be 0.

    Attributes:
        features: (n, d) embedding of each object; any length, only directions count.
        relations: (n, n) integers: predicate of the edge from subject (row) to object (column), −1 for none.
        importance: (n,) ≥ 0; scaled to sum 1 when matched (all zero counts as all equal).
        centres: (n, 2) centroid of each mask, (y, x) in [0, 1]; None where positions have no weight.

    Raises:
        UsageError: other shapes, other kinds of numbers, NaN or infinity, or values outside those ranges.
    """

    features: NDArray[np.floating[Any]]
    relations: NDArray[np.integer[Any]]
    importance: NDArray[np.floating[Any]]
    centres: NDArray[np.floating[Any]] | None = None

    def __len__(self) -> int:
        return len(self.features)

    def __post_init__(self) -> None:
        features = _expect("features", self.features, ("n", "d"))
        n = len(features)
        relations = _expect("relations", self.relations, (n, n), kinds="iu")
        importance = _expect("importance", self.importance, (n,))
        if relations.size and relations.max() > np.iinfo(np.int32).max:
            raise UsageError(f"Expected relations below {np.iinfo(np.int32).max}; found {relations.max()}.")
        if n and not (np.isfinite(importance).all() and importance.min() >= 0):
            raise UsageError("Expected importance to be finite and not negative; found other values.")
        if not np.isfinite(features).all():
            raise UsageError("Expected finite features; found NaN or infinity.")
        if self.centres is not None:
            centres = _expect("centres", self.centres, (n, 2))
            if n and not (centres.min() >= 0.0 and centres.max() <= 1.0):  # NaN is neither
                raise UsageError("Expected finite centres between 0 and 1; found other values.")


@dataclass(frozen=True, kw_only=True, eq=False)
class Matching:
    """What a match found. n and m are the sizes of the two graphs.

    The graph score weighs two assignments of min(n, m) pairs each: one maximises similarity weighted by the
    importance of the first graph's objects (its sum is s1), the other by that of the second's (s2);
    graph_score = (s1·n + s2·m)/(n + m). So a pair (i, j) with final similarity L[i, j] contributes

        (1 − gamma) · L[i, j] · (n · v[i] · [in the first] + m · w[j] · [in the second]) / (n + m)

    to the score, and `contributions.sum() + image_contribution` is the score (to rounding).

    Attributes:
        score: SeSS, in about [0, 1]; higher is more similar.
        graph_score: the part that the graphs give.
        image_similarity: the part that the whole images give.
        image_contribution: image_weight · image_similarity.
        image_weight: gamma; 1 where both graphs are empty. Graded SeSS adds the pixels that no object holds.
        pairs: (p, 2) every pair in at least one of the two assignments, by falling contribution.
        contributions: (p,) what each adds to the score; negative where the similarity is.
        partners: (n,) the partner of each object of the first graph in the assignment weighted by its importance, and
            (m,) that of each object of the second graph in the other assignment; −1 for none.
        bounds: (n,) and (m,) the most that each object can contribute to the score.
        gains: (n,) and (m,) what it contributes.
        initial: (n, m) L before the first iteration.
        final: (n, m) L after the last.
        settings: what shaped the match beside the graphs.
        least_similarity: from which final similarity on a pair may be shown as a match. With the object encoder of
            profile lite, pairs between photos of different things stay below 0.4, but for a few percent.
        history: (iterations + 1, n, m) every L, where it was asked for, else None.
    """

    score: float
    graph_score: float
    image_similarity: float
    image_contribution: float
    image_weight: float
    pairs: _Ints
    contributions: _Floats
    partners: tuple[_Ints, _Ints]
    bounds: tuple[_Floats, _Floats]
    gains: tuple[_Floats, _Floats]
    initial: _Floats
    final: _Floats
    settings: MatchingSettings | GradedSettings
    least_similarity: float = 0.4
    history: _Floats | None = None


def match(
    graph1: GraphArrays,
    graph2: GraphArrays,
    predicate_similarity: NDArray[np.floating[Any]],
    image_similarity: float,
    settings: MatchingSettings = MatchingSettings.PAPER,
    *,
    history: bool = False,
) -> Matching:
    """Matches two graphs (SeSS, Eq. 18–25).

    Where neither graph has an object, the score is image_similarity alone. Where one has none, no object finds a
    counterpart: the graph score is 0 and image_similarity counts with its weight gamma.

    Args:
        graph1: the reference's graph.
        graph2: the image's graph.
        predicate_similarity: (P, P) cosine similarity of each two predicates; relations index it.
        image_similarity: cosine of the whole images' embeddings.
        settings: MatchingSettings.PAPER, DEMO or your own.
        history: keep the similarities of every iteration.

    Raises:
        UsageError: arrays whose shapes or values do not fit together.

    Example:
        >>> graph = GraphArrays(
        ...     features=np.eye(2), relations=np.array([[-1, 0], [-1, -1]]), importance=np.array([0.7, 0.3])
        ... )
        >>> matching = match(graph, graph, np.eye(1), 1.0)
        >>> round(matching.score, 3), matching.pairs.tolist()
        (1.0, [[0, 0], [1, 1]])
    """
    image_similarity = _finite("image_similarity", image_similarity)
    if settings.location and any(graph.centres is None and len(graph) for graph in (graph1, graph2)):
        raise UsageError("Expected centres, since the settings give positions a weight; found None.")
    reference, image = PreparedGraph(graph1), PreparedGraph(graph2)
    predicates = checked_predicates(predicate_similarity, (reference, image))
    n, m = len(reference), len(image)
    initial = settings.initial(*compared(reference, image))
    log = np.empty((settings.iterations + 1 if history else 0, n, m))
    graph_score, final, first, second = propagated(reference, image, initial, predicates, settings, log)
    image_weight = settings.gamma if n or m else 1.0

    # The most that each object can contribute to the score (Eq. 23).
    share = (1.0 - settings.gamma) / max(n + m, 1)
    bounds = share * n * reference.importance, share * m * image.importance
    partners2 = np.full(m, -1, np.int64)
    partners2[second[second >= 0]] = np.flatnonzero(second >= 0)
    # What each pair adds: one in both assignments has the gain of both.
    gain, paired = np.zeros((n, m)), np.zeros((n, m), np.bool_)
    for side, columns in enumerate((first, second)):
        rows = np.flatnonzero(columns >= 0)
        gain[rows, columns[rows]] += bounds[side][(rows, columns[rows])[side]]
        paired[rows, columns[rows]] = True
    pairs, contributions = np.argwhere(paired), (gain * final)[paired]
    order = np.argsort(-contributions, kind="stable")
    return Matching(
        score=(1.0 - image_weight) * graph_score + image_weight * image_similarity,
        graph_score=graph_score,
        image_similarity=image_similarity,
        image_contribution=image_weight * image_similarity,
        image_weight=image_weight,
        pairs=pairs[order],
        contributions=contributions[order],
        partners=(first, partners2),
        bounds=bounds,
        gains=(bounds[0] * at_partners(final, first), bounds[1] * at_partners(final.T, partners2)),
        initial=initial,
        final=final,
        settings=settings,
        history=log if history else None,
    )


def prepare() -> None:
    """Loads the compiled part, or compiles it: some tenths of a second, seconds where it was never done.

    The first match does this by itself; a program that has other work to wait for may call it before, in any thread.
    """
    from semetric.scene import _kernels  # noqa: F401 (compiled as it is imported)


class PreparedGraph:
    """A graph as the kernels take it: unit features, importance of sum 1, edges row by row.

    Attributes:
        features: (n, d) of unit length; a row of zeros stays one.
        centres: (n, 2), or None.
        degree: (n,) number of each object's outgoing edges.
        start: (n + 1,) where each object's outgoing edges start in the arrays of edges.
        object: (E,) object of each edge.
        predicate: (E,) predicate of each edge.
        importance: (n,) of sum 1.
        share: (E,) importance of an edge's object among the objects of the same subject; sums to 1 over a subject.
    """

    def __init__(self, graph: GraphArrays) -> None:
        features = np.asarray(graph.features, np.float64)
        with np.errstate(over="ignore", under="ignore"):
            length = np.sqrt(np.einsum("nd,nd->n", features, features))
        if not ((length > _SAFE[0]) & (length < _SAFE[1])).all():
            most = np.abs(features).max(1, initial=0.0)
            features = features / np.where(most > 0.0, most, 1.0)[:, None]
            length = np.sqrt(np.einsum("nd,nd->n", features, features))
            length[most == 0.0] = 1.0  # no direction: like nothing
        self.features = features / length[:, None]
        self.centres = None if graph.centres is None else np.asarray(graph.centres, np.float64)
        self._subject, object_ = np.nonzero(graph.relations >= 0)
        self.object = np.ascontiguousarray(object_)
        self.predicate = graph.relations[self._subject, object_].astype(np.int64)
        if self.predicate.min(initial=0) < 0:
            raise UsageError("Expected relations of at most 63 bits; found larger ones.")
        self.degree = np.bincount(self._subject, minlength=len(features))
        self.start = np.concatenate([[0], np.cumsum(self.degree)])
        importance = np.ascontiguousarray(graph.importance, np.float64)
        with np.errstate(over="ignore"):
            total = float(importance.sum())
        if not _SAFE[0] < total < _SAFE[1]:
            importance = importance / (importance.max(initial=0.0) or 1.0)
            total = float(importance.sum())
        self._weigh(importance / total if total != 0 else np.full(len(importance), 1.0 / max(len(importance), 1)))

    def __len__(self) -> int:
        return len(self.features)

    def _weigh(self, importance: _Floats) -> None:
        self.importance = importance
        given = importance[self.object]
        mass = np.bincount(self._subject, given, len(importance))[self._subject]
        even = 1.0 / np.maximum(self.degree, 1)[self._subject]
        self.share = np.divide(given, mass, out=even, where=mass > 0)

    def weighed(self, importance: _Floats) -> PreparedGraph:
        """The same graph with another importance: (n,) ≥ 0, sum 1."""
        other = copy(self)
        other._weigh(importance)
        return other


def compared(graph1: PreparedGraph, graph2: PreparedGraph) -> tuple[_Floats, _Floats]:
    """Cosines and nearness of each two objects, (n, m) each; the nearness is 0 where a graph has no centres.

    Raises:
        UsageError: features of two lengths, or too many objects.
    """
    n, m = len(graph1), len(graph2)
    if n == 0 or m == 0:
        return np.zeros((n, m)), np.zeros((n, m))
    if graph1.features.shape[1] != graph2.features.shape[1]:
        raise UsageError(
            "Expected features of one length in both graphs (one encoder); found "
            f"{graph1.features.shape[1]} and {graph2.features.shape[1]}."
        )
    if n * m > _MAX_PAIRS:
        raise UsageError(f"Expected graphs whose object counts multiply to at most {_MAX_PAIRS}; found {n} × {m}.")
    cosine: _Floats = graph1.features @ graph2.features.T
    if graph1.centres is None or graph2.centres is None:
        return cosine, np.zeros((n, m))
    apart = graph1.centres[:, None] - graph2.centres[None]  # (n, m, 2)
    return cosine, 1.0 - 0.5 * np.einsum("nmc,nmc->nm", apart, apart)


def propagated(
    graph1: PreparedGraph,
    graph2: PreparedGraph,
    initial: _Floats,
    predicate_similarity: _Floats,
    settings: MatchingSettings,
    history: _Floats,
) -> tuple[float, _Floats, _Ints, _Ints]:
    """Runs the kernel, whose arguments are explained there, on checked numbers.

    Returns:
        The graph score; L after the last iteration, (n, m); the column of each row, −1 for none, in the assignment
        under the first and under the second graph's importance, (n,) each.

    Raises:
        UsageError: numbers that are not finite, or too many edges.
    """
    n, m = initial.shape
    # The graphs were checked when they were made, but their arrays may have been written to since.
    for numbers in (initial, graph1.importance, graph1.share, graph2.importance, graph2.share):
        if not np.isfinite(numbers).all():
            raise UsageError("Expected finite features, importance and centres; found NaN or infinity.")
    if len(graph1.object) * len(graph2.object) > _MAX_EDGE_PAIRS:
        raise UsageError(
            f"Expected graphs whose edge counts multiply to at most {_MAX_EDGE_PAIRS}; "
            f"found {len(graph1.object)} × {len(graph2.object)}. Keep fewer relations (the paper keeps 100)."
        )
    if n == 0 or m == 0:
        return 0.0, initial, np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    from semetric.scene._kernels import propagate  # the compiler: only when graphs are matched

    arrays = [(g.importance, g.start, g.object, g.predicate, g.share) for g in (graph1, graph2)]
    shape = settings.alpha, settings.beta, settings.iterations, settings.in_place
    sum1, sum2, final, first, second = propagate(*arrays[0], *arrays[1], predicate_similarity, *shape, initial, history)
    return (sum1 * n + sum2 * m) / (n + m), final, first, second


def at_partners(similarity: _Floats, partners: _Ints) -> _Floats:
    """(n,) each row's similarity to its partner; 0 without one.

    Example:
        >>> at_partners(np.array([[0.1, 0.9], [0.3, 0.2]]), np.array([1, -1])).tolist()
        [0.9, 0.0]
    """
    values = np.zeros(len(partners))
    rows = np.flatnonzero(partners >= 0)
    values[rows] = similarity[rows, partners[rows]]
    return values


def checked_predicates(similarity: NDArray[np.floating[Any]], graphs: Sequence[PreparedGraph]) -> _Floats:
    """A predicate similarity as the kernel takes it, (P, P).

    Raises:
        UsageError: another shape, values that are no cosines, or fewer predicates than the graphs have.
    """
    square = _expect("predicate_similarity", similarity, ("P", "P"))
    if square.shape[0] != square.shape[1]:
        raise UsageError(f"Expected predicate_similarity of shape (P, P); found {square.shape}.")
    if not np.isfinite(square).all():
        raise UsageError("Expected a finite predicate_similarity; found NaN or infinity.")
    out = np.array(square, np.float64, order="C")  # a copy: the kernel takes no read-only array
    if out.size and np.abs(out).max() > _MAX_COSINE:
        raise UsageError(f"Expected cosines in predicate_similarity; found {out.flat[np.abs(out).argmax()]}.")
    largest = max((int(graph.predicate.max(initial=-1)) for graph in graphs), default=-1)
    if largest >= len(out):
        raise UsageError(f"Expected relations below {len(out)} (predicate_similarity); found {largest}.")
    return out


def _finite(name: str, value: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"Expected a number as {name}; found {type(value).__name__}.") from None
    if not np.isfinite(number):
        raise UsageError(f"Expected a finite {name}; found {number}.")
    return number


def _expect(name: str, array: Any, shape: tuple[int | str, ...], *, kinds: str = "fiub") -> NDArray[Any]:
    """The array, if it is one of that shape and kind of numbers, and its numbers remain when brought to 64 bits."""
    wanted = ", ".join(map(str, shape))
    if not isinstance(array, np.ndarray):
        raise UsageError(f"Expected {name} as a numpy array of shape ({wanted}); found {type(array).__name__}.")
    fits = array.ndim == len(shape) and all(
        isinstance(want, str) or want == got for want, got in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise UsageError(f"Expected {name} of shape ({wanted}); found {array.shape}.")
    if array.dtype.kind not in kinds:
        raise UsageError(f"Expected {name} to be {'integers' if kinds == 'iu' else 'numbers'}; found {array.dtype}.")
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        with np.errstate(over="ignore"):
            return array.astype(np.float64)  # what exceeds it becomes infinity
    return array
