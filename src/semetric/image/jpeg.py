"""JPEG files through libjpeg-turbo, whose warnings of damaged data count as errors here.

Pillow decodes with the same library and gives the same pixels, but drops the warnings: of a file with flipped bits it
returns whatever comes out.
"""

from __future__ import annotations

import math
import re

import numpy as np

from semetric.errors import ImageError
from semetric.image.raster import MAX_PIXELS, Raster, check_size

__all__ = ["decode_jpeg"]

_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")  # neither a stuffed byte nor a restart
_SCANS = 16  # of the largest image; each passes over the whole image, however few bytes it has
_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}  # of Pillow's modes


def decode_jpeg(data: bytes, mode: str, size: tuple[int, int], name: str, max_pixels: int | None) -> Raster:
    """Decodes the first image of a JPEG or MPO file.

    Args:
        data: the file.
        mode: Pillow's, from the header.
        size: (H, W) from the header.
        name: of the file.
        max_pixels: the most pixels; None for no limit, on scans neither.

    Raises:
        ImageError: damaged, or more work than the limit allows.
    """
    import simplejpeg

    scans = _scans(data)
    check_size(*size, name, max_pixels, cost=2 if mode == "CMYK" and scans > 1 else 1, kind="of CMYK in several scans")
    most = math.inf if max_pixels is None else int(_SCANS * max(MAX_PIXELS, max_pixels) / (size[0] * size[1]))
    if scans > max(most, 1):
        raise ImageError(
            f"Expected a JPEG of {size[1]} × {size[0]} px to have at most {most:,} scans; {name} has {scans:,}. "
            "Save it anew, or raise the limit (max_pixels) where its source is trusted."
        )
    try:
        array = simplejpeg.decode_jpeg(data, _SPACES[mode], strict=True)
    except ValueError as error:
        # Some cameras put bytes between the last pixel and the end marker; everything before them was in order.
        if not re.search(r"extraneous bytes before marker 0xd9", str(error)):
            reason = str(error).rstrip(".")
            raise ImageError(f"{name} is damaged (JPEG): {reason}. Fetch or export it again.") from error
        array = simplejpeg.decode_jpeg(data, _SPACES[mode], strict=False)
    if array.shape[:2] != size:
        raise ImageError(f"{name} is damaged (JPEG): its headers name two sizes. Fetch or export it again.")
    if mode == "CMYK":
        array = np.subtract(255, array, out=array)  # as Adobe's programs write it, and every reader expects it
    return Raster.of(array, 255)


def _scans(data: bytes) -> int:
    """The number of scans up to the end of the first image."""
    place, scans = 2, 0
    while marker := _MARKER.search(data, place):
        kind = marker[1][0]
        if kind == 0xD9:
            break
        scans += kind == 0xDA
        place = marker.end()
        if kind >= 0xC0 and kind != 0xD8:  # with a length
            place += int.from_bytes(data[place : place + 2])
    return scans
