import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semetric.errors import ImageError
from semetric.models.crops import squash


@given(h=st.integers(1, 40), w=st.integers(1, 40), side=st.integers(1, 40), grey=st.integers(0, 255))
def test_a_flat_crop_of_any_size_stays_flat(h: int, w: int, side: int, grey: int) -> None:
    squares = squash([np.full((h, w, 3), grey, np.uint8)], side)
    assert squares.shape == (1, side, side, 3)
    assert (squares == grey).all()


def test_a_crop_of_the_right_size_is_copied_unchanged() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    squares = squash([crop], 9)
    assert (squares[0] == crop).all()
    squares[0] = 0
    assert crop.any()


def test_views_that_are_not_contiguous_give_the_same_pixels() -> None:
    image = np.random.default_rng(1).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    view = image[3:20, 30:5:-2]
    assert (squash([view], 8) == squash([view.copy()], 8)).all()


@pytest.mark.parametrize(
    "crop",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        [[1, 2, 3]],
    ],
)
def test_other_arrays_are_refused_by_number(crop: object) -> None:
    good = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(ImageError, match="crop 1"):
        squash([good, crop], 8)  # type: ignore[list-item]


def test_no_crops_make_an_empty_batch() -> None:
    assert squash([], 8).shape == (0, 8, 8, 3)
