"""One vision transformer, in the parameter names of DINO's published checkpoints.

Dosovitskiy et al. 2021, in the dialects of
- DINO (Caron et al. 2021) and SynCLR (Tian et al. 2023): the plain one;
- DINOv2 (Oquab et al. 2023): layer-scale (`ls1.gamma`, `ls2.gamma`), patches of 14 px, a 37 × 37 grid of positions;
- CLIP (Radford et al. 2021) and OpenCLIP: a LayerNorm before the blocks, under the name `pos_drop` that it has where
  CLIP was rewritten in DINO's names, a projection `proj` of the class token, other activations and epsilons.

Names: cls_token, pos_embed, patch_embed.proj, pos_drop, blocks.N.{norm1, attn.qkv, attn.proj, ls1.gamma, norm2,
mlp.fc1, mlp.fc2, ls2.gamma}, norm, proj. Query, key and value are one matrix, in this order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from semetric.errors import ImageError, UsageError
from semetric.models.state import filled
from semetric.models.vit.config import ViTConfig

__all__ = ["ViT", "vit_from_state"]

_MLP_RATIO = 4


class ViT(nn.Module):
    """The transformer. Inputs are normalised images; each user has his own mean and deviation.

    Example:
        >>> vit = ViT(ViTConfig(patch=8, grid=2, width=12, depth=1, heads=2))
        >>> vit(torch.zeros(1, 3, 16, 16)).shape
        torch.Size([1, 5, 12])
    """

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        width = config.width
        self.config = config
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + config.grid**2, width))
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(3, width, config.patch, stride=config.patch)
        self.pos_drop = nn.LayerNorm(width, eps=config.eps) if config.pre_norm else nn.Identity()
        self.blocks = nn.ModuleList(_PreNormBlock(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width, eps=config.eps)
        self.proj = None
        if config.projection is not None:
            self.proj = nn.Parameter(torch.zeros(width, config.projection))

    def forward(self, images: Tensor) -> Tensor:
        """All tokens as the last block returns them, before the final LayerNorm.

        Args:
            images: (B, 3, H, W), sides that are multiples of the patch.

        Returns:
            (B, 1 + H/patch · W/patch, width): the class token, then the patches row by row.

        Raises:
            ImageError: sides that the patches do not fill.
        """
        return self.tokens(images, (self.config.depth,))[self.config.depth]

    def tokens(self, images: Tensor, blocks: Sequence[int]) -> dict[int, Tensor]:
        """All tokens as the given blocks return them; only the blocks up to the highest one are computed.

        Args:
            images: as for `forward`.
            blocks: counted from 1; 0 is the embedding that enters the first.

        Returns:
            Block → tokens as `forward` returns them.

        Raises:
            UsageError: a block that does not exist.
        """
        if not blocks or not set(blocks) <= set(range(self.config.depth + 1)):
            raise UsageError(f"Expected blocks from 0 to {self.config.depth}; found {list(blocks)}.")
        x = self._embed(images)
        tokens = {0: x} if 0 in blocks else {}
        for i, block in enumerate(self.blocks[: max(blocks)], start=1):
            x = block(x)
            if i in blocks:
                tokens[i] = x
        return tokens

    def pooled(self, images: Tensor, block: int, token: str) -> Tensor:
        """One feature an image, as a block returns it.

        Args:
            images: as for `forward`.
            block: as for `tokens`.
            token: "cls" for the class token, "mean" for the mean of the patch tokens.

        Returns:
            (B, width).
        """
        tokens = self.tokens(images, (block,))[block]
        return tokens[:, 0] if token == "cls" else tokens[:, 1:].mean(1)

    def patch_tokens(self, images: Tensor) -> Tensor:
        """The patch tokens after the final LayerNorm, row by row: (B, H/patch · W/patch, width)."""
        return cast(Tensor, self.norm(self(images))[:, 1:])

    def class_token(self, images: Tensor) -> Tensor:
        """The class token as the last block returns it: row 0 of `forward`, without computing that block's others.

        Args:
            images: as for `forward`.

        Returns:
            (B, width).
        """
        x = self._embed(images)
        for block in self.blocks[:-1]:
            x = block(x)
        return cast(Tensor, self.blocks[-1](x, rows=1)[:, 0])

    def embedding(self, images: Tensor) -> Tensor:
        """The class token after the final LayerNorm, projected where there is a projection: CLIP's image embedding.

        Args:
            images: as for `forward`.

        Returns:
            (B, projection), or (B, width) where there is none; not normalised.
        """
        token: Tensor = self.norm(self.class_token(images))
        return token if self.proj is None else token @ self.proj

    def _embed(self, images: Tensor) -> Tensor:
        """Patches and class token with their positions: (B, 1 + N, width)."""
        patch = self.config.patch
        if images.ndim != 4 or images.shape[1] != 3 or any(n < patch or n % patch for n in images.shape[2:]):
            raise ImageError(
                f"This vision transformer expects (B, 3, H, W) with sides that are multiples of {patch} px; "
                f"found {tuple(images.shape)}. Resize the images."
            )
        patches = self.patch_embed.proj(images)  # type: ignore[operator]  # (B, width, h, w)
        h, w = patches.shape[2:]
        first = self.cls_token.expand(len(images), -1, -1)
        x = torch.cat((first, patches.flatten(2).transpose(1, 2)), 1)
        return cast(Tensor, self.pos_drop(x + self._positions(h, w)))

    def _positions(self, h: int, w: int) -> Tensor:
        """(1, 1 + h·w, width): the learned positions, brought to an h × w grid (bicubic) where it is another."""
        grid = self.config.grid
        if (h, w) == (grid, grid):
            return self.pos_embed
        table = self.pos_embed[:, 1:].transpose(1, 2).reshape(1, -1, grid, grid)  # (1, width, grid, grid)
        if offset := self.config.position_offset:
            scale = ((h + offset) / grid, (w + offset) / grid)
            table = F.interpolate(table, scale_factor=scale, mode="bicubic", align_corners=False)
        else:
            table = F.interpolate(table, (h, w), mode="bicubic", align_corners=False)
        return torch.cat((self.pos_embed[:, :1], table.flatten(2).transpose(1, 2)), 1)


class _PreNormBlock(nn.Module):
    """A pre-norm block: attention and MLP, each added to its input."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, eps=config.eps)
        self.attn = _SelfAttention(config.width, config.heads)
        self.ls1 = _LayerScale(config.width) if config.layer_scale else nn.Identity()
        self.norm2 = nn.LayerNorm(config.width, eps=config.eps)
        self.mlp = _MLP(config)
        self.ls2 = _LayerScale(config.width) if config.layer_scale else nn.Identity()

    def forward(self, x: Tensor, rows: int | None = None) -> Tensor:
        """(B, T, width) → (B, T, width), or the first rows of it alone."""
        mixed = self.ls1(self.attn(self.norm1(x), rows))
        x = (x if rows is None else x[:, :rows]) + mixed
        return cast(Tensor, x + self.ls2(self.mlp(self.norm2(x))))


