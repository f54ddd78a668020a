"""JPEG (ITU-T T.81) by libjpeg-turbo: baseline, optimised Huffman tables."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from semetric.errors import UsageError
from semetric.lab.codecs._pillow import load, pillow_version, save
from semetric.lab.codecs.base import Codec, Quality, Size
from semetric.lab.systems import Pixels

__all__ = ["JPEG"]

# The quantisation tables of T.81, Annex K.1, row by row.
_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
_SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")


class JPEG(Codec):
    """The JPEG that everybody means, with a quality that may lie between two whole numbers.

    A quality q scales the tables of Annex K by 50/q below 50 and by 2 − q/50 from there (the Independent JPEG Group's
    rule), each entry rounded and kept in 1..255. The rule needs no whole numbers, any decoder reads the result, and at
    whole numbers the stream is byte for byte that of `quality=q`. Between them the rate moves by about 1% a tenth,
    where from 2 to 3 it would jump by an eighth.

    Args:
        subsampling: of the colour differences, "4:2:0", "4:2:2" or "4:4:4".
        progressive: several scans; smaller above about 1 bit per pixel, larger below.

    Raises:
        UsageError: another subsampling, or `progressive` is neither true nor false.
    """

    name = "jpeg"
    label = "JPEG"
    unit = "quality 1–100, IJG scale"
    steps = tuple(step / 10 for step in range(10, 1001))
    usual_bpp: ClassVar[tuple[float, float]] = (0.1, 6.0)

    def __init__(self, *, subsampling: str = "4:2:0", progressive: bool = False) -> None:
        if subsampling not in _SUBSAMPLINGS:
            raise UsageError(f"Expected subsampling of {', '.join(_SUBSAMPLINGS)}; found {subsampling!r}.")
        if not isinstance(progressive, bool):
            raise UsageError(f"Expected progressive to be true or false; found {progressive!r}.")
        self.subsampling = subsampling
        self.progressive = progressive

    def to_dict(self) -> dict[str, Any]:
        """With the settings and the versions of Pillow and libjpeg."""
        from PIL import features

        return super().to_dict() | {
            "subsampling": self.subsampling,
            "progressive": self.progressive,
            "software": {"pillow": pillow_version(), "libjpeg-turbo": features.version("libjpeg_turbo")},
        }

    def _encode(self, pixels: Pixels, quality: Quality) -> bytes:
        # No `quality`: Pillow would scale the tables by it.
        return save(
            pixels,
            "JPEG",
            qtables=[_scaled(_LUMA, quality), _scaled(_CHROMA, quality)],
            subsampling=self.subsampling,
            progressive=self.progressive,
            optimize=True,
        )

    def _decode(self, stream: bytes, size: Size | None) -> Pixels:
        from PIL.JpegImagePlugin import JpegImageFile

        return load(JpegImageFile, stream, size)


def _scaled(table: tuple[tuple[int, ...], ...], quality: float) -> list[int]:
    """A table of Annex K at a quality in 1..100."""
    percent = 5000 / quality if quality < 50 else 200 - 2 * quality
    if quality == int(quality):
        percent = int(percent)  # libjpeg divides whole numbers: byte for byte equal streams hang on it
    return [min(max(math.floor((entry * percent + 50) / 100), 1), 255) for row in table for entry in row]
