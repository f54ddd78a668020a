from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from semetric.models.sam.mask_decoder import MaskDecoder, PromptAttention

CLOSE = {"atol": 1e-10, "rtol": 1e-10}  # float64; the two orders of summation differ by rounding alone


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def plain(layer: PromptAttention, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Multi-head attention as it is written in papers, head by head."""
    heads = zip(
        *(part.chunk(layer.heads, dim=-1) for part in (layer.q_proj(q), layer.k_proj(k), layer.v_proj(v))), strict=True
    )
    mixed = []
    for query, key, value in heads:
        weights = (query @ key.transpose(1, 2) / query.shape[-1] ** 0.5).softmax(dim=2)
        mixed.append(weights @ value)
    out: Tensor = layer.out_proj(torch.cat(mixed, dim=2))
    return out


@pytest.fixture(scope="module", params=[128, 256])
def attention(request: pytest.FixtureRequest, randomise: Callable[..., nn.Module]) -> nn.Module:
    return randomise(PromptAttention(request.param)).double()


def test_the_plain_order(attention: PromptAttention) -> None:
    q, k, v = random(2, 5, 256, seed=0), random(2, 9, 256, seed=1), random(2, 9, 256, seed=2)
    torch.testing.assert_close(attention(q, k, v), plain(attention, q, k, v), **CLOSE)


@pytest.mark.parametrize("shared", [1, 3])
def test_few_tokens_to_many_cells(attention: PromptAttention, shared: int) -> None:
    q = random(3, 7, 256, seed=0)
    k, v = random(shared, 50, 256, seed=1), random(shared, 50, 256, seed=2)
    expected = plain(attention, q, k.expand(3, -1, -1), v.expand(3, -1, -1))
    torch.testing.assert_close(attention.few_to_many(q, k, v), expected, **CLOSE)


@pytest.mark.parametrize("shared", [1, 3])
def test_many_cells_to_few_tokens(attention: PromptAttention, shared: int) -> None:
    q, onto = random(shared, 50, 256, seed=0), random(shared, 50, 256, seed=3)
    k, v = random(3, 7, 256, seed=1), random(3, 7, 256, seed=2)
    expected = onto + plain(attention, q.expand(3, -1, -1), k, v)
    torch.testing.assert_close(attention.many_to_few(q, k, v, onto), expected, **CLOSE)


def test_gradients_of_both_orders(attention: PromptAttention) -> None:
    few, many, onto = (random(1, n, 256, seed=n) for n in (2, 3, 4))
    few.requires_grad_()
    many.requires_grad_()
    # the slow form of the check would take 1280 evaluations of each
    assert torch.autograd.gradcheck(lambda a, b: attention.few_to_many(a, b, 2 * b), (few, many), fast_mode=True)
    onto = onto[:, :3].requires_grad_()
    assert torch.autograd.gradcheck(
        lambda a, b, c: attention.many_to_few(b, a, 2 * a, c), (few, many, onto), fast_mode=True
    )


@pytest.fixture(scope="module")
def decoder(randomise: Callable[..., nn.Module]) -> MaskDecoder:
    decoder = randomise(MaskDecoder())
    assert isinstance(decoder, MaskDecoder)
    return decoder


def test_upscaling_is_two_transposed_convolutions(decoder: MaskDecoder, randomise: Callable[..., nn.Module]) -> None:
    double = randomise(MaskDecoder()).double()
    assert isinstance(double, MaskDecoder)
    cells, filters = random(2, 4096, 256, seed=0), random(2, 3, 32, seed=1)
    image = double.output_upscaling(cells.transpose(1, 2).reshape(2, 256, 64, 64))  # (2, 32, 256, 256)
    expected = torch.einsum("kmc,kchw->kmhw", filters, image)
    cells = cells.view(2, 64, 64, 256)
    torch.testing.assert_close(double._upscale(cells, filters), expected, **CLOSE)
    part = double._upscale(cells[:, :5, :7], filters)
    torch.testing.assert_close(part, expected[:, :, :20, :28], **CLOSE)


def inputs(prompts: int) -> tuple[Tensor, Tensor, Tensor]:
    return (
        random(1, 4096, 256, seed=0).float(),
        random(prompts, 2, 256, seed=1).float(),
        random(4096, 256, seed=2).float(),
    )


def test_the_first_mask_is_the_single_one_and_the_others_the_three(decoder: MaskDecoder) -> None:
    cells, prompts, grid = inputs(2)
    three, one = decoder(cells, prompts, grid), decoder(cells, prompts, grid, multimask=False)
    assert three.logits.shape == (2, 3, 256, 256)
    assert three.iou.shape == (2, 3)
    assert three.tokens.shape == (2, 3, 256)
    assert one.logits.shape == (2, 1, 256, 256)
    assert one.iou.shape == (2, 1)
    assert one.tokens.shape == (2, 1, 256)
    assert three.kept.tolist() == [0, 1]
    assert not torch.allclose(one.logits[:, 0], three.logits[:, 0])


def test_only_prompts_worth_it_are_upscaled(decoder: MaskDecoder) -> None:
    cells, prompts, grid = inputs(6)
    everything = decoder(cells, prompts, grid)
    best = everything.iou.max(dim=1).values
    threshold = float(best.median())
    some = decoder(cells, prompts, grid, min_iou=threshold)
    assert some.kept.tolist() == (best >= threshold).nonzero()[:, 0].tolist()
    assert 0 < len(some.kept) < 6
    assert torch.equal(some.iou, everything.iou)
    assert torch.equal(some.tokens, everything.tokens)
    assert torch.equal(some.logits, everything.logits[some.kept])
    none = decoder(cells, prompts, grid, min_iou=float(best.max()) + 1)
    assert none.logits.shape == (0, 3, 256, 256)
    assert none.kept.shape == (0,)
