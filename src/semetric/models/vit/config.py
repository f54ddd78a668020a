"""The sizes and switches that tell one vision transformer from another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["ViTConfig"]


@dataclass(frozen=True, kw_only=True)
class ViTConfig:
    """One vision transformer. The defaults are those of DINO's ViT-B/16.

    Attributes:
        patch: side of a patch in pixels.
        grid: side of the square grid of learned positions, in patches.
        width: channels of a token.
        depth: blocks.
        heads: attention heads; divides the width.
        activation: of the MLPs; "quick_gelu" is x·sigmoid(1.702 x), with which the first CLIP was trained.
        eps: of every LayerNorm.
        pre_norm: whether a LayerNorm precedes the blocks (CLIP's ln_pre).
        layer_scale: whether each branch is scaled channel by channel before it is added (DINOv2).
        projection: length of the projected class token (CLIP); None where there is no projection.
        position_offset: added to the target grid before it is divided by the source grid: the published code of DINO
            and DINOv2 does so against rounding, and with it every interpolated position is sampled a little off.

    Example:
        >>> ViTConfig(patch=32, grid=7).depth
        12
    """

    patch: int = 16
    grid: int = 14
    width: int = 768
    depth: int = 12
    heads: int = 12
    activation: Literal["gelu", "quick_gelu"] = "gelu"
    eps: float = 1e-6
    pre_norm: bool = False
    layer_scale: bool = False
    projection: int | None = None
    position_offset: float = 0.1
