"""A codec over a digital link, at a fixed number of channel uses per pixel."""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from typing import Any, get_args

import numpy as np

from semetric.errors import CodecError, UsageError
from semetric.lab.channels.fallback import GREY, Fallback, grey, last_good_rows
from semetric.lab.channels.link import Link
from semetric.lab.codecs.base import Codec, Quality
from semetric.lab.codecs.rate import encode_at_rate
from semetric.lab.systems import Pixels, Received, System

__all__ = ["CodedSystem"]

_MARGIN = 0.015  # the search aims so far below the budget and takes what comes as near to that
_DURATIONS = {"symbol": ("", ""), "block": ("_block", " by block"), "stream": ("_stream", " by image")}
_MEMORY = 4  # encoded images: an experiment over SNRs sends one image several times


class CodedSystem(System):
    """Separate source and channel coding: a codec, then a link. Its level is the link's SNR in dB.

    The budget is floor(uses_per_pixel · H · W) complex symbols, the same for every code rate and modulation, and the
    source rate follows from it: uses_per_pixel · bits per symbol · code rate, in bits per pixel. The codec's quality is
    the highest, to within about 3% of the rate, whose stream fits. What is sent and reported is the stream's own
    number of channel uses, which never exceeds the budget but by retransmissions, which are counted.

    The stream has no protection but the code. The receiver knows the stream's length and the image's size, which are
    sent free of charge. Damage that the codec decodes is shown as it decodes; where it rejects the stream, the result
    is the fallback, marked as failed.

    Args:
        codec: makes the stream.
        link: carries it; None takes QPSK at code rate 1/2 over Gaussian noise.
        uses_per_pixel: complex channel symbols per pixel of the image, at most.
        fallback: grey, or rows (baseline JPEG only; other streams get grey).
        name: None makes one of codec, code rate, modulation and fading, "jpeg-ldpc12-qpsk".
        label: likewise, "JPEG + LDPC 1/2, QPSK".

    Raises:
        UsageError: no such budget, fallback.
    """

    def __init__(
        self,
        codec: Codec,
        link: Link | None = None,
        *,
        uses_per_pixel: float,
        fallback: Fallback = "grey",
        name: str | None = None,
        label: str | None = None,
    ) -> None:
        if not (math.isfinite(uses_per_pixel) and uses_per_pixel > 0):
            raise UsageError(f"Expected more than 0 channel uses per pixel; found {uses_per_pixel!r}.")
        if fallback not in get_args(Fallback):
            raise UsageError(f"Expected a fallback of {', '.join(get_args(Fallback))}; found {fallback!r}.")
        self.codec = codec
        self.link = link or Link()
        self.uses_per_pixel = float(uses_per_pixel)
        self.fallback: Fallback = fallback
        self.name = name or _name(codec.name, self.link)
        self.label = label or _label(codec.label, self.link)
        self._streams: OrderedDict[bytes, tuple[bytes, Quality]] = OrderedDict()

    def send(self, image: Pixels, level: float, rng: np.random.Generator) -> Received:
        """Sends one image at an SNR.

        Args:
            image: (H, W, 3) uint8 RGB.
            level: SNR in dB, of the link's kind.
            rng: of noise and fading.

        Raises:
            CodecError: the codec fails on this image, or its smallest stream exceeds the budget.
            UsageError: an SNR that is no number.
        """
        self.link.es_n0_db(level)  # before the work of encoding
        h, w = image.shape[:2]
        stream, quality = self._encoded(image)
        arrived = self.link.transmit(stream, level, rng)
        details: dict[str, Any] = {
            "bit_errors": arrived.bit_errors,
            "block_errors": arrived.block_errors,
            "blocks": arrived.blocks,
            "retransmissions": arrived.retransmissions,
            "source_bpp": 8 * len(stream) / (h * w),
            "channel_uses": arrived.channel_uses,
            "coded_bits": arrived.coded_bits,
            "intact_bytes": arrived.intact_bytes,
            "quality": quality,
        }
        failed, note = False, ""
        try:
            pixels = self.codec.decode(arrived.stream, (h, w))
            if pixels.shape != image.shape:
                raise CodecError(f"{self.codec.label} decoded {pixels.shape} where {image.shape} was sent.")
        except CodecError as error:
            failed = True
            pixels, shown = self._fall_back(arrived.stream[: arrived.intact_bytes], (h, w))
            note = f"{str(error).rstrip('.')}; in its place: {shown}"
        return Received(
            pixels=pixels,
            size_bytes=len(stream),
            uses_per_pixel=arrived.channel_uses / (h * w),
            failed=failed,
            note=note,
            details=details,
        )

    def to_dict(self) -> dict[str, Any]:
        """With the codec, the link, the budget and the fallback."""
        return super().to_dict() | {
            "codec": self.codec.to_dict(),
            "link": self.link.to_dict(),
            "uses_per_pixel": self.uses_per_pixel,
            "fallback": self.fallback,
        }

    def _fall_back(self, intact: bytes, size: tuple[int, int]) -> tuple[Pixels, str]:
        if self.fallback == "rows":
            pixels, rows = last_good_rows(intact, size)
            if rows:
                return pixels, f"the first {rows} of {size[0]} rows, and grey {GREY} below"
        return grey(size), f"grey {GREY}"

    def _encoded(self, image: Pixels) -> tuple[bytes, Quality]:
        """The stream that fits the budget, and its quality; from memory where the image was sent before."""
        key = hashlib.sha256(f"{image.shape}".encode() + np.ascontiguousarray(image).tobytes()).digest()
        encoded = self._streams.get(key) or self._fit(image)
        self._streams[key] = encoded
        self._streams.move_to_end(key)
        while len(self._streams) > _MEMORY:
            self._streams.popitem(last=False)
        return encoded

    def _fit(self, image: Pixels) -> tuple[bytes, Quality]:
        h, w = image.shape[:2]
        budget = math.floor(self.uses_per_pixel * h * w)
        capacity = self.link.capacity_bytes(budget)
        if capacity:
            target = 8 * capacity / (h * w) * (1 - _MARGIN)
            encoded = encode_at_rate(self.codec, image, target, _MARGIN)
            stream, quality = encoded.stream, encoded.quality
            # A codec of few steps may have none near the target, and the nearest one above it.
            step = min(range(len(self.codec.steps)), key=lambda i: abs(self.codec.steps[i] - quality))
            while len(stream) > capacity and step > 0:
                step -= 1
                quality = self.codec.steps[step]
                stream = self.codec.encode(image, quality)
            if len(stream) <= capacity:
                return stream, quality
            smallest = f"{self.codec.label} needs {len(stream):,} bytes at its lowest quality"
        else:
            smallest = "not one block fits"
        raise CodecError(
            f"{self.uses_per_pixel:g} channel uses per pixel carry {capacity:,} bytes of an image of {w} × {h} px by "
            f"{self.label}; {smallest}. Allow more uses per pixel, or take a higher code rate or modulation."
        )


def _name(codec: str, link: Link) -> str:
    code = "uncoded" if link.rate == 1 else f"ldpc{link.rate.numerator}{link.rate.denominator}"
    channel = link.channel
    fading = f"-{channel.name}{_DURATIONS[channel.lasts][0]}" if channel.label else ""
    copies = f"-harq{link.retransmissions}" if link.retransmissions else ""
    return f"{codec}-{code}-{link.modulation}{fading}{copies}"


def _label(codec: str, link: Link) -> str:
    code = ", uncoded" if link.rate == 1 else f" + LDPC {link.code_rate}"
    channel = link.channel
    fading = f", {channel.label}{_DURATIONS[channel.lasts][1]}" if channel.label else ""
    copies = f", HARQ {link.retransmissions}" if link.retransmissions else ""
    return f"{codec}{code}, {link.modulation.upper()}{fading}{copies}"
