"""What stands between an image and what is received: the seam of codecs, channels, transformations and edits."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError

__all__ = ["NamedSystem", "Pixels", "Received", "System", "generator"]

Pixels = NDArray[np.uint8]
"""(H, W, 3) RGB."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Received:
    """One image at the far end of a system.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, of the size that was sent.
        size_bytes: of the stream that carried it; None where there is no stream.
        stated_bpp: its bits per pixel where they do not follow from `size_bytes` and these pixels: a rate measured
            elsewhere, or of an image of another size.
        uses_per_pixel: complex channel symbols per pixel of the image; None without a channel.
        failed: whether the decoder rejected what came, so that `pixels` is the stated fallback.
        note: what a reader has to know, in words: which fallback, which target was missed.
        details: plain JSON values: quality, bit errors, … .
    """

    pixels: Pixels = field(repr=False)
    size_bytes: int | None = None
    stated_bpp: float | None = None
    uses_per_pixel: float | None = None
    failed: bool = False
    note: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rate_bpp(self) -> float | None:
        """Bits of the stream per pixel; None where neither a stream nor a rate is known."""
        if self.stated_bpp is not None:
            return self.stated_bpp
        h, w = self.pixels.shape[:2]
        return None if self.size_bytes is None else 8 * self.size_bytes / (h * w)


class System(ABC):
    """Turns an image into what is received at a level: a bit rate, an SNR, a strength.

    Attributes:
        name: short and unique within an experiment; the name of its curve.
        label: as a figure's legend shows it.
    """

    name: str
    label: str

    @abstractmethod
    def send(self, image: Pixels, level: float, rng: np.random.Generator) -> Received:
        """Sends one image.

        Args:
            image: (H, W, 3) uint8 RGB.
            level: the operating point, in the experiment's unit.
            rng: the only source of chance; equal generators give equal pixels.

        Raises:
            CodecError: the system fails on this image at this level, and states no fallback.
            UsageError: a level that the system does not have.
        """

    def to_dict(self) -> dict[str, Any]:
        """What shapes its output, as plain JSON values: saved with every result."""
        return {"name": self.name, "label": self.label}


class NamedSystem(System):
    """A system whose answer depends on which image it is, not on its pixels alone: images made elsewhere."""

    @abstractmethod
    def send_named(self, name: str, image: Pixels, level: float, rng: np.random.Generator) -> Received:
        """As `send`, of the image of that name."""

    def send(self, image: Pixels, level: float, rng: np.random.Generator) -> Received:
        """Not without a name.

        Raises:
            UsageError: always.
        """
        raise UsageError("Expected the name of the image: images made elsewhere are found by name, not by pixels.")


def generator(digest: str, system: str, level: float, seed: int = 0) -> np.random.Generator:
    """The generator of one image at one operating point, whatever is sent before it or beside it.

    Args:
        digest: the image's.
        system: its name.
        level: the operating point.
        seed: of the experiment.

    Examples:
        >>> generator("digest", "jpeg", 0.5).random() == generator("digest", "jpeg", 0.5).random()
        True
    """
    return np.random.default_rng([seed, zlib.crc32(f"{digest} {system} {level!r}".encode())])
