import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from semetric.errors import UsageError, WeightsCorruptError, WeightsMissingError
from semetric.models.efficientnet_lite import VARIANTS, EfficientNetLite, load_efficientnet_lite, prepare

# (block, kernel, stride, input and output width) of each stage's first block and the number of blocks, lite2.
LITE2_STAGES = [
    (1, 3, 1, 32, 16),
    (3, 3, 2, 16, 24),
    (3, 5, 2, 24, 48),
    (4, 3, 2, 48, 88),
    (4, 5, 1, 88, 120),
    (5, 5, 2, 120, 208),
    (1, 3, 1, 208, 352),
]


def packaged_lite2(seed: int = 0) -> dict[str, torch.Tensor]:
    """Random weights under the packaged names, in forward order, written out from the published architecture."""
    g = torch.Generator().manual_seed(seed)
    state: dict[str, torch.Tensor] = {}

    def conv(name: str, out: int, into: int, k: int) -> None:
        state[f"{name}.weight"] = torch.randn(out, into, k, k, generator=g) * (2.0 / (into * k * k)) ** 0.5

    def norm(name: str, width: int) -> None:
        state[f"{name}.weight"] = torch.rand(width, generator=g) + 0.5
        state[f"{name}.bias"] = torch.randn(width, generator=g) * 0.1
        state[f"{name}.running_mean"] = torch.randn(width, generator=g) * 0.1
        state[f"{name}.running_var"] = torch.rand(width, generator=g) + 0.5
        state[f"{name}.num_batches_tracked"] = torch.tensor(1)

    conv("_conv_stem", 32, 3, 3)
    norm("_bn0", 32)
    i = 0
    for stage, (repeats, k, _, width_in, width_out) in enumerate(LITE2_STAGES):
        for j in range(repeats):
            into = width_in if j == 0 else width_out
            inner = into if stage == 0 else 6 * into
            if stage:
                conv(f"_blocks.{i}._expand_conv", inner, into, 1)
                norm(f"_blocks.{i}._bn0", inner)
            conv(f"_blocks.{i}._depthwise_conv", inner, 1, k)
            norm(f"_blocks.{i}._bn1", inner)
            conv(f"_blocks.{i}._project_conv", width_out, inner, 1)
            norm(f"_blocks.{i}._bn2", width_out)
            i += 1
    conv("_conv_head", 1280, 352, 1)
    norm("_bn1", 1280)
    state["_fc.weight"] = torch.randn(1000, 1280, generator=g) * 0.03
    state["_fc.bias"] = torch.randn(1000, generator=g)
    return state


