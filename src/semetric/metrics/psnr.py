"""Peak signal-to-noise ratio, in dB."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.image import Picture
from semetric.metrics.base import Metric, Scale, Score
from semetric.metrics.mse import levels, mse

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["PSNR", "psnr"]


def psnr(a: NDArray[Any], b: NDArray[Any], *, peak: float = 255.0) -> float:
    """10·log10(peak² / MSE), with one MSE over all pixels and channels.

    Args:
        a: values in 0..peak, any shape.
        b: likewise, same shape.
        peak: the largest possible value.

    Returns:
        dB, at least 0; infinite for equal arrays.

    Raises:
        SizeMismatchError: the shapes differ.
        UsageError: the peak is not positive.
    """
    if not peak > 0:
        raise UsageError(f"Expected a positive peak; found {peak}.")
    error = mse(a, b)
    return math.inf if error == 0 else 10.0 * math.log10(peak * peak / error)


class PSNR(Metric):
    """Peak signal-to-noise ratio over all RGB channels, peak 255, in dB.

    Input: two images of one size. Symmetric; infinite, and without a gradient, for identical images. It ranks
    as MSE does, so shares its blindness; averages of dB over images are not dB of the average error.
    """

    name = "psnr"
    label = "PSNR"
    summary = "pixel error, in dB"
    place = 1
    unit = "dB"
    scale = Scale(empty=0, full=50, labels=("0", "50 dB"), note="no upper bound: drawn against 50 dB")
    higher_is_better = True
    range = (0.0, None)
    differentiable = True
    float64 = True

    def _values(self, references: Tensor, images: Tensor) -> Tensor:
        return -10 * (references - images).square().mean((1, 2, 3)).log10()

    def _score(self, reference: Picture, image: Picture) -> Score:
        return self._make(psnr(levels(reference), levels(image)))
