"""Boxes around masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["bounds"]


def bounds(masks: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(N, H, W) → (N, 4) xyxy in pixels, right and lower bound outside; empty masks give 0.

    Example:
        >>> bounds(np.array([[[0, 1, 1], [0, 1, 0]]], bool)).tolist()
        [[1, 0, 3, 2]]
    """
    boxes = np.zeros((len(masks), 4), np.int64)
    for axis, low in ((1, 0), (2, 1)):
        hit = np.asarray(masks.any(axis=axis))
        boxes[:, low] = hit.argmax(axis=1)
        boxes[:, low + 2] = hit.shape[1] - hit[:, ::-1].argmax(axis=1)
    boxes[~masks.any(axis=(1, 2))] = 0
    return boxes
