from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semetric.errors import UsageError
from semetric.scene.predicates import PREDICATES
from semetric.scene.relations import relation_matrix, select
from semetric.scene.spatial import SPATIAL_PREDICATES, spatial_probabilities

H, W = 240, 320
Y, X = np.mgrid[:H, :W]


def box(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    return (x0 <= X) & (x1 > X) & (y0 <= Y) & (y1 > Y)


def disc(x: float, y: float, r: float) -> np.ndarray:
    return (X - x) ** 2 + (Y - y) ** 2 <= r * r


COW = box(110, 130, 200, 170) | box(114, 170, 126, 194) | box(184, 170, 196, 194)
PERSON = disc(160, 104, 18) | box(144, 120, 176, 204)
HOUSE = box(60, 40, 260, 180)
TABLE = box(40, 136, 280, 164) | box(56, 164, 72, 236) | box(248, 164, 264, 236)
LAMP = box(156, 48, 164, 100) | (disc(160, 124, 28) & (Y < 128))
FIELD = box(0, 90, 320, 240)

SCENES = {
    "on": (box(132, 80, 180, 136), TABLE),
    "in": (COW, FIELD & ~COW),
    "attached to": (box(100, 76, 144, 124), HOUSE),
    "enclosing": (FIELD & ~COW, COW),
    "in front of": (PERSON, HOUSE & ~PERSON),
    "hanging from": (LAMP, box(0, 0, 320, 48)),
    "over": (disc(140, 80, 16), box(0, 140, 320, 240)),
    "beside": (disc(90, 90, 48) | box(82, 130, 98, 210), box(170, 80, 290, 210)),
    "touching": (box(90, 90, 150, 200), box(150, 60, 260, 190)),
}


def best(scores: np.ndarray, s: int, o: int) -> str | None:
    return PREDICATES[scores[:, s, o].argmax()] if scores[:, s, o].any() else None


def random_masks(rng: np.random.Generator, n: int, h: int, w: int) -> np.ndarray:
    y, x = np.mgrid[:h, :w]
    masks = []
    for _ in range(n):
        cy, cx, a, b = rng.random(4) * [h, w, h / 3, w / 3]
        kind = ((y - cy) / (a + 1)) ** 2 + ((x - cx) / (b + 1)) ** 2 <= 1
        masks.append(kind if rng.random() < 0.6 else (abs(y - cy) <= a) & (abs(x - cx) <= b))
    return np.stack(masks)


def test_there_is_a_scene_for_each():
    assert set(SCENES) == set(SPATIAL_PREDICATES)


@pytest.mark.parametrize("predicate", SCENES)
def test_the_predicate_that_a_scene_shows(predicate):
    scores = spatial_probabilities(np.stack(SCENES[predicate]))
    assert best(scores, 0, 1) == predicate
    assert scores[PREDICATES.index(predicate), 0, 1] > 0.25  # far above the threshold of 0.05


@pytest.mark.parametrize("predicate", SCENES)
@pytest.mark.parametrize("scale", [2, 3])
def test_scale_has_little_say(predicate, scale):
    masks = np.stack(SCENES[predicate])
    large = masks.repeat(scale, 1).repeat(scale, 2)
    small, big = spatial_probabilities(masks), spatial_probabilities(large)
    assert best(big, 0, 1) == predicate
    # other pixels are sampled: outlines move by up to one of about 50 pixels of an object's width
    np.testing.assert_allclose(big, small, atol=0.1)


@pytest.mark.parametrize("predicate", SCENES)
@pytest.mark.parametrize("shift", [(0, 7), (5, 0), (-3, -11)])
def test_shifting_has_little_say(predicate, shift):
    masks = np.pad(np.stack(SCENES[predicate]), ((0, 0), (16, 16), (16, 16)), mode="edge")
    moved = np.roll(masks, shift, axis=(1, 2))[:, 12:-12, 12:-12]
    still = masks[:, 12:-12, 12:-12]
    scores = spatial_probabilities(moved)
    assert best(scores, 0, 1) == predicate
    np.testing.assert_allclose(scores, spatial_probabilities(still), atol=0.12)  # as above


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 9), h=st.integers(1, 300), w=st.integers(1, 300))
def test_mirroring_changes_nothing(seed, n, h, w):
    masks = random_masks(np.random.default_rng(seed), n, h, w)
    scores = spatial_probabilities(masks)
    mirrored = spatial_probabilities(np.ascontiguousarray(masks[:, :, ::-1]))
    np.testing.assert_array_equal(mirrored, scores)
    assert scores.shape == (56, n, n)
    assert scores.min() >= 0
    assert scores.max() <= 0.9 + 1e-6  # the highest ceiling, in float32
    assert not scores[:, range(n), range(n)].any()
    unspoken = [i for i, p in enumerate(PREDICATES) if p not in SPATIAL_PREDICATES]
    assert not scores[unspoken].any()
    kept = select(scores)
    np.testing.assert_array_equal(relation_matrix(n, kept), relation_matrix(n, select(mirrored)))


def test_order_of_masks_has_no_part():
    masks = random_masks(np.random.default_rng(0), 7, 200, 300)
    order = np.array([4, 0, 6, 2, 1, 5, 3])
    scores = spatial_probabilities(masks)
    np.testing.assert_array_equal(spatial_probabilities(masks[order]), scores[:, order][:, :, order])


def test_upside_down_is_another_scene():
    cup, table = SCENES["on"]
    scores = spatial_probabilities(np.stack([cup, table])[:, ::-1].copy())
    assert best(scores, 0, 1) == "hanging from"


def test_symmetric_predicates():
    scores = spatial_probabilities(random_masks(np.random.default_rng(1), 8, 150, 200))
    for name in ("beside", "touching"):
        p = scores[PREDICATES.index(name)]
        assert p.any()
        np.testing.assert_array_equal(p, p.T)


def test_masks_without_pixels():
    empty = np.zeros((H, W), bool)
    dot = empty.copy()
    dot[100, 101] = True
    scores = spatial_probabilities(np.stack([empty, HOUSE, empty, PERSON]))
    assert not scores[:, [0, 2]].any()
    assert not scores[:, :, [0, 2]].any()
    assert scores[:, 3, 1].any()
    assert np.isfinite(spatial_probabilities(np.stack([dot, HOUSE]))).all()
    for n in (0, 1):
        assert spatial_probabilities(np.zeros((n, 5, 5), bool)).shape == (56, n, n)


def test_far_apart_things_have_no_strong_relation():
    scores = spatial_probabilities(np.stack([disc(10, 10, 6), disc(300, 220, 6)]))
    assert scores.max() == 0


@pytest.mark.parametrize("masks", [np.zeros((2, 3), bool), np.zeros((2, 3, 3)), np.zeros((2, 3, 3), np.uint8)])
def test_bad_masks(masks):
    with pytest.raises(UsageError, match="bool"):
        spatial_probabilities(masks)


def test_sixty_masks_are_quick():
    masks = random_masks(np.random.default_rng(2), 60, 512, 512)
    spatial_probabilities(masks)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        spatial_probabilities(masks)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.25  # 25 ms on one free core; ten times that on a busy one
