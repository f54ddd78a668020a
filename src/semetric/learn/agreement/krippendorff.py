"""Krippendorff's alpha: how far people agree beyond what chance would give.

K. Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011: α = 1 − D_o / D_e, the disagreement within units
over that between any two values of the data. Any number of raters, any gaps.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from semetric.errors import UsageError

__all__ = ["Level", "krippendorff_alpha"]

Level: TypeAlias = Literal["nominal", "ordinal", "interval"]


def krippendorff_alpha(ratings: ArrayLike, level: Level = "nominal") -> float:
    """The agreement of raters.

    The difference functions of section C of the paper have closed sums: with n_uc values c in unit u, m_u values in
    it and n pairable values in all, nominal data have D_o = Σ_u (m_u² − Σ_c n_uc²) / (m_u − 1) over n, and interval
    data D_o = Σ_u 2 (m_u Σ x² − (Σ x)²) / (m_u − 1) over n; D_e is the same sum over all pairable values as one
    unit. The ordinal difference of two values is the square of the difference of their mean ranks.

    Args:
        ratings: (raters, units), NaN where a rater did not rate; for nominal data any numbers that stand for
            categories.
        level: "nominal" for categories, "ordinal" for ranks, "interval" for numbers whose differences mean something.

    Returns:
        1 for perfect agreement, 0 for chance, below 0 for systematic disagreement; NaN where it is not defined: no
        unit with two values, or only one value in all units.

    Raises:
        UsageError: not two dimensions, infinite values, or another level.

    Examples:
        >>> krippendorff_alpha([[0, 1, 1, 0], [0, 1, 1, 1]])
        0.5333333333333333
    """
    values = np.asarray(ratings, np.float64)
    if values.ndim != 2:
        raise UsageError(f"Expected ratings of shape (raters, units); found {values.shape}.")
    if np.isinf(values).any():
        raise UsageError("Expected finite ratings, NaN for missing ones; found an infinite one.")
    if level not in ("nominal", "ordinal", "interval"):
        raise UsageError(f"Expected level 'nominal', 'ordinal' or 'interval'; found {level!r}.")
    given = ~np.isnan(values)
    given &= given.sum(axis=0) >= 2  # a value alone in its unit is compared with nothing
    rows, units = np.nonzero(given)
    pairable = values[rows, units]
    if pairable.size == 0:
        return float("nan")
    if (pairable == pairable[0]).all():
        return float("nan")
    if level == "nominal":
        observed, expected = _nominal(pairable, units)
    else:
        scale = _mean_ranks(pairable) if level == "ordinal" else pairable
        observed, expected = _interval(scale, units)
    return float(1.0 - observed / expected)


def _nominal(values: NDArray[np.float64], units: NDArray[np.intp]) -> tuple[float, float]:
    categories = np.unique(values, return_inverse=True)[1]
    cells, counts = np.unique(np.stack([units, categories]), axis=1, return_counts=True)
    sizes = np.bincount(units)
    alike = np.bincount(cells[0], weights=counts.astype(np.float64) ** 2, minlength=sizes.size)
    filled = sizes > 0
    observed = ((sizes[filled] ** 2 - alike[filled]) / (sizes[filled] - 1)).sum()
    n = values.size
    return observed / n, (n**2 - (np.bincount(categories).astype(np.float64) ** 2).sum()) / (n * (n - 1))


def _interval(values: NDArray[np.float64], units: NDArray[np.intp]) -> tuple[float, float]:
    centred = values - values.mean()  # keeps digits where values are far from 0
    sizes = np.bincount(units)
    filled = sizes > 0
    sums = np.bincount(units, weights=centred)[filled]
    squares = np.bincount(units, weights=centred**2)[filled]
    m = sizes[filled]
    observed = (2 * np.maximum(m * squares - sums**2, 0) / (m - 1)).sum()
    n = values.size
    return observed / n, 2 * (n * (centred**2).sum() - centred.sum() ** 2) / (n * (n - 1))


def _mean_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks
