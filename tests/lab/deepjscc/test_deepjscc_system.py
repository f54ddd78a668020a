from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from semetric.errors import UsageError, WeightsCorruptError
from semetric.lab.deepjscc.config import Constellation
from semetric.lab.deepjscc.network import DeepJscc
from semetric.lab.deepjscc.system import DeepJsccSystem
from semetric.lab.deepjscc.weights import pack
from semetric.lab.systems import System, generator

Pixels = NDArray[np.uint8]


@pytest.fixture
def tiny_file(tiny: DeepJscc, tmp_path: Path) -> Path:
    file = tmp_path / "tiny.safetensors"
    file.write_bytes(pack(tiny))
    return file


def noise_image(height: int, width: int) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def astronaut() -> Pixels:
    """A photo that no training has seen: 256 × 256 px."""
    from skimage import data

    pixels: Pixels = data.astronaut()[:256, 100:356]
    return np.ascontiguousarray(pixels)


def psnr_db(a: Pixels, b: Pixels) -> float:
    return float(10 * np.log10(255**2 / np.square(a.astype(float) - b).mean()))


@pytest.mark.parametrize("size", [(16, 24), (17, 5), (1, 1)])
def test_what_is_received(tiny_file: Path, size: tuple[int, int]) -> None:
    system: System = DeepJsccSystem(tiny_file, device="cpu")
    image = noise_image(*size)
    got = system.send(image, 10.0, np.random.default_rng(1))
    assert got.pixels.shape == image.shape
    assert got.pixels.dtype == np.uint8
    assert got.pixels.flags.c_contiguous
    assert got.size_bytes is None
    assert got.rate_bpp is None
    assert not got.failed
    uses = 4 * -(-size[0] // 8) * -(-size[1] // 8)
    assert got.details == {"channel_uses": uses}
    assert got.uses_per_pixel == uses / (size[0] * size[1])


def test_seeds_reproduce(tiny_file: Path) -> None:
    system = DeepJsccSystem(tiny_file, device="cpu")
    image = noise_image(24, 32)
    before = torch.random.get_rng_state()
    first, again, other = (system.send(image, 5.0, np.random.default_rng(seed)).pixels for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    system.send(image, 5.0, np.random.default_rng(3))
    assert np.array_equal(system.send(image, 5.0, np.random.default_rng(1)).pixels, first)


def test_rayleigh_fading_says_what_was_received(tiny_file: Path) -> None:
    system = DeepJsccSystem(tiny_file, fading="rayleigh", device="cpu")
    assert (system.name, system.label) == ("deepjscc-rayleigh", "DeepJSCC over Rayleigh fading")
    image = noise_image(16, 16)
    snrs = [system.send(image, 10.0, np.random.default_rng(seed)).details["received_snr_db"] for seed in range(20)]
    assert len(set(snrs)) == 20
    assert min(snrs) < 10 < max(snrs)  # of 20 draws, all on one side of 10 dB: 0.63²⁰ = 1e-4, and the seeds are fixed


def test_what_shapes_it_is_plain_json(tiny_file: Path) -> None:
    system = DeepJsccSystem(tiny_file, name="mine", label="My network", device="cpu")
    described = system.to_dict()
    assert json.loads(json.dumps(described)) == described
    assert (described["name"], described["label"], described["kind"]) == ("mine", "My network", "deepjscc")
    assert described["network"]["symbols"] == 4
    assert len(described["weights_sha256"]) == 64


@pytest.mark.parametrize("level", [float("nan"), float("inf"), -51.0, 101.0])
def test_impossible_levels_are_refused(tiny_file: Path, level: float) -> None:
    with pytest.raises(UsageError, match="Expected an SNR from -50 to 100 dB"):
        DeepJsccSystem(tiny_file, device="cpu").send(noise_image(8, 8), level, np.random.default_rng(0))


@pytest.mark.parametrize("image", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3)), np.zeros((0, 8, 3), np.uint8)])
def test_other_images_are_refused(tiny_file: Path, image: Any) -> None:
    with pytest.raises(UsageError, match=r"Expected \(H, W, 3\) uint8 pixels; found"):
        DeepJsccSystem(tiny_file, device="cpu").send(image, 10.0, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"constellation": "16qam"}, "found both"),
        ({"fading": "rice"}, "found 'rice'"),
        ({"device": "tpu"}, "found 'tpu'"),
        ({"device": "cpu:x"}, "found 'cpu:x'"),
        ({"device": "auto:1"}, "found 'auto:1'"),
    ],
)
def test_impossible_options_are_refused(tiny_file: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        DeepJsccSystem(tiny_file, **options)
    with pytest.raises(UsageError, match="found 'bpsk'"):
        DeepJsccSystem(constellation="bpsk")  # type: ignore[arg-type]
    with pytest.raises(WeightsCorruptError):
        DeepJsccSystem(Path(__file__))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_receives_what_a_cpu_does() -> None:
    image = astronaut()
    on_cpu, on_gpu = (
        DeepJsccSystem(device=device).send(image, 10.0, np.random.default_rng(0)).pixels for device in ("cpu", "cuda")
    )
    # One grey level where a value lies between two; a few where TF32 is on.
    assert np.abs(on_cpu.astype(int) - on_gpu).max() <= 3


@pytest.mark.parametrize(("constellation", "best_db"), [("none", 28.0), ("16qam", 24.0)])
def test_the_shipped_weights_degrade_gracefully(constellation: Constellation, best_db: float) -> None:
    """Every 2 dB less cost something and never much: there is no cliff."""
    image = astronaut()
    system = DeepJsccSystem(constellation=constellation, device="cpu")
    levels = [float(snr) for snr in range(0, 21, 2)]
    found = [psnr_db(image, system.send(image, s, generator("astronaut", system.name, s)).pixels) for s in levels]
    steps = np.diff(found)
    # With 16QAM, the rounding to sixteen points outweighs the noise above 14 dB: one draw of noise and another differ
    # by some hundredths of a dB there.
    assert (steps > (0.0 if constellation == "none" else -0.05)).all()
    assert (steps[:7] > 0).all()
    assert steps.max() < 2.0  # a coded system falls from its plateau to nothing within 1 to 2 dB
    assert found[0] > 19.0
    assert found[-1] > best_db


def test_the_shipped_weights_cope_with_snrs_beyond_the_training() -> None:
    image = astronaut()
    system = DeepJsccSystem(device="cpu")
    rng = np.random.default_rng
    worst, low, high, best = (psnr_db(image, system.send(image, s, rng(0)).pixels) for s in (-10.0, 0.0, 20.0, 40.0))
    assert 5.0 < worst < low
    assert high < best < high + 5.0