def reference_lite2(state: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """The published network, unfolded, as functions over the packaged names; (B, 1280)."""

    def conv(x: torch.Tensor, name: str, norm: str, stride: int = 1, *, deep: bool = False) -> torch.Tensor:
        weight = state[f"{name}.weight"]
        k = weight.shape[2]
        total = [max((-(-n // stride) - 1) * stride + k - n, 0) for n in (x.shape[3], x.shape[2])]
        x = F.pad(x, [total[0] // 2, total[0] - total[0] // 2, total[1] // 2, total[1] - total[1] // 2])
        x = F.conv2d(x, weight, stride=stride, groups=len(weight) if deep else 1)
        parts = [state[f"{norm}.{p}"] for p in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *parts, eps=1e-3)

    x = F.relu6(conv(x, "_conv_stem", "_bn0", 2))
    i = 0
    for stage, (repeats, _, stride, _, _) in enumerate(LITE2_STAGES):
        for j in range(repeats):
            y, block = x, f"_blocks.{i}"
            if stage:
                y = F.relu6(conv(y, f"{block}._expand_conv", f"{block}._bn0"))
            y = F.relu6(conv(y, f"{block}._depthwise_conv", f"{block}._bn1", stride if j == 0 else 1, deep=True))
            y = conv(y, f"{block}._project_conv", f"{block}._bn2")
            x = x + y if j else y
            i += 1
    return F.relu6(conv(x, "_conv_head", "_bn1")).mean((2, 3))


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "lite2.pth"
    torch.save(packaged_lite2(), path)
    return path


def test_the_packaged_layout_of_lite2_has_386_entries() -> None:
    assert len(packaged_lite2()) == 386


@pytest.mark.parametrize("side", [64, 65, 71])
def test_folded_network_equals_convolutions_and_batch_norms(packaged: Path, side: int) -> None:
    x = torch.randn(2, 3, side, side + 6, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        ours = load_efficientnet_lite("lite2", packaged)(x)
        theirs = reference_lite2(packaged_lite2(), x)
    assert theirs.std() > 0.01
    # 66 float32 convolutions, folded against unfolded; values reach 6.
    torch.testing.assert_close(ours, theirs, atol=2e-4, rtol=1e-3)


def test_stages_and_classes(packaged: Path) -> None:
    network = load_efficientnet_lite("lite2", packaged)
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        found = network.pooled(x, [1, 4, 7, 8])
        assert [tuple(f.shape) for f in found] == [(1, 16), (1, 88), (1, 352), (1, 1280)]
        assert torch.equal(found[-1], network(x))
        assert torch.equal(found[1], network.pooled(x, [4])[0])
        assert float(found[2].min()) < 0 <= float(found[3].min())
        state = packaged_lite2()
        expected = found[-1] @ state["_fc.weight"].T + state["_fc.bias"]
        torch.testing.assert_close(network.classify(found[-1]), expected, atol=1e-4, rtol=1e-4)  # float32 sums of 1280
    for stages in ([3, 2], [2, 2], [9], [0, 1], []):
        with pytest.raises(UsageError, match="rising stages"):
            network.pooled(x, stages)


@pytest.mark.parametrize(("variant", "widths"), [("lite0", 320), ("lite1", 320), ("lite2", 352)])
def test_variants_are_scaled_as_published(variant: str, widths: int) -> None:
    network = EfficientNetLite(variant)
    assert network.head.in_channels == widths
    assert len(network.blocks) == {"lite0": 16, "lite1": 21, "lite2": 21}[variant]
    assert network.side == VARIANTS[variant].side == {"lite0": 224, "lite1": 240, "lite2": 260}[variant]


def test_gradients_reach_the_input(packaged: Path) -> None:
    x = torch.randn(1, 3, 40, 40, generator=torch.Generator().manual_seed(3), requires_grad=True)
    load_efficientnet_lite("lite2", packaged)(x).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert x.grad.abs().sum() > 0


def test_preparation() -> None:
    crop = np.zeros((5, 9, 3), np.uint8)
    crop[..., 0], crop[..., 1] = 255, 127
    batch = prepare([crop, crop[:3]], 16)
    assert batch.shape == (2, 3, 16, 16)
    assert batch.dtype == torch.float32
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert batch.amin((0, 2, 3)).tolist() == batch.amax((0, 2, 3)).tolist() == [1.0, 0.0, -127 / 128]


def test_another_variant_is_named_as_what_was_found(packaged: Path) -> None:
    with pytest.raises(WeightsCorruptError, match=r"_blocks\..* another network than EfficientNet-Lite1"):
        load_efficientnet_lite("lite1", packaged)
    with pytest.raises(WeightsCorruptError, match="Expected the 296 parameters"):
        load_efficientnet_lite("lite0", packaged)


def test_missing_garbled_and_hostile_files(tmp_path: Path, packaged: Path) -> None:
    with pytest.raises(WeightsMissingError, match=r"nowhere\.pth"):
        load_efficientnet_lite("lite2", tmp_path / "nowhere.pth")
    whole = packaged.read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "text.pth").write_bytes(b"not a checkpoint at all")
    (tmp_path / "code.pth").write_bytes(pickle.dumps(Path, protocol=2))  # would import something
    torch.save([1, 2, 3], tmp_path / "list.pth")
    torch.save({"_fc.weight": torch.zeros(3)}, tmp_path / "short.pth")
    for name in ("cut", "empty", "text", "code", "list", "short"):
        with pytest.raises(WeightsCorruptError, match=f"{name}.pth"):
            load_efficientnet_lite("lite2", tmp_path / f"{name}.pth")
    with pytest.raises(UsageError, match="lite0, lite1, lite2"):
        load_efficientnet_lite("lite9", packaged)


# ImageNet's indices: 281 to 285 are the house cats, 967 espresso, 968 cup.
@pytest.mark.weights
@pytest.mark.parametrize(("photo", "expected"), [("chelsea", {281, 282, 283, 284, 285}), ("coffee", {967, 968})])
def test_it_names_what_is_on_the_photo(photo: str, expected: set[int]) -> None:
    from skimage import data

    from semetric.weights import locate

    network = load_efficientnet_lite("lite2", locate("efficientnet_lite2"))
    with torch.inference_mode():
        logits = network.classify(network(prepare([getattr(data, photo)()], network.side)))
    probabilities = logits.softmax(1)[0]
    assert int(probabilities.argmax()) in expected
    # It gives these 0.87 and 0.89 together; with another padding, eps or scaling they sink below a half.
    assert float(probabilities[list(expected)].sum()) > 0.8
