"""SAM's mask decoder: a two-way transformer and per-mask hypernetworks (arXiv 2304.02643, App. A).

The algebra is the paper's, in an order that suits many prompts on one image. A prompt has about
seven tokens, the image 4096 cells. Where tokens attend to cells (or cells to tokens), projecting
the cells costs most; softmax(q (K W)ᵀ) V W' = softmax((q Wᵀ) Kᵀ) V W', so the projections are
applied to the few tokens instead, which halves the work. Before the first exchange the cells are
the same for every prompt and stay unexpanded. Upscaling, half of what is left, runs only for
prompts whose predicted IoU makes a mask worth having, and only for cells that hold image.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semetric.models.sam.layers import FeedForward, LayerNorm2d, Mlp

__all__ = ["Decoded", "MaskDecoder"]

GRID = 64
WIDTH = 256


class Decoded(NamedTuple):
    """What the decoder says of B prompts, M masks each.

    Attributes:
        logits: (K, M, 256, 256) mask logits of the K prompts in `kept`; 0 beyond the cells asked for.
        iou: (B, M) predicted IoU of every mask.
        tokens: (B, M, 256) output tokens of the masks.
        kept: (K,) indices of the prompts that were upscaled.
    """

    logits: Tensor
    iou: Tensor
    tokens: Tensor
    kept: Tensor


class PromptAttention(nn.Module):
    """Multi-head attention with a narrower inside; three orders of evaluation, one result."""

    def __init__(self, inner: int) -> None:
        super().__init__()
        self.heads = 8
        self.q_proj = nn.Linear(WIDTH, inner)
        self.k_proj = nn.Linear(WIDTH, inner)
        self.v_proj = nn.Linear(WIDTH, inner)
        self.out_proj = nn.Linear(inner, WIDTH)

    def _split(self, x: Tensor) -> Tensor:
        return torch.unflatten(x, -1, (self.heads, -1)).transpose(1, 2)  # (B, heads, T, d)

    def _by_head(self, layer: nn.Linear) -> Tensor:
        return torch.unflatten(layer.weight, 0, (self.heads, -1))  # (heads, d, 256)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Plain order: (B, T, 256) each → (B, T, 256)."""
        y = F.scaled_dot_product_attention(
            self._split(self.q_proj(q)), self._split(self.k_proj(k)), self._split(self.v_proj(v))
        )
        out: Tensor = self.out_proj(y.transpose(1, 2).flatten(2))
        return out

    def few_to_many(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Tokens q (B, T, 256) attend to cells k, v (1 or B, N, 256) → (B, T, 256).

        The bias of k adds one number to a whole row of the softmax, so it drops out.
        """
        b, t, _ = q.shape
        queries = self._split(self.q_proj(q))
        scale = queries.shape[-1] ** -0.5
        logits = torch.einsum("bhtd,hdc->bhtc", queries * scale, self._by_head(self.k_proj)).flatten(1, 2)
        weights = torch.matmul(logits, k.transpose(1, 2)).softmax(dim=-1)  # (B, heads·T, N)
        context = torch.matmul(weights, v).view(b, self.heads, t, WIDTH)
        values = torch.einsum("bhtc,hdc->bthd", context, self._by_head(self.v_proj)).flatten(2)
        out: Tensor = self.out_proj(values + self.v_proj.bias)
        return out

    def many_to_few(self, q: Tensor, k: Tensor, v: Tensor, onto: Tensor) -> Tensor:
        """Cells q (1 or B, N, 256) attend to tokens k, v (B, T, 256); the result is added to `onto` (B, N, 256).

        Each head's weights sum to 1, so an eighth of the output bias rides on every head's values.
        """
        b, t, _ = k.shape
        keys = self._split(self.k_proj(k))
        keys = keys * keys.shape[-1] ** -0.5
        logits = torch.einsum("bhtd,hdc->bhtc", keys, self._by_head(self.q_proj)).flatten(1, 2)
        offset = torch.einsum("bhtd,hd->bht", keys, self.q_proj.bias.view(self.heads, -1)).flatten(1)
        scores = torch.matmul(logits, q.transpose(1, 2)) + offset[..., None]  # (B, heads·T, N)
        weights = torch.unflatten(scores, 1, (self.heads, t)).softmax(dim=2).flatten(1, 2)
        into = torch.unflatten(self.out_proj.weight, 1, (self.heads, -1))  # (256, heads, d)
        values = torch.einsum("bhtd,chd->bhtc", self._split(self.v_proj(v)), into)
        values = (values + self.out_proj.bias / self.heads).reshape(b, self.heads * t, WIDTH)
        return torch.baddbmm(onto.expand(b, -1, -1), weights.transpose(1, 2).to(values.dtype), values)


class TwoWayBlock(nn.Module):
    """Tokens among themselves, tokens to cells, MLP, cells to tokens."""

    def __init__(self, *, first: bool) -> None:
        super().__init__()
        self.first = first
        self.self_attn = PromptAttention(WIDTH)
        self.norm1 = nn.LayerNorm(WIDTH)
        self.cross_attn_token_to_image = PromptAttention(WIDTH // 2)
        self.norm2 = nn.LayerNorm(WIDTH)
        self.mlp = FeedForward(WIDTH, 2048, F.relu)
        self.norm3 = nn.LayerNorm(WIDTH)
        self.norm4 = nn.LayerNorm(WIDTH)
        self.cross_attn_image_to_token = PromptAttention(WIDTH // 2)

    def forward(self, tokens: Tensor, cells: Tensor, start: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
        """One exchange.

        Args:
            tokens: (B, T, 256).
            cells: (1 or B, 4096, 256).
            start: (B, T, 256), the tokens before the first block: their position code.
            grid: (4096, 256), the cells' position code.
        """
        if self.first:
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            placed = tokens + start
            tokens = tokens + self.self_attn(placed, placed, tokens)
        tokens = self.norm1(tokens)
        placed_cells = cells + grid
        tokens = self.norm2(tokens + self.cross_attn_token_to_image.few_to_many(tokens + start, placed_cells, cells))
        tokens = self.norm3(tokens + self.mlp(tokens))
        cells = self.norm4(self.cross_attn_image_to_token.many_to_few(placed_cells, tokens + start, tokens, cells))
        return tokens, cells


class TwoWayTransformer(nn.Module):
    """Two exchanges and a last look of the tokens at the cells."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([TwoWayBlock(first=True), TwoWayBlock(first=False)])
        self.final_attn_token_to_image = PromptAttention(WIDTH // 2)
        self.norm_final_attn = nn.LayerNorm(WIDTH)

    def forward(self, tokens: Tensor, cells: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, 256), (1 or B, 4096, 256) → the same, cells expanded to B."""
        start = tokens
        for layer in self.layers:
            tokens, cells = layer(tokens, cells, start, grid)
        look = self.final_attn_token_to_image.few_to_many(tokens + start, cells + grid, cells)
        return self.norm_final_attn(tokens + look), cells


class MaskDecoder(nn.Module):
    """Image embedding and prompt tokens → masks, their predicted IoU and their tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.transformer = TwoWayTransformer()
        self.iou_token = nn.Embedding(1, WIDTH)
        self.mask_tokens = nn.Embedding(4, WIDTH)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(WIDTH, WIDTH // 4, 2, 2),
            LayerNorm2d(WIDTH // 4),
            nn.GELU(),
            nn.ConvTranspose2d(WIDTH // 4, WIDTH // 8, 2, 2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(Mlp(WIDTH, WIDTH, WIDTH // 8, 3) for _ in range(4))
        self.iou_prediction_head = Mlp(WIDTH, WIDTH, 4, 3)

    def forward(
        self,
        cells: Tensor,
        prompts: Tensor,
        grid: Tensor,
        *,
        multimask: bool = True,
        min_iou: float | None = None,
        shape: tuple[int, int] = (GRID, GRID),
    ) -> Decoded:
        """Decodes B prompts on one image.

        Args:
            cells: (1 or B, 4096, 256), image embedding plus dense prompt.
            prompts: (B, T, 256), the sparse prompt tokens.
            grid: (4096, 256), the cells' position code.
            multimask: three masks a prompt (whole, part, sub-part) rather than the single one.
            min_iou: upscale only prompts with a mask predicted at least this good.
            shape: upscale only so many rows and columns of cells, from the top left.
        """
        head = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([head.expand(len(prompts), -1, -1), prompts], dim=1)
        tokens, cells = self.transformer(tokens, cells, grid)
        wanted = slice(1, 4) if multimask else slice(0, 1)
        iou = self.iou_prediction_head(tokens[:, 0])[:, wanted].float()
        mask_tokens = tokens[:, 1:5][:, wanted]
        good = torch.ones(len(iou), dtype=torch.bool, device=iou.device) if min_iou is None else (iou >= min_iou).any(1)
        kept = good.nonzero()[:, 0]
        if len(kept) < len(good):
            cells = cells[kept]
        filters = [mlp(mask_tokens[kept, i]) for i, mlp in enumerate(self.output_hypernetworks_mlps[wanted])]
        step = 1 if cells.device.type == "cpu" else 64  # 8 MB a prompt stays in a processor's cache, 30 MB do not
        stacked = torch.stack(filters, dim=1)
        logits = iou.new_zeros(len(kept), iou.shape[1], 4 * GRID, 4 * GRID)
        rows, columns = shape
        for i in range(0, len(kept), step):
            part = cells[i : i + step].view(-1, GRID, GRID, WIDTH)[:, :rows, :columns]
            logits[i : i + step, :, : 4 * rows, : 4 * columns] = self._upscale(part, stacked[i : i + step])
        return Decoded(logits, iou, mask_tokens.float(), kept)

    def _upscale(self, cells: Tensor, filters: Tensor) -> Tensor:
        """Cells (K, H, W, 256), filters (K, M, 32) → logits (K, M, 4H, 4W).

        A 2 × 2 transposed convolution of stride 2 is one matrix product a cell, so all stays
        channels-last until the masks, which are small.
        """
        (k, m), (h, w) = filters.shape[:2], cells.shape[1:3]
        x = _spread(cells, *self.output_upscaling[0].parameters())
        weight, bias = self.output_upscaling[1].parameters()
        x = F.gelu(F.layer_norm(x, weight.shape, weight, bias, 1e-6))
        x = F.gelu(_spread(x, *self.output_upscaling[3].parameters()))  # (K, row, column, quarter, sixteenth, 32)
        y = torch.matmul(x.flatten(1, 4), filters.transpose(1, 2))
        y = y.view(k, h, w, 2, 2, 2, 2, m)  # row, column, row/2, column/2, row/4, column/4
        return y.permute(0, 7, 1, 3, 5, 2, 4, 6).reshape(k, m, 4 * h, 4 * w)


def _spread(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A 2 × 2 transposed convolution of stride 2 on channels-last cells: (…, C) → (…, 4, C'), row by row."""
    y = F.linear(x, weight.permute(2, 3, 1, 0).flatten(0, 2), bias.repeat(4))
    return torch.unflatten(y, -1, (4, -1))
