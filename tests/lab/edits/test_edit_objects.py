import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from semetric.lab.edits import choose, removal_order
from semetric.lab.edits.objects import cut_out_of, how_many


def boxes(*spans: tuple[int, int, int, int]) -> np.ndarray:
    """(N, 100, 100) from top, bottom, left, right."""
    masks = np.zeros((len(spans), 100, 100), bool)
    for mask, (top, bottom, left, right) in zip(masks, spans, strict=True):
        mask[top:bottom, left:right] = True
    return masks


def test_removal_order_skips_background_specks_and_parts() -> None:
    masks = boxes((0, 100, 0, 100), (10, 40, 10, 40), (15, 25, 15, 25), (60, 80, 60, 90), (0, 3, 0, 3))
    assert removal_order(masks) == [1, 3]
    # Where the part matters more it goes first, and the whole still takes something away.
    assert removal_order(masks, [9, 1, 5, 3, 9]) == [2, 3, 1]
    assert removal_order(masks, [9, 1, 5, 3, 9], overlap=0.1) == [2, 3]


def test_chosen_objects_are_no_ground_sky_or_wall() -> None:
    ground, wall = (70, 95, 0, 100), (0, 100, 40, 60)
    corner, near_corner = (0, 30, 0, 30), (1, 30, 70, 99)
    assert len(choose(boxes(ground, wall, corner, near_corner), 9)) == 0
    cup, spoon = (20, 50, 20, 50), (60, 70, 60, 80)
    found = choose(boxes(ground, spoon, corner, cup), 9)
    assert (found == boxes(cup, spoon)).all()


def test_whole_objects_come_before_cut_ones_of_less_than_twice_their_area() -> None:
    cut, whole, small = (10, 40, 0, 30), (50, 75, 50, 75), (80, 90, 20, 30)
    assert (choose(boxes(cut, small, whole), 1) == boxes(whole)).all()
    assert (choose(boxes(cut, small, whole), 2) == boxes(cut, whole)).all()  # the larger first
    assert (choose(boxes(cut, small), 1) == boxes(cut)).all()


@given(
    masks=arrays(bool, st.tuples(st.integers(0, 6), st.integers(1, 12), st.integers(1, 12))), limit=st.integers(0, 5)
)
@settings(deadline=None, max_examples=50)
def test_no_pixel_belongs_to_two_objects(masks: np.ndarray, limit: int) -> None:
    found = choose(masks, limit)
    assert found.ndim == 3
    assert len(found) <= min(limit, len(masks))
    assert found.sum(0).max(initial=0) <= 1
    assert found.any((1, 2)).all()


@pytest.mark.parametrize(
    ("strength", "count", "expected"),
    [(0, 4, 0), (1e-3, 4, 1), (0.25, 4, 1), (0.26, 4, 2), (0.75, 4, 3), (1, 4, 4), (0.1 * 3, 10, 3), (1, 0, 0)],
)
def test_how_many(strength: float, count: int, expected: int) -> None:
    assert how_many(strength, count) == expected


def test_cutting_out() -> None:
    image = np.arange(5 * 6 * 3, dtype=np.uint8).reshape(5, 6, 3)
    mask = np.zeros((5, 6), bool)
    mask[1, 3] = mask[3, 2] = True
    pixels, shape, top, left = cut_out_of(image, mask)
    assert (top, left) == (1, 2)
    assert (pixels == image[1:4, 2:4]).all()
    assert shape.tolist() == [[False, True], [False, False], [True, False]]
