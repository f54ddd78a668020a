from __future__ import annotations

import importlib.util
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from semetric.errors import UsageError, WeightsCorruptError
from semetric.models.lpips_trunks import LpipsNet, load_lpips
from semetric.weights import locate

RNG = np.random.default_rng(4)


def packaged(net: LpipsNet, name: str) -> dict[str, Any]:
    """Random arrays in the layout of the packaged pickles."""
    convolutions = [m for m in net.features.modules() if isinstance(m, nn.Conv2d)]
    tree: dict[str, Any] = {name: {}}
    for i, layer in enumerate(convolutions):
        out, into, height, width = layer.weight.shape
        kernel = RNG.standard_normal((height, width, into, out), dtype=np.float32)
        tree[name][f"Conv_{i}"] = {"kernel": kernel, "bias": RNG.standard_normal(out, dtype=np.float32)}
    for i, head in enumerate(net.heads):
        tree[f"NetLinLayer_{i}"] = {"Conv_0": {"kernel": RNG.random((1, 1, len(head), 1), dtype=np.float32)}}
    return tree


def write(tree: dict[str, Any], path: Path) -> Path:
    path.write_bytes(pickle.dumps(tree, protocol=4))
    return path


@pytest.fixture(scope="module")
def alex() -> dict[str, Any]:
    return packaged(LpipsNet("alex"), "AlexNet_0")


def published(net: LpipsNet, folder: Path) -> tuple[Path, Path]:
    """Random state dicts in the layout of the published classifier and heads."""
    state = {k: torch.rand_like(v) for k, v in net.state_dict().items() if k.startswith("features.")}
    state["classifier.1.weight"] = torch.rand(10, 4)
    heads = {f"lin{i}.model.1.weight": torch.rand(1, len(h), 1, 1) for i, h in enumerate(net.heads)}
    torch.save(state, folder / "trunk.pth")
    torch.save(heads, folder / "heads.pth")
    return folder / "trunk.pth", folder / "heads.pth"


def test_packaged_layout(alex: dict[str, Any], tmp_path: Path) -> None:
    net = load_lpips("alex", write(alex, tmp_path / "alex.ckpt"))
    assert not net.training
    kernel = alex["AlexNet_0"]["Conv_3"]["kernel"]  # (3, 3, 384, 256)
    weight = net.get_parameter("features.8.weight").detach()
    assert float(weight[7, 300, 0, 2]) == kernel[0, 2, 300, 7]
    assert np.array_equal(net.get_parameter("features.3.bias").detach(), alex["AlexNet_0"]["Conv_1"]["bias"])
    assert np.array_equal(net.heads[2].detach(), alex["NetLinLayer_2"]["Conv_0"]["kernel"].ravel())


@pytest.mark.parametrize("trunk", ["alex", "squeeze"])
def test_published_layout(trunk: Any, tmp_path: Path) -> None:
    path, heads = published(LpipsNet(trunk), tmp_path)
    net = load_lpips(trunk, path, heads)
    state = torch.load(path, weights_only=True)
    assert torch.equal(net.get_parameter("features.0.weight"), state["features.0.weight"])
    assert torch.equal(net.heads[4], torch.load(heads, weights_only=True)["lin4.model.1.weight"].ravel())


def test_published_names_of_squeezenet() -> None:
    names = set(dict(LpipsNet("squeeze").named_parameters()))
    assert {"features.0.weight", "features.3.squeeze.bias", "features.12.expand3x3.weight"} <= names
    # SqueezeNet 1.1 has 1,235,496 parameters, 513,000 of them in its classifier
    assert sum(p.numel() for n, p in LpipsNet("squeeze").named_parameters() if n.startswith("features.")) == 722_496


@pytest.mark.parametrize(
    ("trunk", "parameters"),
    [("alex", 2_469_696), ("vgg", 14_714_688)],  # 61,100,840 and 138,357,544 less the classifiers
)
def test_sizes_of_the_trunks(trunk: Any, parameters: int) -> None:
    assert sum(p.numel() for n, p in LpipsNet(trunk).named_parameters() if n.startswith("features.")) == parameters


