"""Agreement with choices: two alternatives against a reference, and the odd one of three."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from semetric.errors import UsageError
from semetric.learn.agreement.resampling import Floats, Measured, means

__all__ = [
    "odd_one_out",
    "odd_one_out_credits",
    "two_alternative",
    "two_alternative_ceiling",
    "two_alternative_credits",
]


def two_alternative_credits(
    a: ArrayLike, b: ArrayLike, share_b: ArrayLike, *, higher_is_better: bool, majority: bool = False
) -> Floats:
    """How far a metric agrees with each choice, in [0, 1].

    With distances d0, d1 and the share j that chose the second (Zhang et al. 2018, arXiv 1801.03924, §4.1):
    (d0 < d1)·(1 − j) + (d1 < d0)·j + 0.5·(d0 = d1).

    Args:
        a: (n,) scores of the first candidate against the reference; may be infinite.
        b: (n,) scores of the second.
        share_b: (n,) share of people who chose the second.
        higher_is_better: the metric's direction.
        majority: count the choice of most people as 1 and the other as 0; a draw counts a half.

    Raises:
        UsageError: lengths differ, a score is NaN, or a share lies outside [0, 1].

    Examples:
        >>> two_alternative_credits([0.1, 0.4], [0.3, 0.2], [0.0, 0.25], higher_is_better=False)  # distances
        array([1.  , 0.25])
    """
    first, second, share = (np.asarray(values, np.float64) for values in (a, b, share_b))
    _check("scores and shares", first, second, share)
    if ((share < 0) | (share > 1)).any():
        raise UsageError("Expected shares in [0, 1]; found others.")
    if majority:
        share = (np.sign(share - 0.5) + 1) / 2
    closer_b = np.sign(_difference(second, first)) * (1 if higher_is_better else -1)  # 1, 0, −1
    return np.asarray(0.5 + closer_b * (share - 0.5), np.float64)


def two_alternative(
    a: ArrayLike, b: ArrayLike, share_b: ArrayLike, *, higher_is_better: bool, majority: bool = False
) -> Measured:
    """The accuracy in two-alternative forced choices; a tie of the metric counts a half.

    Args:
        a, b, share_b, higher_is_better, majority: as `two_alternative_credits`.
    """
    return means(two_alternative_credits(a, b, share_b, higher_is_better=higher_is_better, majority=majority))


def two_alternative_ceiling(share_b: ArrayLike, *, majority: bool = False) -> float | None:
    """The accuracy of a metric that always sides with most people, which none can exceed.

    Args:
        share_b: (n,) shares in [0, 1].
        majority: as `two_alternative_credits`.

    Examples:
        >>> two_alternative_ceiling([1.0, 0.5, 0.2])
        0.7666666666666666
    """
    share = np.asarray(share_b, np.float64)
    if not share.size:
        return None
    best = np.where(share == 0.5, 0.5, 1.0) if majority else np.maximum(share, 1 - share)
    return float(best.mean())


def odd_one_out_credits(pairs: ArrayLike, odd: ArrayLike, *, higher_is_better: bool) -> Floats:
    """Whether the metric finds the odd one: the image outside the most similar pair.

    Where k pairs are equally the most similar, each counts 1/k.

    Args:
        pairs: (n, 3) scores of the pairs that leave out image 0, 1 and 2.
        odd: (n,) which image people chose: 0, 1 or 2.
        higher_is_better: the metric's direction.

    Raises:
        UsageError: shapes do not fit, a score is NaN, or odd is something else.
    """
    scores, chosen = np.asarray(pairs, np.float64), np.asarray(odd)
    if scores.ndim != 2 or scores.shape[1] != 3 or scores.shape[:1] != chosen.shape or np.isnan(scores).any():
        raise UsageError(f"Expected (n, 3) scores and (n,) choices; found {scores.shape} and {chosen.shape}, or NaN.")
    if not np.isin(chosen, (0, 1, 2)).all():
        raise UsageError("Expected the odd one to be 0, 1 or 2; found others.")
    similar = scores if higher_is_better else -scores
    best = similar == similar.max(axis=1, keepdims=True)
    credits = best[np.arange(len(chosen)), chosen.astype(np.intp)]
    return np.asarray(credits / best.sum(axis=1), np.float64)


def odd_one_out(pairs: ArrayLike, odd: ArrayLike, *, higher_is_better: bool) -> Measured:
    """The share of trials in which the metric finds the odd one; chance is 1/3.

    Args:
        pairs, odd, higher_is_better: as `odd_one_out_credits`.
    """
    return means(odd_one_out_credits(pairs, odd, higher_is_better=higher_is_better))


def _difference(a: Floats, b: Floats) -> Floats:
    """one − two, where two infinities are equal."""
    return np.where(a == b, 0.0, np.where(a > b, 1.0, -1.0))


def _check(what: str, *arrays: Floats) -> None:
    if any(array.ndim != 1 or array.shape != arrays[0].shape for array in arrays):
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise UsageError(f"Expected {what} as lists of one length; found shapes {shapes}.")
    if any(np.isnan(array).any() for array in arrays):
        raise UsageError(f"Expected {what} without NaN; leave out the items that have no score.")
