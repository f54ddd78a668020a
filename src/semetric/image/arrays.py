"""Arrays and tensors → RGB pixels: shapes, ranges, grey, alpha."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from semetric.errors import ImageError, UsageError, did_you_mean

if TYPE_CHECKING:
    import torch

__all__ = [
    "Pixels",
    "array_pixels",
    "check_background",
    "check_dense",
    "check_limit",
    "check_size",
    "narrow",
    "over",
    "tensor_pixels",
    "to_rgb",
    "unit_range",
]

Pixels = NDArray[np.uint8] | NDArray[np.float32]

_SLACK = 1e-5  # interpolation in float32 overshoots [0, 1] by about this; more is a wrong range
_GRID = 1e-4  # in 8-bit steps: float32 rounding of k / 255, however it was computed, stays below 5e-5


def array_pixels(
    array: NDArray[Any], *, background: str | tuple[int, int, int], max_pixels: int | None
) -> tuple[Pixels, list[str]]:
    """Converts numpy (H, W) or (H, W, 1..4) to (H, W, 3), a copy, with notes.

    Raises:
        ImageError: wrong shape, dtype or range, or not finite.
    """
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or not 1 <= array.shape[2] <= 4:
        hint = ""
        if array.ndim == 3 and array.shape[0] in {1, 3, 4}:
            hint = " Channels come last: array.transpose(1, 2, 0)."
        elif array.ndim == 4:
            hint = " One image at a time: pass array[0], or lists to the metric's batch method."
        raise ImageError(f"Expected an array (H, W), (H, W, 3) or (H, W, 4); found {tuple(array.shape)}.{hint}")
    check_size(array.shape[0], array.shape[1], "<array>", max_pixels)
    notes: list[str] = []
    values = _values(array, "array", notes)
    return to_rgb(values, background=background, notes=notes), notes


def tensor_pixels(
    tensor: torch.Tensor, *, background: str | tuple[int, int, int], max_pixels: int | None
) -> tuple[Pixels, list[str]]:
    """Converts torch (C, H, W) or (1, C, H, W), on any device, to (H, W, 3), with notes.

    Raises:
        ImageError: wrong shape, dtype or range, or not finite.
    """
    check_dense(tensor)
    shape = tuple(tensor.shape)
    if len(shape) == 4 and shape[0] != 1:
        raise ImageError(
            f"Expected one image, a tensor (3, H, W) or (1, 3, H, W); found {shape}. "
            "Pass list(tensor) to the metric's batch method."
        )
    if len(shape) == 4:
        tensor = tensor.reshape(shape[1:])
    if tensor.ndim != 3 or not 1 <= tensor.shape[0] <= 4:
        hint = " Channels come first: tensor.permute(2, 0, 1)." if len(shape) == 3 and shape[2] in {1, 3, 4} else ""
        raise ImageError(f"Expected a tensor (3, H, W) or (1, 3, H, W); found {shape}.{hint}")
    check_size(int(tensor.shape[1]), int(tensor.shape[2]), "<tensor>", max_pixels)
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point() and str(tensor.dtype) not in {"torch.float32", "torch.float64"}:
        tensor = tensor.float()  # numpy has no bfloat16, and no wish for float16
    notes: list[str] = []
    try:
        array = tensor.numpy()
    except (RuntimeError, TypeError) as error:  # a type that numpy has not, a tensor without memory of its own
        raise ImageError(
            f"Expected a tensor of numbers in memory; found one that numpy cannot take: {error}. "
            "Make it one of uint8 or float32."
        ) from error
    values = _values(array.transpose(1, 2, 0), "tensor", notes)
    return to_rgb(values, background=background, notes=notes), notes


def check_dense(tensor: torch.Tensor) -> None:
    """Raises ImageError where a tensor holds no plain array of numbers."""
    kinds = {
        "nested": tensor.is_nested,  # first: it has no shape
        "meta": tensor.is_meta,
        "quantised": tensor.is_quantized,
        "sparse": str(tensor.layout) != "torch.strided",
    }
    todo = {
        "nested": "Pass one of its tensors",
        "meta": "It holds no values: load them",
        "quantised": "Pass tensor.dequantize()",
        "sparse": "Pass tensor.to_dense()",
    }
    for kind, found in kinds.items():
        if found:
            raise ImageError(f"Expected a dense tensor in memory; found a {kind} one. {todo[kind]}.")


def check_background(background: str | tuple[int, int, int]) -> None:
    """Raises UsageError where the background is no colour."""
    if not isinstance(background, str) or background != "white":  # the default costs no import of Pillow
        _colour(background)


def check_limit(max_pixels: int | None) -> None:
    """Raises UsageError where the largest number of pixels is neither None nor a number of at least 1."""
    whole = isinstance(max_pixels, int | float | np.integer) and not isinstance(max_pixels, bool)
    if max_pixels is not None and not (whole and max_pixels >= 1):
        raise UsageError(
            f"Expected max_pixels, the most pixels of an image, to be a number of at least 1, or None; "
            f"found {max_pixels!r}."
        )


def check_size(height: int, width: int, name: str, max_pixels: int | None) -> None:
    """Raises ImageError where an image is empty or exceeds the limit."""
    if height < 1 or width < 1:
        raise ImageError(f"Expected an image of at least 1 × 1 px; {name} is {width} × {height}.")
    if max_pixels is not None and height * width > max_pixels:
        raise ImageError(
            f"Expected at most {max_pixels:,.0f} pixels; {name} is {width} × {height} = {height * width:,}. "
            "Shrink it, or raise the limit (max_pixels) where its source is trusted."
        )


def to_rgb(values: Pixels, *, background: str | tuple[int, int, int], notes: list[str]) -> Pixels:
    """Expands (H, W, 1..4) to contiguous (H, W, 3): repeats grey, composites alpha; floats on the 8-bit grid narrow."""
    channels = values.shape[2]
    if channels in {2, 4}:
        values = over(values[:, :, :-1], values[:, :, -1:], background=background, notes=notes)
    if channels in {1, 2}:
        notes.append("grey repeated over three channels")
    rgb: Pixels = np.empty((*values.shape[:2], 3), values.dtype)
    rgb[:] = values
    return narrow(rgb)


def over(colours: Pixels, alpha: Pixels, *, background: str | tuple[int, int, int], notes: list[str]) -> Pixels:
    """Composites on the background: colours·alpha + background·(1 − alpha), rounded to nearest in 8 bits.

    Args:
        colours: (H, W, 1) or (H, W, 3), not premultiplied.
        alpha: (H, W, 1), of the same dtype.
        background: a CSS colour or (r, g, b) in 0..255.
        notes: where the conversion is told.
    """
    top: int = 255 if colours.dtype == np.uint8 else 1
    if bool((alpha == top).all()):
        notes.append("opaque alpha dropped")
        return colours
    rgb = _colour(background)
    notes.append(f"alpha composited on {background if isinstance(background, str) else rgb}")
    if colours.dtype == np.uint8:
        a = alpha.astype(np.uint16)  # 255 · 255 + 127 fits
        mixed = (colours * a + np.array(rgb, np.uint16) * (255 - a) + 127) // 255
        return np.asarray(mixed, np.uint8)
    below = np.array(rgb, np.float32) / np.float32(255)
    return np.asarray(np.clip(colours * alpha + below * (1 - alpha), 0, 1), np.float32)


def narrow(pixels: Pixels) -> Pixels:
    """Returns uint8 where every float is a multiple of 1/255 to within float32 rounding; else the input."""
    if pixels.dtype == np.uint8:
        return pixels
    scaled = pixels[0] * np.float32(255)  # most images that are not 8-bit show it in their first row
    if bool((np.abs(scaled - np.rint(scaled)) > _GRID).any()):
        return pixels
    scaled = pixels * np.float32(255)
    steps = np.rint(scaled)
    if bool((np.abs(scaled - steps) > _GRID).any()):
        return pixels
    levels: NDArray[np.uint8] = steps.astype(np.uint8)
    return levels


def _values(array: NDArray[Any], noun: str, notes: list[str]) -> Pixels:
    """Checks the values: uint8 as they are, everything else as float32 in [0, 1]."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        notes.append("false and true taken as 0 and 255")
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:  # of either byte order
        notes.append("16-bit values divided by 65535")
        return array.astype(np.float32) / np.float32(65535)
    if not np.issubdtype(array.dtype, np.floating):
        raise ImageError(
            f"Expected uint8 in 0..255 or floats in [0, 1]; found {noun} values of type {array.dtype}. "
            f"Convert them, for example {noun}.{'astype(np.uint8)' if noun == 'array' else 'to(torch.uint8)'}."
        )
    return unit_range(array, noun, notes)


