import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semetric.errors import ImageError, UsageError
from semetric.lab.transformations import mirror, rotate, scale, translate


def pixels(h: int, w: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 256, (h, w, 3), dtype=np.uint8)


@given(share=st.floats(0, 1), seed=st.integers(0, 99), h=st.integers(1, 6), w=st.integers(1, 40))
@settings(deadline=None, max_examples=40)
def test_translation_shifts_left_and_fills_the_right(share: float, seed: int, h: int, w: int) -> None:
    image = pixels(h, w, seed)
    n = round(share * w)
    kept, strip = np.split(translate(image, share), [w - n], axis=1)
    assert (kept == image[:, n:]).all()
    assert (strip == 0).all()
    assert (translate(image, share, fill="wrap") == np.roll(image, -n, axis=1)).all()
    assert (translate(image, share, fill="edge")[:, w - n :] == image[:, -1:]).all()


def test_rotation_is_counter_clockwise_about_the_centre() -> None:
    image = np.zeros((101, 141, 3), np.uint8)
    image[48:53, 120:125] = 255  # right of the centre
    turned = rotate(image, 8.0)
    assert turned.shape == image.shape
    y, x = (np.mean(n) for n in np.nonzero(turned[..., 0] > 128))
    # 52 px from the centre at 8 degrees: up by 52 sin 8° = 7.2, in by 52 (1 − cos 8°) = 0.5.
    assert y == pytest.approx(50 - 7.2, abs=0.7)
    assert x == pytest.approx(122 - 0.5, abs=0.7)


@pytest.mark.parametrize("side", [1, 2, 7, 20])
def test_quarter_turns_of_squares_only_reorder_pixels(side: int) -> None:
    image = pixels(side, side)
    for quarters in (-2, -1, 0, 1, 2):
        assert (rotate(image, 90.0 * quarters) == np.rot90(image, quarters)).all()


def test_a_half_turn_of_anything_only_reorders_pixels() -> None:
    for size in ((1, 9), (8, 3), (5, 6)):
        assert (rotate(pixels(*size), 180) == np.rot90(pixels(*size), 2)).all()


def test_a_quarter_turn_of_a_portrait_keeps_its_middle_exact() -> None:
    image = pixels(30, 20)  # the sides differ by an even number, so that pixels fall on pixels
    turned = rotate(image, 90.0)
    assert (turned[5:25] == np.rot90(image[5:25])).all()
    assert (turned[:5] == 0).all()


def test_a_flat_photo_stays_flat_where_the_edge_fills() -> None:
    flat = np.full((50, 80, 3), 77, np.uint8)
    for fill in ("edge", "reflect", "wrap"):
        assert (rotate(flat, 8.0, fill=fill) == 77).all()
    assert (scale(flat) == 77).all()
    assert (rotate(flat, 8.0)[0, 0] == 0).all()


def test_mirroring_twice_gives_the_photo_back() -> None:
    image = pixels(5, 8)
    assert (mirror(mirror(image)) == image).all()
    assert (mirror(image)[:, 0] == image[:, -1]).all()


def test_scaling_magnifies_the_middle() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[40:60, 40:60] = 255
    side = np.sqrt((scale(image, 0.1)[..., 0] > 128).sum())
    assert side == pytest.approx(20 / 0.8, abs=1)  # to whole pixels


def test_scaling_leaves_something_or_says_so() -> None:
    with pytest.raises(ImageError, match="leaves some of 100 × 100; found 50 px"):
        scale(pixels(100, 100), 0.5)
    with pytest.raises(ImageError, match="leaves some of 9 × 1"):
        scale(pixels(1, 9), 0.1)
    with pytest.raises(UsageError, match=r"between 0 and 0\.5; found 0\.6"):
        scale(pixels(100, 100), 0.6)
