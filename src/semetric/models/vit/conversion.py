"""Other vision transformers in DINO's names, so that one network runs, tunes and stores them all.

Query, key and value of transformers' ViT and DINOv2, and of the image tower of its CLIP, become one matrix; CLIP's
class token and positions get a leading axis, its missing bias of the patches becomes zero.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from semetric.errors import UsageError

__all__ = ["clip_state", "vit_state"]

# Names inside a block, as transformers 5 and older releases have them.
_BLOCK = {
    "layernorm_before": "norm1",
    "layer_norm1": "norm1",
    "layernorm_after": "norm2",
    "layer_norm2": "norm2",
    "attention.o_proj": "attn.proj",
    "self_attn.out_proj": "attn.proj",
    "attention.output.dense": "attn.proj",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
    "layer_scale1.lambda1": "ls1.gamma",
    "layer_scale2.lambda1": "ls2.gamma",
}
_PART = re.compile(r"(?:self_attn|attention(?:\.attention)?)\.(q|k|v|query|key|value)(?:_proj)?\.(weight|bias)")
_LAYER = re.compile(r"(?:encoder\.)?layers?\.(\d+)\.(.+)")


def vit_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The parameters of transformers' ViTModel or Dinov2Model.

    Args:
        state: their state dict.

    Raises:
        UsageError: layers that this transformer has not, such as DINOv2 giant's gated MLPs.
    """
    top = {
        "embeddings.cls_token": "cls_token",
        "embeddings.position_embeddings": "pos_embed",
        "embeddings.patch_embeddings.projection.weight": "patch_embed.proj.weight",
        "embeddings.patch_embeddings.projection.bias": "patch_embed.proj.bias",
        "layernorm.weight": "norm.weight",
        "layernorm.bias": "norm.bias",
    }
    return _converted(state, top, ignored=("embeddings.mask_token", "pooler."))


def clip_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The parameters of the image tower of transformers' CLIPModel.

    Args:
        state: its state dict.

    Raises:
        UsageError: layers that this transformer has not.
    """
    stem = "vision_model."
    inside = {key.removeprefix(stem): value for key, value in state.items() if key.startswith(stem)}
    patches = inside.pop("embeddings.patch_embedding.weight")
    new = {
        "cls_token": inside.pop("embeddings.class_embedding").reshape(1, 1, -1),
        "pos_embed": inside.pop("embeddings.position_embedding.weight")[None],
        "patch_embed.proj.weight": patches,
        "patch_embed.proj.bias": patches.new_zeros(len(patches)),
        "proj": state["visual_projection.weight"].T.contiguous(),
    }
    norms = {"pre_layrnorm": "pos_drop", "post_layernorm": "norm"}
    top = {f"{old}.{part}": f"{name}.{part}" for old, name in norms.items() for part in ("weight", "bias")}
    new |= _converted(inside, top, ignored=("embeddings.position_ids",))
    return {key: value.detach().clone() for key, value in new.items()}


def _converted(state: Mapping[str, Tensor], top: Mapping[str, str], ignored: tuple[str, ...]) -> dict[str, Tensor]:
    new: dict[str, Tensor] = {}
    parts: dict[tuple[str, str], dict[str, Tensor]] = {}
    for key, value in state.items():
        layer = _LAYER.fullmatch(key)
        if key in top:
            new[top[key]] = value
        elif layer is not None:
            part = _PART.fullmatch(layer[2])
            if part is not None:
                parts.setdefault((layer[1], part[2]), {})[part[1][0]] = value
            else:
                new[f"blocks.{layer[1]}.{_inner(layer[2])}"] = value
        elif not key.startswith(ignored):
            raise UsageError(f"Expected a plain vision transformer; found one with {key}. Choose another trunk.")
    for (block, entry), found in parts.items():
        if set(found) != {"q", "k", "v"}:
            raise UsageError(f"Expected query, key and value of block {block}; found {', '.join(sorted(found))}.")
        new[f"blocks.{block}.attn.qkv.{entry}"] = torch.cat([found["q"], found["k"], found["v"]])
    return {key: value.detach().clone() for key, value in new.items()}


def _inner(name: str) -> str:
    stem, _, entry = name.rpartition(".")
    if name in _BLOCK:
        return _BLOCK[name]
    return f"{_BLOCK.get(stem, stem)}.{entry}"
