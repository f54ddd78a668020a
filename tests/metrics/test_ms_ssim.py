from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from semetric.errors import ImageError, SizeMismatchError
from semetric.metrics.ms_ssim import MSSSIM, WEIGHTS, ms_ssim
from semetric.models.runtime import Runtime


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def similar(*shape: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    a = noise(*shape, seed=seed)
    return a, (a + 0.3 * noise(*shape, seed=seed + 100)).clamp(0, 1)


def test_published_values(golden_images: dict[str, np.ndarray], classical: dict[str, Any]) -> None:
    metric = MSSSIM(Runtime(device="cpu"))
    for pair in classical["pairs"]:
        score = metric(golden_images[pair["reference"]], golden_images[pair["image"]])
        # the published values' window is rounded to float32; with such a window ours differ by 6e-16
        assert score.value == pytest.approx(pair["ms_ssim"], abs=1e-5)


def test_weights_are_the_papers() -> None:
    assert WEIGHTS == (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def test_identity_symmetry_and_range() -> None:
    a, b = similar(2, 3, 161, 170)
    assert ms_ssim(a, a).tolist() == pytest.approx([1.0, 1.0], abs=1e-12)
    assert torch.equal(ms_ssim(a, b), ms_ssim(b, a))
    assert 0 < float(ms_ssim(a, b).min()) < 1


def test_anti_correlated_images_count_as_zero() -> None:
    a = noise(2, 3, 161, 161)
    value = ms_ssim(a, 1 - a)  # every contrast-structure mean is negative: no real fractional power
    assert value.tolist() == [0.0, 0.0]


def test_one_anti_correlated_channel_zeroes_that_channel_alone() -> None:
    a = noise(1, 3, 161, 161)
    b = a.clone()
    b[:, 1] = 1 - b[:, 1]
    assert float(ms_ssim(a, b)) == pytest.approx(2 / 3, abs=1e-12)


def test_gradient_is_finite_where_a_scale_is_anti_correlated() -> None:
    a = noise(1, 3, 161, 161).requires_grad_()
    b = a.detach().clone()
    b[:, 1] = 1 - b[:, 1]
    b[:, 2] = noise(161, 161, seed=3)
    ms_ssim(a, b).sum().backward()
    assert a.grad is not None
    assert torch.isfinite(a.grad).all()
    assert float(a.grad[:, 1].abs().max()) == 0
    assert float(a.grad[:, 2].abs().max()) > 0


def test_gradient_agrees_with_finite_differences() -> None:
    a, b = similar(1, 1, 161, 161)
    a = a.requires_grad_()
    ms_ssim(a, b).sum().backward()
    assert a.grad is not None
    direction = noise(1, 1, 161, 161, seed=5) - 0.5
    step = 1e-5
    with torch.no_grad():
        ahead, behind = ms_ssim((a + step * direction).clamp(0, 1), b), ms_ssim((a - step * direction).clamp(0, 1), b)
    inside = ((a > step) & (a < 1 - step)).detach()
    expected = float((a.grad * direction * inside).sum())
    # central differences are exact to step², the clamped pixels (a few in 26,000) add their share
    assert float(ahead - behind) / (2 * step) == pytest.approx(expected, rel=1e-3)


def test_flat_images() -> None:
    black, white = torch.zeros(1, 3, 161, 161), torch.ones(1, 3, 161, 161)
    assert float(ms_ssim(black, black)) == 1.0
    assert 0 <= float(ms_ssim(black, white)) < 0.5


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_devices_agree() -> None:
    a, b = similar(2, 3, 180, 170)
    assert torch.allclose(ms_ssim(a.cuda(), b.cuda()).cpu(), ms_ssim(a, b), rtol=0, atol=1e-12)


def test_batches_of_mixed_sizes_keep_order_and_values() -> None:
    sizes = [(161, 170), (164, 161), (161, 170)]
    pairs = [[x.float() for x in similar(3, *s, seed=i)] for i, s in enumerate(sizes)]
    metric = MSSSIM(Runtime(device="cpu"))
    singly = [metric(a, b).value for a, b in pairs]
    together = [s.value for s in metric.batch([a for a, _ in pairs], [b for _, b in pairs])]
    assert together == pytest.approx(singly, abs=1e-12)  # float64 sums in another order


def test_small_images() -> None:
    with pytest.raises(SizeMismatchError, match="at least 161 px; <array> is 200 × 160"):
        MSSSIM(Runtime())(np.zeros((160, 200, 3), np.uint8), np.zeros((160, 200, 3), np.uint8))
    with pytest.raises(SizeMismatchError, match="at least 161 px; found 200 × 160"):
        ms_ssim(torch.zeros(1, 3, 160, 200), torch.zeros(1, 3, 160, 200))


def test_wrong_range() -> None:
    good = torch.zeros(1, 3, 161, 161)
    with pytest.raises(ImageError, match=r"ms_ssim expects values in \[0, 1\]; found 255 to 255"):
        ms_ssim(good, good + 255)
