from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import semetric
from fake_dreamsim import random_state, tiny, write_folder
from semetric.cache import Store
from semetric.cli import main
from semetric.errors import ImageError, UsageError, WeightsCorruptError, WeightsMissingError
from semetric.image import read_image
from semetric.metrics import dreamsim as module
from semetric.metrics.dreamsim import DreamSim, DreamSimUntuned, dreamsim
from semetric.metrics.registry import default_metrics
from semetric.models.dreamsim.network import DreamSimNet
from semetric.models.dreamsim.variants import VARIANTS, Variant
from semetric.models.runtime import Runtime
from semetric.models.vit.network import vit_from_state
from semetric.profiles import profile

OFFICIAL = json.loads((Path(__file__).parent.parent / "data" / "dreamsim_official.json").read_text())["variants"]


def tiny_net(which: Variant, seed: int = 0) -> DreamSimNet:
    """A network without files; its weights large enough that unlike images are far apart."""
    trunks = []
    for trunk in which.trunks:
        state = random_state(trunk.config, torch.Generator().manual_seed(seed))
        state = {key: value * (10 if value.ndim > 1 else 1) for key, value in state.items()}
        trunks.append(vit_from_state(trunk.config, state, "a test"))
    return DreamSimNet(trunks, which.feature, [trunk.normalisation for trunk in which.trunks])


class Lent(DreamSim):
    """DreamSim on a network that needs no file; counts the images that it embeds."""

    def __init__(self, runtime: Runtime | None = None, name: str = "clip_vitb32", seed: int = 0) -> None:
        super().__init__(runtime or Runtime(profile("lite", dreamsim=name), device="cpu"))
        self.variant = tiny(name)
        self.net = tiny_net(self.variant, seed).eval().requires_grad_(False)
        self.batches: list[int] = []

    @property
    def weights(self) -> Mapping[str, str]:
        return {"lent": "a@000000000000"}

    def _net(self) -> DreamSimNet:
        return self.net

    def _compute(self, pictures: Any) -> Any:
        self.batches.append(len(pictures))
        return super()._compute(pictures)


