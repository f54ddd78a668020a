"""Calibrations: the fit, the file, and that no encoder takes another's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from semetric.errors import UsageError
from semetric.metrics.sess import SeSS
from semetric.models.dense import DenseEncoder
from semetric.models.runtime import Runtime
from semetric.profiles import profile
from semetric.scene.calibration import calibration_of, fit, read_calibration, write_calibration


def test_the_fit_finds_the_curve_that_made_the_samples() -> None:
    rng = np.random.default_rng(0)
    cosines = rng.uniform(-0.2, 1.0, 40_000)
    same = rng.random(cosines.size) < 1 / (1 + np.exp(-(cosines - 0.4) / 0.1))
    # both kinds weigh the same, which moves the midpoint by log(odds) · scale
    odds = same.sum() / (~same).sum()
    midpoint, scale = fit(cosines[same], cosines[~same])
    assert midpoint == pytest.approx(0.4 + 0.1 * np.log(odds), abs=0.01)  # three standard errors of 40,000 samples
    assert scale == pytest.approx(0.1, abs=0.005)


def test_separable_samples_have_a_finite_scale() -> None:
    midpoint, scale = fit(np.linspace(0.8, 0.9, 20), np.linspace(0.0, 0.2, 20))
    assert 0.2 < midpoint < 0.8
    assert scale > 0.01


def test_too_few_samples_or_reversed_ones_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 10 pairs"):
        fit([0.9] * 9, [0.1] * 20)


def test_what_ships_fits_the_encoder_of_lite() -> None:
    calibration = calibration_of(DenseEncoder(Runtime("lite", device="cpu")))
    assert 0.2 < calibration.midpoint < 0.9
    assert len(calibration.recipe["photos"]) == 24


def test_a_file_is_read_back_and_belongs_to_one_encoder(tmp_path: Path) -> None:
    encoder = DenseEncoder(Runtime("lite", device="cpu"))
    calibration = calibration_of(encoder)
    write_calibration(calibration, tmp_path / "c.json")
    assert read_calibration(tmp_path / "c.json") == calibration
    assert calibration_of(encoder, tmp_path / "c.json") == calibration
    write_calibration(replace(calibration, weights=("other.1@000000000000",)), tmp_path / "other.json")
    with pytest.raises(UsageError, match="present weights"):
        calibration_of(encoder, tmp_path / "other.json")
    (tmp_path / "c.json").write_text('{"objects": 3}')
    with pytest.raises(UsageError, match="semetric learn calibrate writes"):
        read_calibration(tmp_path / "c.json")
    with pytest.raises(UsageError, match="No such file"):
        read_calibration(tmp_path / "absent.json")


def test_graded_without_a_calibration_says_how_to_make_one() -> None:
    crops = Runtime(profile("lite", objects="efficientnet_lite0"), device="cpu")
    with pytest.raises(UsageError, match="learn calibrate PHOTOS --objects efficientnet_lite0"):
        SeSS(crops)
    assert SeSS(crops, variant="paper").variant == "paper"
