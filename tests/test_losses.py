"""Metrics as torch modules to train on."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

import semetric
from semetric import losses
from semetric.errors import ImageError, UsageError, WeightsCorruptError
from semetric.metrics.registry import METRICS


def pair(side: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(4)
    a, b = (torch.rand(3, 3, side, side, generator=rng) for _ in range(2))
    return a, b


def test_every_metric_with_gradients_has_a_loss() -> None:
    classes = [getattr(losses, name) for name in losses.__all__ if name != "Loss"]
    assert {cls.name for cls in classes} == set(METRICS) - {"sess"}


@pytest.mark.parametrize(("cls", "top"), [(losses.MSE, None), (losses.PSNR, 0.0), (losses.SSIM, 1.0)])
def test_lower_is_better_and_reductions(cls: type[losses.Loss], top: float | None) -> None:
    images, references = pair()
    values = semetric.create(cls.name, device="cpu", store=None).values(references, images)
    expected = values if top is None else top - values
    assert torch.equal(cls(reduction="none")(images, references), expected)
    assert torch.equal(cls()(images, references), expected.mean())
    assert torch.equal(cls(reduction="sum")(images, references), expected.sum())


@pytest.mark.weights
def test_a_loss_in_a_model_trains_the_model_alone() -> None:
    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Conv2d(3, 3, 1)
            self.loss = losses.LPIPS()

    model = Model()
    images, references = pair()
    first = model.loss(images, references)
    model.train().half().float().to("cpu").requires_grad_(True)
    model.apply(lambda module: [torch.nn.init.zeros_(p) for p in module.parameters(recurse=False)])
    assert [name for name, _ in model.named_parameters()] == ["layer.weight", "layer.bias"]
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(model.loss(images, references), first)
    value = model.loss(model.layer(images).sigmoid(), references)
    value.backward()
    assert model.layer.bias.grad is not None
    assert model.layer.bias.grad.abs().max() > 0
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model.loss))):
        loss = again.loss if isinstance(again, torch.nn.Module) and hasattr(again, "loss") else again
        assert torch.equal(loss(images, references), first)


def test_the_state_is_the_identity_of_the_weights() -> None:
    state = losses.LPIPS().state_dict()
    assert all(isinstance(value, torch.Tensor) for value in state.values())
    losses.LPIPS(reduction="sum").load_state_dict(state)
    with pytest.raises(WeightsCorruptError, match=r"lpips_vgg.*found .*lpips_alex"):
        losses.LPIPSVgg().load_state_dict(state)


def test_mistakes_are_named() -> None:
    images, references = pair()
    with pytest.raises(UsageError, match=r"reduction to be one of mean, sum, none; found 'men'\. Did you mean mean"):
        losses.SSIM(reduction="men")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"Expected options among .*; found 'paddin'\. Did you mean padding"):
        losses.SAMScore(paddin="include")
    with pytest.raises(ImageError, match=r"expects values in \[0, 1\]"):
        losses.SSIM()(images * 255, references)
