"""The measures behind docs/meaning.md: how well a metric separates harmless, changed and unrelated images.

Every measure is computed for each photo and averaged over the photos that have it; its interval comes from a
bootstrap over photos. A metric's scores of one photo are a mapping from label to score.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import kendalltau

from benchmarks.distortions import EXTREME, HARMLESS, Label
from semetric.learn.agreement.resampling import Estimate, Floats, Measured, estimate, means

__all__ = ["DAMAGES", "EDITS", "STRENGTHS", "UNRELATED", "Scored", "Summary", "share_above", "summarise", "tau"]

DAMAGES = ("jpeg", "blur", "noise", "removal")
EDITS = ("remove", "replace", "swap", "insert")
STRENGTHS = (0.5, 1.0)
UNRELATED = "unrelated"
"""The kind of another photo; its level is that photo's name."""

Scored = Mapping[Label, float]
"""Label → score of one photo's images by one metric."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What one metric reaches. A measure that no photo has is None.

    Attributes:
        mean: label → mean score; unrelated images share the label (UNRELATED, "").
        tau: damage → Kendall's τ between mildness and score, −1..1: 1 where every step lowers the similarity.
            "mean" is the mean over damages.
        auc: (edits, strength) → share of pairs of a harmless copy and a changed image of one photo in which the copy
            is more similar, ties half, 0..1. Edits are one kind or "all", strengths one or 0.0 for both.
        copies: share of pairs of a copy (damaged or harmless) and an unrelated image of one photo in which the copy
            is more similar, ties half: "all", and "moderate" without the last level of JPEG, blur and noise.
        most_similar_unrelated: the best score of an unrelated image, and the names of the two photos.
        drop_ratio: the mean drop for one removed object over the mean drop for JPEG 60; None too for a metric
            without a finite score of identical images.
    """

    mean: Mapping[Label, Estimate]
    tau: Mapping[str, Estimate | None]
    auc: Mapping[tuple[str, float], Estimate | None]
    copies: Mapping[str, Estimate | None]
    most_similar_unrelated: tuple[float, str, str] | None
    drop_ratio: Estimate | None


def tau(similarities: Sequence[float]) -> float:
    """Kendall's τ_b between the order of levels and similarity.

    Args:
        similarities: of the levels, mildest first; two or more.

    Returns:
        1 where every step lowers the similarity, −1 where every step raises it, 0 where all are equal.
    """
    value = float(kendalltau(-np.arange(len(similarities)), similarities).statistic)
    return 0.0 if math.isnan(value) else value


def share_above(upper: Sequence[float], lower: Sequence[float]) -> float:
    """The share of pairs (u, l) with u > l, ties half: the area under the ROC curve.

    Args:
        upper: at least one value.
        lower: at least one value.
    """
    u, v = np.asarray(upper, np.float64)[:, None], np.asarray(lower, np.float64)[None]
    return float(((u > v) + 0.5 * (u == v)).mean())


def summarise(photos: Mapping[str, Scored], *, higher_is_better: bool, identical: float | None) -> Summary:
    """All measures of one metric.

    Args:
        photos: photo → its scores.
        higher_is_better: the metric's direction.
        identical: the score of identical images; None where it is infinite.
    """
    sign = 1.0 if higher_is_better else -1.0

    def averaged(measure: Callable[[Scored], float | None]) -> Estimate | None:
        values = [value for scored in photos.values() if (value := measure(scored)) is not None]
        return estimate(means(np.array(values))) if values else None

    def tau_of(damage: str) -> Callable[[Scored], float | None]:
        def measure(scored: Scored) -> float | None:
            similarities = [sign * value for (kind, _), value in scored.items() if kind == damage]
            return tau(similarities) if len(similarities) > 1 else None

        return measure

    def mean_tau(scored: Scored) -> float | None:
        values = [value for damage in DAMAGES if (value := tau_of(damage)(scored)) is not None]
        return float(np.mean(values)) if values else None

    def above(upper: Callable[[Label], bool], lower: Callable[[Label], bool]) -> Callable[[Scored], float | None]:
        def measure(scored: Scored) -> float | None:
            high, low = ([sign * v for label, v in scored.items() if chosen(label)] for chosen in (upper, lower))
            return share_above(high, low) if high and low else None

        return measure

    def edited(edit: str, strength: float) -> Callable[[Label], bool]:
        kinds, strengths = (EDITS if edit == "all" else (edit,)), (strength,) if strength else STRENGTHS
        return lambda label: label[0] in kinds and label[1] in strengths

    def mean_of(label: Label) -> Callable[[Scored], float | None]:
        def measure(scored: Scored) -> float | None:
            values = [v for other, v in scored.items() if other == label or other[0] == label[0] == UNRELATED]
            return float(np.mean(values)) if values else None

        return measure

    labels = dict.fromkeys(
        (UNRELATED, "") if label[0] == UNRELATED else label for scored in photos.values() for label in scored
    )
    unrelated = [
        (sign * value, value, photo, str(other))
        for photo, scored in photos.items()
        for (kind, other), value in scored.items()
        if kind == UNRELATED
    ]
    return Summary(
        mean={label: value for label in labels if (value := averaged(mean_of(label))) is not None},
        tau={**{damage: averaged(tau_of(damage)) for damage in DAMAGES}, "mean": averaged(mean_tau)},
        auc={
            (edit, strength): averaged(above(lambda label: label in HARMLESS, edited(edit, strength)))
            for edit in (*EDITS, "all")
            for strength in (*STRENGTHS, 0.0)
        },
        copies={
            "moderate": averaged(above(lambda label: _is_copy(label) and not _is_extreme(label), _is_unrelated)),
            "all": averaged(above(_is_copy, _is_unrelated)),
        },
        most_similar_unrelated=max(unrelated)[1:] if unrelated else None,
        drop_ratio=None if identical is None else _drop_ratio(photos, identical),
    )


def _is_unrelated(label: Label) -> bool:
    return label[0] == UNRELATED


def _is_copy(label: Label) -> bool:
    return label[0] in DAMAGES or label in HARMLESS


def _is_extreme(label: Label) -> bool:
    return EXTREME.get(label[0]) == label[1]


def _drop_ratio(photos: Mapping[str, Scored], identical: float) -> Estimate | None:
    """The ratio of two means over the photos that have both images."""
    removal, jpeg = ("removal", 1.0), ("jpeg", 60.0)
    both = [scored for scored in photos.values() if removal in scored and jpeg in scored]
    large, small = (np.array([abs(identical - scored[label]) for scored in both]) for label in (removal, jpeg))
    if not both or not small.any():
        return None

    def resampled(counts: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):  # a resample of photos without a drop is undefined
            ratio = (counts @ large) / (counts @ small)
        return np.where(np.isfinite(ratio), ratio, np.nan)

    return estimate(Measured(value=float(large.mean() / small.mean()), n=len(both), resampled=resampled))
