"""From a probability for every triplet to the relations that a scene graph keeps.

SeSS (arXiv 2406.03865, Section III-A) and its published code: rank all (subject, object, predicate) by probability,
take the first 20, and go on down to 100 while the probability is at least 0.05.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError

__all__ = ["Triplets", "relation_matrix", "select"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Triplets:
    """E relations, the most probable first; at most one for each directed pair.

    Attributes:
        triplets: (E, 3) subject, object, predicate: two indices of objects and one into PREDICATES.
        probabilities: (E,) in (0, 1].

    Example:
        >>> Triplets(triplets=np.array([[0, 1, 5]]), probabilities=np.array([0.9])).pairs.tolist()
        [[0, 1]]
    """

    triplets: NDArray[np.int64]
    probabilities: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.triplets)

    @property
    def pairs(self) -> NDArray[np.int64]:
        """(E, 2) subject, object."""
        return self.triplets[:, :2]

    @property
    def predicates(self) -> NDArray[np.int64]:
        """(E,) index into PREDICATES."""
        return self.triplets[:, 2]

    def renumbered(self, objects: NDArray[np.integer[Any]]) -> Triplets:
        """The triplets among some of the objects, by their place in that choice.

        The published code keeps the objects that take part in a relation: `renumbered(np.unique(t.pairs))`.

        Args:
            objects: (K,) indices, ascending, none twice.

        Raises:
            UsageError: indices in another order.
        """
        if np.any(np.diff(objects) <= 0):
            raise UsageError("Expected the objects in ascending order, none twice; sort them with numpy.unique.")
        stay = np.isin(self.pairs, objects).all(axis=1)
        chosen = self.triplets[stay]
        ends = np.searchsorted(objects, chosen[:, :2])
        return Triplets(triplets=np.concatenate([ends, chosen[:, 2:]], axis=1), probabilities=self.probabilities[stay])


def select(
    probabilities: NDArray[np.floating[Any]], *, top: int = 20, limit: int = 100, threshold: float = 0.05
) -> Triplets:
    """The triplets that a scene graph keeps.

    Ranking runs over all triplets; the second predicate of a directed pair takes a place in it and is then dropped,
    as in the published code. Ties go by predicate, then subject, then object. A probability of 0 never counts.

    Args:
        probabilities: (P, N, N) in [0, 1]: predicate, subject, object. The diagonal is ignored.
        top: so many are taken whatever their probability.
        limit: no more than so many.
        threshold: what those after the first `top` need, in [0, 1].

    Raises:
        UsageError: another shape, or values that are no probabilities.

    Example:
        >>> probabilities = np.zeros((2, 2, 2))
        >>> probabilities[1, 0, 1] = 0.9
        >>> select(probabilities).triplets.tolist()  # subject, object, predicate
        [[0, 1, 1]]
    """
    if probabilities.ndim != 3 or probabilities.shape[1] != probabilities.shape[2]:
        raise UsageError(f"Expected probabilities of shape (P, N, N); found {probabilities.shape}.")
    n = probabilities.shape[1]
    flat = np.array(probabilities, np.float64)  # (P, N, N)
    flat[:, np.arange(n), np.arange(n)] = 0.0
    flat = flat.reshape(-1)
    if not (np.isfinite(flat).all() and (flat >= 0).all() and (flat <= 1).all()):
        raise UsageError("Expected probabilities in [0, 1]; found values outside or NaN.")
    ranked = np.flatnonzero(flat)
    if len(ranked) > limit > 0:
        least = np.partition(flat[ranked], len(ranked) - limit)[len(ranked) - limit]
        ranked = ranked[flat[ranked] >= least]
    ranked = ranked[np.argsort(-flat[ranked], kind="stable")][:limit]
    chosen = ranked[(np.arange(len(ranked)) < top) | (flat[ranked] >= threshold)]
    predicate, pair = np.divmod(chosen, n * n) if n else (chosen, chosen)
    _, first = np.unique(pair, return_index=True)
    first.sort()
    subject, object_ = np.divmod(pair[first], n) if n else (pair, pair)
    return Triplets(triplets=np.stack([subject, object_, predicate[first]], axis=1), probabilities=flat[chosen[first]])


def relation_matrix(n: int, triplets: Triplets) -> NDArray[np.int64]:
    """(n, n) predicate of the edge from subject (row) to object (column), −1 where there is none.

    Example:
        >>> relation_matrix(2, Triplets(triplets=np.array([[0, 1, 5]]), probabilities=np.ones(1))).tolist()
        [[-1, 5], [-1, -1]]
    """
    matrix = np.full((n, n), -1, np.int64)
    matrix[triplets.pairs[:, 0], triplets.pairs[:, 1]] = triplets.predicates
    return matrix
