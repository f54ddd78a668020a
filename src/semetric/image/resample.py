"""Changing the size of pixels, by Pillow's antialiased filters."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from semetric.errors import UsageError
from semetric.image.picture import Picture
from semetric.image.raster import Pixels

__all__ = ["Filter", "resize", "resize_to"]

Filter = Literal["bilinear", "bicubic", "lanczos"]


def resize(pixels: Pixels, size: tuple[int, int], *, resample: Filter = "bicubic") -> Pixels:
    """Resizes (H, W, 3) to the size; the filter's support grows when shrinking (antialias).

    Args:
        pixels: (H, W, 3), uint8 or float32 in [0, 1].
        size: (H, W) in pixels.
        resample: Pillow's filter.

    Returns:
        (H, W, 3) of the same dtype and range: bicubic and Lanczos overshoot is clipped.

    Raises:
        UsageError: a side below 1 px.

    Example:
        >>> resize(np.zeros((4, 6, 3), np.uint8), (2, 3)).shape
        (2, 3, 3)
    """
    from PIL import Image

    height, width = size
    if min(size) < 1:
        raise UsageError(f"Expected a size of at least 1 × 1 px; found {width} × {height}.")
    if pixels.shape[:2] == (height, width):
        return pixels
    kind = Image.Resampling[resample.upper()]
    if pixels.dtype == np.uint8:
        return np.array(Image.fromarray(pixels).resize((width, height), kind))
    planes = [
        np.asarray(Image.fromarray(np.ascontiguousarray(pixels[:, :, c])).resize((width, height), kind))
        for c in range(pixels.shape[2])
    ]
    return np.asarray(np.clip(np.stack(planes, axis=2), 0, 1), np.float32)


def resize_to(picture: Picture, size: tuple[int, int]) -> Picture:
    """Returns the picture at (H, W), bicubic with antialias, and notes it; itself where it has that size."""
    if picture.size == size:
        return picture
    pixels = resize(picture.pixels, size)
    pixels.setflags(write=False)
    (h0, w0), (h1, w1) = picture.size, size
    return replace(
        picture, pixels=pixels, notes=(*picture.notes, f"resized from {w0} × {h0} to {w1} × {h1} (bicubic, antialias)")
    )
