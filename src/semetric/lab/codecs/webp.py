"""WebP, lossy (VP8, RFC 6386), by libwebp."""

from __future__ import annotations

import struct
from typing import Any, ClassVar

from semetric.errors import CodecError, UsageError
from semetric.lab.codecs._pillow import feature_version, load, pillow_version, save
from semetric.lab.codecs.base import Codec, Quality, Size, check_size
from semetric.lab.systems import Pixels

__all__ = ["WebP"]

_COUNT = 509  # four steps to each of VP8's 128 quantisers


def _quality(share: float) -> float:
    """The quality whose quantiser lies at a share of the range, 0..1.

    libwebp (src/enc/quant_enc.c) takes the cube root of 2/3 q below q = 0.75 and of 2 q − 1 from there. Equal
    steps of q would leave a gap of a third of the rate between qualities 0 and 1, and none where it matters less.
    """
    cube = share**3
    return round(100 * (1.5 * cube if cube < 0.5 else (1 + cube) / 2), 4)


class WebP(Codec):
    """Lossy WebP.

    Args:
        method: effort, 0 (fast) to 6 (2–5% smaller, twice the time of 4).

    Raises:
        UsageError: another method.
    """

    name = "webp"
    label = "WebP"
    unit = "quality 0–100"
    steps = tuple(_quality(k / (_COUNT - 1)) for k in range(_COUNT))
    usual_bpp: ClassVar[tuple[float, float]] = (0.1, 4.0)

    def __init__(self, *, method: int = 4) -> None:
        if method not in range(7):
            raise UsageError(f"Expected a method from 0 to 6 for WebP; found {method!r}.")
        self.method = int(method)

    def to_dict(self) -> dict[str, Any]:
        """With the effort and the versions of Pillow and libwebp."""
        software = {"pillow": pillow_version(), "libwebp": feature_version("webp", self.label)}
        return super().to_dict() | {"method": self.method, "software": software}

    def _encode(self, pixels: Pixels, quality: Quality) -> bytes:
        feature_version("webp", self.label)
        return save(pixels, "WEBP", quality=quality, method=self.method)

    def _decode(self, stream: bytes, size: Size | None) -> Pixels:
        from PIL.WebPImagePlugin import WebPImageFile

        check_size(_claimed(stream), size)  # the decoder allocates two canvases as soon as it is opened
        return load(WebPImageFile, stream, size)


def _claimed(stream: bytes) -> Size:
    """(H, W) in the header of a lossy stream: RFC 9649, 2.5 and RFC 6386, 9.1."""
    if len(stream) < 30 or stream[:4] != b"RIFF" or stream[8:16] != b"WEBPVP8 " or stream[23:26] != b"\x9d\x01\x2a":
        raise CodecError("it does not begin as a lossy WebP file does.")
    w, h = struct.unpack_from("<HH", stream, 26)
    return h & 0x3FFF, w & 0x3FFF
