"""SAM's prompt encoder: points, boxes and coarse masks → tokens (arXiv 2304.02643, §3)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from semetric.models.sam.layers import LayerNorm2d

__all__ = ["PromptEncoder"]

SIDE = 1024  # the prepared image's side in pixels
GRID = 64  # the embedding's side in cells


class RandomFourier(nn.Module):
    """Positions in [0, 1]² → sines and cosines of random projections."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.zeros(2, 128))

    def forward(self, xy: Tensor) -> Tensor:
        """(…, 2) as x, y in [0, 1] → (…, 256)."""
        at_x, at_y = self.positional_encoding_gaussian_matrix
        place = 2 * xy - 1
        # No matrix product: autocast would round it to 8 bits, and 2π times that is no position any more.
        phase = 2 * math.pi * (place[..., :1] * at_x + place[..., 1:] * at_y)
        return torch.cat([phase.sin(), phase.cos()], dim=-1)


class PromptEncoder(nn.Module):
    """Sparse tokens for points and boxes, a dense map for a mask (or for its absence)."""

    def __init__(self) -> None:
        super().__init__()
        self.pe_layer = RandomFourier()
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, 256) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, 256)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, 4, 2, 2),
            LayerNorm2d(4),
            nn.GELU(),
            nn.Conv2d(4, 16, 2, 2),
            LayerNorm2d(16),
            nn.GELU(),
            nn.Conv2d(16, 256, 1),
        )
        self.no_mask_embed = nn.Embedding(1, 256)

    def forward(self, points: Tensor, labels: Tensor, boxes: Tensor | None = None) -> Tensor:
        """Encodes B prompts.

        Args:
            points: (B, P, 2) as x, y in pixels of the prepared 1024 × 1024 image.
            labels: (B, P): 1 foreground, 0 background, −1 none.
            boxes: (B, 4) xyxy in the same pixels.

        Returns:
            (B, T, 256): T = P + 1 without boxes (a closing "no point"), P + 2 with them.
        """
        if boxes is None:
            points = torch.cat([points, points.new_zeros(len(points), 1, 2)], dim=1)
            labels = torch.cat([labels, -labels.new_ones(len(labels), 1)], dim=1)
        encoded = self.pe_layer((points + 0.5) / SIDE)
        label = labels[..., None]
        tokens = torch.where(label == -1, self.not_a_point_embed.weight, encoded)
        background, foreground, first_corner, second_corner = self.point_embeddings.parameters()
        tokens = tokens + (label == 0) * background + (label == 1) * foreground
        if boxes is not None:
            corners = self.pe_layer((boxes.view(-1, 2, 2) + 0.5) / SIDE)
            tokens = torch.cat([tokens, corners + torch.cat((first_corner, second_corner))], dim=1)
        return tokens

    def grid(self) -> Tensor:
        """The position code of every embedding cell: (4096, 256), row by row."""
        centres = (torch.arange(GRID, device=self.no_mask_embed.weight.device) + 0.5) / GRID
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        encoded: Tensor = self.pe_layer(torch.stack([x, y], dim=-1))
        return encoded.view(GRID * GRID, 256)

    def dense(self, masks: Tensor | None = None) -> Tensor:
        """The map added to the image embedding: (1 or B, 4096, 256).

        Args:
            masks: (B, 1, 256, 256) logits of an earlier decoding, or None.
        """
        if masks is None:
            return self.no_mask_embed.weight[None].expand(1, GRID * GRID, 256)
        coarse: Tensor = self.mask_downscaling(masks)
        return coarse.flatten(2).transpose(1, 2)
