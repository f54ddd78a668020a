"""The vision transformer against transformers' own, with the same weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fake_dreamsim import random_state
from semetric.errors import ImageError, WeightsCorruptError
from semetric.models.vit.config import ViTConfig
from semetric.models.vit.network import ViT, vit_from_state

WIDTH, HEADS, DEPTH, PATCH, GRID = 24, 3, 2, 8, 4
DINO = ViTConfig(width=WIDTH, heads=HEADS, depth=DEPTH, patch=PATCH, grid=GRID)
DINOV2 = ViTConfig(width=WIDTH, heads=HEADS, depth=DEPTH, patch=PATCH, grid=GRID, layer_scale=True)
CLIP, OPEN_CLIP = (
    ViTConfig(
        width=WIDTH,
        heads=HEADS,
        depth=DEPTH,
        patch=PATCH,
        grid=GRID,
        eps=1e-5,
        pre_norm=True,
        projection=16,
        activation=activation,
    )
    for activation in ("quick_gelu", "gelu")
)
ALL = pytest.mark.parametrize("config", [DINO, DINOV2, CLIP, OPEN_CLIP], ids=["dino", "dinov2", "clip", "open_clip"])


def state_of(config: ViTConfig, seed: int = 0) -> dict[str, Tensor]:
    """Weights ten times as large as the fakes', so that activations and epsilons show in the output."""
    state = random_state(config, torch.Generator().manual_seed(seed))
    return {key: value * (10 if value.ndim > 1 else 1) for key, value in state.items()}


