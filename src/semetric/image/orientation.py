"""How a camera was held: EXIF's orientation (CIPA DC-008, tag 274), which TIFF shares."""

from __future__ import annotations

import numpy as np

from semetric.image.raster import Pixels

__all__ = ["ORIENTATION", "of_exif", "upright"]

ORIENTATION = 0x0112
"""The tag's number."""


def of_exif(block: bytes, notes: list[str]) -> int:
    """The orientation, 1 (upright) to 8, in an EXIF block; 1 and a note where the block cannot be read."""
    from PIL import Image

    exif = Image.Exif()
    try:
        exif.load(block)
        value = exif.get(ORIENTATION, 1)
    except Exception:  # Pillow raises nearly anything on a damaged block; pixels are not its business
        notes.append("unreadable EXIF block ignored")
        return 1
    return value if value in range(1, 9) else 1


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undoes an orientation of 2 to 8; a contiguous copy."""
    if orientation in {5, 6, 7, 8}:
        pixels = pixels.swapaxes(0, 1)
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    turned: Pixels = np.empty(pixels.shape, pixels.dtype)
    turned[:] = pixels
    return turned