def photos(count: int, side: int = 60) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (count, 6, 5, 3), dtype=np.uint8)
    return [np.kron(c, np.ones((side // 6, side // 6, 1), np.uint8)) for c in coarse]


# The official package on the same random weights at full size


@pytest.mark.slow
@pytest.mark.parametrize("name", OFFICIAL)
def test_agrees_with_the_official_package(name: str, golden_images: dict[str, np.ndarray], tmp_path: Path) -> None:
    golden = OFFICIAL[name]
    folder = tmp_path / name
    try:
        write_folder(folder, VARIANTS[name], golden["seed"])
        metric = semetric.create("dreamsim", device="cpu", store=None, dreamsim=name, dreamsim_weights=str(folder))
        images = [golden_images[image] for image in golden["distances"]]
        reference = golden_images[golden["reference"]]
        scores = metric.batch([reference] * len(images), images)
        embedding = metric.embed([read_image(reference)])[0]  # type: ignore[attr-defined]
    finally:
        shutil.rmtree(folder)  # up to 1 GB
    # float32 sums in another order: measured 3e-7
    assert [s.value for s in scores] == pytest.approx(list(golden["distances"].values()), abs=2e-6)
    if not name.endswith("_patch"):
        assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-6)
    assert embedding[:8] == pytest.approx(golden["embedding_first8"], abs=1e-6)
    assert golden["distances"]["coffee.png"] > 0.1  # what the tolerance is to be compared with


# The function


def test_cosine_by_hand() -> None:
    a = torch.tensor([[3.0, 4.0], [1.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    b = torch.tensor([[4.0, 3.0], [0.0, 5.0], [-2.0, 0.0], [7.0, 0.0]])
    assert dreamsim(a, b).tolist() == pytest.approx([1 - 24 / 25, 1, 2, 0], abs=1e-6)  # float32


@given(hnp.arrays(np.float32, (2, 5), elements=st.floats(-1, 1, width=32)))
def test_range_symmetry_and_the_twin_without_torch(pair: np.ndarray) -> None:
    lengths = np.linalg.norm(pair, axis=1)
    if ((lengths > 0) & (lengths < 1e-3)).any():  # no direction to speak of
        return
    a, b = (torch.from_numpy(row[None]) for row in pair)
    value = float(dreamsim(a, b))
    assert 0 <= value <= 2
    assert value == pytest.approx(float(dreamsim(b, a)), abs=1e-6)
    assert float(dreamsim(a, a)) == pytest.approx(0 if lengths[0] else 1, abs=1e-6)  # nothing is like no direction
    assert module._distance(*pair) == pytest.approx(value, abs=1e-6)  # float32 against float64
    assert 0 <= module._distance(*pair) <= 2


def test_gradient_of_the_function() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(3, 7, generator=generator, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(dreamsim, (a, b))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (torch.zeros(2, 3), torch.zeros(2, 4)),
        (torch.zeros(3), torch.zeros(3)),
        (torch.zeros(2, 3), torch.zeros(1, 3)),
        (torch.zeros(2, 3, dtype=torch.int64), torch.zeros(2, 3, dtype=torch.int64)),
    ],
)
def test_bad_embeddings(a: torch.Tensor, b: torch.Tensor) -> None:
    with pytest.raises(ImageError, match=r"embeddings \(B, D\)"):
        dreamsim(a, b)


# The metric


@pytest.mark.parametrize("name", ["ensemble", "dinov2_vitb14_patch"])
def test_identity_symmetry_and_order(name: str) -> None:
    metric, (a, b, c) = Lent(name=name), photos(3)
    assert metric(a, a).value == pytest.approx(0, abs=1e-6)  # float32 vectors of length 1
    assert metric(a, b).value == pytest.approx(metric(b, a).value, abs=1e-7)
    near = np.clip(a.astype(int) + 8, 0, 255).astype(np.uint8)
    assert 1e-5 < metric(a, near).value < metric(a, c).value
    score = metric(a, b)
    assert (score.metric, score.higher_is_better, score.range) == ("dreamsim", False, (0.0, 2.0))
    assert score.details == {"variant": name, "tuned": True}
    assert score.weights == {"lent": "a@000000000000"}


def test_sizes_may_differ() -> None:
    metric, (a, *_) = Lent(), photos(1, side=300)
    # the same picture at twice the size: squashed to the same square, up to the resize of its edges
    assert metric(a, np.kron(a, np.ones((2, 2, 1), np.uint8))).value < metric(a, a[:, ::-1]).value / 10


def test_batches_of_any_size_give_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    images = photos(11)
    pairs = [(i, (3 * i + 1) % 11) for i in range(11)]
    expected = [Lent()(images[i], images[j]).value for i, j in pairs]
    for size in (1, 4, 100):
        monkeypatch.setattr(module, "_BATCH", size)
        metric = Lent()
        scores = metric.batch([images[i] for i, _ in pairs], [images[j] for _, j in pairs])
        assert sum(metric.batches) == 11  # each image once
        assert max(metric.batches) == min(size, 11)
        assert [s.value for s in scores] == pytest.approx(expected, abs=1e-6)  # float32 ordered by batch size
        backwards = metric.batch([images[i] for i, _ in pairs[::-1]], [images[j] for _, j in pairs[::-1]])
        assert [s.value for s in backwards[::-1]] == [s.value for s in scores]
    assert Lent().batch([], []) == []


def test_embeddings_are_kept_on_disk(tmp_path: Path) -> None:
    def fresh(seed: int = 0) -> Lent:
        chosen = profile("lite", dreamsim="clip_vitb32")
        return Lent(Runtime(chosen, device="cpu", store=Store(tmp_path)), seed=seed)

    a, b, c = photos(3)
    first, second = fresh(), fresh()
    value = first(a, b).value
    assert second(a, b).value == value
    assert second.batches == []
    second.batch([a, b], [c, c])
    assert second.batches == [1]  # only what was new


def test_what_is_no_number_is_refused() -> None:
    metric = Lent()
    with torch.no_grad():
        metric.net.trunks[0].norm.weight[0] = float("nan")  # type: ignore[union-attr, index]
    a, b = photos(2)
    with pytest.raises(WeightsCorruptError, match=r"finite embeddings.*a@000000000000"):
        metric(a, b)


# Gradients


def test_values_are_the_scores() -> None:
    metric, images = Lent(name="ensemble"), photos(4, side=300)
    tensors = torch.stack([torch.from_numpy(i).permute(2, 0, 1) / 255 for i in images])
    found = metric.values(tensors[:2], tensors[2:])
    expected = [s.value for s in metric.batch(images[:2], images[2:])]
    # the tensor resize does not round to 8 bits: a level of 255 in smooth places, two beside edges
    assert found.tolist() == pytest.approx(expected, rel=1e-2)
    one = metric.values(tensors[:1], tensors[2:3])
    assert float(one) == pytest.approx(float(found[0]), abs=1e-6)  # the size of the batch
    assert metric.values(tensors[:0], tensors[:0]).shape == (0,)


@pytest.mark.parametrize("name", ["ensemble", "dino_vitb16_patch"])
def test_gradient_to_both_images(name: str) -> None:
    metric = Lent(name=name)
    metric.net.double()
    generator = torch.Generator().manual_seed(1)
    a, b = (0.2 + 0.6 * torch.rand(1, 3, 48, 40, generator=generator, dtype=torch.float64) for _ in range(2))
    a.requires_grad_()
    b.requires_grad_()
    # a random projection of the Jacobian: 5760 inputs one by one would take minutes. `values` computes in float32,
    # too coarse for differences; what it calls computes in what it is given.
    assert torch.autograd.gradcheck(metric._values, (a, b), fast_mode=True)


def test_an_image_can_be_reconstructed() -> None:
    """A few steps down the gradient bring a grey image nearer."""
    metric = Lent()
    target = torch.from_numpy(photos(1)[0]).permute(2, 0, 1)[None] / 255
    image = torch.full_like(target, 0.5)
    before = float(metric.values(target, image))
    for _ in range(5):
        image.requires_grad_()
        (gradient,) = torch.autograd.grad(metric.values(target, image).sum(), image)
        image = (image.detach() - 0.05 * gradient / gradient.abs().max()).clamp(0, 1)
    assert float(metric.values(target, image)) < 0.9 * before


# Weights


def folder_of(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small published folder, and the library made to expect small trunks."""
    monkeypatch.setitem(VARIANTS, name, tiny(name))
    write_folder(folder, tiny(name))
    return folder


def test_results_name_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of("ensemble", tmp_path, monkeypatch)
    a, b = photos(2)
    options = {"dreamsim_weights": str(folder), "device": "cpu", "store": None}
    found = semetric.score(a, b, metrics=["dreamsim", "dreamsim_untuned"], **options)  # type: ignore[arg-type]
    assert not found.errors
    tuned, untuned = found.scores["dreamsim"], found.scores["dreamsim_untuned"]
    assert tuned.details["variant"] == "ensemble"  # the authors' default
    files = {
        "dino_vitb16": "dino_vitbase16_pretrain@",
        "clip_vitb16": "clip_vitb16_pretrain.pth@",
        "open_clip_vitb16": "open_clip_vitb16_pretrain.pth@",
        "adapter": "ensemble_lora.adapter_model@",
        "adapter_config": "ensemble_lora.adapter_config@",
    }
    assert list(tuned.weights) == list(files)
    assert all(tuned.weights[role].startswith(start) for role, start in files.items())
    assert untuned.weights == {role: tuned.weights[role] for role in list(files)[:3]}
    assert (untuned.metric, untuned.details["tuned"]) == ("dreamsim_untuned", False)
    assert untuned.value != tuned.value


def test_one_runtime_keeps_tuned_and_untuned_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of("clip_vitb32", tmp_path, monkeypatch)
    runtime = semetric.runtime(device="cpu", store=None, dreamsim="clip_vitb32", dreamsim_weights=str(folder))
    a, b = photos(2)
    together = [kind(runtime)(a, b).value for kind in (DreamSim, DreamSimUntuned, DreamSim)]
    assert together[0] == together[2] != together[1]


def test_lite_explains_itself(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "dreamsim" not in default_metrics(profile("lite"))
    assert "dreamsim" in default_metrics(profile("standard"))
    assert "dreamsim" in default_metrics(profile("lite", dreamsim="ensemble"))
    assert "dreamsim" in default_metrics(profile("lite", dreamsim_weights="some.zip"))
    with pytest.raises(UsageError, match=r"the profile lite names none.*dreamsim_ensemble_checkpoint\.zip"):
        semetric.create("dreamsim")
    from PIL import Image

    Image.fromarray(photos(1)[0]).save(tmp_path / "a.png")
    file = str(tmp_path / "a.png")
    assert main(["score", file, file, "--metric", "dreamsim"]) == 2
    message = capsys.readouterr().err
    assert "--dreamsim ensemble" in message
    assert "--dreamsim-weights" in message


def test_missing_weights_on_the_command_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    monkeypatch.setenv("SEMETRIC_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SEMETRIC_WEIGHTS_DIR", raising=False)
    Image.fromarray(photos(1)[0]).save(tmp_path / "a.png")
    file = str(tmp_path / "a.png")
    assert main(["score", file, file, "--metric", "dreamsim", "--dreamsim", "clip_vitb32", "--json"]) == 4
    error = json.loads(capsys.readouterr().out)["errors"]["dreamsim"]
    assert "clip_vitb32_pretrain.pth.tar" in error
    assert "dreamsim_clip_vitb32_checkpoint.zip" in error
    assert main(["score", file, file, "--metric", "dreamsim", "--dreamsim", "resnet"]) == 2
    assert "found 'resnet'" in capsys.readouterr().err


@pytest.mark.parametrize("make", [DreamSim, DreamSimUntuned])
def test_making_it_touches_no_file(make: Callable[[Runtime], DreamSim], tmp_path: Path) -> None:
    metric = make(Runtime(profile("lite", dreamsim="dino_vitb16", dreamsim_weights=str(tmp_path / "x.zip"))))
    with pytest.raises(WeightsMissingError, match=r"x\.zip; nothing is there"):
        metric(*photos(2))
