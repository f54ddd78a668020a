"""From the best trial to the lowest error near it, and how far the data hold each parameter there.

The objective is the mean squared error, so a settings' neighbourhood is a non-linear least-squares problem in a box:
damped Gauss–Newton steps (Levenberg 1944, Marquardt 1963) on finite differences, each a bounded linear problem.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from semetric.learn.tuning.judged import Judged
from semetric.learn.tuning.space import Space
from semetric.metrics.sess_settings import Settings

__all__ = ["Refined", "jacobian", "refine"]

STEP = 0.005
"""Of a parameter's range: the finite difference. Scores have kinks where an assignment changes; much smaller steps
would see one side of them, much larger ones the curvature."""

_ENOUGH = 1e-5  # a step that lowers the error by less, relatively, is the last
_TRIES = 4
_RIM = 1e-5

_Floats = NDArray[np.float64]
Scored = Callable[[Settings], _Floats]


@dataclass(frozen=True, kw_only=True, eq=False)
class Refined:
    """Where the steps ended.

    Attributes:
        settings: the best that was found.
        sse: sum of squared errors there, over the pairs that counted.
    """

    settings: Settings
    sse: float


def refine(
    scored: Scored,
    space: Space,
    start: Settings,
    judged: Judged,
    groups: NDArray[np.bool_] | None = None,
    *,
    steps: int = 6,
) -> Refined:
    """Lowers the mean squared error from a start. Whole numbers stay as they are.

    Args:
        scored: settings → (pairs,) scores.
        space: bounds.
        start: inside the space.
        judged: with scores.
        groups: (groups,) which references count; None for all.
        steps: at most so many.
    """
    smooth = replace(space, base=start, parameters=tuple(p for p in space.parameters if not p.integer))
    counted = _rows(judged, groups)
    given = judged.scores[counted] if judged.scores is not None else np.zeros(0)
    settings = start
    residual = scored(settings)[counted] - given
    error = float(residual @ residual)
    if not smooth.parameters:
        return Refined(settings=settings, sse=error)
    from scipy.optimize import lsq_linear

    damping = 1e-3
    for _ in range(steps):
        slopes = jacobian(scored, smooth, settings)[counted]
        at = np.clip(smooth.units(settings), 0.0, 1.0)
        scale = float(np.einsum("pd,pd->d", slopes, slopes).max()) or 1.0
        before = error
        for _ in range(_TRIES):
            weight = np.sqrt(damping * scale)
            room = (np.minimum(-at, -1e-12), np.maximum(1.0 - at, 1e-12))  # the solver wants an inside
            step = lsq_linear(
                np.vstack([slopes, weight * np.eye(len(at))]), np.concatenate([-residual, np.zeros(len(at))]), room
            ).x
            there = at + step
            there[there < _RIM], there[there > 1.0 - _RIM] = 0.0, 1.0  # the solver stays a little inside
            tried = smooth.at(there)
            left = scored(tried)[counted] - given
            if float(left @ left) < error:
                settings, residual, error = tried, left, float(left @ left)
                damping = max(damping / 10.0, 1e-9)
                break
            damping *= 10.0
        if before - error <= _ENOUGH * before:
            break
    return Refined(settings=settings, sse=error)


def jacobian(scored: Scored, space: Space, settings: Settings) -> _Floats:
    """(pairs, parameters) change of each score over a parameter's whole range, from a finite difference.

    A parameter at its upper bound is moved down instead of up.
    """
    at = space.units(settings)
    base = scored(settings)
    slopes = np.empty((len(base), len(at)))
    for d in range(len(at)):
        moved = at.copy()
        moved[d] += STEP if at[d] + STEP <= 1.0 else -STEP
        slopes[:, d] = (scored(space.at(moved)) - base) / (moved[d] - at[d])
    return slopes


def _rows(judged: Judged, groups: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """(pairs,) which pairs count."""
    if groups is None:
        return np.ones(2 * len(judged), np.bool_)
    return np.asarray(groups[judged.pair_group], np.bool_)
