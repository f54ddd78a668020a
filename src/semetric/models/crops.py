"""Crops of images, checked and brought to one size: where every encoder's preparation begins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from semetric.errors import ImageError

__all__ = ["squash"]


def squash(crops: Sequence[NDArray[np.uint8]], side: int) -> NDArray[np.uint8]:
    """Resizes each crop to a square, without keeping its aspect ratio: the whole object stays in view.

    Args:
        crops: N arrays (h, w, 3) uint8, RGB 0..255, each side at least 1 px; sizes may differ.
        side: side of the squares in pixels.

    Returns:
        (N, side, side, 3) uint8. Bicubic, anti-aliased when it shrinks.

    Raises:
        ImageError: a crop of another dtype or shape, or one without pixels.

    Example:
        >>> squash([np.zeros((3, 9, 3), np.uint8)], 4).shape
        (1, 4, 4, 3)
    """
    squares = np.empty((len(crops), side, side, 3), np.uint8)
    for i, crop in enumerate(crops):
        if not isinstance(crop, np.ndarray) or crop.dtype != np.uint8 or crop.ndim != 3 or crop.shape[2] != 3:
            shown = f"{crop.dtype} {crop.shape}" if isinstance(crop, np.ndarray) else type(crop).__name__
            raise ImageError(
                f"Expected crop {i} to be a uint8 array (h, w, 3) in RGB; found {shown}. Convert it first."
            )
        if not crop.size:
            raise ImageError(f"Expected crop {i} to hold pixels; found shape {crop.shape}. Leave out empty boxes.")
        if crop.shape[:2] == (side, side):
            squares[i] = crop
        else:
            resized = Image.fromarray(np.ascontiguousarray(crop)).resize((side, side), Image.Resampling.BICUBIC)
            squares[i] = np.asarray(resized)
    return squares
