import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semetric.lab.transformations import blue_filter, contrast, hue
from semetric.lab.transformations.colour import hue_rotation

SOME = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)


def test_blue_filter() -> None:
    image = np.array([[[200, 100, 0]]], np.uint8)
    assert blue_filter(image).tolist() == [[[150, 75, 64]]]
    assert blue_filter(image, 1.0).tolist() == [[[0, 0, 255]]]


def test_contrast_moves_towards_the_mean_luma_and_away() -> None:
    image = np.array([[[50, 50, 50], [150, 150, 150]]], np.uint8)
    assert contrast(image, 0.5)[0, :, 0].tolist() == [75, 125]
    assert contrast(image, 1.0)[0, :, 0].tolist() == [100, 100]
    assert contrast(image, -1.0)[0, :, 0].tolist() == [0, 200]
    # Luma of red and blue: 0.299 · 255 and 0.114 · 255, mean 52.66.
    assert contrast(np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8), 1.0)[0, 0].tolist() == [53, 53, 53]


def test_hue_turns_red_to_green_to_blue() -> None:
    red = np.array([[[255, 0, 0]]], np.uint8)
    assert hue(red, 120)[0, 0].tolist() == [0, 255, 0]
    assert hue(red, -120)[0, 0].tolist() == [0, 0, 255]
    assert (hue(SOME, 120) == np.roll(SOME, 1, axis=2)).all()
    # Half a turn mirrors on the grey axis: (a, a, a)·2/3·sum − x = (170, 170, 170) − (255, 0, 0), clipped.
    assert hue(red, 180)[0, 0].tolist() == [0, 170, 170]


@given(degrees=st.floats(-180, 180))
@settings(deadline=None)
def test_hue_is_a_rotation_that_keeps_greys_and_sums(degrees: float) -> None:
    matrix = hue_rotation(degrees)
    assert np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)  # sums of a few products near 1 in float64
    assert np.linalg.det(matrix) == pytest.approx(1)
    assert np.allclose(matrix @ np.ones(3), 1, atol=1e-12)
    assert np.trace(matrix) == pytest.approx(1 + 2 * math.cos(math.radians(degrees)))
    grey = np.repeat(SOME[..., :1], 3, axis=2)
    assert (hue(grey, degrees) == grey).all()


def test_hue_comes_back_where_nothing_is_clipped() -> None:
    soft = (SOME // 4 + 96).astype(np.uint8)
    # Rounding errs by half a level in each channel, which the way back may add up: √3 / 2 + 1/2.
    assert np.abs(hue(hue(soft, 77), -77).astype(int) - soft).max() <= 1
