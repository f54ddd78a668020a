"""What a codec is: an image to bytes and back, at a quality of its own scale."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar, TypeAlias

import numpy as np

from semetric.errors import CodecError, ImageError, SemetricError, UsageError
from semetric.image.read import MAX_PIXELS
from semetric.lab.systems import Pixels

__all__ = ["Codec", "Quality", "Size", "check_pixels", "check_scale", "check_size"]

Quality: TypeAlias = float
"""One step of a codec's scale; an int where the scale is one of integers."""

Size: TypeAlias = tuple[int, int]
"""(H, W) in pixels."""


class Codec(ABC):
    """Turns an image into bytes and the bytes into an image.

    A subclass sets the attributes and writes `_encode` and `_decode`; whatever they raise becomes a CodecError.

    Attributes:
        name: as users write it, and the name of its curve.
        label: as a figure's legend shows it.
        steps: the qualities that a search may try, from the lowest rate to the highest, so that 51 … 0 is a scale
            as good as 1 … 100. `encode` takes every value between the ends; whole numbers where all steps are.
        unit: what a quality is, in a few words.
        usual_bpp: rates of the two ends on a photo, in bits per pixel. Only a search starts from them.
    """

    name: str
    label: str
    steps: Sequence[Quality]
    unit: str = "quality"
    usual_bpp: ClassVar[tuple[float, float]] = (0.05, 6.0)

    def encode(self, pixels: Pixels, quality: Quality) -> bytes:
        """One image as a stream; equal pixels and qualities give equal bytes, but for a codec that says otherwise.

        Args:
            pixels: (H, W, 3) uint8 RGB.
            quality: between the ends of `steps`.

        Raises:
            CodecError: the codec fails on this image.
            ImageError: these are no such pixels.
            UsageError: the scale has no such quality.
        """
        check_pixels(pixels)
        quality = self.check_quality(quality)
        h, w = pixels.shape[:2]
        try:
            return self._encode(np.ascontiguousarray(pixels), quality)
        except SemetricError:
            raise
        except Exception as error:  # whatever a foreign encoder raises, a run of many images has to survive it
            raise CodecError(
                f"{self.label} could not encode an image of {w} × {h} px at {quality:g} ({self.unit}): "
                f"{_reason(error)}. Leave the image out, or try another quality."
            ) from error

    def decode(self, stream: bytes, size: Size | None = None) -> Pixels:
        """The image that a stream holds.

        Args:
            stream: as `encode` made it, or what a channel left of it.
            size: (H, W) of the image that was sent, where the receiver knows it. With it nothing larger is ever
                allocated for pixels; without it the limit is that of `read_image`, 178,956,970 px.

        Returns:
            (H, W, 3) uint8 RGB.

        Raises:
            CodecError: the decoder rejects the stream, or it holds an image of another size.
        """
        try:
            pixels = self._decode(bytes(stream), size)
            check_pixels(pixels)
        except CodecError as error:
            raise CodecError(f"{self.label} rejected a stream of {len(stream):,} bytes: {error}") from error
        except ImageError as error:
            raise CodecError(f"{self.label} decoded {len(stream):,} bytes to no image: {error}") from error
        except SemetricError:
            raise
        except Exception as error:  # damaged streams surface as every kind of exception there is
            raise CodecError(f"{self.label} rejected a stream of {len(stream):,} bytes: {_reason(error)}.") from error
        check_size(pixels.shape[:2], size)
        return pixels

    def check_quality(self, quality: Quality) -> Quality:
        """The quality, as an int where the scale is one of integers.

        Raises:
            UsageError: it is not a number, lies past the ends of the scale, or between its whole numbers.
        """
        whole = all(isinstance(step, int) for step in self.steps)
        low, high = sorted((self.steps[0], self.steps[-1]))
        # The comparison is false for NaN; a bool is an int to Python and none to a reader.
        number = isinstance(quality, (int, float, np.integer, np.floating)) and not isinstance(quality, bool)
        if not (number and low <= quality <= high and not (whole and quality != int(quality))):
            kind = "a whole number" if whole else "a number"
            raise UsageError(
                f"Expected {kind} from {self.steps[0]:g} (lowest rate) to {self.steps[-1]:g} (highest) "
                f"as the {self.unit} of {self.name}; found {quality!r}."
            )
        return int(quality) if whole else float(quality)

    def first_step(self, target_bpp: float) -> int:
        """Index of the step at which a search starts: on the straight line from log rate to index that joins the ends.

        Args:
            target_bpp: above 0.
        """
        low, high = self.usual_bpp
        place = math.log(target_bpp / low) / math.log(high / low)
        return round(min(max(place, 0.0), 1.0) * (len(self.steps) - 1))

    def to_dict(self) -> dict[str, Any]:
        """What shapes its output, as plain JSON values: the name, the scale, settings, versions of the software."""
        return {
            "name": self.name,
            "label": self.label,
            "unit": self.unit,
            "steps": {"first": self.steps[0], "last": self.steps[-1], "count": len(self.steps)},
        }

    @abstractmethod
    def _encode(self, pixels: Pixels, quality: Quality) -> bytes:
        """`encode` of contiguous (H, W, 3) uint8 pixels at a quality of the scale; may raise anything."""

    @abstractmethod
    def _decode(self, stream: bytes, size: Size | None) -> Pixels:
        """`decode`; may raise anything, and calls `check_size` before it allocates what the stream asks for."""


def check_pixels(pixels: Pixels) -> None:
    """Refuses all but non-empty (H, W, 3) uint8.

    Raises:
        ImageError: another type or shape.
    """
    if not isinstance(pixels, np.ndarray):
        raise ImageError(f"Expected an array (H, W, 3) of uint8; found {type(pixels).__name__}.")
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise ImageError(f"Expected an array (H, W, 3) of uint8; found {pixels.shape} of {pixels.dtype}.")


def check_size(claimed: Sequence[int], expected: Size | None) -> None:
    """Refuses a size that a stream claims, before any pixel of it is allocated.

    Args:
        claimed: (H, W) of the stream.
        expected: (H, W) that was sent; None where it is not known.

    Raises:
        CodecError: not the expected size, or larger than any image that can be read.
    """
    h, w = claimed
    if expected is not None and (h, w) != tuple(expected):
        raise CodecError(f"its header claims {w} × {h} px where {expected[1]} × {expected[0]} px were sent.")
    if h * w > MAX_PIXELS:
        raise CodecError(f"its header claims {w} × {h} px, more than the limit of {MAX_PIXELS:,}.")


def check_scale(steps: Sequence[Quality]) -> tuple[Quality, ...]:
    """Steps as a tuple that rises or falls all the way.

    Raises:
        UsageError: none, no finite numbers, or neither rising nor falling.

    Examples:
        >>> check_scale(range(3, 0, -1))
        (3, 2, 1)
    """
    try:
        scale = tuple(steps)
    except TypeError:
        raise UsageError(f"Expected steps as a list of numbers; found {steps!r}.") from None
    numbers = all(isinstance(s, int | float) and not isinstance(s, bool) and math.isfinite(s) for s in scale)
    pairs = list(pairwise(scale)) if numbers else []
    if not (scale and numbers and (all(a < b for a, b in pairs) or all(a > b for a, b in pairs))):
        raise UsageError(
            f"Expected steps that rise or fall all the way, from the lowest rate to the highest; found {scale!r}."
        )
    return scale


def _reason(error: Exception) -> str:
    """An exception in words, without a full stop."""
    return (str(error).strip() or type(error).__name__).rstrip(".")
