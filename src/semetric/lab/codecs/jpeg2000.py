"""JPEG 2000 (ITU-T T.800) by OpenJPEG: the irreversible path, one layer, rate-controlled."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from semetric.lab.codecs._pillow import feature_version, load, pillow_version, save
from semetric.lab.codecs.base import Codec, Quality, Size
from semetric.lab.systems import Pixels

__all__ = ["JPEG2000"]

_LEAST, _MOST = 0.005, 24.0  # bits per pixel; 24 are the raw pixels
_COUNT = 852  # steps 1% apart, a third of the tolerance of a rate search


class JPEG2000(Codec):
    """JPEG 2000 whose quality is a rate: the encoder cuts its code blocks' passes so that the stream has that length.

    The 9/7 wavelet, the irreversible colour transform, five decompositions (fewer where the image is smaller than
    32 px), code blocks of 64 × 64, one tile, one layer, as a bare code stream without the 85 bytes of a JP2 file's
    boxes.
    """

    name = "jpeg2000"
    label = "JPEG 2000"
    unit = "bits per pixel asked of the rate control"
    steps = tuple(float(f"{_LEAST * (_MOST / _LEAST) ** (k / (_COUNT - 1)):.4g}") for k in range(_COUNT))
    usual_bpp: ClassVar[tuple[float, float]] = (_LEAST, _MOST)

    def to_dict(self) -> dict[str, Any]:
        """With the versions of Pillow and OpenJPEG."""
        software = {"pillow": pillow_version(), "openjpeg": feature_version("jpg_2000", self.label)}
        return super().to_dict() | {"software": software}

    def _encode(self, pixels: Pixels, quality: Quality) -> bytes:
        feature_version("jpg_2000", self.label)
        return save(
            pixels,
            "JPEG2000",
            quality_mode="rates",
            quality_layers=[24 / quality],
            irreversible=True,
            mct=1,
            no_jp2=True,
            num_resolutions=min(5, int(math.log2(min(pixels.shape[:2])))) + 1,
        )

    def _decode(self, stream: bytes, size: Size | None) -> Pixels:
        from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

        return load(Jpeg2KImageFile, stream, size)
