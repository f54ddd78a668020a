"""The share of importance that finds its counterpart, on squares."""

import numpy as np
import pytest
from benchmarks.counterparts import kept_importance


def squares(*lefts: int) -> np.ndarray:
    masks = np.zeros((len(lefts), 20, 40), bool)
    for mask, left in zip(masks, lefts, strict=True):
        mask[5:15, left : left + 10] = True
    return masks


def test_an_object_keeps_its_importance_where_a_mask_covers_half_of_both() -> None:
    importance = np.array([0.6, 0.2])
    assert kept_importance(squares(0, 20), importance, squares(20, 0)) == 1
    assert kept_importance(squares(0, 20), importance, squares(1)) == pytest.approx(0.75)  # IoU 9/11; nothing at 20
    assert kept_importance(squares(0, 20), importance, squares(4)) == 0  # IoU 6/14
    assert kept_importance(squares(0, 20), importance, squares(3, 23), shift=3) == 1
    assert kept_importance(squares(0), importance[:1], squares()) == 0
