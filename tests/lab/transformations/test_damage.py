import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semetric.lab.transformations import blur, noise, occlusion, salt_and_pepper

rng = np.random.default_rng


def pixels(h: int, w: int, seed: int = 0) -> np.ndarray:
    return rng(seed).integers(1, 255, (h, w, 3), dtype=np.uint8)


def test_noise_has_the_deviation_asked_for() -> None:
    grey = np.full((200, 200, 3), 128, np.uint8)
    noisy = noise(grey, 20.0, rng(0))
    # 120,000 samples: the deviation's standard error is 0.04; rounding adds 1/12 to the variance.
    assert noisy.std() == pytest.approx((20**2 + 1 / 12) ** 0.5, abs=0.2)
    assert noisy.mean() == pytest.approx(128, abs=0.3)  # standard error 0.06
    assert (noisy == noise(grey, 20.0, rng(0))).all()
    assert (noisy != noise(grey, 20.0, rng(1))).any()


def test_equal_generators_give_one_noise_field_scaled() -> None:
    grey = np.full((40, 40, 3), 128, np.uint8)
    low, high = (noise(grey, s, rng(3)).astype(int) - 128 for s in (5.0, 20.0))
    assert np.abs(4 * low - high).max() <= 2.5  # half a level of rounding, four times and once


def test_blur_spreads_a_point_as_a_gaussian() -> None:
    image = np.zeros((41, 41, 3), np.uint8)
    image[20, 20] = 255
    sigma = 1.5
    found = blur(image, sigma)[..., 0].astype(float)
    y, x = np.mgrid[:41, :41] - 20
    expected = 255 * np.exp(-(x**2 + y**2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)
    # Half a level of rounding; the sampled kernel's sum differs from its integral by less than 1e-4.
    assert np.abs(found - expected).max() <= 0.52


@given(share=st.floats(0, 1), more=st.floats(0, 1), seed=st.integers(0, 50), h=st.integers(1, 30), w=st.integers(1, 30))
@settings(deadline=None, max_examples=40)
def test_replaced_pixels_stay_replaced(share: float, more: float, seed: int, h: int, w: int) -> None:
    image = pixels(h, w)
    low, high = sorted((share, more))
    for change in (salt_and_pepper, occlusion):
        some, most = change(image, low, rng(seed)), change(image, high, rng(seed))
        hit = (some != image).any(-1)
        assert (some[hit] == most[hit]).all()


def test_salt_and_pepper_hits_the_share_asked_for() -> None:
    image = pixels(200, 200)
    found = salt_and_pepper(image, 0.2, rng(0))
    hit = (found != image).any(-1)
    # 40,000 pixels: standard errors 0.002 and, of the 8,000 that are hit, 0.006; five of them.
    assert hit.mean() == pytest.approx(0.2, abs=0.01)
    assert (found[hit] == 255).mean() == pytest.approx(0.5, abs=0.03)
    assert set(np.unique(found[hit])) == {0, 255}
    assert (np.ptp(found[hit], axis=1) == 0).all()
    assert set(np.unique(salt_and_pepper(image, 1.0, rng(0)))) == {0, 255}


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 1.0])
def test_the_box_has_the_area_asked_for(share: float) -> None:
    image = pixels(300, 400)
    image[image == 128] = 127
    hit = (occlusion(image, share, rng(5)) == 128).all(-1)
    rows, columns = np.flatnonzero(hit.any(1)), np.flatnonzero(hit.any(0))
    assert hit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()  # a whole box
    # Each side is off by at most a pixel, of 300 and 400.
    assert np.sqrt(hit.mean()) == pytest.approx(np.sqrt(share), abs=1 / 300)


def test_boxes_land_in_all_places() -> None:
    image = np.zeros((20, 20, 3), np.uint8)
    ever = sum((occlusion(image, 0.1, rng(seed))[..., 0] > 0).astype(int) for seed in range(300))
    assert ever.any(0).all()
    assert ever.any(1).all()
