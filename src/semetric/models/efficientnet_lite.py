"""EfficientNet-Lite0, 1 and 2 (Tan & Le 2019; the Lite variants of Google's TPU repository, 2020).

Inverted residual blocks (1×1 expansion, depthwise k×k, 1×1 projection) with ReLU6 and no
squeeze-and-excitation. Against EfficientNet, the Lite variants leave the stem (32), the head (1280)
and the depth of the first and the last stage unscaled. Trained on ImageNet; the packaged weights are
TensorFlow's, so strided convolutions pad as TensorFlow's "same" and batch norm has eps 1e-3.

Names. The packaged state dicts pair each convolution with a batch norm. Both are linear, so loading
folds them into one convolution with a bias:

    _conv_stem, _bn0                       stem
    _blocks.i._expand_conv, ._bn0          blocks.i.expand      (where the block expands)
    _blocks.i._depthwise_conv, ._bn1       blocks.i.depthwise
    _blocks.i._project_conv, ._bn2         blocks.i.project
    _conv_head, _bn1                       head
    _fc                                    classifier

Every entry of the file must be used and of the expected shape.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from semetric.errors import UsageError, WeightsCorruptError, WeightsMissingError
from semetric.models.crops import squash
from semetric.models.state import check_shapes
from semetric.weights.tensors import checked_tensors, read_tensors

__all__ = ["VARIANTS", "EfficientNetLite", "Scaling", "load_efficientnet_lite", "prepare"]

BN_EPS = 1e-3
CLASSES = 1000
HEAD_WIDTH = 1280
STEM_WIDTH = 32

# (blocks, kernel, stride of the first block, expansion, output width), before scaling.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
FINAL_STAGE = len(STAGES) + 1  # the head


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """How one member of the family is scaled.

    Attributes:
        width: factor on the stages' channels.
        depth: factor on the stages' numbers of blocks.
        side: side of the square input that it was trained for, in pixels.
    """

    width: float
    depth: float
    side: int


VARIANTS: dict[str, Scaling] = {
    "lite0": Scaling(width=1.0, depth=1.0, side=224),
    "lite1": Scaling(width=1.0, depth=1.1, side=240),
    "lite2": Scaling(width=1.1, depth=1.2, side=260),
}


def prepare(crops: Sequence[NDArray[np.uint8]], side: int) -> Tensor:
    """Turns crops into a batch: squashed to side × side (bicubic), then (x − 127) / 128.

    Args:
        crops: N arrays (h, w, 3) uint8, RGB; sizes may differ.
        side: VARIANTS[…].side.

    Returns:
        (N, 3, side, side) float32 in [−0.993, 1], channels_last in memory.

    Raises:
        ImageError: a crop of another dtype or shape.

    Example:
        >>> prepare([np.full((9, 9, 3), 255, np.uint8)], 32).max().item()
        1.0
    """
    squares = torch.from_numpy(squash(crops, side))  # (N, side, side, 3)
    return squares.permute(0, 3, 1, 2).to(torch.float32).sub_(127.0).div_(128.0)


class EfficientNetLite(nn.Module):
    """The network with its batch norms folded into the convolutions.

    Args:
        variant: a Scaling or its name.
    """

    def __init__(self, variant: Scaling | str) -> None:
        super().__init__()
        self.variant = _variant(variant) if isinstance(variant, str) else variant
        self.stem = _SameConv2d(3, STEM_WIDTH, 3, stride=2)
        self.blocks = nn.ModuleList()
        self.stage_ends: list[int] = []  # how many blocks lie before the end of each stage
        width_in = STEM_WIDTH
        for i, (repeats, kernel, stride, expansion, width) in enumerate(STAGES):
            width_out = _scaled_width(width, self.variant.width)
            unscaled = i in (0, len(STAGES) - 1)
            for j in range(repeats if unscaled else math.ceil(repeats * self.variant.depth)):
                self.blocks.append(_InvertedResidual(width_in, width_out, kernel, stride if j == 0 else 1, expansion))
                width_in = width_out
            self.stage_ends.append(len(self.blocks))
        self.head = nn.Conv2d(width_in, HEAD_WIDTH, 1)
        self.classifier = nn.Linear(HEAD_WIDTH, CLASSES)

    @property
    def side(self) -> int:
        """Side of the square input in pixels."""
        return self.variant.side

    def forward(self, images: Tensor) -> Tensor:
        """Final features, averaged over the image.

        Args:
            images: (B, 3, H, W) from `prepare`.

        Returns:
            (B, 1280), none negative, at most 6.
        """
        return self.pooled(images, (FINAL_STAGE,))[0]

    def pooled(self, images: Tensor, stages: Sequence[int]) -> list[Tensor]:
        """Features after the given stages, each averaged over the image; nothing beyond them is computed.

        Args:
            images: (B, 3, H, W) from `prepare`.
            stages: rising, from 1 to 7, and 8 for the head. Widths of lite2: 16, 24, 48, 88, 120, 208,
                352, 1280. Those of 1 to 7 are outputs of linear projections, so they take both signs.

        Returns:
            One (B, width) a stage.

        Raises:
            UsageError: no stages, or some that do not exist or do not rise.
        """
        return [x.mean((2, 3)) for x in self.maps(images, stages)]

    def maps(self, images: Tensor, stages: Sequence[int]) -> list[Tensor]:
        """The same before averaging: one (B, width, h, w) a stage; stages 6 to 8 have a cell for 32 × 32 px.

        Args:
            images: (B, 3, H, W) from `prepare`; other sizes than `side` serve where cells are to be kept apart.
            stages: as for `pooled`.

        Raises:
            UsageError: as `pooled`.
        """
        if not stages or list(stages) != sorted(set(stages)) or not 1 <= stages[0] <= stages[-1] <= FINAL_STAGE:
            raise UsageError(f"Expected rising stages from 1 to {FINAL_STAGE}; found {list(stages)}.")
        maps = []
        x = F.relu6(self.stem(images), inplace=True)  # (B, 32, H/2, W/2)
        begin = 0
        for stage, end in enumerate(self.stage_ends[: stages[-1]], start=1):
            for block in self.blocks[begin:end]:
                x = block(x)
            begin = end
            if stage in stages:
                maps.append(x)
        if stages[-1] == FINAL_STAGE:
            maps.append(F.relu6(self.head(x), inplace=True))  # (B, 1280, H/32, W/32)
        return maps

    def classify(self, features: Tensor) -> Tensor:
        """Logits of ImageNet's 1000 classes, in their usual order, from `forward`'s features.

        Args:
            features: (B, 1280).

        Returns:
            (B, 1000).
        """
        return cast(Tensor, self.classifier(features))


def load_efficientnet_lite(variant: str, path: str | Path) -> EfficientNetLite:
    """The network with the weights of a packaged .pth file.

    Args:
        variant: "lite0", "lite1" or "lite2".
        path: a state dict (tensors alone; nothing else is unpickled).

    Raises:
        UsageError: no such variant.
        WeightsMissingError: no such file.
        WeightsCorruptError: not a state dict, or not this variant's; says what was expected and found.
    """
    with torch.device("meta"):  # no time spent on initial weights
        network = EfficientNetLite(_variant(variant))
    path = Path(path)
    label = f"EfficientNet-{variant.capitalize()}"
    if not path.is_file():
        raise WeightsMissingError(f"Expected the weights of {label} at {path}; found no file there.")

    def refuse(why: str) -> WeightsCorruptError:
        return WeightsCorruptError(f"Expected a state dict of {label} in {path}; it {why}. Fetch it again.")

    packaged = read_tensors(path, refuse)
    check_shapes(packaged, _packaged_shapes(network), label, str(path))
    folded: dict[str, Tensor] = {"classifier.weight": packaged["_fc.weight"], "classifier.bias": packaged["_fc.bias"]}
    for name, conv, norm, _ in _pairs(network):
        folded[f"{name}.weight"], folded[f"{name}.bias"] = _fold(packaged, conv, norm)
    folded = checked_tensors(folded, refuse)  # a variance may be below zero
    network.load_state_dict(folded, strict=True, assign=True)
    # Measured on two cores: channels_last takes 0.5 to 0.7 of the time of contiguous tensors.
    return network.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload,no-any-return]


class _SameConv2d(nn.Conv2d):
    """A convolution that pads as TensorFlow's "same": an odd pixel goes right and below."""

    def __init__(self, width_in: int, width_out: int, kernel: int, *, stride: int, groups: int = 1) -> None:
        # With stride 1 and an odd kernel "same" is symmetric and the convolution's own padding serves.
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(width_in, width_out, kernel, stride=stride, padding=padding, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        stride, kernel = self.stride[0], self.kernel_size[0]
        if stride > 1:
            h, w = (max((math.ceil(n / stride) - 1) * stride + kernel - n, 0) for n in x.shape[2:])
            x = F.pad(x, (w // 2, w - w // 2, h // 2, h - h // 2))
        return super().forward(x)


class _InvertedResidual(nn.Module):
    """An inverted residual block; the shortcut only where neither size nor width changes."""

    def __init__(self, width_in: int, width_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = width_in * expansion
        self.expand = nn.Conv2d(width_in, inner, 1) if expansion != 1 else None
        self.depthwise = _SameConv2d(inner, inner, kernel, stride=stride, groups=inner)
        self.project = nn.Conv2d(inner, width_out, 1)
        self.shortcut = stride == 1 and width_in == width_out

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else F.relu6(self.expand(x), inplace=True)
        y = self.project(F.relu6(self.depthwise(y), inplace=True))
        return cast(Tensor, x + y if self.shortcut else y)


def _variant(name: str) -> Scaling:
    if name not in VARIANTS:
        raise UsageError(f"Expected an EfficientNet-Lite variant among {', '.join(VARIANTS)}; found {name!r}.")
    return VARIANTS[name]


def _scaled_width(width: int, factor: float) -> int:
    """The multiple of 8 nearest to width · factor, but never more than 10 % below it."""
    scaled = max(8, int(width * factor + 4) // 8 * 8)
    return scaled + 8 if scaled < 0.9 * width * factor else scaled


def _pairs(network: EfficientNetLite) -> Iterator[tuple[str, str, str, nn.Conv2d]]:
    """(name here, packaged convolution, packaged batch norm, the convolution here), in forward order."""
    yield "stem", "_conv_stem", "_bn0", network.stem
    for i, block in enumerate(network.blocks):
        parts = (("expand", "_expand_conv", "_bn0"), ("depthwise", "_depthwise_conv", "_bn1"))
        for name, conv, norm in (*parts, ("project", "_project_conv", "_bn2")):
            module = getattr(block, name)
            if module is not None:
                yield f"blocks.{i}.{name}", f"_blocks.{i}.{conv}", f"_blocks.{i}.{norm}", module
    yield "head", "_conv_head", "_bn1", network.head


def _packaged_shapes(network: EfficientNetLite) -> dict[str, tuple[int, ...]]:
    """Name → shape of the packaged entries."""
    expected: dict[str, tuple[int, ...]] = {"_fc.weight": (CLASSES, HEAD_WIDTH), "_fc.bias": (CLASSES,)}
    for _, conv, norm, module in _pairs(network):
        expected[f"{conv}.weight"] = tuple(module.weight.shape)
        for entry in ("weight", "bias", "running_mean", "running_var"):
            expected[f"{norm}.{entry}"] = (module.out_channels,)
        expected[f"{norm}.num_batches_tracked"] = ()
    return expected


def _fold(packaged: Mapping[str, Tensor], conv: str, norm: str) -> tuple[Tensor, Tensor]:
    """Weight and bias of the one convolution that equals convolution and batch norm, by way of float64."""
    weight, mean, variance, gain, bias = (
        packaged[name].double()
        for name in (
            f"{conv}.weight",
            f"{norm}.running_mean",
            f"{norm}.running_var",
            f"{norm}.weight",
            f"{norm}.bias",
        )
    )
    scale = gain / torch.sqrt(variance + BN_EPS)
    return (weight * scale[:, None, None, None]).float(), (bias - mean * scale).float()
