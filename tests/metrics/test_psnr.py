from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp
from skimage.metrics import peak_signal_noise_ratio

from semetric.errors import SizeMismatchError, UsageError
from semetric.metrics.psnr import PSNR, psnr
from semetric.models.runtime import Runtime

BYTES = hnp.arrays(np.uint8, (5, 7, 3))


def test_published_values(golden_images: dict[str, np.ndarray], classical: dict[str, Any]) -> None:
    metric = PSNR(Runtime())
    for pair in classical["pairs"]:
        score = metric(golden_images[pair["reference"]], golden_images[pair["image"]])
        assert score.value == pytest.approx(pair["psnr"], rel=1e-12)  # one logarithm of an exact ratio


@given(BYTES, BYTES)
def test_agrees_with_scikit_image_and_is_symmetric(a: np.ndarray, b: np.ndarray) -> None:
    if (a == b).all():
        assert psnr(a, b) == math.inf
    else:
        assert psnr(a, b) == pytest.approx(peak_signal_noise_ratio(a, b, data_range=255), rel=1e-12)
    assert psnr(a, b) == psnr(b, a)
    assert psnr(a, b) >= 0


def test_identical_images_are_infinite() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    assert PSNR(Runtime())(image, image).value == math.inf


def test_lowest_value() -> None:
    assert psnr(np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)) == 0.0


def test_peak() -> None:
    a, b = np.zeros((2, 2)), np.full((2, 2), 0.1)
    assert psnr(a, b, peak=1.0) == pytest.approx(20.0, rel=1e-12)
    for peak in (0.0, -1.0, math.nan):
        with pytest.raises(UsageError, match="positive peak"):
            psnr(a, b, peak=peak)


def test_unequal_sizes() -> None:
    with pytest.raises(SizeMismatchError, match="psnr compares pixels in place"):
        PSNR(Runtime())(np.zeros((3, 2, 3), np.uint8), np.zeros((2, 3, 3), np.uint8))


def test_imports_no_torch() -> None:
    code = """
import sys
import numpy as np
from semetric.metrics.psnr import PSNR
from semetric.models.runtime import Runtime
image = np.zeros((4, 4, 3), np.uint8)
PSNR(Runtime())(image, image)
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
