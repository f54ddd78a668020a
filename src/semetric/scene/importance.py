"""How much each object of an image matters: visual saliency summed over its mask.

Saliency is the spectral residual (Hou and Zhang, "Saliency Detection: A Spectral Residual Approach", CVPR 2007) with
the steps and rounding of OpenCV's contrib module (StaticSaliencySpectralResidual), which the SeSS demo calls.
Importance is SeSS's (arXiv 2406.03865, Eq. 24–25 and Table II) or that of its published code, which adds the relations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError

if TYPE_CHECKING:
    from typing import Self

__all__ = ["STORED_ROOT", "ImportanceSettings", "mask_saliency", "object_importance", "spectral_residual"]

STORED_ROOT = 2.25
"""The root in the importance that graphs of the paper's variant hold."""

_SIDE = 64  # the spectrum is that of the image at 64 × 64, whatever its aspect


def spectral_residual(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Saliency of each pixel.

    The image is made grey and squashed to 64 × 64; the log amplitude of its Fourier spectrum less its own 3 × 3 mean is
    recombined with the phase; the squared, slightly blurred magnitude of the inverse is scaled to a largest value of 1
    and brought back to the image's size. Agrees with OpenCV 5 to 1e-4: OpenCV approximates the phase to 2e-4
    radians, this does not. (Earlier releases take log(amplitude), OpenCV 5 and this log(amplitude + 1).)

    Args:
        pixels: (H, W, 3) RGB in 0..255.

    Returns:
        (H, W) in [0, 1].

    Raises:
        UsageError: another shape or dtype.

    Example:
        >>> pixels = np.zeros((40, 60, 3), np.uint8)
        >>> pixels[10:20, 10:20] = 255
        >>> spectral_residual(pixels).shape
        (40, 60)
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise UsageError(f"Expected pixels (H, W, 3) of uint8; found {pixels.shape} of {pixels.dtype}.")
    small = _residual(_shrink(_grey(pixels)))
    return _stretch(small, (pixels.shape[0], pixels.shape[1]))


def mask_saliency(saliency: NDArray[np.floating[Any]], masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Sum of the saliency over each mask (Eq. 25).

    Args:
        saliency: (H, W) ≥ 0.
        masks: (N, H, W).

    Returns:
        (N,) ≥ 0.

    Raises:
        UsageError: sizes that differ.

    Example:
        >>> mask_saliency(np.ones((2, 2)), np.array([[[1, 1], [0, 0]]], bool)).tolist()
        [2.0]
    """
    if masks.ndim != 3 or saliency.shape != masks.shape[1:]:
        raise UsageError(f"Expected masks (N, H, W) over saliency {saliency.shape}; found {masks.shape}.")
    flat = np.asarray(saliency, np.float64).reshape(-1)
    return np.array([mask.reshape(-1).astype(np.float64) @ flat for mask in masks], np.float64)


@dataclass(frozen=True, kw_only=True)
class ImportanceSettings:
    """How saliency and relations become importance (Eq. 24–25).

    Attributes:
        saliency_root: k, > 0: an object counts as (saliency under its mask)^(1/k); 2.25 in the paper (Table II).
        relation_root: > 0: likewise the root of what relations give an object.
        relation_share: weight of what relations give against saliency, in [0, 1]; 0 in the paper, 0.2 in the
            published code.

    Example:
        >>> ImportanceSettings.DEMO.relation_share
        0.2
    """

    saliency_root: float = 2.25
    relation_root: float = 3.0
    relation_share: float = 0.0

    PAPER: ClassVar[Self]
    DEMO: ClassVar[Self]

    def __post_init__(self) -> None:
        for name in ("saliency_root", "relation_root"):
            value = getattr(self, name)
            if not 0.1 <= value <= 100.0:
                raise UsageError(f"Expected {name} between 0.1 and 100; found {value!r}.")
        if not 0.0 <= self.relation_share <= 1.0:
            raise UsageError(f"Expected relation_share between 0 and 1; found {self.relation_share!r}.")


ImportanceSettings.PAPER = ImportanceSettings()
ImportanceSettings.DEMO = ImportanceSettings(saliency_root=2.5, relation_share=0.2)


def object_importance(
    saliency: NDArray[np.floating[Any]],
    ends: NDArray[np.integer[Any]],
    probabilities: NDArray[np.floating[Any]],
    settings: ImportanceSettings,
    *,
    root: float = 1.0,
) -> NDArray[np.float64]:
    """Importance of each object.

    a = saliency^(1/k), normalised. Every relation gives its probability to its two ends in proportion to their a;
    b = (what each object was given)^(1/r), normalised; importance = (1 − share) · a + share · b, normalised. Only
    proportions count, so that the importance of a graph of the paper's variant, which is saliency^(1/2.25) but for one
    factor, gives that under any other settings with root = 2.25: neither image nor network is needed.

    Args:
        saliency: (N,) ≥ 0, from `mask_saliency`, or to the power 1/root.
        ends: (E, 2) subject and object of each relation.
        probabilities: (E,) in [0, 1].
        settings: roots and share.
        root: see saliency.

    Returns:
        (N,), sum 1; all equal where every mask's saliency is 0. Without any relation importance = a.

    Example:
        >>> saliency, ends = np.array([1.0, 1.0, 2.0]), np.array([[0, 1]])
        >>> object_importance(saliency, ends, np.ones(1), ImportanceSettings(saliency_root=1.0)).tolist()
        [0.25, 0.25, 0.5]
    """
    a = _shares(np.asarray(saliency, np.float64) ** (root / settings.saliency_root))
    if settings.relation_share == 0.0 or len(a) <= 1 or len(ends) == 0:
        return a
    subject, object_ = ends.T
    both = a[subject] + a[object_]
    share = np.divide(a[subject], both, out=np.full(len(both), 0.5), where=both > 0)
    given = np.zeros(len(a))
    np.add.at(given, subject, probabilities * share)
    np.add.at(given, object_, probabilities * (1.0 - share))
    # The cube root is that of the published code, to the last digit.
    rooted = np.cbrt(given) if settings.relation_root == 3.0 else given ** (1.0 / settings.relation_root)
    return _shares((1.0 - settings.relation_share) * a + settings.relation_share * _shares(rooted))


def _shares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scales to sum 1; all equal where all are 0."""
    total = values.sum()
    return values / total if total > 0 else np.full(len(values), 1.0 / max(len(values), 1))


def _residual(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(64, 64) saliency in [0, 1] of a (64, 64) image."""
    from scipy import fft, ndimage

    spectrum = fft.fft2(grey.astype(np.float64))
    amplitude = np.abs(spectrum)
    phase = np.divide(spectrum, amplitude, out=np.ones_like(spectrum), where=amplitude > 0)  # as e^(i·angle)
    log = np.log(amplitude + 1.0)
    residual = np.exp(log - ndimage.uniform_filter(log, 3, mode="mirror"))
    magnitude = np.abs(fft.ifft2(residual * phase))
    taps = np.exp(-(np.arange(-2.0, 3.0) ** 2) / (2.0 * 8.0**2))  # σ = 8 in a window of 5: nearly a mean
    taps /= taps.sum()
    for axis in (0, 1):
        magnitude = ndimage.correlate1d(magnitude, taps, axis, mode="mirror")
    saliency = magnitude**2
    out: NDArray[np.float32] = (saliency / saliency.max()).astype(np.float32)
    return out


def _grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """BT.601 luma in 15-bit fixed point, (H, W)."""
    luma: NDArray[Any] = pixels @ np.array([9798, 19235, 3735], np.int32)
    return ((luma + (1 << 14)) >> 15).astype(np.uint8)


def _taps(target: int, source: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Bilinear sampling without smoothing: both neighbours of each target pixel, and the second one's weight."""
    at = (np.arange(target) + 0.5) * (source / target) - 0.5
    left = np.floor(at).astype(np.int64)
    weight = at - left
    return np.clip(left, 0, source - 1), np.clip(left + 1, 0, source - 1), weight


def _shrink(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) → (64, 64), bilinear, weights rounded to 8 bits and the result once, as OpenCV's INTER_LINEAR_EXACT."""
    top, bottom, down = _taps(_SIDE, grey.shape[0])
    left, right, along = _taps(_SIDE, grey.shape[1])
    along8 = np.rint(along * 256.0).astype(np.int64)
    down8 = np.rint(down * 256.0).astype(np.int64)[:, None]
    across = [
        grey[y][:, left].astype(np.int64) * (256 - along8) + grey[y][:, right].astype(np.int64) * along8
        for y in (top, bottom)
    ]
    mixed: NDArray[Any] = across[0] * (256 - down8) + across[1] * down8
    return ((mixed + (1 << 15)) >> 16).astype(np.uint8)


def _stretch(small: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """(64, 64) → (H, W), bilinear."""
    top, bottom, down = _taps(size[0], _SIDE)
    left, right, along = _taps(size[1], _SIDE)
    along32 = along.astype(np.float32)
    rows: NDArray[np.float32] = small[:, left] * (1 - along32) + small[:, right] * along32  # (64, W)
    down32 = down.astype(np.float32)[:, None]
    stretched: NDArray[np.float32] = rows[top] * (1 - down32) + rows[bottom] * down32
    return stretched
