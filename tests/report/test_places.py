from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fake_graphs import discs
from hypothesis import given
from hypothesis import strategies as st

from semetric.report.places import box_around, clear_place, label_points, paired_relations, strongest_relations


def disc(y: float, x: float, radius: float, size: tuple[int, int] = (100, 140)) -> np.ndarray:
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.hypot(rows - y, columns - x) < radius


def test_a_label_lies_at_the_deepest_point() -> None:
    assert label_points([disc(40, 70, 25)], 4)[0] == pytest.approx([70.5, 40.5], abs=1)  # the pixel's middle


def test_the_label_of_a_ring_lies_on_the_ring() -> None:
    ring = disc(50, 70, 40) & ~disc(50, 70, 20)
    x, y = label_points([ring], 4)[0].astype(int)
    assert ring[y, x]


def test_a_background_is_labelled_beside_what_stands_before_it() -> None:
    background, front = np.ones((100, 140), bool), disc(50, 70, 30)
    (x, y), (fx, fy) = label_points([background, front], 5).astype(int)
    assert not front[y, x]
    assert front[fy, fx]


def test_a_label_does_not_hide_a_small_object() -> None:
    speck = disc(50, 70, 3)
    x, y = label_points([speck], 6)[0]
    assert 6 <= np.hypot(x - 70.5, y - 50.5) <= 12  # beside: past its own radius, and near


def test_labels_of_one_place_stay_apart() -> None:
    points = label_points([disc(50, 70, 30)] * 4, 5)
    gaps = np.linalg.norm(points[:, None] - points[None], axis=-1)[np.triu_indices(4, 1)]
    assert gaps.min() >= 9.5  # twice the radius, less the rounding to pixels


def test_places_of_no_and_of_empty_masks() -> None:
    assert label_points([], 4).shape == (0, 2)
    assert label_points([np.zeros((10, 20), bool)], 4).tolist() == [[10, 5]]


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 6), radius=st.floats(1, 40))
def test_labels_stay_in_the_image(seed: int, n: int, radius: float) -> None:
    rng = np.random.default_rng(seed)
    masks = [disc(rng.uniform(0, 40), rng.uniform(0, 60), rng.uniform(1, 25), (40, 60)) for _ in range(n)]
    points = label_points(masks, radius)
    assert (points > 0).all()
    assert (points < [60, 40]).all()


def test_the_first_clear_candidate_is_taken() -> None:
    taken = [box_around(50, 50, 20, 20)]
    assert clear_place([(50, 50), (50, 20), (20, 50)], 10, 10, taken, (0, 0, 100, 100)) == (50, 20)


def test_a_place_is_moved_inside_and_the_least_bad_wins() -> None:
    assert clear_place([(0, 0)], 10, 6, [], (0, 0, 100, 100)) == (5, 3)
    everywhere = [(0.0, 0.0, 100.0, 100.0), (0.0, 0.0, 50.0, 100.0)]
    assert clear_place([(20, 20), (80, 20)], 10, 10, everywhere, (0, 0, 100, 100)) == (80, 20)


def test_the_strongest_relations_join_shown_objects_that_matter() -> None:
    triplets = np.array([[0, 1, 3], [1, 0, 4], [0, 2, 5], [2, 3, 6], [1, 2, 7]])
    probabilities = np.array([0.6, 0.9, 0.8, 1.0, 0.95])
    importance = np.array([0.5, 0.4, 0.05, 0.05])
    chosen = strongest_relations(triplets, probabilities, importance, [0, 1, 2], 5)
    assert chosen.tolist() == [1, 4, 2]  # 0 is 1 the other way round; 3 ends at an object that is not shown
    assert strongest_relations(triplets, probabilities, importance, [0, 1, 2], 1).tolist() == [1]
    assert strongest_relations(np.zeros((0, 3), int), np.zeros(0), importance, [0], 5).tolist() == []


def test_relations_of_both_images_come_first_and_correspond() -> None:
    one = replace(
        discs(3, (40, 60)),
        triplets=np.array([[0, 1, 3], [1, 2, 4], [2, 0, 5]]),
        probabilities=np.array([0.5, 0.9, 0.9]),
        importance=np.array([0.4, 0.3, 0.3]),
    )
    two = replace(  # the same objects in another order: 0 ↔ 2, 1 ↔ 0, 2 ↔ 1
        discs(3, (40, 60)),
        triplets=np.array([[2, 0, 3], [0, 1, 6], [1, 0, 4]]),
        probabilities=np.array([0.6, 0.9, 0.2]),
        importance=np.array([0.3, 0.3, 0.4]),
    )
    pairs = [(0, 2), (1, 0), (2, 1)]
    (first, shared1), (second, shared2) = paired_relations((one, two), pairs, 5, 5)
    assert (first.tolist(), shared1) == ([0, 2, 1], [True, False, False])  # 1 → 2 is "4" here and "6" there
    assert (second.tolist(), shared2) == ([0, 1], [True, False])  # of 0 → 1 and 1 → 0 the stronger
    both, _ = paired_relations((one, one), [(0, 0), (1, 1), (2, 2)], 5, 5)
    assert (both[0].tolist(), both[1]) == ([2, 1, 0], [True] * 3)
    (few, _), _ = paired_relations((one, one), [(0, 0), (1, 1), (2, 2)], 1, 0)
    assert few.tolist() == [2]
    (none, _), _ = paired_relations((one, two), [(0, 2)], 5, 5)
    assert none.tolist() == []
