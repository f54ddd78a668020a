"""Agreement with ratings: rank correlations, and the linear one after a fitted logistic curve."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from semetric.errors import UsageError
from semetric.learn.agreement.logistic import Form, fit_logistic
from semetric.learn.agreement.resampling import Draws, Floats, Measured

__all__ = ["EXACT_KENDALL", "krcc", "plcc", "srcc"]

EXACT_KENDALL = 1000  # units up to which Kendall's resamples are exact; above they are linearised
_BLOCK = 512  # rows of the matrix of signs in memory at once


def srcc(
    scores: ArrayLike, opinions: ArrayLike, *, higher_is_better: bool, units: NDArray[np.intp] | None = None
) -> Measured:
    """Spearman's rank correlation; tied values share their mean rank.

    Args:
        scores: (n,) of a metric; may be infinite.
        opinions: (n,) of people, higher for the better or more alike.
        higher_is_better: the metric's direction; a metric that agrees has a positive correlation.
        units: (n,) to which unit each item belongs, where items are drawn together; each by itself by default.

    Returns:
        Undefined where all scores or all opinions are equal; then `note` says so.

    Raises:
        UsageError: lengths differ, or a value is NaN.

    Examples:
        >>> srcc([0.9, 0.5, 0.7], [5, 1, 3], higher_is_better=True).value
        1.0
    """
    x, y = _oriented(scores, opinions, higher_is_better)
    ranks_x, ranks_y = _ranker(x), _ranker(y)

    def resampled(counts: Floats) -> Floats:
        return _pearson(ranks_x(counts), ranks_y(counts), counts)

    return _measured(resampled, x.size, units, note=_flat(x, y))


def krcc(
    scores: ArrayLike, opinions: ArrayLike, *, higher_is_better: bool, units: NDArray[np.intp] | None = None
) -> Measured:
    """Kendall's τ_b (Kendall 1945, "The treatment of ties in ranking problems", Biometrika 33(3)).

    τ_b = C / √(T_x·T_y) with C = Σ sign(x_i − x_j)·sign(y_i − y_j) and T_x = Σ |sign(x_i − x_j)|. Up to 1000 items
    resamples are exact. Above, the interval takes each resample to first order, by the influence of each item on C,
    T_x and T_y; the two differ by less than their own noise there.

    Args:
        scores, opinions, higher_is_better, units: as `srcc`.
    """
    x, y = _oriented(scores, opinions, higher_is_better)
    if x.size <= EXACT_KENDALL:
        return _measured(_exact_kendall(x, y), x.size, units, note=_flat(x, y))
    c, t_x, t_y = _sign_sums(x, y)
    total, over_x, over_y = float(c.sum()), float(t_x.sum()), float(t_y.sum())
    if over_x == 0 or over_y == 0:
        return _measured(lambda counts: np.full(len(counts), np.nan), x.size, units, note=_flat(x, y))
    tau = total / np.sqrt(over_x * over_y)
    # 2·((c_i − C)/√(T_x T_y) − τ/2·((t_xi − T_x)/T_x + (t_yi − T_y)/T_y)) with means in the place of sums
    n = x.size
    influence = 2 * (n * c / np.sqrt(over_x * over_y) - tau - tau / 2 * (n * t_x / over_x + n * t_y / over_y - 2))

    def resampled(counts: Floats) -> Floats:
        return np.asarray(np.clip(tau + counts @ influence / counts.sum(axis=1), -1, 1), np.float64)

    return _measured(resampled, x.size, units)


def plcc(
    scores: ArrayLike,
    opinions: ArrayLike,
    *,
    higher_is_better: bool,
    form: Form = 4,
    units: NDArray[np.intp] | None = None,
) -> Measured:
    """Pearson's correlation of the opinions with the scores after a fitted logistic curve (VQEG 2000, ITU-T J.149).

    The curve is fitted once, to all items; resamples keep it. Infinite scores are left out and counted.

    Args:
        scores, opinions, higher_is_better: as `srcc`.
        form: parameters of the curve; see `fit_logistic`.
        units: as `srcc`.

    Returns:
        Undefined where the fitted curve or the opinions are constant; `note` says what was fitted instead of a
        logistic curve.
    """
    x, y = _oriented(scores, opinions, higher_is_better)
    finite = np.isfinite(x)
    fitted = fit_logistic(x[finite], y[finite], form=form)
    mapped, opinion = fitted(x[finite]), y[finite]
    if mapped.size and np.ptp(mapped) <= 1e-9 * max(float(np.ptp(opinion)), 1e-300):
        mapped = np.zeros_like(mapped)  # a flat curve's last digits correlate with anything

    def resampled(counts: Floats) -> Floats:
        inside = counts[:, finite]
        return _pearson(mapped, opinion, inside)

    left_out = int(x.size - finite.sum())
    note = (
        _flat(np.zeros(0), opinion)
        or fitted.note
        or ("" if opinion.size or not x.size else "undefined: all are infinite")
    )
    return _measured(resampled, x.size, units, left_out=left_out, note=note)


def _oriented(scores: ArrayLike, opinions: ArrayLike, higher_is_better: bool) -> tuple[Floats, Floats]:
    x, y = np.asarray(scores, np.float64), np.asarray(opinions, np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise UsageError(f"Expected scores and opinions as lists of one length; found shapes {x.shape} and {y.shape}.")
    if np.isnan(x).any() or not np.isfinite(y).all():
        raise UsageError("Expected scores without NaN and finite opinions; leave out the items that have none.")
    return (x if higher_is_better else -x), y


def _flat(x: Floats, y: Floats) -> str:
    """Why there is no correlation, or empty."""
    for what, values in (("scores", x), ("opinions", y)):
        if values.size and (values == values[0]).all():
            return f"undefined: all {what} are equal" if values.size > 1 else "undefined: there is one item"
    return ""


def _measured(
    draws: Draws, size: int, units: NDArray[np.intp] | None, *, left_out: int = 0, note: str = ""
) -> Measured:
    """The value is the measure of the resample that draws each item once."""
    value = float(draws(np.ones((1, size)))[0]) if size else float("nan")
    resampled = draws
    n = size
    if units is not None:
        n = int(units.max()) + 1 if units.size else 0

        def resampled(counts: Floats) -> Floats:
            return draws(counts[:, units])

    return Measured(value=None if np.isnan(value) else value, n=n, resampled=resampled, left_out=left_out, note=note)


def _ranker(x: Floats) -> Callable[[Floats], Floats]:
    """Mean ranks, from 1, of the items of each resample."""
    _, group = np.unique(x, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(group.max() + 1)) if x.size else np.zeros(0, np.intp)

    def ranks(counts: Floats) -> Floats:
        inside = np.add.reduceat(counts[:, order], starts, axis=1)  # (k, groups)
        last = np.cumsum(inside, axis=1)
        return np.asarray((last - (inside - 1) / 2)[:, group], np.float64)

    return ranks


def _pearson(x: Floats, y: Floats, counts: Floats) -> Floats:
    """Weighted correlation of each row; x and y are (n,) or (k, n). NaN where one is constant."""
    total = counts.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        dx = x - (counts * x).sum(axis=1, keepdims=True) / total
        dy = y - (counts * y).sum(axis=1, keepdims=True) / total
        products = [(counts * a * b).sum(axis=1) for a, b in ((dx, dy), (dx, dx), (dy, dy))]
        # a constant's variance is not always 0 to the last digit
        floor = [1e-24 * total[:, 0] * np.max(v * v, axis=-1, initial=0.0) for v in (x, y)]
        flat = (products[1] <= floor[0]) | (products[2] <= floor[1])
        r = products[0] / np.sqrt(products[1] * products[2])
    return np.where(flat, np.nan, np.clip(r, -1, 1))


def _signs(x: Floats, rows: slice) -> NDArray[np.int8]:
    """Signs of x_i − x_j for some i and all j; equal infinities are equal."""
    block = x[rows, None]
    return (block > x).astype(np.int8) - (block < x).astype(np.int8)


def _sign_sums(x: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Per item Σ_j of s_x·s_y, |s_x| and |s_y|."""
    sums = np.empty((3, x.size))
    for start in range(0, x.size, _BLOCK):
        rows = slice(start, start + _BLOCK)
        s_x, s_y = _signs(x, rows), _signs(y, rows)
        sums[0, rows] = (s_x * s_y).sum(axis=1, dtype=np.int64)
        sums[1, rows] = np.count_nonzero(s_x, axis=1)
        sums[2, rows] = np.count_nonzero(s_y, axis=1)
    return sums[0], sums[1], sums[2]


def _exact_kendall(x: Floats, y: Floats) -> Draws:
    s_x, s_y = _signs(x, slice(None)), _signs(y, slice(None))
    forms = [matrix.astype(np.float32) for matrix in (s_x * s_y, np.abs(s_x), np.abs(s_y))]

    def resampled(counts: Floats) -> Floats:
        narrow = counts.astype(np.float32)  # sums below 2^24 are exact
        c, t_x, t_y = (((narrow @ form).astype(np.float64) * counts).sum(axis=1) for form in forms)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(c / np.sqrt(t_x * t_y), np.float64)

    return resampled