def test_features_are_rectified_and_as_wide_as_the_heads() -> None:
    for trunk in ("alex", "vgg", "squeeze"):
        net = LpipsNet(trunk)
        features = list(net(torch.rand(2, 3, 40, 48)))
        assert [f.shape[1] for f in features] == [len(h) for h in net.heads]
        assert all(float(f.detach().min()) >= 0 for f in features)


@pytest.mark.parametrize("change", ["missing layer", "extra layer", "missing head", "shape", "other trunk", "flat"])
def test_other_arrays_are_refused(alex: dict[str, Any], change: str, tmp_path: Path) -> None:
    tree: dict[str, Any] = {k: dict(v) for k, v in alex.items()}
    if change == "missing layer":
        del tree["AlexNet_0"]["Conv_4"]
    elif change == "extra layer":
        tree["AlexNet_0"]["Conv_5"] = tree["AlexNet_0"]["Conv_4"]
    elif change == "missing head":
        del tree["NetLinLayer_4"]
    elif change == "shape":
        tree["AlexNet_0"]["Conv_4"] = tree["AlexNet_0"]["Conv_3"]
    elif change == "other trunk":
        tree["Other_0"] = tree.pop("AlexNet_0")
    else:
        tree["AlexNet_0"] = np.zeros(3, np.float32)
    with pytest.raises(WeightsCorruptError, match=r"alex\.ckpt"):
        load_lpips("alex", write(tree, tmp_path / "alex.ckpt"))


def test_one_trunk_does_not_load_as_another(alex: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(WeightsCorruptError):
        load_lpips("vgg", write(alex, tmp_path / "alex.ckpt"))


def test_damaged_state_dicts_are_refused(tmp_path: Path) -> None:
    path, heads = published(LpipsNet("squeeze"), tmp_path)
    with pytest.raises(WeightsCorruptError, match="Expected LPIPS heads"):
        load_lpips("squeeze", path, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsCorruptError, match=r"trunk\.pth is cut short or damaged"):
        load_lpips("squeeze", path, heads)
    torch.save([1, 2], path)
    with pytest.raises(WeightsCorruptError, match="holds a list"):
        load_lpips("squeeze", path, heads)


def test_code_in_a_state_dict_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    _, heads = published(LpipsNet("squeeze"), tmp_path)
    torch.save({"features.0.weight": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(WeightsCorruptError, match=r"trap\.pth"):
        load_lpips("squeeze", tmp_path / "trap.pth", heads)
    assert not (tmp_path / "sprung").exists()


def test_unknown_trunk() -> None:
    with pytest.raises(UsageError, match="alex, vgg, squeeze; found 'resnet'"):
        LpipsNet("resnet")  # type: ignore[arg-type]


def published_heads(name: str) -> Path:
    """The heads that torchmetrics carries; the package is found, not imported."""
    found = importlib.util.find_spec("torchmetrics")
    if found is None or found.origin is None:
        pytest.skip("torchmetrics is not installed")
    return Path(found.origin).parent / "functional" / "image" / "lpips_models" / f"{name}.pth"


def test_published_heads_of_squeezenet_load(tmp_path: Path) -> None:
    path, _ = published(LpipsNet("squeeze"), tmp_path)
    net = load_lpips("squeeze", path, published_heads("squeeze"))
    assert all(float(h.detach().min()) >= 0 and float(h.detach().max()) > 0 for h in net.heads)


@pytest.mark.weights
@pytest.mark.parametrize("trunk", ["alex", "vgg"])
def test_packaged_heads_are_the_published_ones(trunk: Any) -> None:
    net = load_lpips(trunk, locate(f"lpips_{trunk}"))
    heads = torch.load(published_heads(trunk), map_location="cpu", weights_only=True)
    for i, head in enumerate(net.heads):
        assert torch.equal(head, heads[f"lin{i}.model.1.weight"].ravel())
