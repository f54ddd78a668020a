"""Graded SeSS: importance and matching in which nothing hangs on a threshold.

SeSS (Fan et al., arXiv 2406.03865) keeps or drops masks, relations and pairs by thresholds, so that faint noise moves
its score. Here all of them fade in. Of the reference's objects i and the image's objects j:

    membership      m_i = ramp(predicted IoU; .80, .95) · ramp(stability; .88, .97)
    availability    a_j = ramp(predicted IoU; .70, .80) · ramp(stability; .75, .85)
    importance      v_i = Σ_x s(x) · c(x) · m_i(x) / Σ_k m_k(x),      c(x) = 1 − Π_k (1 − m_k(x))
    similarity      L_ij = σ((cos_ij − μ) / τ) / σ((1 − μ) / τ)
    in place        r_c = max_d L_cd,   R_i = Σ_c v_ic · r_c / v_i
    relation        e from i to k: w_e = v_i · v_k · ρ_e,   K_e = max_f P_ij · P_kl · S_ef · min(1, ρ_f / ρ_e)
    object          u_i = v_i − β/2 · Σ_{e at i} w_e
    one side        G_1 = max_π Σ_i u_i · max(L_iπ(i) · a_π(i), R_i)  +  β · Σ_e w_e · K_e  +  (1 − Σ_i v_i) · C
    score           (1 − γ) · (G_1 + G_2) / 2  +  γ · C

ramp(x; l, h) rises from 0 at l to 1 at h. s(x) is the saliency of the pixels, scaled to sum 1, and m_k(x) is m_k where
mask k holds x: each pixel counts once, shared by the objects that hold it. What no object holds is compared by C, the
calibrated similarity of the whole images. π is one-to-one, f runs over the image's relations (from j to l), ρ_e is how
probable relation e is, P_ij = max(0, L_ij·a_j − .05) / .95, and S_ef is the similarity of two relations' predicates.
Side 2 is side 1 with the images exchanged.

SAM may outline a thing in one image and not in the other. So each object is also looked for without an outline: c and d
run over 8 × 8 equal cells of the reference and the image, r_c is how alike the likest cell is, and v_ic is the part of
v_i that lies in cell c.

A mask counts for nothing at the thresholds at which it is generated, a relation for nothing at probability 0.05, so
adding or removing one there changes no score. docs/metrics/sess.md derives how far the score can move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.scene.calibration import Calibration
from semetric.scene.matching import Matching
from semetric.scene.relations import Triplets

__all__ = [
    "GradedGraph",
    "GradedSettings",
    "PreparedGraded",
    "availability",
    "calibrated",
    "cell_numbers",
    "coverage",
    "faded_relations",
    "importance_in_cells",
    "match_graded",
    "membership",
    "predicate_codes",
    "unit_rows",
]

_Floats = NDArray[np.float64]

LEAST_PROBABILITY = 0.05
"""A relation fades in from here; the probability from which SeSS's published code keeps relations."""

CELLS = 8
"""An object without an outline is looked for in CELLS × CELLS equal parts of the image."""

FLOOR = 1.0
"""Weight of every pixel beside its saliency, in means of the saliency: no pixel counts for nothing."""

EVEN_ODDS = 0.5
"""Two objects are shown as counterparts where they show the same thing at least as likely as not."""

UNLIKELY = 0.05
"""A pair of objects keeps relations as far as its similarity is above this: without it every pair would."""


