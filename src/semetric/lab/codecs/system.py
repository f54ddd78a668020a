"""A codec as a system: its level is a rate, or a quality."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from semetric.errors import UsageError
from semetric.lab.codecs.base import Codec
from semetric.lab.codecs.rate import TOLERANCE, check_rate, encode_at_rate
from semetric.lab.systems import Pixels, Received, System

__all__ = ["CodecSystem", "Level"]

Level: TypeAlias = Literal["rate", "quality"]
"""What the level of a system is: bits per pixel to meet, or a step of the codec's own scale."""


class CodecSystem(System):
    """Encodes and decodes, over a channel without loss.

    Args:
        codec: the codec.
        level: what `send` takes as its level: "rate", in bits per pixel, or "quality".
        tolerance: of a target rate; 0.03 is 3%.
        name: of the curve, where one codec has several; the codec's if None.
        label: in the legend; the codec's if None.

    Raises:
        UsageError: another level or tolerance.

    Examples:
        >>> from semetric.lab.codecs import create_codec
        >>> system = CodecSystem(create_codec("jpeg"), level="quality")
        >>> system.send(np.zeros((16, 16, 3), np.uint8), 50, np.random.default_rng(0)).details
        {'quality': 50.0}
    """

    def __init__(
        self,
        codec: Codec,
        *,
        level: Level = "rate",
        tolerance: float = TOLERANCE,
        name: str | None = None,
        label: str | None = None,
    ) -> None:
        if level not in get_args(Level):
            raise UsageError(f"Expected a level of 'rate' (bits per pixel) or 'quality'; found {level!r}.")
        check_rate(1.0, tolerance)
        self.codec = codec
        self.level = level
        self.tolerance = tolerance
        self.name = name or codec.name
        self.label = label or codec.label

    def send(self, image: Pixels, level: float, rng: np.random.Generator) -> Received:
        """Sends one image.

        Args:
            image: (H, W, 3) uint8 RGB.
            level: bits per pixel, above 0; or a quality.
            rng: unused, since the codec leaves nothing to chance.

        Raises:
            CodecError: the codec fails on this image.
            UsageError: no such rate or quality.
        """
        h, w = image.shape[:2]
        if self.level == "quality":
            quality = self.codec.check_quality(level)
            stream = self.codec.encode(image, quality)
            pixels = self.codec.decode(stream, (h, w))
            return Received(pixels=pixels, size_bytes=len(stream), details={"quality": quality})
        encoded = encode_at_rate(self.codec, image, level, self.tolerance)
        return Received(
            pixels=self.codec.decode(encoded.stream, (h, w)),
            size_bytes=len(encoded.stream),
            note=encoded.note,
            details={
                "quality": encoded.quality,
                "target_bpp": encoded.target_bpp,
                "met": encoded.met,
                "encodes": encoded.encodes,
            },
        )

    def to_dict(self) -> dict[str, Any]:
        """The codec's, with what the level is."""
        return self.codec.to_dict() | super().to_dict() | {"level": self.level, "tolerance": self.tolerance}
