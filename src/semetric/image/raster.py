"""A decoded image in the form of its file or array, and the one conversion to RGB."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semetric.errors import ImageError, UsageError, did_you_mean
from semetric.score_settings import MAX_PIXELS

__all__ = ["MAX_PIXELS", "DecodedImage", "Pixels", "Raster", "check_background", "check_size", "to_rgb"]

Pixels = NDArray[np.uint8] | NDArray[np.float32]

_GRID = 1e-4  # in 8-bit steps: float32 rounding of k / 255, however it was computed, stays below 5e-5
_BAND = 1 << 20  # pixels that are converted at a time


@dataclass(frozen=True, kw_only=True)
class Raster:
    """A decoded image before its conversion to RGB, read in bands so that no copy of the whole is needed.

    Attributes:
        shape: (H, W, C): grey, grey and alpha, RGB, or RGB and alpha.
        rows: the pixels from one row to another, (rows, W, C).
        white: the largest value of an integer type, 255 for uint8; None for floats in [0, 1].
        premultiplied: whether the colours are multiplied by alpha.
    """

    shape: tuple[int, int, int]
    rows: Callable[[int, int], NDArray[Any]]
    white: int | None
    premultiplied: bool = False

    @classmethod
    def of(cls, array: NDArray[Any], white: int | None, *, premultiplied: bool = False) -> Raster:
        """The raster of an array (H, W) or (H, W, C)."""
        hwc = array[:, :, None] if array.ndim == 2 else array
        h, w, c = hwc.shape
        return cls(shape=(h, w, c), rows=lambda a, b: hwc[a:b], white=white, premultiplied=premultiplied)

    def bands(self) -> Iterator[tuple[slice, Pixels]]:
        """Bands of rows from the top, (rows, W, C): uint8 where white is 255, else float32 in [0, 1]."""
        for rows in _bands(self.shape):
            values = self.rows(rows.start, rows.stop)
            if self.white == 255:
                yield rows, values
            elif self.white is None:
                yield rows, values.astype(np.float32, copy=False)
            else:
                yield rows, values.astype(np.float32) / np.float32(self.white)


@dataclass(frozen=True, kw_only=True)
class DecodedImage:
    """What a reader of one format hands back.

    Attributes:
        raster: the pixels as they are stored.
        notes: the conversions that the format took, in words.
        orientation: of EXIF and TIFF, 1 (upright) to 8.
    """

    raster: Raster
    notes: tuple[str, ...] = ()
    orientation: int = 1


def check_size(
    height: int, width: int, name: str, max_pixels: int | None, *, cost: float = 1, kind: str = "of this kind"
) -> None:
    """Raises ImageError where an image is empty or exceeds the limit.

    Args:
        height: in pixels.
        width: in pixels.
        name: of the image, for the message.
        max_pixels: the most pixels; None for no limit.
        cost: what decoding one pixel takes, in memory or time, as a multiple of what 8-bit RGB takes. An image whose
            pixels, so weighted, exceed both the limit and MAX_PIXELS is refused.
        kind: the images of that cost, as in "at most 100 pixels of more than 8 bits".
    """
    if height < 1 or width < 1:
        raise ImageError(f"Expected an image of at least 1 × 1 px; {name} is {width} × {height}.")
    if max_pixels is None:
        return
    limit, of = max_pixels, ""
    if height * width <= max_pixels:
        limit, of = int(max(max_pixels, MAX_PIXELS) / cost), f" {kind}"
    if height * width > limit:
        raise ImageError(
            f"Expected at most {limit:,.0f} pixels{of}; {name} is {width} × {height} = {height * width:,}. "
            "Shrink it, or raise the limit (max_pixels) where its source is trusted."
        )


def check_background(background: str | tuple[int, int, int]) -> None:
    """Raises UsageError where the background is no colour."""
    if not isinstance(background, str) or background != "white":  # the default costs no import of Pillow
        _colour(background)


def to_rgb(raster: Raster, *, background: str | tuple[int, int, int], notes: list[str]) -> Pixels:
    """Expands to contiguous (H, W, 3): repeats grey, composites alpha; floats on the 8-bit grid become uint8.

    Compositing is colours·alpha + background·(1 − alpha), rounded to nearest in 8 bits.
    """
    height, width, channels = raster.shape
    top = 255 if raster.white == 255 else 1
    clear = channels in {2, 4}
    opaque = clear and all(bool((band[:, :, -1] == top).all()) for _, band in raster.bands())
    if opaque:
        notes.append("opaque alpha dropped")
    elif clear:
        notes.append(f"alpha composited on {background if isinstance(background, str) else _colour(background)}")
    if channels in {1, 2}:
        notes.append("grey repeated over three channels")
    shape = (height, width, 3)
    rgb: Pixels = np.empty(shape, np.uint8) if raster.white == 255 else np.empty(shape, np.float32)
    for rows, band in raster.bands():
        if clear:
            colours, alpha = band[:, :, :-1], band[:, :, -1:]
            band = colours if opaque else _over(colours, alpha, _colour(background), raster.premultiplied)
        rgb[rows] = band
    return _narrow(rgb)


def _bands(shape: tuple[int, ...]) -> Iterator[slice]:
    step = max(1, _BAND // shape[1])
    return (slice(start, min(start + step, shape[0])) for start in range(0, shape[0], step))


def _over(colours: Pixels, alpha: Pixels, rgb: tuple[int, int, int], premultiplied: bool) -> Pixels:
    if colours.dtype == np.uint8:
        a = alpha.astype(np.uint16)  # 255 · 255 + 127 fits, and so does twice that where colours exceed alpha
        front = colours.astype(np.uint16) * (np.uint16(255) if premultiplied else a)
        mixed = (front.astype(np.uint32) + np.array(rgb, np.uint16) * (255 - a) + 127) // 255
        return np.asarray(np.minimum(mixed, 255), np.uint8)
    below = np.array(rgb, np.float32) / np.float32(255)
    light = colours if premultiplied else colours * alpha
    return np.asarray(np.clip(light + below * (1 - alpha), 0, 1), np.float32)


def _narrow(pixels: Pixels) -> Pixels:
    """Returns uint8 where every float is a multiple of 1/255 to within float32 rounding; else the input."""
    if pixels.dtype == np.uint8:
        return pixels
    levels: NDArray[np.uint8] = np.empty(pixels.shape, np.uint8)
    for rows in _bands(pixels.shape):  # most images that are not 8-bit show it in the first
        scaled = pixels[rows] * np.float32(255)
        steps = np.rint(scaled)
        if bool((np.abs(scaled - steps) > _GRID).any()):
            return pixels
        levels[rows] = steps
    return levels


def _near(background: str) -> str:
    from PIL import ImageColor

    return did_you_mean(background, ImageColor.colormap)


def _colour(background: str | tuple[int, int, int]) -> tuple[int, int, int]:
    if isinstance(background, str):
        from PIL import ImageColor

        try:
            rgb = ImageColor.getrgb(background)
        except ValueError:
            raise UsageError(
                f"Expected a CSS colour such as white or #808080; found {background!r}.{_near(background)}"
            ) from None
        return rgb[:3]
    try:
        values = tuple(operator.index(c) for c in background)
    except TypeError:  # not iterable, or not of whole numbers
        values = ()
    if len(values) != 3 or not all(0 <= c <= 255 for c in values):
        raise UsageError(
            f"Expected a background as a CSS colour, or (r, g, b) of whole numbers in 0..255; found {background!r}."
        )
    return values[0], values[1], values[2]
