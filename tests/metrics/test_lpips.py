from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skimage import data

from semetric.errors import ImageError, SizeMismatchError, WeightsMissingError
from semetric.metrics import lpips as module
from semetric.metrics.lpips import LPIPS, LPIPSSqueeze, LPIPSVgg, lpips, lpips_map
from semetric.models.lpips_trunks import LpipsNet, Trunk
from semetric.models.runtime import Runtime

RandomNet = Callable[[Trunk], LpipsNet]
TRUNKS: tuple[Trunk, ...] = ("alex", "vgg", "squeeze")


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def crops() -> tuple[torch.Tensor, torch.Tensor]:
    a = data.astronaut()[100:164, 180:260]
    b = np.clip(a.astype(int)[:, ::-1] // 2 + 40, 0, 255).astype(np.uint8)
    a, b = (torch.from_numpy(x.copy()).permute(2, 0, 1)[None].float() / 255 for x in (a, b))
    return a, b


class Lent(LPIPS):
    """LPIPS on a network that needs no file."""

    def __init__(self, net: LpipsNet) -> None:
        super().__init__(Runtime(device="cpu"))
        self._lent = net

    @property
    def net(self) -> LpipsNet:
        return self._lent


@pytest.mark.weights
@pytest.mark.parametrize("metric_class", [LPIPS, LPIPSVgg])
def test_published_values(
    metric_class: type[LPIPS], golden_images: dict[str, np.ndarray], classical: dict[str, Any]
) -> None:
    metric = metric_class(Runtime(device="cpu"))
    pairs = classical["pairs"][::4]  # a JPEG, a blurred and a noisy copy: VGG takes two seconds a pair
    scores = metric.batch([golden_images[p["reference"]] for p in pairs], [golden_images[p["image"]] for p in pairs])
    # float32 sums in another order: measured 6e-8
    assert [s.value for s in scores] == pytest.approx([p[metric.name] for p in pairs], abs=2e-6)
    assert scores[0].weights["trunk"].startswith(f"lpips_{metric.trunk}.")


@pytest.mark.parametrize("trunk", TRUNKS)
def test_agrees_with_the_official_package_on_random_weights(
    trunk: Trunk, random_lpips: RandomNet, classical: dict[str, Any]
) -> None:
    # float32 sums in another order; the distances are about 7e-3, and were met to 5e-10
    assert float(lpips(*crops(), random_lpips(trunk))) == pytest.approx(classical["lpips_random"][trunk], rel=1e-5)


@pytest.mark.parametrize("trunk", TRUNKS)
def test_identity_symmetry_and_sign(trunk: Trunk, random_lpips: RandomNet) -> None:
    net = random_lpips(trunk)
    a, b = noise(1, 3, 40, 36), noise(1, 3, 40, 36, seed=1)
    assert float(lpips(a, a, net)) == pytest.approx(0, abs=1e-12)  # squares of float32 rounding, 1e-7 each
    assert float(lpips(a, b, net)) == pytest.approx(float(lpips(b, a, net)), rel=1e-5)  # places in the batch differ
    assert float(lpips(a, b, net)) > 0


@pytest.mark.parametrize("trunk", TRUNKS)
def test_map(trunk: Trunk, random_lpips: RandomNet) -> None:
    net = random_lpips(trunk)
    a = noise(1, 3, 64, 96)
    b = a.clone()
    b[:, :, :32, :32] = noise(3, 32, 32, seed=1)
    field = lpips_map(a, b, net)
    assert tuple(field.shape) == (1, 1, 64, 96)
    assert float(field.min()) >= 0
    assert float(field[..., :32, :32].mean()) > 5 * float(field[..., :32, 64:].mean())
    # bilinear growth weighs cells at the border a little differently
    assert float(field.mean()) == pytest.approx(float(lpips(a, b, net)), rel=0.2)


@pytest.mark.parametrize("trunk", TRUNKS)
def test_gradient(trunk: Trunk, random_lpips: RandomNet) -> None:
    net = copy.deepcopy(random_lpips(trunk)).double()
    a, b = (0.1 + 0.8 * noise(1, 3, 40, 40, seed=s).double() for s in (0, 1))
    a.requires_grad_()
    lpips(a, b, net).sum().backward()
    assert a.grad is not None
    direction = a.grad / a.grad.abs().max()
    step = 1e-6
    with torch.no_grad():
        ahead, behind = (float(lpips(a + s * direction, b, net)) for s in (step, -step))
    # float64: rounding 1e-16 / 1e-6 of a slope above 1e-3; ReLUs that switch within the step add a little
    assert (ahead - behind) / (2 * step) == pytest.approx(float((a.grad * direction).sum()), rel=1e-4)


@pytest.mark.parametrize("trunk", TRUNKS)
def test_gradient_is_finite_where_features_vanish_or_agree(trunk: Trunk, random_lpips: RandomNet) -> None:
    net = random_lpips(trunk)
    for image in (noise(1, 3, 40, 40), torch.zeros(1, 3, 40, 40)):
        for other in (image, torch.ones(1, 3, 40, 40)):
            a = image.clone().requires_grad_()
            lpips(a, other, net).sum().backward()
            assert a.grad is not None
            assert torch.isfinite(a.grad).all()


def test_batches_of_mixed_sizes_keep_order_and_values(random_lpips: RandomNet, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [(40, 44), (64, 48), (40, 44), (31, 31), (64, 48), (40, 44)]
    pairs = [(noise(3, *s, seed=i), noise(3, *s, seed=50 + i)) for i, s in enumerate(sizes)]
    metric = Lent(random_lpips("alex"))
    singly = [metric(a, b).value for a, b in pairs]
    references, images = [a for a, _ in pairs], [b for _, b in pairs]
    for limit in (1, 40 * 44 * 2, 10**9):  # one pair a batch, at most two, all of a size
        monkeypatch.setattr(module, "_BATCH_PIXELS", limit)
        together = [s.value for s in metric.batch(references, images)]
        assert together == pytest.approx(singly, rel=1e-5)  # float32 convolutions order their sums by batch size
    backwards = [s.value for s in metric.batch(references[::-1], images[::-1])]
    assert backwards[::-1] == pytest.approx(singly, rel=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("trunk", TRUNKS)
def test_devices_agree(trunk: Trunk, random_lpips: RandomNet) -> None:
    net = random_lpips(trunk)
    a, b = crops()
    value = float(lpips(a.cuda(), b.cuda(), copy.deepcopy(net).cuda()))
    assert value == pytest.approx(float(lpips(a, b, net)), rel=5e-3)  # convolutions may run in TF32, 10-bit mantissas


@pytest.mark.parametrize(("metric_class", "side"), [(LPIPS, 31), (LPIPSVgg, 16), (LPIPSSqueeze, 17)])
def test_smallest_side(metric_class: type[LPIPS], side: int, random_lpips: RandomNet) -> None:
    net = random_lpips(metric_class.trunk)
    assert metric_class.min_side == net.min_side == side
    assert lpips(noise(1, 3, side, side), noise(1, 3, side, side), net).shape == (1,)
    small = torch.zeros(1, 3, side + 20, side - 1)
    with pytest.raises(SizeMismatchError, match=f"at least {side} px; found {side - 1} × {side + 20}"):
        lpips(small, small, net)
    with pytest.raises(SizeMismatchError, match=f"{metric_class.name} expects sides of at least {side} px"):
        metric_class(Runtime(device="cpu"))(small, small)


def test_bad_tensors(random_lpips: RandomNet) -> None:
    net = random_lpips("alex")
    good = torch.zeros(1, 3, 32, 32)
    with pytest.raises(ImageError, match=r"\(B, 3, H, W\); found \(1, 1, 32, 32\)"):
        lpips(good[:, :1], good[:, :1], net)
    with pytest.raises(ImageError, match=r"values in \[0, 1\]; found -1 to -1"):  # the official range is not ours
        lpips(good, good - 1, net)


def test_without_weights_the_message_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Path:
        raise WeightsMissingError(f"{name}: run semetric models fetch {name}")

    monkeypatch.setattr(module, "locate", missing)
    with pytest.raises(WeightsMissingError, match="semetric models fetch lpips_alex"):
        LPIPS(Runtime(device="cpu"))(np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40, 3), np.uint8))


def test_network_is_loaded_once(random_lpips: RandomNet, monkeypatch: pytest.MonkeyPatch) -> None:
    loads = []

    def load(trunk: Trunk, path: Path) -> LpipsNet:
        loads.append(trunk)
        return random_lpips(trunk)

    monkeypatch.setattr(module, "locate", Path)
    monkeypatch.setattr("semetric.models.lpips_trunks.load_lpips", load)
    runtime = Runtime(device="cpu")
    image = np.zeros((40, 40, 3), np.uint8)
    for _ in range(2):
        LPIPS(runtime)(image, image)
    LPIPSVgg(runtime)(image, image)
    assert loads == ["alex", "vgg"]
