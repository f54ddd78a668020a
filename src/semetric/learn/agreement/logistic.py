"""The logistic curve between a metric's scores and people's opinions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from semetric.errors import UsageError
from semetric.learn.agreement.resampling import Floats

__all__ = ["Fitted", "Form", "fit_logistic"]

Form: TypeAlias = Literal[4, 5]
_EVALUATIONS = 400  # of the curve, a start; fits of real scores take 10 to 60


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A fitted curve.

    Attributes:
        form: "logistic" or "linear".
        parameters: of the curve on standardised scores: see `fit_logistic`.
        centre, scale: what standardises scores: (x − centre) / scale.
        note: why it is no logistic curve; empty where it is one.
    """

    form: Literal["logistic", "linear"]
    parameters: tuple[float, ...]
    centre: float
    scale: float
    note: str = ""

    def __call__(self, scores: Floats) -> Floats:
        """Opinions that the curve predicts of (n,) scores."""
        x = (scores - self.centre) / self.scale
        if self.form == "linear":
            return self.parameters[0] + self.parameters[1] * x
        return _CURVES[len(self.parameters)](x, np.asarray(self.parameters))


def fit_logistic(scores: Floats, opinions: Floats, *, form: Form = 4) -> Fitted:
    """Fits opinions as a curve of scores by least squares.

    Form 4 is VQEG's (2000, "Final report from the Video Quality Experts Group", Eq. 1):
    b1 + b2 / (1 + exp(−(x − b3)/b4)), here with b2 ≥ 0 and b4 > 0, so that it rises and keeps the order of scores.
    Form 5 is that of Sheikh, Sabir, Bovik 2006 (IEEE TIP 15(11), Eq. 10):
    b1·(1/2 − 1/(1 + exp(b2·(x − b3)))) + b4·x + b5, which need not rise.
    The fit starts from several places and keeps the best. A straight line, rising for form 4, takes its place where
    there are too few points, or where no start gives a closer curve.

    Args:
        scores: (n,) finite, higher for the better.
        opinions: (n,) finite.
        form: number of parameters, 4 or 5.

    Raises:
        UsageError: another form, or values that are not finite.
    """
    if form not in _CURVES:
        raise UsageError(f"Expected a logistic curve of 4 or 5 parameters; found {form!r}.")
    if scores.shape != opinions.shape or not (np.isfinite(scores).all() and np.isfinite(opinions).all()):
        raise UsageError("Expected finite scores and opinions of one length.")
    centre = float(scores.mean()) if scores.size else 0.0
    scale = float(scores.std()) if scores.size else 0.0
    if not scale > 1e-12 * max(abs(centre), 1e-300):
        return Fitted(
            form="linear",
            parameters=(float(opinions.mean()) if opinions.size else 0.0, 0.0),
            centre=centre,
            scale=1.0,
            note="all scores are equal: nothing was fitted" if scores.size else "",
        )
    x = (scores - centre) / scale
    slope = float(x @ (opinions - opinions.mean())) / x.size
    if form == 4:
        slope = max(slope, 0.0)
    line = (float(opinions.mean()), slope)
    if x.size <= form + 1:
        why = f"a straight line instead of the logistic curve: {x.size} points are too few for {form} parameters"
        return Fitted(form="linear", parameters=line, centre=centre, scale=scale, note=why)
    best, error = _best(x, opinions, form, slope)
    if best is None or not error <= float(((opinions - line[0] - slope * x) ** 2).sum()):
        why = "a straight line instead of the logistic curve: no logistic curve was found that is closer"
        return Fitted(form="linear", parameters=line, centre=centre, scale=scale, note=why)
    return Fitted(form="logistic", parameters=tuple(map(float, best)), centre=centre, scale=scale)


def _best(x: Floats, y: Floats, form: Form, slope: float) -> tuple[Floats | None, float]:
    """The closest curve of several starts, and its squared error."""
    from scipy.optimize import least_squares

    spread = max(float(np.ptp(y)), 1e-12)
    z = (y - y.mean()) / spread  # of the order of 1, as the solver's tolerances expect
    lowest = np.array([-np.inf, 0.0, -np.inf, 1e-3]) if form == 4 else np.full(5, -np.inf)
    curve = _CURVES[form]
    best: Floats | None = None
    error = np.inf
    for middle, width in ((0.0, 0.5), (-0.7, 0.3), (0.7, 0.3), (0.0, 3.0)):
        if form == 4:
            start = np.array([float(z.min()), 1.0, middle, width])
        else:
            start = np.array([np.sign(slope) or 1.0, 1 / width, middle, 0.1 * slope / spread, 0.0])
        solution = least_squares(
            lambda p: curve(x, p) - z, start, bounds=(lowest, np.inf), x_scale="jac", max_nfev=_EVALUATIONS
        )
        squared = 2 * float(solution.cost)
        if np.isfinite(squared) and squared < error:
            best, error = np.asarray(solution.x, np.float64), squared
    if best is None:
        return None, np.inf
    scaled = best.copy()
    if form == 4:
        scaled[:2] *= spread
        scaled[0] += y.mean()
    else:
        scaled[[0, 3, 4]] *= spread
        scaled[4] += y.mean()
    return scaled, error * spread**2


def _four(x: Floats, p: Floats) -> Floats:
    return np.asarray(p[0] + p[1] * _sigmoid((x - p[2]) / p[3]), np.float64)


def _five(x: Floats, p: Floats) -> Floats:
    return np.asarray(p[0] * (_sigmoid(p[1] * (x - p[2])) - 0.5) + p[3] * x + p[4], np.float64)


def _sigmoid(t: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(t / 2)), np.float64)  # no overflow


_CURVES: dict[int, Callable[[Floats, Floats], Floats]] = {4: _four, 5: _five}
