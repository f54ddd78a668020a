"""MobileSAM's image encoder: TinyViT with every batch norm folded into its convolution.

Zhang et al. 2023, "Faster Segment Anything" (arXiv 2306.14289); Wu et al. 2022, "TinyViT"
(arXiv 2207.10666). Module names follow MobileSAM's state dict, less the batch norms.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semetric.models.sam.layers import LayerNorm2d

__all__ = ["TinyViT"]

WIDTHS = (64, 128, 160, 320)
DEPTHS = (2, 2, 6, 2)
HEADS = (2, 4, 5, 10)
WINDOWS = (7, 7, 14, 7)


class Conv(nn.Module):
    """A convolution that stands for a convolution and its batch norm."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.c = nn.Conv2d(inside, outside, kernel, stride, kernel // 2, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inside, H, W) → (B, outside, H / stride, W / stride)."""
        y: Tensor = self.c(x)
        return y


class Stem(nn.Module):
    """Two strided convolutions: a quarter of the resolution."""

    def __init__(self) -> None:
        super().__init__()
        self.seq = nn.Sequential(Conv(3, WIDTHS[0] // 2, 3, 2), nn.GELU(), Conv(WIDTHS[0] // 2, WIDTHS[0], 3, 2))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) → (B, 64, H / 4, W / 4)."""
        y: Tensor = self.seq(x)
        return y


class MBConv(nn.Module):
    """Inverted residual: expand by 4, depthwise 3 × 3, project."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = Conv(width, 4 * width, 1)
        self.conv2 = Conv(4 * width, 4 * width, 3, groups=4 * width)
        self.conv3 = Conv(4 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        return F.gelu(x + self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x))))))


class Merge(nn.Module):
    """Halves the resolution, except into the widest stage, so that SAM gets 64 × 64 cells."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv1 = Conv(inside, outside, 1)
        self.conv2 = Conv(outside, outside, 3, 1 if outside == WIDTHS[-1] else 2, groups=outside)
        self.conv3 = Conv(outside, outside, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inside, H, W) → (B, outside, H', W')."""
        y: Tensor = self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x)))))
        return y


def offset_index(window: int) -> Tensor:
    """Which learned bias serves each pair of window cells: one a distinct (|Δrow|, |Δcolumn|).

    Returns:
        (window², window²) int64; offsets are numbered in the order in which they first occur.
    """
    cells = [(r, c) for r in range(window) for c in range(window)]
    numbers: dict[tuple[int, int], int] = {}
    rows = []
    for r0, c0 in cells:
        rows.append([numbers.setdefault((abs(r0 - r1), abs(c0 - c1)), len(numbers)) for r1, c1 in cells])
    return torch.tensor(rows)


class WindowAttention(nn.Module):
    """WindowAttention within one window, with its layer norm inside and learned position biases."""

    index: Tensor

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window * window))
        self.register_buffer("index", offset_index(window), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(windows, cells, C) → the same shape."""
        n, cells, width = x.shape
        qkv = self.qkv(self.norm(x)).view(n, cells, self.heads, 3, width // self.heads)
        q, k, v = (part.transpose(1, 2) for part in qkv.unbind(3))  # (windows, heads, cells, C / heads)
        bias = self.attention_biases[:, self.index].to(q.dtype)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias[None])
        out: Tensor = self.proj(y.transpose(1, 2).reshape(n, cells, width))
        return out


class NormedMlp(nn.Module):
    """Layer norm, two linear layers, GELU between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(…, C) → the same shape."""
        y: Tensor = self.fc2(F.gelu(self.fc1(self.norm(x))))
        return y


class WindowBlock(nn.Module):
    """Window attention, depthwise convolution, MLP; all but the convolution residual."""

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.attn = WindowAttention(width, heads, window)
        self.local_conv = Conv(width, width, 3, groups=width)
        self.mlp = NormedMlp(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        b, c, h, w = x.shape
        s = self.window
        rows, cols = -(-h // s), -(-w // s)
        x = x.permute(0, 2, 3, 1)
        cells = F.pad(x, (0, 0, 0, cols * s - w, 0, rows * s - h)) if (rows * s, cols * s) != (h, w) else x
        cells = cells.view(b, rows, s, cols, s, c).transpose(2, 3).reshape(-1, s * s, c)
        cells = self.attn(cells).view(b, rows, cols, s, s, c).transpose(2, 3).reshape(b, rows * s, cols * s, c)
        x = self.local_conv((x + cells[:, :h, :w]).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        y: Tensor = x + self.mlp(x)
        return y.permute(0, 3, 1, 2)


class Stage(nn.Module):
    """Blocks of one width and the step to the next."""

    def __init__(self, i: int) -> None:
        super().__init__()
        if i == 0:
            blocks: list[nn.Module] = [MBConv(WIDTHS[0]) for _ in range(DEPTHS[0])]
        else:
            blocks = [WindowBlock(WIDTHS[i], HEADS[i], WINDOWS[i]) for _ in range(DEPTHS[i])]
        self.blocks = nn.Sequential(*blocks)
        self.downsample = Merge(WIDTHS[i], WIDTHS[i + 1]) if i + 1 < len(WIDTHS) else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C', H', W')."""
        y: Tensor = self.downsample(self.blocks(x))
        return y


class TinyViT(nn.Module):
    """Prepared image → SAM's image embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = Stem()
        self.layers = nn.Sequential(*(Stage(i) for i in range(len(WIDTHS))))
        self.neck = nn.Sequential(
            nn.Conv2d(WIDTHS[-1], 256, 1, bias=False),
            LayerNorm2d(256),
            nn.Conv2d(256, 256, 3, padding=1, bias=False),
            LayerNorm2d(256),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, 1024, 1024), prepared → (B, 256, 64, 64)."""
        x = x.contiguous(memory_format=torch.channels_last)  # tokens and pixels are then one layout
        y: Tensor = self.neck(self.layers(self.patch_embed(x)))
        return y.contiguous()
