"""`Metric.values`: scores of tensors, with gradients to either image."""

from __future__ import annotations

import pytest
import torch

import semetric
from semetric.errors import ImageError, SizeMismatchError, UsageError
from semetric.metrics.registry import METRICS

SIDES = {"ms_ssim": 164, "samscore": 64, "vitscore": 224}  # the others take 40


def images(metric: str, count: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Smooth noise and a damaged copy, as 8-bit values so that files and tensors hold the same."""
    side = SIDES.get(metric, 40)
    rng = torch.Generator().manual_seed(5)
    small = torch.rand(count, 3, 8, 8, generator=rng)
    a = torch.nn.functional.interpolate(small, (side, side + 12), mode="bilinear")
    b = (a + 0.1 * torch.randn(a.shape, generator=rng)).clamp(0, 1)
    return tuple((x * 255).round() / 255 for x in (a, b))  # type: ignore[return-value]


PLAIN = ["mse", "psnr", "ssim", "ms_ssim"]
WEIGHTED = [pytest.param(name, marks=pytest.mark.weights) for name in ("lpips", "lpips_vgg", "samscore", "vitscore")]


@pytest.mark.parametrize("name", [*PLAIN, *WEIGHTED])
def test_values_are_the_scores_of_the_same_pixels(name: str) -> None:
    metric = semetric.create(name, store=None, device="cpu")
    if not metric.differentiable:
        pytest.skip(f"{name} has no gradient")
    a, b = images(name)
    with torch.no_grad():
        found = metric.values(a, b)
    expected = [score.value for score in metric.batch(list(a), list(b))]
    assert found.shape == (2,)
    # Resizing to a network's input rounds pixels to 8 bits on the one road and not on the other: 1/255 of a pixel.
    assert found.tolist() == pytest.approx(expected, rel=2e-3 if name in ("samscore", "vitscore") else 1e-5)


@pytest.mark.parametrize("name", [*PLAIN, *WEIGHTED])
@pytest.mark.parametrize("side", [0, 1])
def test_gradients_reach_either_image_and_are_true(name: str, side: int) -> None:
    metric = semetric.create(name, store=None, device="cpu")
    if not metric.differentiable:
        pytest.skip(f"{name} has no gradient")
    pair = [x.double() if name in PLAIN else x for x in images(name, 1)]
    pair[side] = (pair[side] * 0.98 + 0.01).requires_grad_()  # off the ends of the range
    (metric.values(*pair).sum()).backward()
    gradient = pair[side].grad
    assert gradient is not None
    assert torch.isfinite(gradient).all()
    direction = gradient / gradient.abs().max()
    step = 1e-6 if name in PLAIN else 3e-4  # float32 networks need a step above their rounding
    with torch.no_grad():
        ahead, behind = (
            float(metric.values(*[x + sign * step * direction if i == side else x for i, x in enumerate(pair)]))
            for sign in (1, -1)
        )
    slope = (ahead - behind) / (2 * step)
    # Central differences: exact to the step squared in float64; networks with ReLU and max bend within a step.
    assert slope == pytest.approx(float((gradient * direction).sum()), rel=1e-5 if name in PLAIN else 0.05)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", [*PLAIN, *WEIGHTED])
def test_every_float_dtype_is_scored(name: str, dtype: torch.dtype) -> None:
    metric = semetric.create(name, store=None, device="cpu")
    a, b = (x.to(dtype) for x in images(name))
    found = metric.values(a, b)
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    # The same rounded pixels; a network of float32 rounds those of float64 once more.
    assert found.tolist() == pytest.approx(metric.values(a.float(), b.float()).tolist(), rel=1e-5)
    mixed = metric.values(a, b.float())
    assert mixed.dtype == found.dtype
    assert mixed.tolist() == pytest.approx(found.tolist(), rel=1e-5)


@pytest.mark.parametrize("name", PLAIN)
def test_wrong_tensors_are_named(name: str) -> None:
    metric = semetric.create(name, store=None, device="cpu")
    a, b = images(name)
    with pytest.raises(ImageError, match=r"expects values in .* Scale or clamp them\.$"):
        metric.values(a * 255, b * 255)
    with pytest.raises(ImageError, match="meta"):
        metric.values(a.to("meta"), b.to("meta"))
    with pytest.raises(ImageError, match=r"float8_e4m3fn\. Pass x\.float\(\)"):
        metric.values(a.to(torch.float8_e4m3fn), b.to(torch.float8_e4m3fn))
    with pytest.raises(ImageError, match="expects float tensors"):
        metric.values((a * 255).byte(), (b * 255).byte())
    with pytest.raises(ImageError, match=r"expects tensors \(B, 3, H, W\)"):
        metric.values(a[0], b[0])
    with pytest.raises(SizeMismatchError, match="equal shapes"):
        metric.values(a, b[..., :-1])


def test_what_has_no_gradient_says_what_to_use() -> None:
    metric = semetric.create("sess", store=None, device="cpu")
    with pytest.raises(UsageError, match=r"sess has no gradient: segmentation .* use dreamsim, lpips or samscore"):
        metric.values(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8))


def test_all_metrics_but_sess_are_differentiable() -> None:
    assert {name for name, kind in METRICS.items() if not kind.differentiable} == {"sess"}
