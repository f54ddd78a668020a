"""AVIF (AV1 intra frames in HEIF) by libaom through libavif."""

from __future__ import annotations

from typing import Any, ClassVar

from semetric.errors import UsageError
from semetric.lab.codecs._pillow import feature_version, load, pillow_version, save
from semetric.lab.codecs.base import Codec, Quality, Size
from semetric.lab.systems import Pixels

__all__ = ["AVIF"]


class AVIF(Codec):
    """AV1's intra coding, 4:2:0, 8 bits.

    One thread and one tile, so that the bytes do not hang on the number of cores.

    Args:
        speed: 0 (slow) to 10. 4 saves 2–3% against 6 and takes four to six times as long; 8 costs 3–15% and takes a
            third.

    Raises:
        UsageError: another speed.
    """

    name = "avif"
    label = "AVIF"
    unit = "quality 0–100"
    steps = range(101)
    usual_bpp: ClassVar[tuple[float, float]] = (0.08, 6.0)

    def __init__(self, *, speed: int = 6) -> None:
        if speed not in range(11):
            raise UsageError(f"Expected a speed from 0 to 10 for AVIF; found {speed!r}.")
        self.speed = int(speed)

    def to_dict(self) -> dict[str, Any]:
        """With the speed and the versions of Pillow and libavif."""
        software = {"pillow": pillow_version(), "libavif": feature_version("avif", self.label)}
        return super().to_dict() | {"speed": self.speed, "software": software}

    def _encode(self, pixels: Pixels, quality: Quality) -> bytes:
        feature_version("avif", self.label)
        return save(
            pixels,
            "AVIF",
            quality=quality,
            speed=self.speed,
            codec="aom",
            subsampling="4:2:0",
            max_threads=1,
            autotiling=False,
        )

    def _decode(self, stream: bytes, size: Size | None) -> Pixels:
        feature_version("avif", self.label)
        from PIL.AvifImagePlugin import AvifImageFile

        return load(AvifImageFile, stream, size)
