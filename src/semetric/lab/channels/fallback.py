"""What a receiver shows where the codec rejects the stream."""

from __future__ import annotations

import io
from typing import Literal, TypeAlias

import numpy as np

from semetric.lab.systems import Pixels

__all__ = ["GREY", "Fallback", "grey", "last_good_rows"]

Fallback: TypeAlias = Literal["grey", "rows"]
"""grey: a plain image. rows: what the intact start of a baseline JPEG still shows, and grey below; else as grey."""

GREY = 128
"""Mid-grey, of 255."""


def grey(size: tuple[int, int]) -> Pixels:
    """A plain image.

    Args:
        size: (H, W).

    Examples:
        >>> grey((1, 2)).tolist()
        [[[128, 128, 128], [128, 128, 128]]]
    """
    return np.full((*size, 3), GREY, np.uint8)


def last_good_rows(stream: bytes, size: tuple[int, int]) -> tuple[Pixels, int]:
    """The rows at the top of a baseline JPEG that breaks off, grey below.

    Pillow's own switch for truncated files is one for the whole process. Here the decoder stops with an error as
    always, and the rows that it has written until then are read. Rows come whole; a last one that is black throughout
    cannot be told from one that never came, and counts as that.

    Args:
        stream: the start of the file, as far as it can be trusted.
        size: (H, W) that was sent.

    Returns:
        (H, W, 3) pixels and the number of good rows; 0 where the start holds no baseline JPEG of that size.
    """
    from PIL.JpegImagePlugin import JpegImageFile

    from semetric.image.pillow import strict_pillow

    pixels = grey(size)
    try:
        with strict_pillow(), JpegImageFile(io.BytesIO(stream)) as image:
            if (image.height, image.width) != size or "progressive" in image.info:
                return pixels, 0
            try:
                image.load()
            except OSError:
                image.tile = []  # nothing left to decode: what follows takes the image as it is
            decoded = np.array(image.convert("RGB"), dtype=np.uint8)
    except Exception:  # a header that breaks off surfaces as every kind of exception there is
        return pixels, 0
    written = np.flatnonzero(decoded.any(axis=(1, 2)))
    rows = int(written[-1]) + 1 if len(written) else 0
    pixels[:rows] = decoded[:rows]
    return pixels, rows
