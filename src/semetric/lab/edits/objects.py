"""Which masks of a photo are objects that an edit may take."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from semetric.lab.systems import Pixels

__all__ = ["Masks", "choose", "cut_out_of", "how_many", "removal_order"]

Masks = NDArray[np.bool_]
"""(N, H, W), or (H, W) for one."""

SMALLEST = 0.005  # share of the image below which a mask is a speck
LARGEST = 0.4  # share above which it is background
CORNER = 0.02  # of each side; masks often end a pixel or two before the frame
OVERLAP = 0.1  # share of an object that a larger one may hold; parts of objects are left out


def removal_order(
    masks: Masks,
    importance: Sequence[float] | None = None,
    *,
    smallest: float = SMALLEST,
    largest: float = LARGEST,
    overlap: float = 0.5,
) -> list[int]:
    """Which masks to remove, the most important first.

    Leaves out specks, what fills the frame (background), and masks more than half of which an earlier
    one removes already (a wheel of the car), so that every further removal takes something away.

    Args:
        masks: (N, H, W).
        importance: one a mask; None takes the area.
        smallest: share of the image below which a mask is a speck.
        largest: share above which it is background.
        overlap: share of a mask that earlier ones may hold.

    Returns:
        Indices into masks.
    """
    areas = masks.reshape(len(masks), -1).mean(1)
    weight = areas if importance is None else np.asarray(importance, np.float64)
    taken = np.zeros(masks.shape[1:], bool)
    order = []
    for i in np.argsort(-weight, kind="stable"):
        if smallest <= areas[i] <= largest and (masks[i] & taken).sum() <= overlap * masks[i].sum():
            order.append(int(i))
            taken |= masks[i]
    return order


def choose(masks: Masks, limit: int) -> Masks:
    """The objects that an edit takes, the largest first.

    Specks, background and parts are left out as in `removal_order`, and so is what is rather ground, sky or wall:
    what spans the frame from side to side, or holds a corner of it. Of equal objects, one that the frame cuts
    comes after one that is whole: its area counts half.

    Args:
        masks: (N, H, W), all that were found.
        limit: how many at most.

    Returns:
        (K, H, W), no pixel in two of them, K ≤ limit.
    """
    if not masks.size:
        return masks[:0]
    top, bottom, left, right = masks[:, 0], masks[:, -1], masks[:, :, 0], masks[:, :, -1]
    y, x = (max(1, round(CORNER * n)) for n in masks.shape[1:])
    corners = masks[:, np.r_[:y, -y:0]][:, :, np.r_[:x, -x:0]].any((1, 2))
    spans = (left.any(1) & right.any(1)) | (top.any(1) & bottom.any(1))
    cut = np.asarray(np.concatenate([top, bottom, left, right], 1).any(1))
    keep = np.asarray(~(corners | spans))
    masks, cut = masks[keep], cut[keep]
    if not len(masks):
        return masks
    areas = masks.reshape(len(masks), -1).sum(1)
    order = removal_order(masks, areas * np.where(cut, 0.5, 1.0), overlap=OVERLAP)[:limit]
    chosen = masks[sorted(order, key=lambda i: -areas[i])].copy()
    for i in range(1, len(chosen)):
        chosen[i] &= ~np.asarray(chosen[:i].any(0))
    return chosen


def how_many(strength: float, count: int) -> int:
    """How many of `count` things a strength in [0, 1] changes: none at 0, one above it, all at 1.

    Examples:
        >>> how_many(0.5, 3)
        2
    """
    return math.ceil(strength * count - 1e-9)


def cut_out_of(image: Pixels, mask: Masks) -> tuple[Pixels, Masks, int, int]:
    """An object and the box around it.

    Args:
        image: (H, W, 3).
        mask: (H, W), not empty.

    Returns:
        Pixels (h, w, 3) and mask (h, w) of the box, and its top and left in px.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return image[box], mask[box], int(rows[0]), int(columns[0])