def images(*size: int, seed: int = 1) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def tokens_of_transformers(config: ViTConfig, state: dict[str, Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """(last block's raw tokens, embedding of the class token) by transformers, in float64."""
    import transformers

    common: dict[str, Any] = {
        "hidden_size": config.width,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.heads,
        "image_size": config.patch * config.grid,
        "patch_size": config.patch,
        "layer_norm_eps": config.eps,
        "hidden_act": config.activation,
    }
    model: Any
    if config.pre_norm:
        names = {"layer": "vision_model.encoder.layers", "attention": "self_attn", "out": "out_proj"}
        names |= {"norm1": "layer_norm1", "norm2": "layer_norm2"}
        model = transformers.CLIPVisionModelWithProjection(
            transformers.CLIPVisionConfig(
                **common, intermediate_size=4 * config.width, projection_dim=config.projection
            )
        )
        positions = state["pos_embed"][0].clone()
        positions[1:] += state["patch_embed.proj.bias"]  # CLIP's patches have no bias of their own
        theirs = {
            "vision_model.embeddings.class_embedding": state["cls_token"][0, 0],
            "vision_model.embeddings.patch_embedding.weight": state["patch_embed.proj.weight"],
            "vision_model.embeddings.position_embedding.weight": positions,
            "visual_projection.weight": state["proj"].T,
        }
        for ours, their in (("pos_drop", "pre_layrnorm"), ("norm", "post_layernorm")):
            theirs |= {f"vision_model.{their}.{part}": state[f"{ours}.{part}"] for part in ("weight", "bias")}
    else:
        theirs = {
            "embeddings.cls_token": state["cls_token"],
            "embeddings.position_embeddings": state["pos_embed"],
            "embeddings.patch_embeddings.projection.weight": state["patch_embed.proj.weight"],
            "embeddings.patch_embeddings.projection.bias": state["patch_embed.proj.bias"],
            "layernorm.weight": state["norm.weight"],
            "layernorm.bias": state["norm.bias"],
        }
        if config.layer_scale:
            names = {"layer": "encoder.layer", "attention": "attention", "out": "o_proj"}
            names |= {"norm1": "norm1", "norm2": "norm2"}
            model = transformers.Dinov2Model(transformers.Dinov2Config(**common, mlp_ratio=4))
            theirs["embeddings.mask_token"] = torch.zeros(1, config.width)
        else:
            names = {"layer": "layers", "attention": "attention", "out": "o_proj"}
            names |= {"norm1": "layernorm_before", "norm2": "layernorm_after"}
            model = transformers.ViTModel(
                transformers.ViTConfig(**common, intermediate_size=4 * config.width), add_pooling_layer=False
            )
    for block in range(config.depth):
        ours, their = f"blocks.{block}", f"{names['layer']}.{block}"
        for part in ("weight", "bias"):
            for name, piece in zip("qkv", state[f"{ours}.attn.qkv.{part}"].chunk(3), strict=True):
                theirs[f"{their}.{names['attention']}.{name}_proj.{part}"] = piece
            theirs[f"{their}.{names['attention']}.{names['out']}.{part}"] = state[f"{ours}.attn.proj.{part}"]
            for norm in ("norm1", "norm2"):
                theirs[f"{their}.{names[norm]}.{part}"] = state[f"{ours}.{norm}.{part}"]
            for layer in ("fc1", "fc2"):
                theirs[f"{their}.mlp.{layer}.{part}"] = state[f"{ours}.mlp.{layer}.{part}"]
        if config.layer_scale:
            for side in ("1", "2"):
                theirs[f"{their}.layer_scale{side}.lambda1"] = state[f"{ours}.ls{side}.gamma"]
    model.load_state_dict(theirs, strict=True)
    model = model.double().eval()
    seen: list[Tensor] = []
    last = model.get_submodule(f"{names['layer']}.{config.depth - 1}")
    last.register_forward_hook(lambda _m, _i, out: seen.append(out[0] if isinstance(out, tuple) else out))
    with torch.no_grad():
        out = model(x.double())
    embedding = out.image_embeds if config.pre_norm else out.last_hidden_state[:, 0]
    return seen[0], embedding


@ALL
@pytest.mark.parametrize("faint", [False, True], ids=["plain", "faint"])
def test_equals_transformers(config: ViTConfig, faint: bool) -> None:
    state = state_of(config)
    if faint:  # so small that the LayerNorms' epsilons show
        state |= {key: state[key] * 1e-3 for key in state if key.startswith(("cls", "pos_embed", "patch"))}
    net = vit_from_state(config, state, "the test")
    x = images(3, 3, PATCH * GRID, PATCH * GRID)
    tokens, embedding = tokens_of_transformers(config, state, x)
    with torch.no_grad():
        # float32 against float64: tokens of size 10, sums of 100 products
        assert torch.allclose(net(x).double(), tokens, rtol=1e-5, atol=1e-4)
        assert torch.allclose(net.class_token(x).double(), tokens[:, 0], rtol=1e-5, atol=1e-4)
        assert torch.allclose(net.embedding(x).double(), embedding, rtol=1e-5, atol=1e-4)
    assert float(tokens.std()) > 0.1


@torch.no_grad()
def test_activation_and_epsilon_matter() -> None:
    """Else the comparison above would not see them."""
    state, x = state_of(CLIP), images(2, 3, PATCH * GRID, PATCH * GRID)
    quick, exact = (vit_from_state(config, state, "the test").embedding(x) for config in (CLIP, OPEN_CLIP))
    assert float((quick - exact).abs().max()) > 1e-2
    state |= {key: state[key] * 1e-3 for key in state if key.startswith(("cls", "pos_embed", "patch"))}
    other = replace(CLIP, eps=1e-6)
    wide, narrow = (vit_from_state(config, state, "the test").embedding(x) for config in (CLIP, other))
    assert float((wide - narrow).abs().max()) > 1e-2


def cubic_matrix(source: int, target: int, scale: float) -> np.ndarray:
    """(target, source) weights of bicubic interpolation with a = −0.75 (Keys 1981), edges repeated."""
    a, weights = -0.75, np.zeros((target, source))
    for i in range(target):
        x = (i + 0.5) / scale - 0.5
        base = int(np.floor(x))
        for j in range(base - 1, base + 3):
            d = abs(x - j)
            near, far = (a + 2) * d**3 - (a + 3) * d**2 + 1, a * (d**3 - 5 * d**2 + 8 * d - 4)
            weights[i, min(max(j, 0), source - 1)] += near if d <= 1 else far
    return weights


@pytest.mark.parametrize(("h", "w"), [(2, 2), (6, 6), (3, 5)])
def test_positions_are_interpolated_as_published(h: int, w: int) -> None:
    """With the published 0.1 beside the target size; transformers leaves it out and differs."""
    state = state_of(DINOV2)
    net = vit_from_state(DINOV2, state, "the test")
    table = state["pos_embed"][0, 1:].double().numpy().reshape(GRID, GRID, WIDTH)
    rows, columns = (cubic_matrix(GRID, n, (n + 0.1) / GRID) for n in (h, w))
    expected = np.einsum("ia,jb,abc->ijc", rows, columns, table).reshape(h * w, WIDTH)
    found = net._positions(h, w)[0].detach().double().numpy()
    assert np.allclose(found[1:], expected, atol=1e-5)  # float32 coordinates: 1e-6 of a cell
    assert np.array_equal(found[0], state["pos_embed"][0, 0].double().numpy())
    plain = np.einsum("ia,jb,abc->ijc", *(cubic_matrix(GRID, n, n / GRID) for n in (h, w)), table)
    assert np.abs(plain.reshape(h * w, WIDTH) - expected).max() > 1e-3


def test_other_sizes_than_the_native_one() -> None:
    net = vit_from_state(DINO, state_of(DINO), "the test")
    assert net(images(2, 3, 3 * PATCH, 5 * PATCH)).shape == (2, 1 + 15, WIDTH)
    x = images(2, 3, 3 * PATCH, 5 * PATCH)
    # the same sums, over fewer rows
    assert torch.allclose(net.class_token(x), net(x)[:, 0], rtol=1e-5, atol=1e-5)


@ALL
def test_gradient(config: ViTConfig) -> None:
    net = vit_from_state(config, state_of(config), "the test").double().requires_grad_(False)
    small = images(1, 3, 2 * PATCH, PATCH).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: net.embedding(x), (small,), fast_mode=True)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 1, 32, 32), (1, 3, 32, 33), (1, 3, 0, 32)])
def test_sides_that_patches_do_not_fill(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match=f"multiples of {PATCH} px"):
        ViT(DINO)(torch.zeros(shape))


def test_another_networks_parameters() -> None:
    state = state_of(DINO)
    with pytest.raises(WeightsCorruptError, match=r"30 parameters of a ViT-2/8 in a file; found without norm\.bias\."):
        vit_from_state(DINO, {k: v for k, v in state.items() if k != "norm.bias"}, "a file")
    with pytest.raises(WeightsCorruptError, match=r"found all of them and with head\.weight"):
        vit_from_state(DINO, state | {"head.weight": torch.zeros(1)}, "a file")
    with pytest.raises(WeightsCorruptError, match=r"blocks\.0\.ls1\.gamma.*and 1 more"):
        vit_from_state(DINOV2, state, "a file")
    with pytest.raises(WeightsCorruptError, match=r"pos_embed of shape \(1, 17, 24\) in a file; found \(1, 26, 24\)"):
        vit_from_state(DINO, state | {"pos_embed": torch.zeros(1, 26, 24)}, "a file")


def test_half_precision_files_become_float32() -> None:
    state = {key: value.half() for key, value in state_of(DINO).items()}
    net = vit_from_state(DINO, state, "the test")
    assert {p.dtype for p in net.parameters()} == {torch.float32}
    assert not net.training
