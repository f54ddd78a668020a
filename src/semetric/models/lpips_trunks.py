"""LPIPS v0.1 networks: the convolutional trunks of AlexNet, VGG16 and SqueezeNet 1.1, and their heads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import nn

from semetric.errors import UsageError, WeightsCorruptError
from semetric.weights.tensors import read_tensors

__all__ = ["LpipsNet", "Trunk", "load_lpips"]

Trunk = Literal["alex", "vgg", "squeeze"]

_SHIFT = (-0.030, -0.088, -0.188)  # of inputs in [-1, 1]
_SCALE = (0.458, 0.448, 0.450)
_TAPS: dict[str, tuple[int, ...]] = {  # the modules of `features` that the heads look at
    "alex": (1, 4, 7, 9, 11),
    "vgg": (3, 8, 15, 22, 29),
    "squeeze": (1, 4, 7, 9, 10, 11, 12),
}
_WIDTHS: dict[str, tuple[int, ...]] = {  # and how many channels they see there
    "alex": (64, 192, 384, 256, 256),
    "vgg": (64, 128, 256, 512, 512),
    "squeeze": (64, 128, 256, 384, 384, 512, 512),
}


class LpipsNet(nn.Module):
    """A trunk whose features are compared, with the weights of the comparison.

    Zhang, Isola, Efros, Shechtman, Wang, "The unreasonable effectiveness of deep features as a
    perceptual metric", CVPR 2018. The trunks' modules are numbered as in the published ImageNet
    checkpoints (Krizhevsky 2014, "One weird trick"; Simonyan & Zisserman 2015, configuration D;
    Iandola et al. 2016, SqueezeNet 1.1).

    Attributes:
        trunk: "alex", "vgg" or "squeeze".
        min_side: the shortest side, in pixels, that leaves something for the last layer.
    """

    shift: torch.Tensor
    scale: torch.Tensor

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        if trunk not in _TAPS:
            raise UsageError(f"Expected an LPIPS trunk among {', '.join(get_args(Trunk))}; found {trunk!r}.")
        self.trunk = trunk
        self.min_side = {"alex": 31, "vgg": 16, "squeeze": 17}[trunk]
        self.features = {"alex": _alexnet, "vgg": _vgg16, "squeeze": _squeezenet}[trunk]()
        self.heads = nn.ParameterList(nn.Parameter(torch.zeros(width)) for width in _WIDTHS[trunk])
        self.register_buffer("shift", torch.tensor(_SHIFT).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(_SCALE).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: torch.Tensor) -> Iterator[torch.Tensor]:
        """Yields the features after each tapped ReLU, one at a time so that few are alive.

        Args:
            x: (B, 3, H, W) in [0, 1].

        Yields:
            (B, C, h, w), not normalised.
        """
        x = (2 * x - 1 - self.shift) / self.scale
        taps = _TAPS[self.trunk]
        for index, module in enumerate(self.features):
            x = module(x)
            if index in taps:
                yield x


def load_lpips(trunk: Trunk, path: str | Path, heads: str | Path | None = None) -> LpipsNet:
    """Reads an LPIPS network.

    Args:
        trunk: "alex", "vgg" or "squeeze".
        path: without `heads`, a pickle of numpy arrays that holds trunk and heads ({"AlexNet_0":
            {"Conv_0": {"kernel": HWIO, "bias": O}, …}, "NetLinLayer_0": …}), read by a restricted
            unpickler; with `heads`, the state dict of the whole ImageNet classifier.
        heads: the published heads of LPIPS v0.1 for that trunk (lin0.model.1.weight …).

    Returns:
        the network, on the CPU, in float32.

    Raises:
        WeightsCorruptError: a key is missing or left over, or a shape is not the expected one.
    """
    net = LpipsNet(trunk)
    state = _packaged(net, Path(path)) if heads is None else _published(Path(path), Path(heads))
    try:
        net.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise WeightsCorruptError(
            f"Expected the weights of the LPIPS trunk {trunk} in {path}; found other ones: {error}. Fetch them again."
        ) from error
    return net.eval()


def _packaged(net: LpipsNet, path: Path) -> dict[str, torch.Tensor]:
    """Renames the arrays of a packaged pickle: convolutions in order, kernels HWIO → OIHW."""
    from semetric.weights.restricted import load_arrays

    tree = load_arrays(path)
    trunks = [key for key in tree if key.startswith(("AlexNet", "VGG16"))]
    if len(trunks) != 1 or not isinstance(tree[trunks[0]], Mapping):
        raise WeightsCorruptError(f"Expected AlexNet or VGG16 arrays in {path}; found {', '.join(map(str, tree))}.")
    convolutions: Mapping[str, Any] = tree[trunks[0]]
    places = [name for name, module in net.features.named_modules() if isinstance(module, nn.Conv2d)]
    state: dict[str, torch.Tensor] = {}
    try:
        for i, place in enumerate(places):
            layer = convolutions[f"Conv_{i}"]
            state[f"features.{place}.weight"] = torch.from_numpy(
                np.ascontiguousarray(np.asarray(layer["kernel"], np.float32).transpose(3, 2, 0, 1))
            )
            state[f"features.{place}.bias"] = torch.from_numpy(np.array(layer["bias"], np.float32))
        for i in range(len(net.heads)):
            state[f"heads.{i}"] = torch.from_numpy(
                np.array(tree[f"NetLinLayer_{i}"]["Conv_0"]["kernel"], np.float32).reshape(-1)
            )
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsCorruptError(f"Expected LPIPS arrays in {path}; {error!r} is missing or malformed.") from error
    if len(convolutions) != len(places):
        raise WeightsCorruptError(
            f"Expected {len(places)} convolutions of the trunk {net.trunk} in {path}; found {len(convolutions)}."
        )
    return state


def _published(path: Path, heads: Path) -> dict[str, torch.Tensor]:
    """Joins an ImageNet classifier's state dict, less the classifier, with a state dict of heads."""
    state = {k: v for k, v in _state_dict(path).items() if not k.startswith("classifier.")}
    for key, value in _state_dict(heads).items():
        index, _, rest = key.removeprefix("lin").partition(".")
        if not key.startswith("lin") or not index.isdigit() or rest != "model.1.weight":
            raise WeightsCorruptError(f"Expected LPIPS heads (lin0.model.1.weight …) in {heads}; found {key}.")
        state[f"heads.{index}"] = value.reshape(-1)
    return state


def _state_dict(path: Path) -> dict[str, torch.Tensor]:
    def refuse(why: str) -> WeightsCorruptError:
        return WeightsCorruptError(f"Expected a PyTorch state dict; {path} {why}. Fetch it again.")

    return read_tensors(path, refuse)


def _alexnet() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, stride=4, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1),
        nn.ReLU(),
    )


def _vgg16() -> nn.Sequential:
    layers: list[nn.Module] = []
    width = 3
    for block, (channels, depth) in enumerate([(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]):
        if block:
            layers.append(nn.MaxPool2d(2, 2))
        for _ in range(depth):
            layers += [nn.Conv2d(width, channels, 3, padding=1), nn.ReLU()]
            width = channels
    return nn.Sequential(*layers)


class _Fire(nn.Module):
    """Squeeze to few channels, expand by 1 × 1 and 3 × 3 side by side."""

    def __init__(self, width: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(width, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1).relu()


def _squeezenet() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, stride=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        _Fire(64, 16, 64),
        _Fire(128, 16, 64),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        _Fire(128, 32, 128),
        _Fire(256, 32, 128),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        _Fire(256, 48, 192),
        _Fire(384, 48, 192),
        _Fire(384, 64, 256),
        _Fire(512, 64, 256),
    )
