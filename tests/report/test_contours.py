from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.path import Path as Polygon
from numpy.typing import NDArray

from semetric.report.contours import outlines, path, rings, simplify


def disc(size: tuple[int, int], centre: tuple[float, float], radius: float) -> NDArray[np.bool_]:
    y, x = np.mgrid[: size[0], : size[1]]
    inside: NDArray[np.bool_] = np.hypot(y - centre[0], x - centre[1]) < radius
    return inside


def corners(drawn: str) -> list[NDArray[np.float64]]:
    """The rings of a path that `path` wrote, read back."""
    found = []
    for ring in re.findall(r"M([^z]*)z", drawn):
        start, _, steps = ring.partition("l")
        moves = np.array((start + " " + steps).split(), float).reshape(-1, 2)
        found.append(np.cumsum(moves, axis=0))
    return found


def covered(drawn: str, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels whose centre lies in an odd number of rings."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    inside = np.zeros(len(points), bool)
    for ring in corners(drawn):
        inside ^= Polygon(np.concatenate([ring, ring[:1]])).contains_points(points)
    return inside.reshape(size)


def test_a_path_covers_what_its_mask_covers() -> None:
    size = (120, 160)
    ring = disc(size, (60, 70), 40) & ~disc(size, (55, 75), 15)
    masks = [ring, disc(size, (0, 0), 30), np.ones(size, bool)]
    for mask, drawn in zip(masks, outlines(masks), strict=True):
        # the smoothing and the tolerance of 0.6 px move an edge by less than a pixel: at most its own pixels differ
        edge = np.abs(np.diff(mask, axis=0)).sum() + np.abs(np.diff(mask, axis=1)).sum() + 4
        assert (covered(drawn, size) ^ mask).sum() <= edge
        assert len(drawn) < 900
    assert len(corners(outlines([ring])[0])) == 2  # the hole is a ring of its own


@pytest.mark.parametrize("pixels", [[(5, 5)], [(0, 0)], [(9, 19)], [(5, 5), (5, 6)], [(5, 5), (6, 6)]])
def test_specks_stay_visible(pixels: list[tuple[int, int]]) -> None:
    mask = np.zeros((10, 20), bool)
    for pixel in pixels:
        mask[pixel] = True
    (ring, *_) = corners(outlines([mask])[0])
    assert np.ptp(ring, axis=0).min() >= 0.5  # px
    assert ring.min() >= 0
    assert (ring.max(axis=0) <= (20, 10)).all()


def test_no_pixels_no_path() -> None:
    assert outlines([np.zeros((8, 8), bool)]) == [""]
    assert outlines([]) == []


def test_many_ragged_masks_get_coarser_rather_than_large() -> None:
    rng = np.random.default_rng(0)
    masks = [rng.random((80, 80)) < 0.5 for _ in range(6)]
    fine = outlines(masks)
    coarse = outlines(masks, most_bytes=sum(map(len, fine)) * 3 // 4)
    assert sum(map(len, coarse)) <= sum(map(len, fine)) * 3 // 4
    assert all(coarse)


@given(
    st.lists(st.tuples(st.floats(0, 50), st.floats(0, 50)), min_size=4, max_size=40),
    st.floats(0.1, 10),
)
def test_no_dropped_corner_is_further_than_the_tolerance(points: list[tuple[float, float]], tolerance: float) -> None:
    ring = np.array([*points, points[0]])
    kept = simplify(ring, tolerance)
    assert (kept[0] == kept[-1]).all()
    assert {tuple(p) for p in kept} <= {tuple(p) for p in ring}
    starts, ends = kept[:-1], kept[1:]
    for point in ring:
        along = ends - starts
        squared = (along**2).sum(axis=1)
        shares = np.where(squared > 0, ((point - starts) * along).sum(axis=1) / np.maximum(squared, 1e-300), 0.0)
        away = np.hypot(*(point - starts - np.clip(shares, 0, 1)[:, None] * along).T)
        assert away.min() <= tolerance + 1e-6  # rounding of coordinates up to 50


def test_steps_add_up_without_drift() -> None:
    turn = np.linspace(0, 2 * np.pi, 1000)
    ring = 50 + 40 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    (read,) = corners(path([ring]))
    assert np.abs(read[-1] - ring[-2]).max() <= 0.0501  # px: half of a tenth, however many steps before it


def test_rings_close_and_stay_inside() -> None:
    for ring in rings(np.ones((7, 9), bool)):
        assert (ring[0] == ring[-1]).all()
        assert ring.min() >= 0
        assert (ring.max(axis=0) <= (9, 7)).all()
