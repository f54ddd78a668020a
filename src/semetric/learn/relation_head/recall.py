"""Recall of annotated triplets among the K most probable: what scene graph generation reports.

All (subject, object, predicate) of an image are ranked by probability; recall@K is the share of its annotated triplets
among the first K. Predicates of one pair compete with those of others, as they do where a scene graph is read off;
`constrained` first keeps the most probable predicate of each directed pair alone, the convention of PSG's tables.
A relation whose ends no mask shows counts as missed.

R@K is the mean over images. Mean recall, mR@K, weighs rare predicates as frequent ones: a predicate's recall is its
mean over the images that have it, and mR@K the mean over predicates (Chen et al. 2019, arXiv 1903.03326). Intervals
come from resampled images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.learn.agreement.resampling import RESAMPLES, Floats, Measured, estimate, means
from semetric.learn.relation_head.examples import Example
from semetric.scene.predicates import PREDICATES

__all__ = ["AT", "Hits", "found_within", "hits", "rank", "summarise"]

AT = (20, 50, 100)
"""The K of recall@K."""


def rank(probabilities: NDArray[np.floating[Any]], *, constrained: bool = False) -> NDArray[np.int64]:
    """The place of each triplet when all are ranked by probability, from 0.

    Ties go by predicate, then subject, then object. A probability of 0 says nothing and has no place.

    Args:
        probabilities: (P, N, N) predicate, subject, object; the diagonal is ignored.
        constrained: whether a directed pair has its most probable predicate alone.

    Returns:
        (P, N, N), the number of all triplets where one has no place.

    Raises:
        UsageError: another shape, or values that are not finite.
    """
    if probabilities.ndim != 3 or probabilities.shape[1] != probabilities.shape[2]:
        raise UsageError(f"Expected probabilities of shape (P, N, N); found {probabilities.shape}.")
    values = np.array(probabilities, np.float64)
    if not np.isfinite(values).all():
        raise UsageError("Expected finite probabilities; found NaN or infinity.")
    n = values.shape[1]
    values[:, np.arange(n), np.arange(n)] = 0.0
    if constrained and values.size:
        best = np.zeros_like(values, bool)
        np.put_along_axis(best, values.argmax(axis=0)[None], True, axis=0)
        values[~best] = 0.0
    flat = values.reshape(-1)
    places = np.full(flat.size, flat.size, np.int64)
    some = np.flatnonzero(flat > 0)
    places[some[np.argsort(-flat[some], kind="stable")]] = np.arange(len(some))
    return places.reshape(values.shape)


def found_within(
    probabilities: NDArray[np.floating[Any]], relations: NDArray[np.int64], *, constrained: bool = False
) -> NDArray[np.int64]:
    """The place of each annotated relation; see `rank`.

    Args:
        probabilities: as in `rank`.
        relations: (E, 3) subject, object, predicate.
        constrained: as in `rank`.

    Returns:
        (E,).
    """
    places = rank(probabilities, constrained=constrained)
    ranks: NDArray[np.int64] = places[relations[:, 2], relations[:, 0], relations[:, 1]]
    return ranks


@dataclass(frozen=True, kw_only=True, eq=False)
class Hits:
    """Annotated relations among the K most probable, by image.

    Attributes:
        found: (images, len(AT), predicates) annotated relations among the first K.
        annotated: (images, predicates) annotated relations, the ones of lost segments included.
    """

    found: NDArray[np.int64]
    annotated: NDArray[np.int64]

    def recalls(self) -> Floats:
        """(images with relations, len(AT)): the recall of each."""
        some = self.annotated.sum(axis=1) > 0
        shares: Floats = self.found[some].sum(axis=2) / self.annotated[some].sum(axis=1)[:, None]
        return shares

    def mean_recall(self, at: int) -> Measured:
        """mR@AT[at] as a measure of images."""
        shares, present = self._by_predicate(at)

        def resampled(counts: Floats) -> Floats:
            images = counts @ present  # (k, predicates) drawn images that have it
            with np.errstate(invalid="ignore"):
                by_predicate = counts @ shares / images
            occurs = images > 0
            total = np.where(occurs, by_predicate, 0.0).sum(axis=1)
            return np.asarray(total / np.maximum(occurs.sum(axis=1), 1), np.float64)

        n = len(shares)
        return Measured(value=float(resampled(np.ones((1, n)))[0]) if n else None, n=n, resampled=resampled)

    def of_predicates(self, at: int) -> dict[str, dict[str, float | int]]:
        """By predicate that occurs: mean recall@AT[at] over the images that have it, and how many relations."""
        shares, present = self._by_predicate(at)
        return {
            PREDICATES[p]: {
                "recall": float(shares[:, p].sum() / present[:, p].sum()),
                "relations": int(self.annotated[:, p].sum()),
            }
            for p in np.flatnonzero(present.sum(axis=0))
        }

    def _by_predicate(self, at: int) -> tuple[Floats, Floats]:
        """(images, predicates): recall, 0 where an image does not have it; and whether it has."""
        present = (self.annotated > 0).astype(np.float64)
        return self.found[:, at] / np.maximum(self.annotated, 1), present


def hits(
    examples: Sequence[Example], probabilities: Sequence[NDArray[np.floating[Any]]], *, constrained: bool = False
) -> Hits:
    """Counts what was found.

    Args:
        examples: annotated images.
        probabilities: (56, N, N) for each.
        constrained: as in `rank`.
    """
    within = np.zeros((len(examples), len(AT), len(PREDICATES)), np.int64)
    annotated = np.zeros((len(examples), len(PREDICATES)), np.int64)
    for i, (example, values) in enumerate(zip(examples, probabilities, strict=True)):
        predicates = example.relations[:, 2]
        annotated[i] = np.bincount(np.concatenate([predicates, example.lost]), minlength=len(PREDICATES))
        places = found_within(values, example.relations, constrained=constrained)
        for j, limit in enumerate(AT):
            within[i, j] = np.bincount(predicates[places < limit], minlength=len(PREDICATES))
    return Hits(found=within, annotated=annotated)


def summarise(by_name: Mapping[str, Hits], *, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Any]:
    """Recall of several methods on the same images, with intervals, and the differences to the first.

    Args:
        by_name: method → its hits.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        Plain JSON values: "images", "relations", "methods" (name → "recall", "mean_recall", "by_predicate"), and
        "differences" (name of another method → K → first minus other).
    """
    first = next(iter(by_name))
    document: dict[str, Any] = {
        "images": int((by_name[first].annotated.sum(axis=1) > 0).sum()),
        "relations": int(by_name[first].annotated.sum()),
        "methods": {},
        "differences": {},
    }
    for name, counts in by_name.items():
        recalls = counts.recalls()
        document["methods"][name] = {
            "recall": {
                str(limit): estimate(means(recalls[:, j]), resamples=resamples, seed=seed).to_dict()
                for j, limit in enumerate(AT)
            },
            "mean_recall": {
                str(limit): estimate(counts.mean_recall(j), resamples=resamples, seed=seed).to_dict()
                for j, limit in enumerate(AT)
            },
            "by_predicate": counts.of_predicates(0),
        }
        if name != first:
            apart = by_name[first].recalls() - recalls
            document["differences"][name] = {
                str(limit): estimate(means(apart[:, j]), resamples=resamples, seed=seed).to_dict()
                for j, limit in enumerate(AT)
            }
    return document
