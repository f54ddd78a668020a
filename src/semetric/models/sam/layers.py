"""Layers that SAM's parts share."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["FeedForward", "LayerNorm2d", "Mlp"]


class LayerNorm2d(nn.Module):
    """Layer norm over the channels of (B, C, H, W), eps 1e-6."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        return F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, 1e-6).permute(0, 3, 1, 2)


class FeedForward(nn.Module):
    """Two linear layers with an activation between."""

    def __init__(self, width: int, hidden: int, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.lin1 = nn.Linear(width, hidden)
        self.lin2 = nn.Linear(hidden, width)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """(…, width) → the same shape."""
        y: Tensor = self.lin2(self.activation(self.lin1(x)))
        return y


class Mlp(nn.Module):
    """Linear layers with ReLU between."""

    def __init__(self, inside: int, hidden: int, outside: int, layers: int) -> None:
        super().__init__()
        sizes = [inside, *[hidden] * (layers - 1), outside]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        """(…, inside) → (…, outside)."""
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        y: Tensor = self.layers[-1](x)
        return y
