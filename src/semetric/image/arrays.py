"""Arrays and tensors → RGB pixels: shapes, ranges, grey, alpha."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from semetric.errors import ImageError, UsageError
from semetric.image.raster import Pixels, Raster, check_size, to_rgb

if TYPE_CHECKING:
    import torch

__all__ = ["array_pixels", "check_dense", "check_limit", "tensor_pixels", "unit_range"]

_SLACK = 1e-5  # interpolation in float32 overshoots [0, 1] by about this; more is a wrong range


def array_pixels(
    array: NDArray[Any], *, background: str | tuple[int, int, int], max_pixels: int | None
) -> tuple[Pixels, list[str]]:
    """Converts numpy (H, W) or (H, W, 1..4) to (H, W, 3), a copy, with notes.

    Raises:
        ImageError: wrong shape, dtype or range, or not finite.

    Example:
        >>> pixels, notes = array_pixels(np.ones((2, 2, 3)), background="white", max_pixels=None)
        >>> pixels.dtype, pixels.max().item()
        (dtype('uint8'), 255)
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
    return to_rgb(_raster(array, "array", notes), background=background, notes=notes), notes


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
    return to_rgb(_raster(array.transpose(1, 2, 0), "tensor", notes), background=background, notes=notes), notes


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


def check_limit(max_pixels: int | None) -> None:
    """Raises UsageError where the largest number of pixels is neither None nor a number of at least 1."""
    whole = isinstance(max_pixels, int | float | np.integer) and not isinstance(max_pixels, bool)
    if max_pixels is not None and not (whole and max_pixels >= 1):
        raise UsageError(
            f"Expected max_pixels, the most pixels of an image, to be a number of at least 1, or None; "
            f"found {max_pixels!r}."
        )


def _raster(array: NDArray[Any], noun: str, notes: list[str]) -> Raster:
    """Checks the values: integers as they are, floats as float32 in [0, 1]."""
    if array.dtype == np.uint8:
        return Raster.of(array, 255)
    if array.dtype == np.bool_:
        notes.append("false and true taken as 0 and 255")
        return Raster.of(array.astype(np.uint8) * np.uint8(255), 255)
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:  # of either byte order
        notes.append("16-bit values divided by 65535")
        return Raster.of(array, 65535)
    if not np.issubdtype(array.dtype, np.floating):
        raise ImageError(
            f"Expected uint8 in 0..255 or floats in [0, 1]; found {noun} values of type {array.dtype}. "
            f"Convert them, for example {noun}.{'astype(np.uint8)' if noun == 'array' else 'to(torch.uint8)'}."
        )
    return Raster.of(unit_range(array, noun, notes), None)


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
    unit: NDArray[np.float32] = array.astype(np.float32)
    return np.clip(unit, 0, 1, out=unit)
