"""Mean squared error, in squared 8-bit steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from semetric.errors import SizeMismatchError
from semetric.image import Picture
from semetric.metrics.base import Metric, Scale, Score

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["MSE", "levels", "mse"]


def mse(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Mean of (a − b)² over all pixels and channels; exact for integers.

    Args:
        a: values of any shape.
        b: likewise, same shape and scale.

    Returns:
        the error in the square of the inputs' unit, 0 for equal arrays.

    Raises:
        SizeMismatchError: the shapes differ.
    """
    if a.shape != b.shape:
        raise SizeMismatchError(f"Expected two arrays of one shape; found {a.shape} and {b.shape}. Resize one.")
    if a.dtype == b.dtype == np.uint8:
        steps = np.subtract(a, b, dtype=np.int32)
        return float(np.square(steps, out=steps).sum(dtype=np.int64) / steps.size)
    return float(np.mean(np.square(np.subtract(a, b, dtype=np.float64))))


def levels(picture: Picture) -> NDArray[np.uint8] | NDArray[np.float64]:
    """(H, W, 3) in 0..255: the bytes of an 8-bit picture, unrounded float64 of a deeper one."""
    if picture.pixels.dtype == np.uint8:
        return picture.to_uint8()
    return picture.to_float().astype(np.float64) * 255.0


class MSE(Metric):
    """Mean squared error over all pixels and RGB channels, on the scale 0..255.

    Input: two images of one size.
    Symmetric; blind to structure and to meaning: a shift by one pixel can cost more than a blur.
    """

    name = "mse"
    label = "MSE"
    summary = "pixel error"
    place = 0
    scale = Scale(empty=65025, full=0.65025, logarithmic=True, labels=("65025", "≤ 0.65"), note="logarithmic scale")
    higher_is_better = False
    range = (0.0, 65025.0)
    differentiable = True
    float64 = True

    def _values(self, references: Tensor, images: Tensor) -> Tensor:
        return ((references - images) * 255).square().mean((1, 2, 3))

    def _score(self, reference: Picture, image: Picture) -> Score:
        return self._make(mse(levels(reference), levels(image)))
