import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from semetric.models.sam.prompt_encoder import PromptEncoder


@pytest.fixture(scope="module")
def encoder(randomise: Callable[..., nn.Module]) -> PromptEncoder:
    encoder = randomise(PromptEncoder())
    assert isinstance(encoder, PromptEncoder)
    return encoder


def code(encoder: PromptEncoder, x: float, y: float) -> torch.Tensor:
    """One position's code, in float64: x, y in prepared pixels."""
    place = torch.tensor([2 * (x + 0.5) / 1024 - 1, 2 * (y + 0.5) / 1024 - 1], dtype=torch.float64)
    phase = 2 * math.pi * (place @ encoder.pe_layer.positional_encoding_gaussian_matrix.double())
    return torch.cat([phase.sin(), phase.cos()]).float()


def test_each_kind_of_token(encoder: PromptEncoder) -> None:
    points = torch.tensor([[[100.0, 900.0], [5.0, 6.0], [7.0, 8.0]]])
    labels = torch.tensor([[1.0, 0.0, -1.0]])
    tokens = encoder(points, labels)[0]
    background, foreground = (e.weight[0] for e in encoder.point_embeddings[:2])
    nothing = encoder.not_a_point_embed.weight[0]
    expected = torch.stack([code(encoder, 100, 900) + foreground, code(encoder, 5, 6) + background, nothing, nothing])
    # phases reach 2π · 5, whose float32 rounding is some 1e-6
    torch.testing.assert_close(tokens, expected, atol=1e-5, rtol=0)


def test_a_box_is_its_two_corners_and_replaces_the_closing_token(encoder: PromptEncoder) -> None:
    points, labels = torch.zeros(1, 1, 2), -torch.ones(1, 1)
    tokens = encoder(points, labels, torch.tensor([[10.0, 20.0, 300.0, 400.0]]))[0]
    assert tokens.shape == (3, 256)
    first, second = (e.weight[0] for e in encoder.point_embeddings[2:])
    expected = torch.stack([code(encoder, 10, 20) + first, code(encoder, 300, 400) + second])
    torch.testing.assert_close(tokens[1:], expected, atol=1e-5, rtol=0)  # as above


def test_the_grid_runs_row_by_row(encoder: PromptEncoder) -> None:
    grid = encoder.grid()
    assert grid.shape == (4096, 256)
    # the centre of cell (row 3, column 60) is pixel 60·16 + 7.5, 3·16 + 7.5 by the rule "pixel + 0.5"
    torch.testing.assert_close(grid[3 * 64 + 60], code(encoder, 967.5, 55.5), atol=1e-5, rtol=0)


def test_dense_prompts(encoder: PromptEncoder) -> None:
    assert torch.equal(encoder.dense(), encoder.no_mask_embed.weight[None].expand(1, 4096, 256))
    masks = torch.randn(2, 1, 256, 256, generator=torch.Generator().manual_seed(0))
    expected = encoder.mask_downscaling(masks)  # (2, 256, 64, 64)
    dense = encoder.dense(masks)
    assert torch.equal(dense[1, 5 * 64 + 7], expected[1, :, 5, 7])


def test_positions_survive_autocast(encoder: PromptEncoder) -> None:
    points, labels = torch.tensor([[[1000.0, 1001.0]]]), torch.ones(1, 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        tokens = encoder(points, labels)
    assert torch.equal(tokens, encoder(points, labels))