def unit_range(array: NDArray[Any], noun: str, notes: list[str]) -> NDArray[np.float32]:
    """Returns floats as float32 where they are finite and in [0, 1].

    Raises:
        ImageError: they are not; the message has the extremes that were found.
    """
    low, high = float(array.min()), float(array.max())  # NaN if there is one
    if not (np.isfinite(low) and np.isfinite(high)):
        wrong = ~np.isfinite(array)
        row, column, _ = (int(i) for i in np.argwhere(wrong)[0])
        raise ImageError(
            f"Expected finite values in [0, 1]; the {noun} holds {int(wrong.sum())} NaN or infinite, "
            f"the first at row {row}, column {column}. Mend whatever made them."
        )
    if low < -_SLACK or high > 1 + _SLACK:
        if low >= -1 - _SLACK and high <= 1 + _SLACK:
            hint = f"If they lie in [-1, 1], pass ({noun} + 1) / 2."
        elif low >= 0 and high <= 255:
            hint = f"If they lie in [0, 255], pass {noun} / 255."
        else:
            hint = "Scale or clip them first."
        raise ImageError(f"Expected floats in [0, 1]; found {noun} values from {low:.6g} to {high:.6g}. {hint}")
    if low < 0 or high > 1:
        notes.append(f"values from {low:.8g} to {high:.8g} clipped to [0, 1]")
    clipped: NDArray[np.float32] = np.clip(array, 0, 1).astype(np.float32)
    return clipped


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
