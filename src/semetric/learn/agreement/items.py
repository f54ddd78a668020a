"""The pairs of a data set that are scored, and the judgements with which scores are compared."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.learn.agreement.choices import odd_one_out, two_alternative, two_alternative_ceiling
from semetric.learn.agreement.correlations import krcc, plcc, srcc
from semetric.learn.agreement.logistic import Form
from semetric.learn.agreement.resampling import Floats, Measured
from semetric.learn.agreement.same import average_precision
from semetric.learn.datasets.base import Dataset, Kind, group_of
from semetric.learn.datasets.pairs import pairing_of, pairs_of
from semetric.learn.triplets import Choice, JudgedPair, ScoredTriplet
from semetric.runs.pairing import Pairing

__all__ = ["MEASURES", "Needed", "ceiling", "measure", "needed"]

MEASURES: dict[Kind, tuple[str, ...]] = {
    "choices": ("2afc",),
    "scores": ("2afc", "srcc", "krcc", "plcc"),
    "pairs": ("srcc", "krcc", "plcc"),
    "same": ("jnd_map",),
    "odd_one_out": ("odd_one_out",),
}
"""Kind of data set → measures, the one that tables by group show first."""


@dataclass(frozen=True, kw_only=True)
class Needed:
    """A data set as arrays.

    Attributes:
        pairing: every pair of images that must be scored, each once.
        places: (n, k) where in the pairing an item's pairs are: reference–a and reference–b of a triplet, the pair
            itself, or of three images the pairs that leave out the first, the second and the third.
        targets: (n, t) what people said: the share that chose b; the two scores; the opinion; the odd one.
        groups: n names.
    """

    pairing: Pairing
    places: NDArray[np.intp]
    targets: Floats
    groups: tuple[str, ...]

    def digest(self) -> str:
        """SHA-256, in hex, of the pairs and of what people said."""
        h = hashlib.sha256(self.pairing.digest().encode())
        for array in (self.places.astype("<i8"), self.targets.astype("<f8")):
            h.update(repr(array.shape).encode() + array.tobytes())
        h.update("\0".join(self.groups).encode("utf-8", "surrogateescape"))
        return h.hexdigest()


def needed(dataset: Dataset) -> Needed:
    """The pairs of the data set's items, and the judgements of them.

    Raises:
        UsageError: they have no judgements.
    """
    if dataset.kind not in MEASURES:
        raise UsageError(
            f"Expected a data set with judgements to agree with; {dataset.name} holds none ({dataset.kind}). "
            "To score its pairs by themselves use semetric score."
        )
    known: dict[tuple[str, str], int] = {}
    places: list[list[int]] = []
    targets: list[tuple[float, ...]] = []
    for item in dataset.items:
        if isinstance(item, Choice):
            targets.append((item.share_b,))
        elif isinstance(item, ScoredTriplet):
            targets.append((item.score_a, item.score_b))
        elif isinstance(item, JudgedPair):
            targets.append((item.opinion,))
        else:
            targets.append((float(item.odd),))  # type: ignore[union-attr]  # the kinds of MEASURES leave no other
        pairs = pairs_of(item)
        places.append([known.setdefault(pair, len(known)) for pair in pairs])
    return Needed(
        pairing=pairing_of(dataset, list(known)),
        places=np.asarray(places, np.intp),
        targets=np.asarray(targets, np.float64),
        groups=tuple(group_of(item) for item in dataset.items),
    )


def measure(
    name: str,
    scores: Floats,
    targets: Floats,
    *,
    kind: Kind,
    higher_is_better: bool,
    majority: bool = False,
    form: Form = 4,
) -> Measured:
    """One measure of agreement.

    Args:
        name: one of MEASURES.
        scores: (n, k) of the items' pairs, as `Needed.places` orders them; without NaN.
        targets: (n, t) what people said.
        kind: of the data set.
        higher_is_better: the metric's direction.
        majority: see `two_alternative_credits`.
        form: of the logistic curve of PLCC.

    Raises:
        UsageError: an unknown measure of that kind.
    """
    if name not in MEASURES.get(kind, ()):
        raise UsageError(f"Expected a measure of {kind}: {', '.join(MEASURES.get(kind, ()))}; found {name!r}.")
    if name == "2afc":
        share = targets[:, 0] if kind == "choices" else (np.sign(targets[:, 1] - targets[:, 0]) + 1) / 2
        return two_alternative(scores[:, 0], scores[:, 1], share, higher_is_better=higher_is_better, majority=majority)
    if name == "jnd_map":
        return average_precision(scores[:, 0], targets[:, 0], higher_is_better=higher_is_better)
    if name == "odd_one_out":
        return odd_one_out(scores, targets[:, 0].astype(np.intp), higher_is_better=higher_is_better)
    # the two pairs of a triplet are drawn together
    units = np.repeat(np.arange(len(scores)), scores.shape[1]) if scores.shape[1] > 1 else None
    values, opinions = scores.reshape(-1), targets.reshape(-1)
    if name == "plcc":
        return plcc(values, opinions, higher_is_better=higher_is_better, form=form, units=units)
    ranked = srcc if name == "srcc" else krcc
    return ranked(values, opinions, higher_is_better=higher_is_better, units=units)


def ceiling(dataset: Dataset, targets: Floats) -> float | None:
    """The highest 2AFC accuracy that any metric can have; None where the data set has no choices."""
    return two_alternative_ceiling(targets[:, 0], majority=dataset.majority) if dataset.kind == "choices" else None
