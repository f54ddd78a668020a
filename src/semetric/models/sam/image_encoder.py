"""SAM's own image encoder: a plain ViT with windowed attention and decomposed relative positions.

Kirillov et al. 2023, "Segment Anything" (arXiv 2304.02643), after Li et al. 2022, "Exploring Plain
Vision Transformer Backbones for Object Detection" (arXiv 2203.16527). Module names follow the
published checkpoints.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semetric.models.sam.layers import FeedForward, LayerNorm2d

__all__ = ["VIT_B", "VIT_H", "VIT_L", "ImageEncoder", "ViTSize"]


@dataclass(frozen=True, kw_only=True)
class ViTSize:
    """How wide and deep; `global_blocks` attend over the whole grid, the others within windows."""

    width: int
    depth: int
    heads: int
    global_blocks: tuple[int, ...]
    grid: int = 64
    window: int = 14


VIT_B = ViTSize(width=768, depth=12, heads=12, global_blocks=(2, 5, 8, 11))
VIT_L = ViTSize(width=1024, depth=24, heads=16, global_blocks=(5, 11, 17, 23))
VIT_H = ViTSize(width=1280, depth=32, heads=16, global_blocks=(7, 15, 23, 31))


class GridAttention(nn.Module):
    """Self-attention on an (S, S) grid with a bias from relative row and column positions."""

    def __init__(self, width: int, heads: int, side: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * side - 1, width // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * side - 1, width // heads))

    def forward(self, x: Tensor) -> Tensor:
        """(B, S, S, C) → the same shape."""
        b, h, w, c = x.shape
        qkv = self.qkv(x).view(b, h * w, 3, self.heads, c // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, S², d)
        steps = torch.arange(h, device=x.device)
        offsets = steps[:, None] - steps[None] + h - 1
        grid = q.reshape(b, self.heads, h, w, -1)
        rows = torch.einsum("bnhwd,hkd->bnhwk", grid, self.rel_pos_h[offsets].to(q.dtype)).contiguous()
        cols = torch.einsum("bnhwd,wkd->bnhwk", grid, self.rel_pos_w[offsets].to(q.dtype)).contiguous()
        bias = (rows[..., :, None] + cols[..., None, :]).reshape(b, self.heads, h * w, h * w)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        out: Tensor = self.proj(y.transpose(1, 2).reshape(b, h, w, c))
        return out


class GridBlock(nn.Module):
    """Pre-norm transformer block; `window` 0 attends over the whole grid."""

    def __init__(self, size: ViTSize, window: int) -> None:
        super().__init__()
        self.window = window
        self.norm1 = nn.LayerNorm(size.width, eps=1e-6)
        self.attn = GridAttention(size.width, size.heads, window or size.grid)
        self.norm2 = nn.LayerNorm(size.width, eps=1e-6)
        self.mlp = FeedForward(size.width, 4 * size.width, F.gelu)

    def forward(self, x: Tensor) -> Tensor:
        """(B, S, S, C) → the same shape."""
        y = self.norm1(x)
        y = self._windowed(y) if self.window else self.attn(y)
        x = x + y
        out: Tensor = x + self.mlp(self.norm2(x))
        return out

    def _windowed(self, y: Tensor) -> Tensor:
        b, h, w, c = y.shape
        s = self.window
        rows, cols = -(-h // s), -(-w // s)
        y = F.pad(y, (0, 0, 0, cols * s - w, 0, rows * s - h))
        y = y.view(b, rows, s, cols, s, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, s, s, c)
        y = self.attn(y).view(b, rows, cols, s, s, c)
        return y.permute(0, 1, 3, 2, 4, 5).reshape(b, rows * s, cols * s, c)[:, :h, :w]


class PatchEmbed(nn.Module):
    """16 × 16 patches, linearly projected."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, 16, 16)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) → (B, H / 16, W / 16, C)."""
        y: Tensor = self.proj(x).permute(0, 2, 3, 1)
        return y


class ImageEncoder(nn.Module):
    """Prepared image → SAM's image embedding."""

    def __init__(self, size: ViTSize) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(size.width)
        self.pos_embed = nn.Parameter(torch.zeros(1, size.grid, size.grid, size.width))
        self.blocks = nn.Sequential(
            *(GridBlock(size, 0 if i in size.global_blocks else size.window) for i in range(size.depth))
        )
        self.neck = nn.Sequential(
            nn.Conv2d(size.width, 256, 1, bias=False),
            LayerNorm2d(256),
            nn.Conv2d(256, 256, 3, padding=1, bias=False),
            LayerNorm2d(256),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, 1024, 1024), prepared → (B, 256, 64, 64)."""
        x = self.blocks(self.patch_embed(x) + self.pos_embed)
        y: Tensor = self.neck(x.permute(0, 3, 1, 2))
        return y
