"""Structural similarity (SSIM), as its paper defines it."""

# torchmetrics has SSIM, too, and the tests compare the map with its map. Importing it takes seconds (5.6 s where
# this was written, against 2.2 s for torch), which every command that scores a pair would pay; and its mean runs
# over windows that reach into a reflected border, where the paper's lie inside the image.

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from semetric.image import Picture
from semetric.metrics._tensors import batch_values, check_batch
from semetric.metrics.base import Metric, Score

if TYPE_CHECKING:
    import torch

__all__ = ["SSIM", "WINDOW", "ssim", "ssim_terms"]

WINDOW = 11  # px, side of the Gaussian window
_SIGMA = 1.5  # px
_K1, _K2 = 0.01, 0.03
_BATCH_PIXELS = 2**18  # float64 maps of a batch stay near the processor: 4 at 512 × 512 took 5 times as long each


def ssim(a: torch.Tensor, b: torch.Tensor, *, data_range: float = 1.0) -> torch.Tensor:
    """Mean structural similarity.

    Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural
    similarity", IEEE TIP 13(4), 2004, Eq. 13 and section III-C: 11 × 11 Gaussian window, σ = 1.5,
    K = (0.01, 0.03), population covariance. Windows lie inside the image; the mean is over windows
    and over channels, each taken by itself. (The paper used luminance, and its MATLAB code shrinks
    large images first: neither is done here. scikit-image's defaults are another window and covariance.)

    Args:
        a: (B, C, H, W) in [0, data_range], sides of at least 11.
        b: likewise.
        data_range: the largest possible value, L in the paper.

    Returns:
        (B,) in [-1, 1], 1 for equal images; differentiable; computed in float64, returned in the
        inputs' dtype but at least float32.

    Raises:
        SizeMismatchError: shapes differ or a side is below 11.
        ImageError: not floats, or outside the range.
    """
    import torch

    check_batch(a, b, metric="ssim", data_range=data_range, min_side=WINDOW)
    dtype = torch.promote_types(torch.promote_types(a.dtype, b.dtype), torch.float32)
    return _means(a, b, data_range).to(dtype)


def _means(a: torch.Tensor, b: torch.Tensor, data_range: float) -> torch.Tensor:
    """(B,) float64 of checked inputs."""
    import torch

    channels = [ssim_terms(a[:, c], b[:, c], data_range=data_range)[0] for c in range(a.shape[1])]
    return torch.stack(channels, dim=1).mean(dim=1)


def ssim_terms(a: torch.Tensor, b: torch.Tensor, *, data_range: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The means over windows of SSIM = luminance · contrast-structure, and of contrast-structure alone.

    One channel at a time bounds the memory: about ten float64 maps are alive at once.

    Args:
        a: (B, H, W) in [0, data_range].
        b: likewise.
        data_range: the largest possible value.

    Returns:
        two (B,) float64 tensors.
    """
    a, b = a.double(), b.double()
    c1, c2 = (_K1 * data_range) ** 2, (_K2 * data_range) ** 2
    mean_a, mean_b = _blur(a), _blur(b)
    mean_ab, means = mean_a * mean_b, mean_a * mean_a + mean_b * mean_b  # summed at once: a and b can be swapped
    variances = _blur(a * a + b * b) - means
    covariance = _blur(a * b) - mean_ab
    structure = (2 * covariance + c2) / (variances + c2)  # (B, H - 10, W - 10)
    full = (2 * mean_ab + c1) / (means + c1) * structure
    return full.mean(dim=(-2, -1)), structure.mean(dim=(-2, -1))


def _blur(x: torch.Tensor) -> torch.Tensor:
    """Gaussian-weighted means over the windows inside (…, H, W) → (…, H - 10, W - 10).

    The window is separable and symmetric: six weighted sums along each axis. In float64 on a CPU
    this is five times as fast as torch's convolution.
    """
    half = WINDOW // 2
    raw = [math.exp(-((i - half) ** 2) / (2 * _SIGMA**2)) for i in range(WINDOW)]
    weights = [w / sum(raw) for w in raw]
    for axis in (-1, -2):
        length = x.shape[axis] - WINDOW + 1
        total = weights[half] * x.narrow(axis, half, length)
        for i in range(half):
            mirrored = x.narrow(axis, i, length) + x.narrow(axis, WINDOW - 1 - i, length)
            total = total.add(mirrored, alpha=weights[i])
        x = total
    return x


class SSIM(Metric):
    """Structural similarity, Wang et al. 2004, mean over RGB channels: see `ssim`.

    Input: two images of one size, sides of at least 11 px. `ssim` has gradients. Symmetric. Negative
    where structure is inverted. Misleads under shifts and rotations, which it punishes like damage.
    """

    name = "ssim"
    label = "SSIM"
    summary = "local structure"
    paper = "Wang et al. 2004"
    place = 2
    higher_is_better = True
    range = (-1.0, 1.0)
    min_side = WINDOW
    differentiable = True
    float64 = True

    def _values(self, references: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        return ssim(references, images)

    def _score_batch(self, pairs: Sequence[tuple[Picture, Picture]]) -> list[Score]:
        device = self.runtime.device
        values = batch_values(pairs, lambda a, b: _means(a, b, 1.0), device=device, max_pixels=_BATCH_PIXELS)
        return [self._make(value) for value in values]
