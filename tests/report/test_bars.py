from __future__ import annotations

import math

import pytest

from semetric.errors import ImageError, SizeMismatchError, WeightsMissingError
from semetric.metrics.base import Score
from semetric.report.bars import bar_of, number, short_weights, why


def score(metric: str, value: float, low: float | None, high: float | None, higher: bool = True) -> Score:
    return Score(metric=metric, value=value, higher_is_better=higher, range=(low, high))


@pytest.mark.parametrize(
    ("one", "fraction"),
    [
        (score("sess", 0.25, 0.0, 1.0), 0.25),
        (score("samscore", 0.5, -1.0, 1.0), 0.75),
        (score("psnr", 20.0, 0.0, None), 0.4),
        (score("psnr", math.inf, 0.0, None), 1.0),
        (score("psnr", 70.0, 0.0, None), 1.0),
        (score("lpips_vgg", 0.3, 0.0, None, False), 0.7),
        (score("mse", 0.0, 0.0, 65025.0, False), 1.0),
        (score("mse", 65025.0, 0.0, 65025.0, False), 0.0),
        (score("mse", 650.25, 0.0, 65025.0, False), 0.4),  # 20 dB of 50
        (score("other", 0.2, 0.0, 1.0, False), 0.8),
        (score("sess", -0.1, 0.0, 1.0), 0.0),
    ],
)
def test_every_bar_grows_towards_the_reference(one: Score, fraction: float) -> None:
    assert bar_of(one).fraction == pytest.approx(fraction)


def test_a_scale_that_is_not_the_range_is_said() -> None:
    assert "50 dB" in bar_of(score("psnr", 20.0, 0.0, None)).note
    assert "logarithmic" in bar_of(score("mse", 20.0, 0.0, 65025.0, False)).note
    assert "1" in bar_of(score("lpips", 0.2, 0.0, None, False)).note
    assert bar_of(score("sess", 0.2, 0.0, 1.0)).note == ""


def test_a_metric_without_bounds_has_no_bar() -> None:
    bar = bar_of(score("other", 3.0, 0.0, None))
    assert bar.fraction is None
    assert bar.note == "no bounds, so no bar"
    assert bar_of(score("sess", math.nan, 0.0, 1.0)).fraction is None


def test_ends_arrow_and_zero() -> None:
    lower = bar_of(score("other", 0.2, -1.0, 3.0, False))
    assert (lower.worst, lower.best, lower.arrow, lower.zero) == ("3", "−1", "↓", 0.75)
    higher = bar_of(score("vitscore", 0.2, -1.0, 1.0))
    assert (higher.worst, higher.best, higher.arrow, higher.zero) == ("−1", "1", "↑", 0.5)
    assert bar_of(score("sess", 0.2, 0.0, 1.0)).zero is None


def test_numbers() -> None:
    values = [0.12345, -0.5, 25.83, 65025.0, 2e-5, 0.0, math.inf]
    assert [number(v) for v in values] == ["0.123", "−0.500", "25.8", "65025", "2e−05", "0.000", "∞"]


def test_short_weights_name_each_network_once() -> None:
    assert short_weights({"a": "x.1@00", "b": "y.2@11", "c": "x.1@00"}) == "x.1, y.2"


def test_reasons() -> None:
    assert why(SizeMismatchError("…")) == "sizes differ or are too small"
    assert why(WeightsMissingError("…")) == "weights missing or unfit"
    assert why(ImageError("…")) == "no score"
