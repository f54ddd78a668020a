"""Multi-scale structural similarity (MS-SSIM)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from semetric.image import Picture
from semetric.metrics._tensors import batch_values, check_batch
from semetric.metrics.base import Metric, Score
from semetric.metrics.ssim import WINDOW, ssim_terms

if TYPE_CHECKING:
    import torch

__all__ = ["MSSSIM", "WEIGHTS", "ms_ssim"]

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, finest first
_MIN_SIDE = (WINDOW - 1) * 2 ** (len(WEIGHTS) - 1) + 1  # 161: the coarsest scale must hold a window
_BATCH_PIXELS = 2**18


def ms_ssim(a: torch.Tensor, b: torch.Tensor, *, data_range: float = 1.0) -> torch.Tensor:
    """Structural similarity over five scales.

    Wang, Simoncelli, Bovik, "Multiscale structural similarity for image quality assessment",
    Asilomar 2003, Eq. 7: the contrast-structure means of the four finer scales and the SSIM mean of
    the coarsest, raised to WEIGHTS and multiplied, per channel; then the mean over channels. Between
    scales, 2 × 2 means with stride 2; an odd side is padded with a zero line at both ends first, as
    in the widespread PyTorch implementation (pytorch-msssim), so that values compare.

    Rule for anti-correlated images: a scale whose mean is negative has no real fractional power and
    counts as 0, so the product of that channel is 0. Its gradient is 0 there, never NaN.

    Args:
        a: (B, C, H, W) in [0, data_range], sides of at least 161.
        b: likewise.
        data_range: the largest possible value.

    Returns:
        (B,) in [0, 1], 1 for equal images; differentiable; computed in float64, returned in the
        inputs' dtype but at least float32.

    Raises:
        SizeMismatchError: shapes differ or a side is below 161.
        ImageError: not floats, or outside the range.
    """
    import torch

    check_batch(a, b, metric="ms_ssim", data_range=data_range, min_side=_MIN_SIDE)
    dtype = torch.promote_types(torch.promote_types(a.dtype, b.dtype), torch.float32)
    return _means(a, b, data_range).to(dtype)


def _means(a: torch.Tensor, b: torch.Tensor, data_range: float) -> torch.Tensor:
    """(B,) float64 of checked inputs."""
    import torch

    channels = []
    for c in range(a.shape[1]):
        x, y = a[:, c].double(), b[:, c].double()
        product = x.new_ones(x.shape[0])
        for scale, weight in enumerate(WEIGHTS):
            full, structure = ssim_terms(x, y, data_range=data_range)
            last = scale == len(WEIGHTS) - 1
            product = product * _power(full if last else structure, weight)
            if not last:
                x, y = _halve(x), _halve(y)
        channels.append(product)
    return torch.stack(channels, dim=1).mean(dim=1)


def _power(mean: torch.Tensor, weight: float) -> torch.Tensor:
    """mean^weight, and 0 with gradient 0 where the mean is not positive.

    Clamping at 0 would be simpler, but x^0.0448 has an infinite slope at 0, and 0 · ∞ is NaN.
    """
    import torch

    positive = mean > 0
    return torch.where(positive, torch.where(positive, mean, 1.0) ** weight, 0.0)


def _halve(x: torch.Tensor) -> torch.Tensor:
    """(B, H, W) → (B, ⌈H/2⌉ or so, …) by 2 × 2 means."""
    import torch.nn.functional as F

    padding = [side % 2 for side in x.shape[-2:]]
    return F.avg_pool2d(x[:, None], kernel_size=2, padding=padding)[:, 0]


class MSSSIM(Metric):
    """Multi-scale structural similarity, five scales, mean over RGB channels: see `ms_ssim`.

    Input: two images of one size, sides of at least 161 px. `ms_ssim` has gradients. Symmetric.
    Forgives blur and noise that the coarser scales do not see; shifts and rotations it does not.
    """

    name = "ms_ssim"
    label = "MS-SSIM"
    summary = "local structure at five scales"
    paper = "Wang et al. 2003"
    place = 3
    higher_is_better = True
    range = (0.0, 1.0)
    min_side = _MIN_SIDE
    for_small = "ssim"
    differentiable = True
    float64 = True

    def _values(self, references: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        return ms_ssim(references, images)

    def _score_batch(self, pairs: Sequence[tuple[Picture, Picture]]) -> list[Score]:
        device = self.runtime.device
        values = batch_values(pairs, lambda a, b: _means(a, b, 1.0), device=device, max_pixels=_BATCH_PIXELS)
        return [self._make(value) for value in values]
