from __future__ import annotations

import numpy as np
import pytest

from semetric.errors import UsageError
from semetric.learn.training.calibrate import fit_calibration


def test_finds_a_curve_from_noisy_scores() -> None:
    rng = np.random.default_rng(0)
    cosines = rng.uniform(0.3, 1.0, 300)
    truth = 1 / (1 + np.exp(-12 * (cosines - 0.7)))
    scores = np.clip(truth + rng.normal(0, 0.05, 300), 0, 1)
    found = fit_calibration(cosines, scores)
    assert found.mse < 0.05**2 * 1.6  # the noise's own variance, and half of it more
    assert found.mse < found.mse_of_mean / 10
    at = np.linspace(0.35, 0.95, 13)
    assert np.abs(found.calibration.scores(at) - 1 / (1 + np.exp(-12 * (at - 0.7)))).max() < 0.08


def test_is_the_same_each_time() -> None:
    cosines, scores = [0.1, 0.5, 0.9], [0.0, 0.4, 1.0]
    one, two = (fit_calibration(cosines, scores, steps=20, seed=s).calibration.to_dict() for s in (1, 1))
    assert one == two
    assert one != fit_calibration(cosines, scores, steps=20, seed=2).calibration.to_dict()


@pytest.mark.parametrize(
    ("cosines", "scores"),
    [([0.5], [0.5]), ([0.1, 0.2], [0.5]), ([0.1, 0.2], [0.5, 3.0]), ([0.1, float("nan")], [0.1, 0.2])],
)
def test_bad_input(cosines: list[float], scores: list[float]) -> None:
    with pytest.raises(UsageError, match="Expected"):
        fit_calibration(cosines, scores)
