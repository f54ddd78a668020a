"""Numbers that describe many scores, and how sure they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError

__all__ = ["INTERVAL", "QUANTILES", "bootstrap_mean", "describe", "pearson", "sign_test"]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
RESAMPLES = 2000
SEED = 0
LARGE = 50_000  # scores above which the bootstrap of the mean is the normal interval to three digits of its width
INTERVAL: dict[str, Any] = {
    "of": "mean",
    "level": 0.95,
    "method": f"percentile bootstrap; mean ± 1.96 standard errors above {LARGE} scores",
    "resamples": RESAMPLES,
    "seed": SEED,
}
"""What summaries say of their intervals."""

_DRAWS = 1 << 22  # indices drawn at once: 16 MB


def describe(values: Sequence[float] | NDArray[np.float64]) -> dict[str, Any]:
    """Describes scores as plain JSON values.

    Args:
        values: (n,) infinite ones and NaN, which stands for a score that an error took, are counted and left out; in
            any order, but the interval depends on it in its last digits.

    Returns:
        Of the finite scores: n, mean, mean_interval_95, std (divided by n − 1), min, quantiles by their share ("0.05",
        interpolated linearly between scores) and max; None where there are too few. And infinite and errors, the
        numbers of the others.
    """
    scores = np.asarray(values, np.float64)
    x = scores[np.isfinite(scores)]
    interval = bootstrap_mean(x)
    quantiles = np.quantile(x, QUANTILES).tolist() if x.size else []
    return {
        "n": int(x.size),
        "mean": float(x.mean()) if x.size else None,
        "mean_interval_95": None if interval is None else list(interval),
        "std": float(x.std(ddof=1)) if x.size > 1 else None,
        "min": float(x.min()) if x.size else None,
        "quantiles": dict(zip(map(str, QUANTILES), quantiles, strict=True)) if quantiles else None,
        "max": float(x.max()) if x.size else None,
        "infinite": int(np.isinf(scores).sum()),
        "errors": int(np.isnan(scores).sum()),
    }


def bootstrap_mean(
    values: Sequence[float] | NDArray[np.float64], *, resamples: int = RESAMPLES, seed: int = SEED
) -> tuple[float, float] | None:
    """The 95% interval of the mean by the percentile bootstrap (Efron 1979, "Bootstrap methods", Ann. Stat. 7(1)).

    The values are drawn n at a time with replacement; the interval runs from the 2.5% to the 97.5%
    quantile of the resamples' means. Of more than 50,000 values it is mean ± 1.96 standard errors, to
    which the bootstrap tends.

    Args:
        values: (n,) finite.
        resamples: how many.
        seed: of the draws: the same values in the same order give the same interval.

    Returns:
        (low, high); None of fewer than two values.

    Raises:
        UsageError: values that are not finite, or no resamples.
    """
    x = np.asarray(values, np.float64)
    if x.ndim != 1 or not np.isfinite(x).all():
        raise UsageError(f"Expected a list of finite scores; found shape {x.shape} or infinities. Leave those out.")
    if resamples < 1:
        raise UsageError(f"Expected at least 1 resample; found {resamples}.")
    if x.size < 2:
        return None
    low, high = float(x.min()), float(x.max())
    if low == high:
        return low, high
    if x.size > LARGE:
        mean, half = float(x.mean()), 1.959963984540054 * float(x.std(ddof=1)) / math.sqrt(x.size)
        return max(mean - half, low), min(mean + half, high)
    rng = np.random.default_rng(seed)
    step = max(1, _DRAWS // x.size)
    means = np.empty(resamples)
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        draws = rng.integers(0, x.size, size=(count, x.size), dtype=np.int32)  # (count, n)
        means[start : start + count] = x[draws].mean(axis=1)
    bounds = np.clip(np.quantile(means, (0.025, 0.975)), low, high)  # a mean may round past its values
    return float(bounds[0]), float(bounds[1])


def pearson(x: NDArray[np.float64], y: NDArray[np.float64]) -> float | None:
    """Pearson's r of finite pairs; None of fewer than three, or where one side does not vary.

    Args:
        x, y: (n,) pairs; those with NaN or infinity are left out.
    """
    both = np.isfinite(x) & np.isfinite(y)
    x, y = x[both], y[both]
    if x.size < 3:
        return None
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x * x).sum() * (y * y).sum()))
    # what rounding leaves of a constant is no variation
    if scale == 0 or np.ptp(x) == 0 or np.ptp(y) < 1e-12 * max(1.0, float(np.abs(y).max())):
        return None
    return float(np.clip((x * y).sum() / scale, -1.0, 1.0))


def sign_test(wins: int, losses: int) -> float | None:
    """The exact two-sided p-value of the sign test: how often a fair coin is at least this uneven.

    Args:
        wins: pairs that speak for one side.
        losses: pairs that speak for the other; ties count for neither.

    Returns:
        p in (0, 1]; None without wins and losses.
    """
    from scipy.stats import binomtest

    if wins + losses == 0:
        return None
    return float(binomtest(wins, wins + losses, 0.5).pvalue)
