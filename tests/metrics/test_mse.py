from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.metrics import mean_squared_error

from semetric.errors import SizeMismatchError
from semetric.metrics.mse import MSE, mse
from semetric.models.runtime import Runtime

BYTES = hnp.arrays(np.uint8, (5, 7, 3))
RNG = np.random.default_rng(2)


def test_published_values(golden_images: dict[str, np.ndarray], classical: dict[str, Any]) -> None:
    metric = MSE(Runtime())
    for pair in classical["pairs"]:
        score = metric(golden_images[pair["reference"]], golden_images[pair["image"]])
        assert score.value == pytest.approx(pair["mse"], rel=1e-12)  # integers summed, divided once


@given(BYTES, BYTES)
def test_agrees_with_scikit_image_and_is_symmetric(a: np.ndarray, b: np.ndarray) -> None:
    assert mse(a, b) == pytest.approx(mean_squared_error(a, b), rel=1e-12)
    assert mse(a, b) == mse(b, a)
    assert mse(a, a) == 0
    assert mse(a.astype(float), b) == pytest.approx(mse(a, b), rel=1e-12)


@given(st.integers(0, 255), st.integers(0, 255))
def test_flat_images(a: int, b: int) -> None:
    assert mse(np.full((3, 4, 3), a, np.uint8), np.full((3, 4, 3), b, np.uint8)) == (a - b) ** 2


def test_bounds() -> None:
    black, white = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
    assert (mse(black, black), mse(black, white)) == MSE.range


def test_deep_pictures_are_not_rounded() -> None:
    a = np.full((4, 4, 3), 0.5, np.float32)
    b = a + np.float32(0.1 / 255)
    assert MSE(Runtime())(a, b).value == pytest.approx(0.01, rel=1e-3)  # 0.1² to float32's 6e-8 / (0.1 / 255)


def test_large_images_do_not_overflow() -> None:
    black, white = np.zeros((700, 700, 3), np.uint8), np.full((700, 700, 3), 255, np.uint8)
    assert mse(black, white) == 65025  # the sum, 9.6e10, exceeds 32 bits


def test_unequal_shapes() -> None:
    with pytest.raises(SizeMismatchError, match=r"\(2, 2, 3\) and \(2, 3, 3\)"):
        mse(np.zeros((2, 2, 3)), np.zeros((2, 3, 3)))
    with pytest.raises(SizeMismatchError, match=r"2 × 3 .*3 × 2.*--resize reference"):
        MSE(Runtime())(np.zeros((3, 2, 3), np.uint8), np.zeros((2, 3, 3), np.uint8))


def test_order_and_batches() -> None:
    images = [RNG.integers(0, 256, (6, 5, 3), dtype=np.uint8) for _ in range(4)]
    metric = MSE(Runtime())
    together = [s.value for s in metric.batch(images[:3], images[1:])]
    assert together == [metric(a, b).value for a, b in pairwise(images)]
    score = metric(images[0], images[1])
    assert (score.metric, score.higher_is_better, score.range, score.weights) == ("mse", False, (0.0, 65025.0), {})