class _SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, rows: int | None) -> Tensor:
        width = x.shape[2]
        if rows is None:
            query, key, value = self.qkv(x).chunk(3, dim=2)  # (B, T, width) each
        else:  # every token is looked at, but only the first ones look
            weight, bias = self.qkv.weight, self.qkv.bias
            query = F.linear(x[:, :rows], weight[:width], bias[:width])
            key, value = F.linear(x, weight[width:], bias[width:]).chunk(2, dim=2)
        parts = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (query, key, value))
        mixed = F.scaled_dot_product_attention(*parts)  # (B, heads, rows or T, width / heads)
        return cast(Tensor, self.proj(mixed.transpose(1, 2).flatten(2)))


class _MLP(nn.Module):
    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.width, _MLP_RATIO * config.width)
        self.fc2 = nn.Linear(_MLP_RATIO * config.width, config.width)
        self.quick = config.activation == "quick_gelu"

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(x)
        x = x * torch.sigmoid(1.702 * x) if self.quick else F.gelu(x)
        return cast(Tensor, self.fc2(x))


class _LayerScale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


def vit_from_state(config: ViTConfig, state: Mapping[str, Tensor], source: str) -> ViT:
    """A ViT that holds the given tensors, in float32 and eval mode.

    Args:
        config: what the tensors must fit.
        state: parameters by DINO's names. DINOv2's `mask_token`, which only its training used, is left behind.
        source: where they come from, for messages.

    Raises:
        WeightsCorruptError: keys or shapes of another network; says what was expected and found.
    """
    with torch.device("meta"):  # no time spent on initial weights
        network = ViT(config)
    own = {name: value for name, value in state.items() if name != "mask_token"}
    return filled(network, own, f"a ViT-{config.depth}/{config.patch}", source)
