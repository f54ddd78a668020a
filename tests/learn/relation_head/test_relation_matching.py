from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semetric.errors import UsageError
from semetric.learn.relation_head.matching import match_masks, segment_iou


def test_iou_is_counted_by_hand() -> None:
    ids = np.array([[7, 7, 0, 9], [7, 7, 0, 9]], np.int32)
    masks = np.zeros((3, 2, 4), bool)
    masks[0, :, :3] = True  # all of 7, and the two pixels of no segment
    masks[1, 0, 3] = True  # half of 9
    iou = segment_iou(masks, ids, [9, 7, 5])
    np.testing.assert_allclose(iou, [[0, 4 / 6, 0], [1 / 2, 0, 0], [0, 0, 0]])


def test_iou_of_unequal_sizes_is_refused() -> None:
    with pytest.raises(UsageError, match=r"one size; found \(4, 4\) and \(2, 4\)"):
        segment_iou(np.zeros((1, 4, 4), bool), np.zeros((2, 4), np.int32), [1])


def test_the_best_overlap_comes_first_and_none_twice() -> None:
    iou = np.array([[0.9, 0.6], [0.8, 0.0], [0.55, 0.5]])
    match = match_masks(iou)
    assert match.masks.tolist() == [0, 2]  # mask 0 is taken, so that segment 1 has the mask at exactly 0.5
    assert match.iou.tolist() == [0.9, 0.5]
    assert match_masks(iou, min_iou=0.51).masks.tolist() == [0, -1]


@pytest.mark.parametrize("threshold", [0.0, 1.1, float("nan")])
def test_thresholds_outside_are_refused(threshold: float) -> None:
    with pytest.raises(UsageError, match=r"in \(0, 1\]"):
        match_masks(np.zeros((1, 1)), min_iou=threshold)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_matches_are_one_to_one_stable_and_above_the_threshold(n: int, g: int, seed: int) -> None:
    iou = np.random.default_rng(seed).random((n, g)).round(1)  # rounded, so that there are ties
    match = match_masks(iou)
    used = match.masks[match.masks >= 0]
    assert len(set(used.tolist())) == len(used)
    assert all(match.iou[s] == iou[m, s] >= 0.5 for s, m in enumerate(match.masks) if m >= 0)
    held = {int(m): match.iou[s] for s, m in enumerate(match.masks) if m >= 0}
    for mask, segment in itertools.product(range(n), range(g)):  # no pair would both rather have each other
        if iou[mask, segment] >= 0.5:
            assert match.iou[segment] >= iou[mask, segment] or held.get(mask, 0.0) >= iou[mask, segment]
