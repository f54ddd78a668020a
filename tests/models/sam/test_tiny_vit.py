from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from semetric.models.sam.tiny_vit import TinyViT, WindowAttention, WindowBlock, offset_index


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_offsets_are_numbered_as_they_first_occur() -> None:
    index = offset_index(2)
    # cells (0,0) (0,1) (1,0) (1,1): offsets 0 = none, 1 = one column, 2 = one row, 3 = both
    assert index.tolist() == [[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]]
    for window in (7, 14):
        index = offset_index(window)
        assert index.max() == window * window - 1
        assert torch.equal(index, index.T)


def test_attention_pair_by_pair(randomise: Callable[..., nn.Module]) -> None:
    layer = randomise(WindowAttention(8, 2, 3)).double()
    x = random(2, 9, 8)
    expected = torch.empty(2, 9, 8, dtype=torch.float64)
    normed = layer.norm(x)
    for window in range(2):
        parts = layer.qkv(normed[window]).reshape(9, 2, 3, 4)  # heads outside, q, k, v inside
        mixed = []
        for head in range(2):
            q, k, v = parts[:, head].unbind(1)
            scores = q @ k.T / 2.0 + layer.attention_biases[head, layer.index]
            mixed.append(scores.softmax(dim=1) @ v)
        expected[window] = layer.proj(torch.cat(mixed, dim=1))
    torch.testing.assert_close(layer(x), expected, atol=1e-12, rtol=1e-12)  # float64 rounding


def test_a_block_pads_before_the_norm(randomise: Callable[..., nn.Module]) -> None:
    block = randomise(WindowBlock(8, 2, 3)).double()
    x = random(1, 8, 4, 5)
    padded = F.pad(x, (0, 1, 0, 2)).permute(0, 2, 3, 1)  # (1, 6, 6, 8)
    attended = torch.empty_like(padded)
    for row in (0, 3):
        for column in (0, 3):
            window = padded[:, row : row + 3, column : column + 3].reshape(1, 9, 8)
            attended[:, row : row + 3, column : column + 3] = block.attn(window).view(1, 3, 3, 8)
    y = block.local_conv(x + attended[:, :4, :5].permute(0, 3, 1, 2))
    expected = y + block.mlp(y.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(block(x), expected, atol=1e-12, rtol=1e-12)  # float64 rounding


def test_the_network_shrinks_sixteenfold(randomise: Callable[..., nn.Module]) -> None:
    network = randomise(TinyViT())
    with torch.inference_mode():
        y = network(torch.randn(1, 3, 224, 256, generator=torch.Generator().manual_seed(0)))
    assert y.shape == (1, 256, 14, 16)
    # the last layer norm gives every cell the same spread over channels, up to its own factors
    assert torch.isfinite(y).all()
    assert y.std() > 0.1
