from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semetric.models.sam.image_encoder import VIT_B, VIT_H, VIT_L, GridAttention, GridBlock, ViTSize


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_relative_positions_pair_by_pair(randomise: Callable[..., nn.Module]) -> None:
    layer = randomise(GridAttention(12, 2, 4)).double()
    x = random(1, 4, 4, 12)
    q, k, v = layer.qkv(x).reshape(16, 3, 2, 6).permute(1, 2, 0, 3)
    expected = torch.empty(2, 16, 6, dtype=torch.float64)
    for head in range(2):
        scores = q[head] @ k[head].T / 6**0.5
        for i in range(16):
            for j in range(16):
                row, column = i // 4 - j // 4 + 3, i % 4 - j % 4 + 3
                scores[i, j] += q[head, i] @ layer.rel_pos_h[row] + q[head, i] @ layer.rel_pos_w[column]
        expected[head] = scores.softmax(dim=1) @ v[head]
    expected = layer.proj(expected.transpose(0, 1).reshape(1, 4, 4, 12))
    torch.testing.assert_close(layer(x), expected, atol=1e-12, rtol=1e-12)  # float64 rounding


def test_a_window_sees_nothing_outside_it(randomise: Callable[..., nn.Module]) -> None:
    block = randomise(GridBlock(ViTSize(width=8, depth=1, heads=2, global_blocks=(), grid=7, window=4), 4)).double()
    x = random(1, 7, 7, 8)
    changed = x.clone()
    changed[:, :4, :4] += 1
    same = (block(x) == block(changed)).all(dim=3)[0]
    assert same[4:].all()
    assert same[:, 4:].all()
    assert not same[:4, :4].any()
    # the part-filled window at the edge is padded with zeros after the norm, as published
    inside = F.pad(block.norm1(x)[:, 4:, 4:], (0, 0, 0, 1, 0, 1))
    after = x[:, 4:, 4:] + block.attn(inside)[:, :3, :3]
    expected = after + block.mlp(block.norm2(after))
    torch.testing.assert_close(block(x)[:, 4:, 4:], expected, atol=1e-12, rtol=1e-12)  # float64 rounding


def test_the_published_sizes() -> None:
    assert [(s.width, s.depth, s.heads) for s in (VIT_B, VIT_L, VIT_H)] == [
        (768, 12, 12),
        (1024, 24, 16),
        (1280, 32, 16),
    ]
    for size in (VIT_B, VIT_L, VIT_H):
        quarter = size.depth // 4
        assert size.global_blocks == tuple(quarter * (i + 1) - 1 for i in range(4))
