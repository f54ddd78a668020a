"""Fits the regressor that turns a cosine into the score that people would give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from semetric.errors import UsageError
from semetric.models.dreamsim.calibration import HIDDEN, ScoreCurve

__all__ = ["FittedCalibration", "fit_calibration"]

STEPS = 2000
LEARNING_RATE = 1e-3


@dataclass(frozen=True, kw_only=True)
class FittedCalibration:
    """A calibration, and how well it fits what it was fitted to.

    Attributes:
        calibration: the regressor.
        n: scores.
        mse: its mean squared error on them.
        mse_of_mean: that of the mean score, which a useful regressor is well below.
    """

    calibration: ScoreCurve
    n: int
    mse: float
    mse_of_mean: float


def fit_calibration(cosines: ArrayLike, scores: ArrayLike, *, steps: int = STEPS, seed: int = 0) -> FittedCalibration:
    """Minimises the mean squared error of sigmoid(w₂·ReLU(w₁ c + b₁) + b₂) with Adam, all scores at once.

    The kinks of the hidden units begin spread over the range of the cosines, and the curve rising: initial weights of
    unit scale would leave nearly every kink outside of it. Nothing holds the curve to rise everywhere.

    Args:
        cosines: (n,) of a tuned network, in [−1, 1].
        scores: (n,) that people gave, in [0, 1]; 1 is alike.
        steps: of Adam, at a learning rate of 0.001.
        seed: of the initial weights.

    Raises:
        UsageError: fewer than two pairs, lengths that differ, or numbers out of range.
    """
    import torch

    c, y = np.asarray(cosines, np.float64), np.asarray(scores, np.float64)
    if c.ndim != 1 or c.shape != y.shape or len(c) < 2:
        raise UsageError(f"Expected two or more cosines and as many scores; found {c.shape} and {y.shape}.")
    if not (np.isfinite(c).all() and ((y >= 0) & (y <= 1)).all()):
        raise UsageError("Expected finite cosines, and scores in [0, 1]; found others. Scale opinions to [0, 1] first.")
    rng = np.random.default_rng([seed, 4])
    low, high = float(c.min()), float(c.max())
    scale = 4.0 / max(high - low, 1e-3)
    kinks = rng.uniform(low - 0.25 * (high - low), high, HIDDEN)
    first = {
        "weight_1": np.full(HIDDEN, scale),
        "bias_1": -scale * kinks,
        "weight_2": rng.uniform(0.0, 4.0 / HIDDEN, HIDDEN),
        "bias_2": np.array(-2.0),
    }
    parameters = {name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in first.items()}
    x, target = torch.from_numpy(c)[:, None], torch.from_numpy(y)
    optimiser = torch.optim.Adam(parameters.values(), lr=LEARNING_RATE)
    for _ in range(steps):
        hidden = torch.relu(x * parameters["weight_1"] + parameters["bias_1"])  # (n, H)
        output = torch.sigmoid(hidden @ parameters["weight_2"] + parameters["bias_2"])
        loss = (output - target).square().mean()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
    fitted = {name: value.detach().numpy() for name, value in parameters.items()}
    calibration = ScoreCurve(
        weight_1=fitted["weight_1"],
        bias_1=fitted["bias_1"],
        weight_2=fitted["weight_2"],
        bias_2=float(fitted["bias_2"]),
    )
    return FittedCalibration(
        calibration=calibration,
        n=len(c),
        mse=float(np.square(calibration.scores(c) - y).mean()),
        mse_of_mean=float(np.square(y - y.mean()).mean()),
    )
