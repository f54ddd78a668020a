"""HEIC: HEVC intra frames (ITU-T H.265) in HEIF, by x265 and libde265 through pillow-heif."""

from __future__ import annotations

import io
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from semetric.errors import MissingExtraError, UsageError
from semetric.lab.codecs.base import Codec, Quality, Size, check_size
from semetric.lab.systems import Pixels

__all__ = ["HEIC"]

_PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo")


class HEIC(Codec):
    """HEVC's intra coding, 4:2:0, 8 bits: the coding tools of BPG, in another container, and never called BPG.

    The quality has 51 distinct steps: x265's constant rate factor is (100 − quality) / 2 without its fraction, and the
    frame's quantiser is a whole number whatever is requested.

    Args:
        preset: effort in x265's names, "ultrafast" … "placebo". "slow" saves up to 10% against "medium" at 1.2 to 2
            times the time.

    Raises:
        UsageError: another preset.
    """

    name = "heic"
    label = "HEIC (HEVC intra)"
    unit = "quality 0–100, even numbers"
    steps = range(0, 101, 2)
    usual_bpp: ClassVar[tuple[float, float]] = (0.06, 6.0)

    def __init__(self, *, preset: str = "medium") -> None:
        if preset not in _PRESETS:
            raise UsageError(f"Expected a preset of {', '.join(_PRESETS)}; found {preset!r}.")
        self.preset = preset

    def to_dict(self) -> dict[str, Any]:
        """With the preset and the versions of pillow-heif, libheif and x265."""
        info = _pillow_heif().libheif_info()
        software = {
            "pillow_heif": _pillow_heif().__version__,
            "libheif": info["libheif"],
            "x265": info.get("HEIF", ""),
        }
        return super().to_dict() | {"preset": self.preset, "software": software}

    def _encode(self, pixels: Pixels, quality: Quality) -> bytes:
        out = io.BytesIO()
        h, w = pixels.shape[:2]
        _pillow_heif().encode(
            "RGB",
            (w, h),
            pixels.tobytes(),
            out,
            quality=int(quality),
            chroma=420,
            enc_params={"preset": self.preset, "x265:pools": "1"},  # one worker
        )
        return out.getvalue()

    def _decode(self, stream: bytes, size: Size | None) -> Pixels:
        image = _pillow_heif().open_heif(io.BytesIO(stream))  # the boxes; pixels come with to_pillow
        w, h = image.size
        check_size((h, w), size)
        return np.array(image.to_pillow().convert("RGB"), dtype=np.uint8)


def _pillow_heif() -> ModuleType:
    try:
        import pillow_heif
    except ImportError as error:
        raise MissingExtraError("HEIC needs pillow-heif: pip install 'semetric[lab]'") from error
    return pillow_heif
