"""Learned codecs, with a module that has CompressAI's surface and a network without learning."""

from __future__ import annotations

import hashlib
import sys
import types
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from semetric.errors import (
    CodecError,
    MissingExtraError,
    UsageError,
    WeightsCorruptError,
    WeightsMissingError,
)
from semetric.lab.codecs import create_codec, encode_at_rate


class Averages(torch.nn.Module):
    """Keeps the mean of each 8 × 8 block, on as many levels as the quality asks; two strings, as a hyperprior has."""

    levels: torch.Tensor

    def __init__(self, levels: int = 2) -> None:
        super().__init__()
        self.register_buffer("levels", torch.tensor(levels))
        self.updated = False

    @classmethod
    def from_state_dict(cls, state: dict[str, torch.Tensor]) -> Averages:
        network = cls()
        network.load_state_dict(state)
        return network

    def update(self) -> bool:
        self.updated = True
        return True

    def compress(self, x: torch.Tensor) -> dict[str, Any]:
        assert self.updated
        assert not self.training
        assert x.shape[2] % 64 == x.shape[3] % 64 == 0
        y = torch.nn.functional.avg_pool2d(x, 8)
        symbols = (y * (int(self.levels) - 1)).round().to(torch.uint8).numpy().tobytes()
        return {
            "strings": [[zlib.compress(symbols)], [b"hyper"]],
            "shape": torch.Size([x.shape[2] // 64, x.shape[3] // 64]),
        }

    def decompress(self, strings: list[list[bytes]], shape: list[int]) -> dict[str, torch.Tensor]:
        assert strings[1] == [b"hyper"]
        symbols = np.frombuffer(zlib.decompress(strings[0][0]), np.uint8).reshape(1, 3, shape[0] * 8, shape[1] * 8)
        y = torch.from_numpy(symbols.copy()).float() / (int(self.levels) - 1)
        return {"x_hat": torch.nn.functional.interpolate(y, scale_factor=8) * 1.2 - 0.1}  # past both ends


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A false compressai, and a server's folder with weights of all eight qualities."""
    server, model = tmp_path / "server", "bmshj2018-hyperprior"
    server.mkdir()
    urls = {}
    for quality in range(1, 9):
        file = server / "weights"
        torch.save({"levels": torch.tensor(2**quality)}, file)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()[:8]
        urls[quality] = file.rename(server / f"{model}-{quality}-{digest}.pth.tar").as_uri()

    parent = types.ModuleType("compressai.zoo")
    image = types.ModuleType("compressai.zoo.image")
    image.model_urls = {model: {"mse": urls}}  # type: ignore[attr-defined]
    parent.image_models = {model: lambda quality, metric, pretrained: Averages()}  # type: ignore[attr-defined]
    pretrained = types.ModuleType("compressai.zoo.pretrained")
    pretrained.load_pretrained = dict  # type: ignore[attr-defined]
    top = types.ModuleType("compressai")
    top.__version__ = "0.0"  # type: ignore[attr-defined]
    for module in (top, parent, image, pretrained):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return server


@pytest.fixture
def codec(zoo: Path) -> Any:
    return create_codec("compressai", checkpoint=f"{zoo}/own-{{quality}}.pth")


def own(zoo: Path, quality: int) -> None:
    torch.save({"state_dict": {"levels": torch.tensor(2**quality)}}, zoo / f"own-{quality}.pth")


@pytest.mark.parametrize("shape", [(1, 1), (65, 130), (128, 160)])
def test_there_and_back(codec: Any, zoo: Path, shape: tuple[int, int], small_photo: NDArray[np.uint8]) -> None:
    own(zoo, 8)
    pixels = small_photo[: shape[0], : shape[1]]
    stream = codec.encode(pixels, 8)
    assert stream == codec.encode(pixels, 8)
    back = codec.decode(stream, shape)
    assert (back.shape, back.dtype) == (pixels.shape, np.uint8)
    # The stand-in keeps the mean of each block, stretched by a fifth: of the first block, all in the image, to a level.
    if min(shape) >= 8:
        mean = pixels[:8, :8].mean((0, 1)) * 1.2 - 25.5
        assert np.abs(back[0, 0] - mean.clip(0, 255)).max() <= 2
    with pytest.raises(CodecError, match="px were sent"):
        codec.decode(stream, (shape[0] + 1, shape[1]))


def test_every_wrong_bit_is_noticed(codec: Any, zoo: Path, small_photo: NDArray[np.uint8]) -> None:
    own(zoo, 1)
    stream = codec.encode(small_photo[:16, :16], 1)
    for bit in range(8 * len(stream)):
        damaged = bytearray(stream)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CodecError, match="checksum"):
            codec.decode(bytes(damaged))
    for length in range(len(stream)):
        with pytest.raises(CodecError, match="checksum"):
            codec.decode(stream[:length])


def test_published_weights_are_fetched_on_demand_only(zoo: Path, small_photo: NDArray[np.uint8]) -> None:
    codec: Any = create_codec("compressai")
    with pytest.raises(WeightsMissingError, match=r"needs .*hub.*-3-.*pth.tar.* Fetch it from file:.*fetch\(\)"):
        codec.encode(small_photo, 3)
    files = codec.fetch()
    assert len(files) == 8
    assert codec.fetch() == files
    found = encode_at_rate(codec, small_photo, 0.15, tolerance=0.3)
    assert found.quality in range(1, 9)
    described = codec.to_dict()
    assert described["weights"] == [file.name for file in files]
    assert described["software"] == {"compressai": "0.0"}


def test_weights_that_are_not_what_their_name_promises(zoo: Path, small_photo: NDArray[np.uint8]) -> None:
    codec: Any = create_codec("compressai")
    file = codec.fetch()[0]
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(WeightsCorruptError, match="not the file that its name promises"):
        codec.encode(small_photo, 1)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty or ends too early"),
        (b"no weights", r"is not a file that torch\.save wrote"),
        (None, "holds no weights of bmshj2018-hyperprior"),
    ],
)
def test_own_weights_that_are_none(
    codec: Any, zoo: Path, content: bytes | None, words: str, small_photo: NDArray[np.uint8]
) -> None:
    if content is None:
        torch.save({"other": torch.tensor(1)}, zoo / "own-1.pth")
    else:
        (zoo / "own-1.pth").write_bytes(content)
    with pytest.raises(WeightsCorruptError, match=words):
        codec.encode(small_photo, 1)
    with pytest.raises(WeightsMissingError, match="Check the path"):
        codec.encode(small_photo, 2)


def test_names_and_scales(zoo: Path) -> None:
    codec = create_codec("compressai", model="cheng2020-attn", metric="ms-ssim", checkpoint="x-{quality}")
    assert (codec.name, codec.label) == ("compressai-cheng2020-attn-ms-ssim", "cheng2020-attn (MS-SSIM)")
    assert list(codec.steps) == [1, 2, 3, 4, 5, 6]


@pytest.mark.usefixtures("zoo")
@pytest.mark.parametrize("options", [{"model": "bmshj2018"}, {"metric": "psnr"}])
def test_wrong_options(options: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="Expected a m"):
        create_codec("compressai", **options)


def test_without_compressai(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "compressai", None)
    with pytest.raises(MissingExtraError, match="pip install --no-deps compressai"):
        create_codec("compressai")
