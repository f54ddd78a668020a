"""The low bytes of 16-bit colour, which Pillow's modes cannot hold.

Pillow has no 16-bit RGB mode: it decodes such PNG and TIFF files through an unpacker named for the
byte order ("RGB;16B", big-endian) that keeps the high byte of every value. The same file through
the unpacker of the other byte order ("RGB;16L") keeps the low byte, so two passes give all 16 bits.
"""

from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["has_low_bytes", "join_bytes", "raw_mode", "swap_bytes"]

_SWAPPED = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


def raw_mode(image: Image.Image) -> str:
    """How the file holds its pixels, e.g. "RGB;16B"; empty where that is unknown or already decoded."""
    tiles: list[Any] = getattr(image, "tile", None) or []
    if not tiles:
        return ""
    args = tiles[0][3]
    first = args if isinstance(args, str) else args[0] if isinstance(args, tuple) and args else ""
    return first if isinstance(first, str) else ""


def has_low_bytes(image: Image.Image) -> bool:
    """Whether both halves of the file's values can be had: 16-bit RGB with or without straight alpha."""
    return re.fullmatch(r"RGB[AX]?;16[BLN]", raw_mode(image)) is not None


def swap_bytes(image: Image.Image) -> None:
    """Makes a freshly opened 16-bit colour image decode to its low bytes instead of its high ones."""
    tiles: list[Any] = image.tile  # type: ignore[attr-defined]  # of ImageFile, which Image.open returns
    swapped = []
    for codec, extents, offset, args in tiles:
        old = args if isinstance(args, str) else args[0]
        new = old[:-1] + _SWAPPED[old[-1]]
        swapped.append(type(tiles[0])(codec, extents, offset, new if isinstance(args, str) else (new, *args[1:])))
    tiles[:] = swapped


def join_bytes(high: NDArray[np.uint8], low: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(H, W, C) float32 in [0, 1] from the two halves of values in 0..65535."""
    values = high.astype(np.uint16) << np.uint16(8) | low
    return values.astype(np.float32) / np.float32(65535)
