"""SAM prompted at known segments: a mask and its token for each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semetric.image import Picture
from semetric.learn.relation_head.matching import segment_iou
from semetric.models.runtime import Arrays
from semetric.models.sam import Frame, Sam, prepare
from semetric.models.torch_state import clean_state
from semetric.scene import rle

__all__ = ["inner_point", "prompted_masks"]


def inner_point(mask: NDArray[np.bool_]) -> tuple[float, float]:
    """x, y of a pixel's centre that lies deep inside a mask: the last to go when its rim is worn off again and again.

    Args:
        mask: (H, W), with a pixel at least.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    y0, x0 = int(rows[0]), int(columns[0])
    left = np.pad(mask[y0 : rows[-1] + 1, x0 : columns[-1] + 1], 1)
    while True:
        core = left.copy()
        for axis in (0, 1):
            for by in (1, -1):
                core &= np.roll(left, by, axis)  # the rim of the padding is empty, so that nothing comes round
        if not core.any():
            break
        left = core
    y, x = np.nonzero(left)
    middle = int(np.argmin((y - y.mean()) ** 2 + (x - x.mean()) ** 2))  # of a plateau, the pixel nearest its centre
    return float(x[middle] - 1 + x0) + 0.5, float(y[middle] - 1 + y0) + 0.5


@clean_state(inference=True)
def prompted_masks(
    sam: Sam,
    work: Picture,
    ids: NDArray[np.int32],
    segments: Sequence[int],
    device: str,
    min_iou: float,
) -> Arrays:
    """A mask for each segment that shows.

    Of the three masks of a point the one that overlaps the segment best is taken; where that is below `min_iou`, the
    best of the three of point and box.

    Args:
        sam: the network.
        work: the image.
        ids: (H, W) the segment of each pixel.
        segments: ids; those without a pixel get no mask.
        device: where the network is.
        min_iou: what the point's mask must reach.

    Returns:
        runs and ends of the masks, (N, 256) tokens, (N,) iou as predicted.
    """
    frame = Frame.of(work.size)
    embedding = sam.encode(prepare(work.to_uint8())[None].to(device))[0]
    shown = [segment for segment in segments if (ids == segment).any()]
    points, boxes = [], []
    for segment in shown:
        mask = ids == segment
        points.append(inner_point(mask))
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        boxes.append((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
    masks = np.zeros((len(shown), *work.size), bool)
    tokens = np.zeros((len(shown), 256), np.float32)
    predicted = np.zeros(len(shown), np.float32)
    reached = np.full(len(shown), -1.0)
    scale = torch.tensor([frame.content[1] / work.size[1], frame.content[0] / work.size[0]])

    def ask(chosen: list[int], with_box: bool) -> None:
        at = torch.tensor([points[i] for i in chosen]) * scale  # (B, 2)
        corners = torch.tensor(np.array([boxes[i] for i in chosen], np.float32)).view(-1, 2, 2) * scale
        decoded = sam.decode(
            embedding,
            at[:, None].float().to(device),
            torch.ones(len(chosen), 1, device=device),
            boxes=corners.view(-1, 4).to(device) if with_box else None,
        )
        for i, logits, iou, token in zip(chosen, decoded.logits, decoded.iou, decoded.tokens, strict=True):
            full = _inside(logits, frame)
            overlap = segment_iou(full, ids, [shown[i]])[:, 0]
            best = int(overlap.argmax())
            if overlap[best] > reached[i]:
                reached[i], masks[i], predicted[i] = overlap[best], full[best], float(iou[best])
                tokens[i] = token[best].cpu().numpy()

    if shown:
        ask(list(range(len(shown))), False)
        poor = [i for i in range(len(shown)) if reached[i] < min_iou]
        if poor:
            ask(poor, True)
    coded, ends = rle.encode(masks)
    return {"runs": coded, "ends": ends, "tokens": tokens, "iou": predicted}


def _inside(logits: Tensor, frame: Frame) -> NDArray[np.bool_]:
    """(M, 256, 256) → (M, H, W)."""
    inside: NDArray[np.bool_] = (Sam.full_size(logits, frame) > 0).cpu().numpy()
    return inside
