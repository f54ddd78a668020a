from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from semetric.errors import ImageError, SizeMismatchError
from semetric.metrics.ssim import SSIM, ssim
from semetric.models.runtime import Runtime


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_published_values(golden_images: dict[str, np.ndarray], classical: dict[str, Any]) -> None:
    metric = SSIM(Runtime(device="cpu"))
    for pair in classical["pairs"]:
        score = metric(golden_images[pair["reference"]], golden_images[pair["image"]])
        # the published values' window is rounded to float32; with such a window ours differ by 2e-15
        assert score.value == pytest.approx(pair["ssim"], abs=1e-5)


def test_agrees_with_scikit_image_inside_the_border() -> None:
    a, b = noise(1, 3, 24, 31), noise(1, 3, 24, 31, seed=1)
    _, full = structural_similarity(
        a[0].numpy(),
        b[0].numpy(),
        channel_axis=0,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    # scikit-image's own mean uses the same inner region; float64 throughout
    assert float(ssim(a, b)) == pytest.approx(full[:, 5:-5, 5:-5].mean(), abs=1e-10)


@pytest.mark.filterwarnings("ignore")  # of torchmetrics and what it imports
def test_agrees_with_torchmetrics() -> None:
    from torchmetrics.functional.image import structural_similarity_index_measure

    a = noise(2, 3, 40, 33)
    b = (a + 0.2 * noise(2, 3, 40, 33, seed=1)).clamp(0, 1)
    _, full = structural_similarity_index_measure(a, b, data_range=1.0, reduction="none", return_full_image=True)
    inner = full[..., 5:-5, 5:-5].mean(dim=(1, 2, 3))  # their own mean takes in windows over a reflected border
    assert torch.allclose(ssim(a, b), inner, rtol=0, atol=1e-10)  # float64 throughout


def test_identity_symmetry_and_range() -> None:
    a, b = noise(2, 3, 20, 20), noise(2, 3, 20, 20, seed=1)
    assert ssim(a, a).tolist() == [1.0, 1.0]
    assert torch.equal(ssim(a, b), ssim(b, a))
    assert float(ssim(a, 1 - a).max()) < 0  # inverted structure


def test_data_range_scales() -> None:
    a, b = noise(1, 3, 20, 20), noise(1, 3, 20, 20, seed=1)
    assert float(ssim(255 * a, 255 * b, data_range=255.0)) == pytest.approx(float(ssim(a, b)), abs=1e-12)


def test_gradient() -> None:
    a = noise(1, 2, 12, 13).requires_grad_()
    b = noise(1, 2, 12, 13, seed=1).requires_grad_()
    inside = [0.1 + 0.8 * x.detach() for x in (a, b)]  # so that finite differences stay in range
    assert torch.autograd.gradcheck(ssim, [x.requires_grad_() for x in inside])


def test_gradient_at_the_optimum_and_on_flat_images_is_finite() -> None:
    for image in (noise(1, 3, 16, 16), torch.zeros(1, 3, 16, 16), torch.ones(1, 3, 16, 16)):
        a = image.clone().requires_grad_()
        ssim(a, image).sum().backward()
        assert a.grad is not None
        assert torch.isfinite(a.grad).all()


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [
        (torch.float32, 1e-6),  # inputs rounded to 6e-8, and the result
        (torch.float16, 1e-2),  # inputs rounded to 5e-4
        (torch.bfloat16, 5e-2),  # inputs rounded to 4e-3
    ],
)
def test_dtypes(dtype: torch.dtype, tolerance: float) -> None:
    a, b = noise(1, 3, 32, 32), noise(1, 3, 32, 32, seed=1)
    value = ssim(a.to(dtype), b.to(dtype))
    assert value.dtype == torch.float32
    assert float(value) == pytest.approx(float(ssim(a, b)), abs=tolerance)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_devices_agree() -> None:
    a, b = noise(2, 3, 64, 48), noise(2, 3, 64, 48, seed=1)
    assert torch.allclose(
        ssim(a.cuda(), b.cuda()).cpu(), ssim(a, b), rtol=0, atol=1e-12
    )  # float64, other order of sums


def test_batches_of_mixed_sizes_keep_order_and_values() -> None:
    sizes = [(20, 24), (32, 16), (20, 24), (11, 11), (32, 16)]
    pairs = [(noise(3, *s, seed=i).float(), noise(3, *s, seed=9 + i).float()) for i, s in enumerate(sizes)]
    metric = SSIM(Runtime(device="cpu"))
    singly = [metric(a, b).value for a, b in pairs]
    together = [s.value for s in metric.batch([a for a, _ in pairs], [b for _, b in pairs])]
    assert together == pytest.approx(singly, abs=1e-12)  # float64 sums in another order
    assert len(set(singly)) == 5


def test_small_images() -> None:
    with pytest.raises(SizeMismatchError, match="at least 11 px; <array> is 40 × 10"):
        SSIM(Runtime())(np.zeros((10, 40, 3), np.uint8), np.zeros((10, 40, 3), np.uint8))
    with pytest.raises(SizeMismatchError, match="at least 11 px; found 40 × 10"):
        ssim(torch.zeros(1, 3, 10, 40), torch.zeros(1, 3, 10, 40))
    assert ssim(torch.zeros(1, 3, 11, 11), torch.zeros(1, 3, 11, 11)).tolist() == [1.0]


def test_bad_tensors() -> None:
    good = torch.zeros(1, 3, 16, 16)
    with pytest.raises(SizeMismatchError, match="equal shapes"):
        ssim(good, torch.zeros(1, 3, 16, 17))
    with pytest.raises(ImageError, match=r"\(B, C, H, W\); found \(3, 16, 16\)"):
        ssim(good[0], good[0])
    with pytest.raises(ImageError, match=r"float tensors in \[0, 1\]; found torch\.uint8"):
        ssim(good.byte(), good.byte())
    for bad in (good + 255, good - 1, good + float("nan")):
        with pytest.raises(ImageError, match=r"values in \[0, 1\]; found"):
            ssim(good, bad)
    with pytest.raises(ImageError, match="dense tensor in memory; found a meta one"):
        ssim(good, good.to("meta"))


def test_empty_batch() -> None:
    assert ssim(torch.zeros(0, 3, 16, 16), torch.zeros(0, 3, 16, 16)).shape == (0,)
