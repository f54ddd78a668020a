"""Learned perceptual image patch similarity (LPIPS), version 0.1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from semetric.image import Picture
from semetric.metrics._tensors import batch_values, check_batch
from semetric.metrics.base import Metric, Scale, Score
from semetric.models.torch_state import clean_state
from semetric.weights import identity, locate

if TYPE_CHECKING:
    import torch

    from semetric.models.lpips_trunks import LpipsNet, Trunk

__all__ = ["LPIPS", "LPIPSSqueeze", "LPIPSVgg", "lpips", "lpips_map"]

_EPS = 1e-10  # added to the length of a feature vector
_BATCH_PIXELS = 2**18  # VGG's first layer holds 64 float32 a pixel of both images: 128 MB


def lpips(a: torch.Tensor, b: torch.Tensor, net: LpipsNet) -> torch.Tensor:
    """Distance of deep features.

    Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric", CVPR
    2018, Eq. 1, as the published code of version 0.1 computes it: features scaled to unit length
    over channels, squared differences weighted by the heads, mean over positions, sum over layers.

    Args:
        a: (B, 3, H, W) in [0, 1], sides of at least net.min_side.
        b: likewise.
        net: trunk and heads, on the tensors' device.

    Returns:
        (B,), 0 for equal images; differentiable.

    Raises:
        SizeMismatchError: shapes differ or a side is too short.
        ImageError: not floats, or outside [0, 1].
    """
    import torch

    return torch.stack([layer.mean(dim=(1, 2, 3)) for layer in _layers(a, b, net)]).sum(dim=0)


def lpips_map(a: torch.Tensor, b: torch.Tensor, net: LpipsNet) -> torch.Tensor:
    """Where the distance lies: each layer's weighted differences brought to (H, W) bilinearly, summed.

    Args and errors are those of `lpips`.

    Returns:
        (B, 1, H, W), non-negative; its mean is close to `lpips`, up to the weight of the borders.
    """
    import torch
    import torch.nn.functional as F

    size = a.shape[2:]
    grown = [F.interpolate(layer, size=size, mode="bilinear", align_corners=False) for layer in _layers(a, b, net)]
    return torch.stack(grown).sum(dim=0)


def _layers(a: torch.Tensor, b: torch.Tensor, net: LpipsNet) -> Iterator[torch.Tensor]:
    """Yields (B, 1, h, w) weighted squared differences, layer by layer."""
    import torch

    check_batch(a, b, metric=f"lpips ({net.trunk})", min_side=net.min_side, channels=3)
    for features, head in zip(net(torch.cat([a, b])), net.heads, strict=True):  # (2B, C, h, w), (C,)
        lengths = torch.linalg.vector_norm(features, dim=1, keepdim=True)
        x, y = (features / (lengths + _EPS)).chunk(2)  # (B, C, h, w) each
        yield ((x - y).square() * head.view(1, -1, 1, 1)).sum(dim=1, keepdim=True)


class LPIPS(Metric):
    """LPIPS v0.1 on AlexNet, the trunk its authors recommend for judging images: see `lpips`.

    Input: two images of one size, sides of at least 31 px. `lpips` has gradients. Symmetric up to
    rounding. 0 for equal images, no upper bound, rarely above 1. It was trained on 64 × 64 patches,
    and sees distortion rather than layout: it changes with resolution, so compare at one size.
    """

    name = "lpips"
    label = "LPIPS"
    summary = "perceptual patches (AlexNet)"
    paper = "arXiv 1801.03924"
    place = 4
    scale = Scale(empty=1, full=0, note="no upper bound: drawn against 1")
    higher_is_better = False
    range = (0.0, None)
    min_side = 31
    differentiable = True
    trunk: ClassVar[Trunk] = "alex"
    checkpoints: ClassVar[Mapping[str, str]] = {"trunk": "lpips_alex"}  # role → record

    @property
    def weights(self) -> Mapping[str, str]:
        """The checkpoint of trunk and heads."""
        return {role: identity(name) for role, name in self.checkpoints.items()}

    @property
    def net(self) -> LpipsNet:
        """Trunk and heads, loaded the first time."""
        from semetric.models.lpips_trunks import load_lpips

        def load() -> LpipsNet:
            return load_lpips(self.trunk, *(locate(name) for name in self.checkpoints.values()))

        return cast("LpipsNet", self.runtime.network(f"lpips.{self.trunk}", load))

    def map(self, reference: Picture, image: Picture) -> torch.Tensor:
        """`lpips_map` of two pictures of one size: (1, 1, H, W), without gradients."""
        device = self.runtime.device
        with clean_state(inference=True):
            return lpips_map(reference.to_tensor(device), image.to_tensor(device), self.net)

    def _values(self, references: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        return lpips(references, images, self.net)

    def _score_batch(self, pairs: Sequence[tuple[Picture, Picture]]) -> list[Score]:
        net = self.net
        values = batch_values(
            pairs, lambda a, b: lpips(a, b, net), device=self.runtime.device, max_pixels=_BATCH_PIXELS
        )
        return [self._make(value) for value in values]


class LPIPSVgg(LPIPS):
    """LPIPS v0.1 on VGG16: nearer to a classical perceptual loss, smoother gradients, ten times as slow."""

    name = "lpips_vgg"
    label = "LPIPS (VGG)"
    summary = "perceptual patches (VGG16)"
    place = 5
    min_side = 16
    trunk = "vgg"
    checkpoints: ClassVar[Mapping[str, str]] = {"trunk": "lpips_vgg"}


class LPIPSSqueeze(LPIPS):
    """LPIPS v0.1 on SqueezeNet 1.1: the smallest trunk."""

    name = "lpips_squeeze"
    label = "LPIPS (Squeeze)"
    summary = "perceptual patches (SqueezeNet)"
    place = 6
    default = False
    min_side = 17
    trunk = "squeeze"
    checkpoints: ClassVar[Mapping[str, str]] = {"trunk": "lpips_squeeze", "heads": "lpips_squeeze_heads"}
