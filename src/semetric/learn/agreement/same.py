"""Agreement with same-or-different judgements."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from semetric.errors import UsageError
from semetric.learn.agreement.resampling import Floats, Measured

__all__ = ["average_precision"]


def average_precision(
    scores: ArrayLike, share_same: ArrayLike, *, higher_is_better: bool, interpolated: bool = True
) -> Measured:
    """The average precision of "same" when pairs are called same by decreasing similarity.

    A pair counts as same by the share of people who said so and as different by the rest. Pairs of
    equal score are called same together, so that their order means nothing. With r_k and p_k the recall
    and the precision after the k-th distinct score, the value is Σ (r_k − r_{k−1})·p̂_k. Interpolated,
    p̂_k = max_{l ≥ k} p_l (Everingham et al. 2010, "The PASCAL VOC challenge", §4.2, at all recalls), as
    BAPPS reports its JND mAP (arXiv 1801.03924, §4.1), there the mean over its subsets; else p̂_k = p_k.

    Args:
        scores: (n,) of pairs; may be infinite.
        share_same: (n,) share of people who said "same", in [0, 1].
        higher_is_better: the metric's direction.
        interpolated: see above.

    Returns:
        Undefined where nobody said "same"; then `note` says so.

    Raises:
        UsageError: lengths differ, a score is NaN, or a share lies outside [0, 1].
    """
    x, share = np.asarray(scores, np.float64), np.asarray(share_same, np.float64)
    if x.ndim != 1 or x.shape != share.shape or np.isnan(x).any():
        raise UsageError(f"Expected scores and shares of one length, without NaN; found {x.shape} and {share.shape}.")
    if not ((share >= 0) & (share <= 1)).all():
        raise UsageError("Expected shares in [0, 1]; found others.")
    similar = x if higher_is_better else -x
    _, group = np.unique(-similar, return_inverse=True)  # the most similar first
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(group.max() + 1)) if x.size else np.zeros(0, np.intp)
    ordered = share[order]

    def resampled(counts: Floats) -> Floats:
        inside = counts[:, order]
        same = np.cumsum(np.add.reduceat(inside * ordered, starts, axis=1), axis=1)  # (k, groups)
        called = np.cumsum(np.add.reduceat(inside, starts, axis=1), axis=1)
        precision = np.divide(same, called, out=np.zeros_like(same), where=called > 0)
        if interpolated:
            precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        gained = np.diff(same, axis=1, prepend=0.0)
        total = same[:, -1]
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((gained * precision).sum(axis=1) / total, np.float64)

    value = float(resampled(np.ones((1, x.size)))[0]) if x.size else float("nan")
    note = "undefined: nobody said that a pair is the same" if x.size and np.isnan(value) else ""
    return Measured(value=None if np.isnan(value) else value, n=int(x.size), resampled=resampled, note=note)
