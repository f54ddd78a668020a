"""DreamSim's published folders with random weights, small or at full size.

At full size the draws come in the order of the script that the numbers in data/dreamsim_official.json were made with,
so that the official package saw the same weights.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from semetric.models.dreamsim.variants import VARIANTS, Trunk, Variant
from semetric.models.vit.config import ViTConfig
from semetric.models.vit.network import ViT

RANK, ALPHA = 16, 8
_HEAD = ((2048, 768), (2048,), (2048, 2048), (2048,), (256, 2048), (256,), (2048, 1), (2048, 256), (2048, 256))


def tiny(name: str) -> Variant:
    """The published variant with trunks of two narrow blocks."""
    variant = VARIANTS[name]
    return replace(variant, trunks=tuple(replace(trunk, config=tiny_config(trunk.config)) for trunk in variant.trunks))


def tiny_config(config: ViTConfig) -> ViTConfig:
    """The dialect kept, the sizes not: two blocks of width 24 with 3 heads."""
    return replace(config, width=24, depth=2, heads=3, projection=16 if config.projection else None)


def random_state(config: ViTConfig, generator: torch.Generator) -> dict[str, Tensor]:
    """Parameters by DINO's names; the projection is drawn last."""
    with torch.device("meta"):
        shapes = {name: tuple(p.shape) for name, p in ViT(config).named_parameters() if name != "proj"}
    state = {}
    for name, shape in shapes.items():
        noise = torch.randn(shape, generator=generator)
        if len(shape) > 1:
            state[name] = noise * 0.03
        elif name.endswith("weight"):
            state[name] = 1 + 0.1 * noise
        elif name.endswith("gamma"):
            state[name] = 0.7 + 0.1 * noise
        else:
            state[name] = 0.02 * noise
    if config.projection is not None:
        state["proj"] = torch.randn(config.width, config.projection, generator=generator) * 0.04
    return state


def random_adapter(variant: Variant, generator: torch.Generator) -> dict[str, Tensor]:
    """LoRA's matrices by the names under which PEFT saves them."""
    state = {}
    for position, trunk in enumerate(variant.trunks):
        width = trunk.config.width
        for block in range(trunk.config.depth):
            stem = f"base_model.model.extractor_list.{position}.model.blocks.{block}.attn.qkv"
            for side, shape in (("A", (RANK, width)), ("B", (3 * width, RANK))):
                state[f"{stem}.lora_{side}.weight"] = torch.randn(shape, generator=generator) * 0.05
    return state


def write_folder(folder: Path, variant: Variant, seed: int = 0) -> dict[str, Any]:
    """Writes what the official package keeps of a variant.

    Returns:
        The parameters: "trunks" (a list of states), "adapter".
    """
    generator = torch.Generator().manual_seed(seed)
    trunks = []
    for trunk in variant.trunks:
        state = random_state(trunk.config, generator)
        if trunk.name == "dino_vitb16":
            for shape in _HEAD:  # the projection head, which has no part in the distance
                torch.randn(shape, generator=generator)
        file = folder / trunk.files[0]
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.save(_wrapped(trunk, state), file)
        trunks.append(state)
    adapter = random_adapter(variant, generator)
    (folder / variant.adapter).mkdir(parents=True, exist_ok=True)
    save_file(adapter, folder / variant.adapter / "adapter_model.safetensors")
    write_config(folder, variant)
    return {"trunks": trunks, "adapter": adapter}


def write_config(folder: Path, variant: Variant, **changes: Any) -> None:
    """Writes LoRA's settings."""
    config = {
        "peft_type": "LORA",
        "r": RANK,
        "lora_alpha": ALPHA,
        "lora_dropout": 0.3,
        "bias": "none",
        "fan_in_fan_out": False,
        "modules_to_save": None,
        "target_modules": ["qkv"],
    }
    (folder / variant.adapter / "adapter_config.json").write_text(json.dumps(config | changes))


def _wrapped(trunk: Trunk, state: dict[str, Tensor]) -> dict[str, Any]:
    if trunk.layout == "state_dict":
        return {"state_dict": state}
    if trunk.layout == "model":  # a training checkpoint, with more in it
        options = argparse.Namespace(arch="vit_base", lr=0.1)
        return {"model": {f"module.visual.{k}": v for k, v in state.items()}, "epoch": 500, "args": options}
    if trunk.config.layer_scale:
        return state | {"mask_token": torch.zeros(1, trunk.config.width)}
    return dict(state)
