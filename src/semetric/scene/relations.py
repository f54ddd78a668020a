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

__all__ = ["Triplets", "drop_unrelated", "relation_matrix", "select_triplets"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Triplets:
    """E relations, the most probable first; at most one for each directed pair.

    Attributes:
        subject: (E,) index of the object that relates.
        object: (E,) index of the object that it relates to.
        predicate: (E,) index into PREDICATES.
        probability: (E,) in (0, 1].
    """

    subject: NDArray[np.int64]
    object: NDArray[np.int64]
    predicate: NDArray[np.int64]
    probability: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.subject)

    @property
    def array(self) -> NDArray[np.int64]:
        """(E, 3) subject, object, predicate."""
        return np.stack([self.subject, self.object, self.predicate], axis=1)


def select_triplets(
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
    """
    if probabilities.ndim != 3 or probabilities.shape[1] != probabilities.shape[2]:
        raise UsageError(f"Expected probabilities of shape (P, N, N); found {probabilities.shape}.")
    n = probabilities.shape[1]
    flat = np.array(probabilities, np.float64)  # (P, N, N)
    flat[:, np.arange(n), np.arange(n)] = 0.0
    flat = flat.reshape(-1)
    if not (np.isfinite(flat).all() and (flat >= 0).all() and (flat <= 1).all()):
        raise UsageError("Expected probabilities in [0, 1]; found values outside or NaN.")
    found = np.flatnonzero(flat)
    if len(found) > limit > 0:
        least = np.partition(flat[found], len(found) - limit)[len(found) - limit]
        found = found[flat[found] >= least]
    found = found[np.argsort(-flat[found], kind="stable")][:limit]
    kept = found[(np.arange(len(found)) < top) | (flat[found] >= threshold)]
    predicate, pair = np.divmod(kept, n * n) if n else (kept, kept)
    _, first = np.unique(pair, return_index=True)
    first.sort()
    subject, object_ = np.divmod(pair[first], n) if n else (pair, pair)
    return Triplets(subject=subject, object=object_, predicate=predicate[first], probability=flat[kept[first]])


def relation_matrix(n: int, triplets: Triplets) -> NDArray[np.int64]:
    """(n, n) predicate of the edge from subject (row) to object (column), −1 where there is none."""
    matrix = np.full((n, n), -1, np.int64)
    matrix[triplets.subject, triplets.object] = triplets.predicate
    return matrix


def drop_unrelated(n: int, triplets: Triplets) -> tuple[NDArray[np.int64], Triplets]:
    """Drops objects that occur in no triplet, as the published code does; a single object stays.

    Args:
        n: how many objects there are.
        triplets: relations between them.

    Returns:
        (K,) the objects kept, in order, and the triplets with indices into those.
    """
    if n <= 1:
        return np.arange(n), triplets
    kept = np.union1d(triplets.subject, triplets.object)
    return kept, Triplets(
        subject=np.searchsorted(kept, triplets.subject),
        object=np.searchsorted(kept, triplets.object),
        predicate=triplets.predicate,
        probability=triplets.probability,
    )