@dataclass(frozen=True, kw_only=True)
class GradedSettings:
    """What shapes a graded score beside the graphs.

    Attributes:
        midpoint: μ, the cosine at which two crops show the same thing as likely as not; from a calibration.
        scale: τ > 0, how fast that probability rises with the cosine; from a calibration.
        image_midpoint: μ of the whole images' embeddings.
        image_scale: τ of the whole images' embeddings.
        beta: β, share of an object's weight that its relations can take, in [0, 1].
        gamma: γ, weight of the whole images' similarity, in [0, 1]; 0.1 in the paper (Table II).

    Example:
        >>> GradedSettings(midpoint=0.5, scale=0.1, image_midpoint=0.5, image_scale=0.1).gamma
        0.1
    """

    midpoint: float
    scale: float
    image_midpoint: float
    image_scale: float
    beta: float = 0.1
    gamma: float = 0.1

    variant: ClassVar[Literal["graded"]] = "graded"

    def __post_init__(self) -> None:
        for field in fields(self):
            value, (low, high) = getattr(self, field.name), _BOUNDS[field.name]
            if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
                raise UsageError(f"Expected {field.name} between {low:g} and {high:g}; found {value!r}.")

    @classmethod
    def of(cls, calibration: Calibration) -> GradedSettings:
        """Those of an encoder's calibration, with the weights of the variant graded."""
        return cls(
            midpoint=calibration.midpoint,
            scale=calibration.scale,
            image_midpoint=calibration.image_midpoint,
            image_scale=calibration.image_scale,
        )

    def to_dict(self) -> dict[str, float | str]:
        """Plain JSON values, the variant among them."""
        return {"variant": self.variant, **asdict(self)}


_BOUNDS = {
    "midpoint": (-1.0, 1.0),
    "scale": (0.005, 10.0),
    "image_midpoint": (-1.0, 1.0),
    "image_scale": (0.005, 10.0),
    "beta": (0.0, 1.0),
    "gamma": (0.0, 1.0),
}


def _ramp(x: NDArray[np.floating[Any]], low: float, high: float) -> _Floats:
    """0 up to low, 1 from high, straight between."""
    rise: _Floats = np.clip((np.asarray(x, np.float64) - low) / (high - low), 0.0, 1.0)
    return rise


def membership(iou: NDArray[np.floating[Any]], stability: NDArray[np.floating[Any]]) -> _Floats:
    """How far a mask counts as an object of its image, (N,) in [0, 1].

    Args:
        iou: (N,) SAM's predicted IoU.
        stability: (N,) in [0, 1].

    Example:
        >>> import numpy as np
        >>> membership(np.array([0.80, 0.875, 0.99]), np.array([0.99, 0.99, 0.925])).round(3).tolist()
        [0.0, 0.5, 0.5]
    """
    return _ramp(iou, 0.80, 0.95) * _ramp(stability, 0.88, 0.97)


def availability(iou: NDArray[np.floating[Any]], stability: NDArray[np.floating[Any]]) -> _Floats:
    """How far a mask can be the counterpart of another image's object, (N,) in [0, 1]; arguments as `membership`.

    It is 1 wherever the membership is above 0: an object seen clearly in one image finds its counterpart in the other
    although SAM is less sure of it there.

    Example:
        >>> import numpy as np
        >>> availability(np.array([0.70, 0.75, 0.80]), np.array([0.9, 0.9, 0.9])).round(3).tolist()
        [0.0, 0.5, 1.0]
    """
    return _ramp(iou, 0.70, 0.80) * _ramp(stability, 0.75, 0.85)


