"""Assignment of an image's masks to its annotated segments.

Panoptic segments never overlap; SAM's masks do, and show parts and groups beside whole objects. A segment gets the
mask that overlaps it best, each mask goes to one segment, and below an intersection over union of 0.5 nothing is
matched. Above 0.5 the choice of the one-to-one rule hardly matters: a mask cannot overlap two disjoint segments that
much, so that only the best of several masks of one segment is to be found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError

__all__ = ["MIN_IOU", "Matched", "match_masks", "segment_iou"]

MIN_IOU = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class Matched:
    """One mask for each segment, or none.

    Attributes:
        masks: (G,) index of a mask, −1 where none overlaps enough; none twice.
        iou: (G,) of the segment with its mask; 0 where there is none.
    """

    masks: NDArray[np.int64]
    iou: NDArray[np.float64]


def segment_iou(masks: NDArray[np.bool_], ids: NDArray[np.int32], segments: Sequence[int]) -> NDArray[np.float64]:
    """Intersection over union of each mask with each segment.

    Pixels without a segment (id 0) count for the mask as any others do.

    Args:
        masks: (N, H, W).
        ids: (H, W) the segment of each pixel.
        segments: the G ids to compare with, none twice.

    Returns:
        (N, G) in [0, 1]; 0 for segments without a pixel.

    Raises:
        UsageError: masks and segments of unequal size.
    """
    if masks.shape[1:] != ids.shape:
        raise UsageError(f"Expected masks and segments of one size; found {masks.shape[1:]} and {ids.shape}.")
    known, places = np.unique(ids, return_inverse=True)
    places = places.reshape(ids.shape)
    area = np.bincount(places.reshape(-1), minlength=len(known)).astype(np.float64)
    shared = np.zeros((len(masks), len(known)))
    for row, mask in zip(shared, masks, strict=True):
        row[:] = np.bincount(places[mask], minlength=len(known))
    union = masks.sum(axis=(1, 2))[:, None] + area[None] - shared
    iou = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    chosen = np.zeros((len(masks), len(segments)))
    for column, segment in enumerate(segments):
        at = int(np.searchsorted(known, segment))
        if at < len(known) and known[at] == segment:
            chosen[:, column] = iou[:, at]
    return chosen


def match_masks(iou: NDArray[np.float64], *, min_iou: float = MIN_IOU) -> Matched:
    """Pairs masks and segments one to one, the best overlap first.

    Ties go to the earlier mask, then to the earlier segment.

    Args:
        iou: (N, G) from `segment_iou`.
        min_iou: pairs below this are no match; in (0, 1].

    Raises:
        UsageError: a threshold outside (0, 1].

    Examples:
        >>> match_masks(np.array([[0.9, 0.6], [0.8, 0.0]])).masks  # the second segment gets no mask
        array([ 0, -1])
    """
    if not 0 < min_iou <= 1:
        raise UsageError(f"Expected a least IoU in (0, 1]; found {min_iou}.")
    masks = np.full(iou.shape[1], -1, np.int64)
    best = np.zeros(iou.shape[1])
    rows, columns = np.nonzero(iou >= min_iou)
    taken: set[int] = set()
    for at in np.argsort(-iou[rows, columns], kind="stable"):
        mask, segment = int(rows[at]), int(columns[at])
        if mask not in taken and masks[segment] < 0:
            taken.add(mask)
            masks[segment], best[segment] = mask, iou[mask, segment]
    return Matched(masks=masks, iou=best)
