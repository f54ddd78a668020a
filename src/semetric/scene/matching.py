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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError

if TYPE_CHECKING:
    from typing import Self

__all__ = ["GraphArrays", "Matching", "MatchingSettings", "at_partners", "match", "match_many", "prepare"]

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
        assignment: (k, 2) a one-to-one choice: no object occurs twice; as many of `pairs` as that allows, and among
            such choices the one with the largest total contribution. Equal to `pairs` where the assignments agree.
            It may hold pairs that are unlike; which are shown as matches is `report.account`'s choice.
        partners: (n,) the partner of each object of the first graph in the assignment weighted by its importance, and
            (m,) likewise of the second graph's; −1 for none.
        stakes: (n,) and (m,) what each object can give to the score.
        kept: (n,) and (m,) what it gives.
        initial: (n, m) L before the first iteration.
        final: (n, m) L after the last.
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
    assignment: _Ints
    partners: tuple[_Ints, _Ints]
    stakes: tuple[_Floats, _Floats]
    kept: tuple[_Floats, _Floats]
    initial: _Floats
    final: _Floats
    least_similarity: float = 0.4
    history: _Floats | None = None

    @property
    def first(self) -> _Ints:
        """(k, 2) the assignment weighted by the first graph's importance, row by row."""
        return _as_pairs(self.partners[0])

    @property
    def second(self) -> _Ints:
        """(k, 2) the assignment weighted by the second graph's importance, row by row."""
        pairs = _as_pairs(self.partners[1])[:, ::-1]
        return pairs[np.argsort(pairs[:, 0], kind="stable")]


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
    """
    predicates = _predicates(predicate_similarity)
    image_similarity = _finite("image_similarity", image_similarity)
    one, two = _Prepared(graph1, settings), _Prepared(graph2, settings)
    n, m = len(one), len(two)
    initial = _initial(one, two, settings.location)
    log = np.empty((settings.iterations + 1 if history else 0, n, m))
    sums, final, columns = _run(one, two, initial, predicates, settings, log)
    graph_score, score = _combine(sums, n, m, image_similarity, settings.gamma)

    share = (1.0 - settings.gamma) / max(n + m, 1)
    first, second, shown = columns
    both = first == second
    node = np.arange(n)
    gain_first = np.where(first >= 0, share * n * one.importance, 0.0)
    gain_second = share * m * two.importance[second] if m else np.zeros(n)  # of no use where second is −1
    gain_first = np.where(both, gain_first + gain_second, gain_first) * (final[node, first] if m else 1.0)
    gain_second = gain_second * (final[node, second] if m else 1.0)
    alone = np.flatnonzero(~both & (second >= 0))  # in the second assignment only
    there = np.flatnonzero(first >= 0)
    pairs = np.stack([np.concatenate([there, alone]), np.concatenate([first[there], second[alone]])], axis=1)
    contributions = np.concatenate([gain_first[there], gain_second[alone]])
    order = np.argsort(-contributions, kind="stable")
    partners2 = np.full(m, -1, np.int64)
    partners2[second[second >= 0]] = np.flatnonzero(second >= 0)
    stakes = share * n * one.importance, share * m * two.importance
    picked = np.flatnonzero(shown >= 0)
    picked = picked[np.argsort(-np.where(shown == first, gain_first, gain_second)[picked], kind="stable")]
    return Matching(
        score=score,
        graph_score=graph_score,
        image_similarity=image_similarity,
        image_contribution=settings.gamma * image_similarity if n or m else image_similarity,
        image_weight=settings.gamma if n or m else 1.0,
        pairs=pairs[order],
        contributions=contributions[order],
        assignment=np.stack([picked, shown[picked]], axis=1),
        partners=(first.copy(), partners2),
        stakes=stakes,
        kept=(
            stakes[0] * at_partners(final, first),
            stakes[1] * at_partners(final.T, partners2),
        ),
        initial=initial,
        final=final,
        history=log if history else None,
    )


def match_many(
    graph: GraphArrays,
    graphs: Sequence[GraphArrays],
    predicate_similarity: NDArray[np.floating[Any]],
    image_similarities: Sequence[float] | NDArray[np.floating[Any]],
    settings: MatchingSettings = MatchingSettings.PAPER,
    *,
    workers: int = 1,
) -> _Floats:
    """Scores one graph against many: the same numbers as `match`, one call a graph.

    Args:
        graph: the reference's graph.
        graphs: the others.
        predicate_similarity: (P, P), as for `match`.
        image_similarities: one for each of graphs.
        settings: as for `match`.
        workers: threads; the compiled part holds no lock.

    Returns:
        (len(graphs),) scores.

    Raises:
        UsageError: as `match`; or the two sequences differ in length.
    """
    if len(graphs) != len(image_similarities):
        raise UsageError(
            f"Expected one image similarity a graph; found {len(image_similarities)} for {len(graphs)} graphs."
        )
    if workers < 1:
        raise UsageError(f"Expected at least 1 worker; found {workers}.")
    predicates = _predicates(predicate_similarity)
    one = _Prepared(graph, settings)

    def score(other: GraphArrays, similarity: float) -> float:
        similarity = _finite("image_similarity", similarity)
        two = _Prepared(other, settings)
        initial = _initial(one, two, settings.location)
        sums, *_ = _run(one, two, initial, predicates, settings, np.empty(0))
        return _combine(sums, len(one), len(two), similarity, settings.gamma)[1]

    if workers == 1:
        return np.fromiter(map(score, graphs, image_similarities), np.float64, len(graphs))
    with ThreadPoolExecutor(workers) as pool:
        return np.fromiter(pool.map(score, graphs, image_similarities), np.float64, len(graphs))


def prepare() -> None:
    """Readies the compiled part: some hundredths of a second where its machine code is on disk, else seconds.

    The first match does this by itself; a program that has other work to wait for may call it before, in any thread.
    """
    from semetric.scene import _machine

    _machine.prepare()


class _Prepared:
    """A graph as the kernels take it: unit features, importance of sum 1, contiguous arrays."""

    def __init__(self, graph: GraphArrays, settings: MatchingSettings) -> None:
        if settings.location and graph.centres is None and len(graph):
            raise UsageError("Expected centres, since the settings give positions a weight; found None.")
        features = np.asarray(graph.features, np.float64)
        with np.errstate(over="ignore", under="ignore"):
            length = np.sqrt(np.einsum("nd,nd->n", features, features))
        if not ((length > _SAFE[0]) & (length < _SAFE[1])).all():
            most = np.abs(features).max(1, initial=0.0)
            features = features / np.where(most > 0.0, most, 1.0)[:, None]
            length = np.sqrt(np.einsum("nd,nd->n", features, features))
            length[most == 0.0] = 1.0  # no direction: like nothing
        self.features = features / length[:, None]  # (n, d)
        importance = np.ascontiguousarray(graph.importance, np.float64)
        with np.errstate(over="ignore"):
            total = float(importance.sum())
        if not _SAFE[0] < total < _SAFE[1]:
            importance = importance / (importance.max(initial=0.0) or 1.0)
            total = float(importance.sum())
        self.importance = importance / total if total != 0 else np.full(len(importance), 1.0 / max(len(importance), 1))
        self.centres = None if graph.centres is None else np.asarray(graph.centres, np.float64)  # (n, 2)
        subject, object_ = np.nonzero(graph.relations >= 0)
        self.object = np.ascontiguousarray(object_)  # (edges,), row by row
        self.predicate = graph.relations[subject, object_].astype(np.int64)
        self.degree = np.bincount(subject, minlength=len(features))  # (n,) outgoing edges
        self.start = np.concatenate([[0], np.cumsum(self.degree)])  # (n + 1,)
        given = self.importance[object_]
        mass = np.bincount(subject, given, len(features))[subject]
        even = 1.0 / np.maximum(self.degree, 1)[subject]
        self.share = np.divide(given, mass, out=even, where=mass > 0)  # (edges,) sum 1 over a row
        self.predicates = int(self.predicate.max(initial=-1)) + 1  # how many a similarity matrix must cover
        if self.predicate.min(initial=0) < 0:
            raise UsageError("Expected relations of at most 63 bits; found larger ones.")

    def __len__(self) -> int:
        return len(self.features)


def _initial(one: _Prepared, two: _Prepared, location: float) -> _Floats:
    """L before the first iteration (Eq. 19), (n, m)."""
    if len(one) == 0 or len(two) == 0:
        return np.zeros((len(one), len(two)))
    if one.features.shape[1] != two.features.shape[1]:
        raise UsageError(
            "Expected features of one length in both graphs (one encoder); found "
            f"{one.features.shape[1]} and {two.features.shape[1]}."
        )
    if len(one) * len(two) > _MAX_PAIRS:
        raise UsageError(
            f"Expected graphs whose object counts multiply to at most {_MAX_PAIRS}; found {len(one)} × {len(two)}."
        )
    cosine: _Floats = one.features @ two.features.T
    if not location or one.centres is None or two.centres is None:
        return cosine
    apart = one.centres[:, None] - two.centres[None]  # (n, m, 2)
    near = 1.0 - 0.5 * np.einsum("nmc,nmc->nm", apart, apart)
    blended: _Floats = (1.0 - location) * cosine + location * near
    return blended


def _run(
    one: _Prepared, two: _Prepared, initial: _Floats, predicates: _Floats, settings: MatchingSettings, log: _Floats
) -> tuple[tuple[float, float], _Floats, _Ints]:
    """(s1, s2); final (n, m); the column of each row in the first, the second and the shown assignment, (3, n)."""
    n, m = initial.shape
    # The kernel trusts its numbers: an unordered NaN would lead its search out of its arrays. The graphs were checked
    # when they were made, but their arrays may have been written to since.
    for numbers in (initial, one.importance, one.share, two.importance, two.share):
        if not np.isfinite(numbers).all():
            raise UsageError("Expected finite features, importance and centres; found NaN or infinity.")
    if (needed := max(one.predicates, two.predicates)) > len(predicates):
        raise UsageError(f"Expected relations below {len(predicates)} (predicate_similarity); found {needed - 1}.")
    edges = len(one.object) * len(two.object)
    if edges > _MAX_EDGE_PAIRS:
        raise UsageError(
            f"Expected graphs whose edge counts multiply to at most {_MAX_EDGE_PAIRS}; "
            f"found {len(one.object)} × {len(two.object)}. Keep fewer relations (the paper keeps 100)."
        )
    if n == 0 or m == 0:
        return (0.0, 0.0), initial, np.full((3, n), -1, np.int64)
    from semetric.scene import _machine  # the compiler: only when graphs are matched

    smaller = np.minimum.outer(one.degree, two.degree)
    longest = max(n, m)
    most = max(1, one.degree.max(), two.degree.max())
    final = initial.copy()
    scratch_int = np.empty(3 * longest + max(longest, 2 * int(smaller[smaller > 4].sum())), np.int64)
    square = max(n * m, int(most) ** 2)
    scratch = np.empty(n * m + edges + 2 * square + 3 * longest + 2)
    where = np.empty(edges, np.int32)
    columns = np.empty((3, n), np.int64)

    f, q, c = _address(scratch), _address(scratch_int), _address(columns)
    other, relation_part, w1, w2, u, v, slack, sums = (
        f + 8 * int(at) for at in np.cumsum([0, n * m, edges, square, square, longest, longest, longest])
    )
    _machine.graph_match(
        n,
        m,
        *(_address(x) for x in (one.importance, one.start, one.object, one.predicate, one.share)),
        *(_address(x) for x in (two.importance, two.start, two.object, two.predicate, two.share)),
        len(predicates),
        _address(predicates),
        settings.alpha,
        settings.beta,
        settings.iterations,
        settings.in_place,
        _address(final),
        other,
        _address(log),
        len(log) > 0,
        _address(where),
        relation_part,
        q + 24 * longest,
        w1,
        w2,
        u,
        v,
        slack,
        q,
        q + 8 * longest,
        q + 16 * longest,
        c,
        c + 8 * n,
        c + 16 * n,
        sums,
    )
    return (float(scratch[-2]), float(scratch[-1])), final, columns


def _address(array: NDArray[Any]) -> int:
    """Where a contiguous array lies; it must outlive the call."""
    if not array.flags.c_contiguous:
        raise ValueError("Expected a contiguous array; found strides between its items.")
    address: int = array.__array_interface__["data"][0]
    return address


def _combine(sums: tuple[float, float], n: int, m: int, image: float, gamma: float) -> tuple[float, float]:
    """Graph score and score (Eq. 23)."""
    if n + m == 0:
        return 0.0, image
    graph = (sums[0] * n + sums[1] * m) / (n + m)
    return graph, (1.0 - gamma) * graph + gamma * image


def at_partners(similarity: _Floats, partners: _Ints) -> _Floats:
    """Each row's similarity to its partner; 0 without one."""
    values = np.zeros(len(partners))
    paired = np.flatnonzero(partners >= 0)
    values[paired] = similarity[paired, partners[paired]]
    return values


def _as_pairs(column: _Ints) -> _Ints:
    """(k, 2) from the column of each row, −1 for none."""
    row = np.flatnonzero(column >= 0)
    return np.stack([row, column[row]], axis=1)


def _predicates(similarity: NDArray[np.floating[Any]]) -> _Floats:
    found = _expect("predicate_similarity", similarity, ("P", "P"))
    if found.shape[0] != found.shape[1]:
        raise UsageError(f"Expected predicate_similarity of shape (P, P); found {found.shape}.")
    if not np.isfinite(found).all():
        raise UsageError("Expected a finite predicate_similarity; found NaN or infinity.")
    out = np.ascontiguousarray(found, np.float64)
    if out.size and np.abs(out).max() > _MAX_COSINE:
        raise UsageError(f"Expected cosines in predicate_similarity; found {out.flat[np.abs(out).argmax()]}.")
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