def cell_numbers(size: tuple[int, int]) -> NDArray[np.int64]:
    """Which of CELLS × CELLS equal parts of an image each pixel lies in, row by row: (H, W) in [0, CELLS²).

    Example:
        >>> cell_numbers((16, 8))[:3, :3].tolist()
        [[0, 1, 2], [0, 1, 2], [8, 9, 10]]
    """
    row, column = (np.arange(side) * CELLS // side for side in size)
    return np.asarray(row[:, None] * CELLS + column, np.int64)


def coverage(masks: NDArray[np.bool_], members: NDArray[np.floating[Any]]) -> tuple[_Floats, _Floats]:
    """Σ_k m_k(x) and Π_k (1 − m_k(x)) over the masks that hold each pixel: (H, W) each.

    Args:
        masks: (N, H, W).
        members: (N,) in [0, 1], from `membership`.

    Example:
        >>> masks = np.array([[[1, 0]], [[1, 1]]], bool)
        >>> [values.tolist() for values in coverage(masks, np.array([0.5, 0.5]))]
        [[[1.0, 0.5]], [[0.25, 0.5]]]
    """
    total, missed = np.zeros(masks.shape[1:]), np.ones(masks.shape[1:])
    for mask, member in zip(masks, members, strict=True):
        total[mask] += member
        missed[mask] *= 1.0 - member
    return total, missed


def importance_in_cells(
    saliency: NDArray[np.floating[Any]], masks: NDArray[np.bool_], members: NDArray[np.floating[Any]]
) -> _Floats:
    """The importance of each object, cell by cell: the saliency of its pixels, shared among the objects that hold them.

    Args:
        saliency: (H, W) ≥ 0.
        masks: (N, H, W).
        members: (N,) in [0, 1], from `membership`.

    Returns:
        (N, CELLS²) ≥ 0, v_ic. A row sums to the object's importance v_i, and all to at most 1; what is missing from 1
        is the saliency outside all objects.

    Raises:
        UsageError: sizes that differ.

    Example:
        >>> import numpy as np
        >>> masks = np.array([[[1, 1, 0, 0]], [[0, 1, 0, 0]]], bool)  # the second lies within the first
        >>> importance_in_cells(np.ones((1, 4)), masks, np.ones(2)).sum(axis=1).tolist()
        [0.375, 0.125]
    """
    if masks.ndim != 3 or saliency.shape != masks.shape[1:] or members.shape != masks.shape[:1]:
        raise UsageError(
            f"Expected masks (N, H, W) over saliency {saliency.shape} with (N,) members; found {masks.shape} and "
            f"{members.shape}."
        )
    weights = np.asarray(saliency, np.float64)
    weights = weights + FLOOR * (weights.mean() if weights.any() else 1.0)
    weights /= weights.sum()
    total, missed = coverage(masks, members)
    share = np.divide((1.0 - missed) * weights, total, out=np.zeros(weights.shape), where=total > 0)
    cell = cell_numbers((saliency.shape[0], saliency.shape[1]))
    parts = np.zeros((len(masks), CELLS * CELLS))
    for part, mask, member in zip(parts, masks, members, strict=True):
        part += member * np.bincount(cell[mask], share[mask], CELLS * CELLS)
    return parts


def faded_relations(probabilities: NDArray[np.floating[Any]]) -> Triplets:
    """Every relation with its probability beyond LEAST_PROBABILITY, scaled to [0, 1]; those at 0 are left out.

    Args:
        probabilities: (P, N, N) in [0, 1]: predicate, subject, object. The diagonal is ignored.

    Returns:
        Triplets, the most probable first; a directed pair may have several.

    Example:
        >>> probabilities = np.zeros((1, 2, 2))
        >>> probabilities[0, 0, 1] = 0.525
        >>> faded_relations(probabilities).probabilities.round(3).tolist()
        [0.5]
    """
    faded = np.clip((np.asarray(probabilities, np.float64) - LEAST_PROBABILITY) / (1.0 - LEAST_PROBABILITY), 0.0, 1.0)
    faded[:, np.arange(faded.shape[1]), np.arange(faded.shape[1])] = 0.0
    predicate, subject, object_ = np.nonzero(faded)
    values = faded[predicate, subject, object_]
    order = np.argsort(-values, kind="stable")
    triplets = np.stack([subject, object_, predicate], axis=1)[order].astype(np.int64)
    return Triplets(triplets=triplets, probabilities=values[order])


def calibrated(cosine: NDArray[np.floating[Any]] | float, midpoint: float, scale: float) -> _Floats:
    """The probability that two embeddings show the same thing, scaled so that a cosine of 1 gives 1.

    Example:
        >>> calibrated(1.0, 0.5, 0.1).item(), calibrated(0.5, 0.5, 0.1).round(3).item()
        (1.0, 0.503)
    """
    x = np.clip(np.asarray(cosine, np.float64), -1.0, 1.0)
    scaled: _Floats = (1.0 + np.exp((midpoint - 1.0) / scale)) / (1.0 + np.exp((midpoint - x) / scale))
    return scaled


@dataclass(frozen=True, kw_only=True, eq=False)
class GradedGraph:
    """A scene graph of n objects and E relations as arrays; both may be 0.

    Attributes:
        features: (n, d) embedding of each object; only directions count.
        cells: (c, d) embedding of each cell of the image.
        held: (n, c) ≥ 0, the importance of each object in each cell, of sum at most 1, from `importance_in_cells`.
        available: (n,) in [0, 1], from `availability`.
        relations: (E, 3) subject, object, predicate.
        probabilities: (E,) in [0, 1], from `faded_relations`.

    Raises:
        UsageError: shapes that do not fit together, or numbers that are not finite.
    """

    features: NDArray[np.floating[Any]]
    cells: NDArray[np.floating[Any]]
    held: NDArray[np.floating[Any]]
    available: NDArray[np.floating[Any]]
    relations: NDArray[np.integer[Any]]
    probabilities: NDArray[np.floating[Any]]

    def __post_init__(self) -> None:
        n, e, c, d = len(self.features), len(self.relations), len(self.cells), self.features.shape[-1]
        shapes = {"features": (n, d), "cells": (c, d), "held": (n, c), "available": (n,)}
        for name, shape in {**shapes, "relations": (e, 3), "probabilities": (e,)}.items():
            array = getattr(self, name)
            if array.shape != shape or not np.isfinite(array).all():
                raise UsageError(f"Expected finite {name} of shape {shape}; found {array.shape} or NaN.")
        if e and not (self.relations[:, :2].min() >= 0 and self.relations[:, :2].max() < n):
            raise UsageError(f"Expected relations between the {n} objects; found an index outside.")

    def __len__(self) -> int:
        return len(self.features)

    @property
    def importance(self) -> _Floats:
        """(n,) v, the importance of each object."""
        return np.asarray(self.held.sum(axis=1), np.float64)


def match_graded(
    graph1: GradedGraph,
    graph2: GradedGraph,
    predicate_similarity: NDArray[np.floating[Any]],
    image_cosine: float,
    settings: GradedSettings,
) -> Matching:
    """Compares two graphs as the module says.

    Args:
        graph1: the reference's.
        graph2: the image's.
        predicate_similarity: (P, P) cosine similarity of each two predicates.
        image_cosine: cosine of the whole images' embeddings.
        settings: calibration and weights.

    Returns:
        A Matching whose `gains` and `bounds` say what each object contributes and the most that it could.

    Raises:
        UsageError: embeddings of two lengths, or a predicate beyond the similarity's.

    Example:
        >>> graph = GradedGraph(
        ...     features=np.eye(2),
        ...     cells=np.eye(2),
        ...     held=np.diag([0.5, 0.3]),
        ...     available=np.ones(2),
        ...     relations=np.zeros((0, 3), np.int64),
        ...     probabilities=np.zeros(0),
        ... )
        >>> settings = GradedSettings(midpoint=0.5, scale=0.1, image_midpoint=0.5, image_scale=0.1)
        >>> round(match_graded(graph, graph, np.eye(1), 1.0, settings).score, 6)
        1.0
    """
    if len(graph1) and len(graph2) and graph1.features.shape[1] != graph2.features.shape[1]:
        raise UsageError(
            "Expected features of one length in both graphs (one encoder); found "
            f"{graph1.features.shape[1]} and {graph2.features.shape[1]}."
        )
    image = float(calibrated(image_cosine, settings.image_midpoint, settings.image_scale))
    if len(graph1) and len(graph2):
        cosine = unit_rows(graph1.features) @ unit_rows(graph2.features).T
    else:
        cosine = np.zeros((len(graph1), len(graph2)))
    likeness = calibrated(cosine, settings.midpoint, settings.scale)  # (n, m)
    codes = predicate_codes(predicate_similarity, (graph1, graph2))
    prepared = PreparedGraded.of(graph1, codes), PreparedGraded.of(graph2, codes)
    alike = tuple(calibrated(cosines, settings.midpoint, settings.scale) for cosines in likest_cells(graph1, graph2))
    in_place = prepared[0].in_place(alike[0]), prepared[1].in_place(alike[1])
    sides = (
        prepared[0].kept_in(prepared[1], likeness, in_place[0], settings.beta),
        prepared[1].kept_in(prepared[0], likeness.T, in_place[1], settings.beta),
    )
    half = (1.0 - settings.gamma) / 2.0
    bounds = half * prepared[0].importance, half * prepared[1].importance
    gains = half * sides[0], half * sides[1]
    partners = (
        _partners(prepared[0], prepared[1], likeness, in_place[0]),
        _partners(prepared[1], prepared[0], likeness.T, in_place[1]),
    )
    image_weight = 1.0 - float(bounds[0].sum()) - float(bounds[1].sum())
    objects = float(gains[0].sum()) + float(gains[1].sum())
    # What each pair adds: one that is in both assignments has the gain of both.
    added: dict[tuple[int, int], float] = {}
    for i, j in enumerate(partners[0].tolist()):
        added[i, j] = added.get((i, j), 0.0) + float(gains[0][i])
    for j, i in enumerate(partners[1].tolist()):
        added[i, j] = added.get((i, j), 0.0) + float(gains[1][j])
    added = {pair: gain for pair, gain in added.items() if min(pair) >= 0}
    pairs = np.array(sorted(added, key=lambda pair: -added[pair]), np.int64).reshape(-1, 2)
    return Matching(
        score=objects + image_weight * image,
        graph_score=objects / (1.0 - image_weight) if image_weight < 1.0 else 0.0,
        image_similarity=image,
        image_contribution=image_weight * image,
        image_weight=image_weight,
        pairs=pairs,
        contributions=np.array([added[i, j] for i, j in pairs.tolist()], np.float64),
        partners=partners,
        bounds=bounds,
        gains=gains,
        initial=likeness,
        final=likeness * np.minimum.outer(prepared[0].available, prepared[1].available),
        settings=settings,
        least_similarity=EVEN_ODDS,
    )


def likest_cells(graph1: GradedGraph, graph2: GradedGraph) -> tuple[_Floats, _Floats]:
    """The cosine of each cell with the likest of the other image: (c,) of the first graph's, (d,) of the other's."""
    cosines = unit_rows(graph1.cells) @ unit_rows(graph2.cells).T
    return cosines.max(axis=1, initial=-1.0), cosines.max(axis=0, initial=-1.0)


def _partners(graph: PreparedGraded, other: PreparedGraded, likeness: _Floats, in_place: _Floats) -> NDArray[np.int64]:
    """(n,) the object of the other image with which each object is told to correspond; −1 where it has none.

    Where an object keeps most in place, the score does not say which object is like it: the assignment of outlines
    alone does, and only if the two are like each other.
    """
    from scipy.optimize import linear_sum_assignment

    reachable = likeness * other.available
    partners = np.full(len(reachable), -1, np.int64)
    rows, columns = linear_sum_assignment(graph.importance[:, None] * reachable, maximize=True)
    like = reachable[rows, columns]
    shown = (like >= EVEN_ODDS) | (like >= in_place[rows])
    partners[rows[shown]] = columns[shown]
    return partners


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedGraded:
    """What no setting changes of a graph with n objects and E edges, R of them between objects that count.

    Attributes:
        importance: (n,) v.
        held: (n, c) v_ic.
        available: (n,) a.
        between: (n, n) the edge from subject (row) to object (column), −1 where there is none.
        probability: (E,) ρ of each edge, one a directed pair: the largest of its predicates.
        code: (E, D) unit vectors whose inner products are the similarities of the edges' predicates: the sum of the
            predicates' codes, weighted by their probabilities.
        counting: (R,) edges both of whose objects have an importance above 0.
        subject: (R,) index of an object.
        object: (R,) index of an object.
        weight: (R,) v_i · v_k.
        taken: (n,) Σ w_e over the edges at each object.
    """

    importance: _Floats
    held: _Floats
    available: _Floats
    between: NDArray[np.int32]
    probability: _Floats
    code: _Floats
    counting: NDArray[np.int64]
    subject: NDArray[np.int64]
    object: NDArray[np.int64]
    weight: _Floats
    taken: _Floats

    @classmethod
    def of(cls, graph: GradedGraph, codes: _Floats) -> PreparedGraded:
        """Prepares a graph; codes (P, D) are the vectors of all predicates."""
        n = len(graph)
        pair = graph.relations[:, 0].astype(np.int64) * max(n, 1) + graph.relations[:, 1]
        distinct, edge = np.unique(pair, return_inverse=True)
        every = np.asarray(graph.probabilities, np.float64)
        total = np.zeros((len(distinct), codes.shape[1]))
        np.add.at(total, edge, every[:, None] * codes[graph.relations[:, 2]])
        probability = np.zeros(len(distinct))
        np.maximum.at(probability, edge, every)
        subject, object_ = np.divmod(distinct, max(n, 1))
        between = np.full((n, n), -1, np.int32)
        between[subject, object_] = np.arange(len(distinct))
        importance = graph.importance
        counting = np.flatnonzero((importance[subject] > 0.0) & (importance[object_] > 0.0))
        subject, object_ = subject[counting], object_[counting]
        weight = importance[subject] * importance[object_]
        own = weight * probability[counting]
        return cls(
            importance=importance,
            held=np.asarray(graph.held, np.float64),
            available=np.asarray(graph.available, np.float64),
            between=between,
            probability=probability,
            code=unit_rows(total),
            counting=counting,
            subject=subject,
            object=object_,
            weight=weight,
            taken=_at_ends(subject, object_, own, n),
        )

    def in_place(self, alike: _Floats) -> _Floats:
        """(n,) R: how far each object is seen in the other image without an outline; from r (c,)."""
        seen: _Floats = np.divide(
            self.held @ alike, self.importance, out=np.zeros(len(self.held)), where=self.importance > 0
        )
        return seen

    def kept_in(self, other: PreparedGraded, likeness: _Floats, in_place: _Floats, beta: float) -> _Floats:
        """Side 1 of the module's equations, before the factor (1 − γ) / 2; with the graphs exchanged, side 2.

        Args:
            other: the other image's graph, of m objects.
            likeness: (n, m) L.
            in_place: (n,) R.
            beta: β.

        Returns:
            (n,) what likeness and relations keep of each object's importance.
        """
        from scipy.optimize import linear_sum_assignment

        n = len(likeness)
        reachable = likeness * other.available  # (n, m)
        # Relations: the likest one of the other graph, as far as that one is there at all.
        given = np.zeros(n)
        if len(self.counting) and len(other.probability):
            from semetric.scene._graded_kernel import relations_kept  # numba: only where there are relations

            preserved = self.weight * relations_kept(
                np.ascontiguousarray((reachable - UNLIKELY) / (1.0 - UNLIKELY)),
                self.subject,
                self.object,
                self.probability[self.counting],
                self.code[self.counting],
                other.between,
                other.probability,
                other.code,
            )
            given = _at_ends(self.subject, self.object, preserved, n)
        # Objects: the assignment that adds most to what u_i keeps in place.
        own = self.importance - beta / 2.0 * self.taken
        more = np.maximum(reachable - in_place[:, None], 0.0)
        rows, columns = linear_sum_assignment(own[:, None] * more, maximize=True)
        alike = in_place.copy()
        alike[rows] += more[rows, columns]
        return own * alike + beta / 2.0 * given


def _at_ends(subject: NDArray[np.int64], object_: NDArray[np.int64], values: _Floats, n: int) -> _Floats:
    """(n,) the sum of the values of the edges at each object."""
    return np.asarray(np.bincount(subject, values, n) + np.bincount(object_, values, n), np.float64)


def predicate_codes(similarity: NDArray[np.floating[Any]], graphs: Sequence[GradedGraph]) -> _Floats:
    """(P, P) vectors whose inner products are the similarities: the symmetric square root.

    Raises:
        UsageError: another shape, or a predicate of the graphs beyond it.
    """
    largest = max((int(g.relations[:, 2].max(initial=-1)) for g in graphs), default=-1)
    if similarity.ndim != 2 or similarity.shape[0] != similarity.shape[1] or largest >= len(similarity):
        raise UsageError(
            f"Expected a square predicate_similarity beyond predicate {largest}; found {similarity.shape}."
        )
    return _square_root(np.ascontiguousarray(similarity, np.float64).tobytes())


@lru_cache(maxsize=4)
def _square_root(matrix: bytes) -> _Floats:
    flat = np.frombuffer(matrix)
    side = round(flat.size**0.5)
    values, vectors = np.linalg.eigh(flat.reshape(side, side))
    root: _Floats = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return root


def unit_rows(rows: NDArray[np.floating[Any]]) -> _Floats:
    """(N, D) each row at length 1; a row of zeros stays one.

    Example:
        >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
        [[0.6, 0.8], [0.0, 0.0]]
    """
    values = np.asarray(rows, np.float64)
    unit: _Floats = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    return unit
