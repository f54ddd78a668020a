"""Learned codecs by CompressAI (Bégaint et al. 2020, arXiv:2011.03029): its zoo, its weights, its entropy coder."""

from __future__ import annotations

import hashlib
import importlib
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from semetric.errors import CodecError, MissingExtraError, UsageError, WeightsCorruptError, WeightsMissingError
from semetric.lab.codecs.base import Codec, Quality, Size, check_size
from semetric.lab.systems import Pixels
from semetric.models.torch_state import clean_state, loading
from semetric.weights.tensors import read_saved

if TYPE_CHECKING:
    import torch

__all__ = ["CompressAI"]

_QUALITIES = {  # how many the zoo has of each network
    "bmshj2018-factorized": 8,
    "bmshj2018-hyperprior": 8,
    "mbt2018-mean": 8,
    "mbt2018": 8,
    "cheng2020-anchor": 6,
    "cheng2020-attn": 6,
}
_METRICS = ("mse", "ms-ssim")
_MULTIPLE = 64  # px: sides of what the networks take
_HEADER = struct.Struct(">BHHHHB")  # quality, height, width, the hyper latent's height and width, number of strings


class CompressAI(Codec):
    """A network of CompressAI's zoo, one set of weights a quality.

    A stream is a header of 10 bytes, the strings of the entropy coder (a length of 4 bytes before each but the last)
    and a CRC-32. The checksum is there because the coder reads past the end of a stream that was cut: a stream with a
    single wrong bit is rejected, never decoded.

    Attributes:
        model: the network.
        metric: what its weights were trained for.
        checkpoint: path of own weights with {quality} in it, or None for the published ones.
    """

    unit = "quality, one network each"

    def __init__(
        self,
        *,
        model: str = "bmshj2018-hyperprior",
        metric: str = "mse",
        checkpoint: str | None = None,
        device: str = "cpu",
    ) -> None:
        """Chooses a network; loads none before the first image, and fetches none ever but in `fetch`.

        Args:
            model: "bmshj2018-factorized", "bmshj2018-hyperprior", "mbt2018-mean", "mbt2018", "cheng2020-anchor" or
                "cheng2020-attn". The last three decode pixel after pixel of the latent: minutes on a CPU.
            metric: "mse" or "ms-ssim".
            checkpoint: path of a state dict with {quality} for its number; None for the published weights, in
                torch.hub's folder.
            device: torch device.

        Raises:
            MissingExtraError: CompressAI is not installed.
            UsageError: no such network or metric.
        """
        if model not in _QUALITIES:
            raise UsageError(f"Expected a model of {', '.join(_QUALITIES)}; found {model!r}.")
        if metric not in _METRICS:
            raise UsageError(f"Expected a metric of {', '.join(_METRICS)}; found {metric!r}.")
        self._zoo = _compressai("compressai.zoo")
        self.name = f"compressai-{model}" if metric == "mse" else f"compressai-{model}-{metric}"
        self.label = f"{model} ({metric.upper()})"
        self.steps = range(1, _QUALITIES[model] + 1)
        self.model, self.metric, self.checkpoint, self.device = model, metric, checkpoint, device
        self._networks: dict[int, Any] = {}

    def fetch(self) -> list[Path]:
        """Downloads the published weights of all qualities that are not on this machine, with a progress bar.

        Returns:
            The files.
        """
        import torch

        files = []
        for quality in self.steps:
            file, url = self._published(int(quality))
            if not file.is_file():
                file.parent.mkdir(parents=True, exist_ok=True)
                torch.hub.download_url_to_file(url, str(file), hash_prefix=_hash(file), progress=True)
            files.append(file)
        return files

    def to_dict(self) -> dict[str, Any]:
        """With the network, the source of its weights and CompressAI's version."""
        weights = self.checkpoint or [self._published(int(quality))[0].name for quality in self.steps]
        return super().to_dict() | {
            "model": self.model,
            "metric": self.metric,
            "weights": weights,
            "software": {"compressai": getattr(_compressai("compressai"), "__version__", "")},
        }

    def _encode(self, pixels: Pixels, quality: Quality) -> bytes:
        import torch

        h, w = pixels.shape[:2]
        x = torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32) / 255)[None].to(self.device)
        x = torch.nn.functional.pad(x, (0, -w % _MULTIPLE, 0, -h % _MULTIPLE), mode="replicate")
        with clean_state(inference=True):
            coded = self._network(int(quality)).compress(x)
        strings: list[bytes] = [string[0] for string in coded["strings"]]
        body = _HEADER.pack(int(quality), h, w, *coded["shape"], len(strings))
        for string in strings[:-1]:
            body += struct.pack(">I", len(string)) + string
        body += strings[-1]
        return body + struct.pack(">I", zlib.crc32(body))

    def _decode(self, stream: bytes, size: Size | None) -> Pixels:
        import torch

        body, checksum = stream[:-4], stream[-4:]
        if len(body) < _HEADER.size or struct.pack(">I", zlib.crc32(body)) != checksum:
            raise CodecError("its checksum is wrong.")
        quality, h, w, *shape, count = _HEADER.unpack_from(body)
        check_size((h, w), size)
        strings, at = [], _HEADER.size
        for _ in range(count - 1):
            (length,) = struct.unpack_from(">I", body, at)
            strings.append([body[at + 4 : at + 4 + length]])
            at += 4 + length
        strings.append([body[at:]])
        with clean_state(inference=True):
            x: torch.Tensor = self._network(int(self.check_quality(quality))).decompress(strings, shape)["x_hat"]
        levels = (x[0, :, :h, :w].clamp(0, 1) * 255).round().to(torch.uint8)
        return np.ascontiguousarray(levels.permute(1, 2, 0).cpu().numpy())

    def _published(self, quality: int) -> tuple[Path, str]:
        """Where torch.hub keeps the weights of a quality, and where they are fetched from."""
        import torch

        url = str(_compressai("compressai.zoo.image").model_urls[self.model][self.metric][quality])
        return Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2], url

    @loading()
    def _network(self, quality: int) -> Any:
        """The network of a quality, loaded once."""
        if quality in self._networks:
            return self._networks[quality]
        if self.checkpoint is None:
            file, url = self._published(quality)
            options = f"model={self.model!r}, metric={self.metric!r}"
            call = f"create_codec('compressai', {options}).fetch()"
            where = f'Fetch it from {url}: python -c "from semetric.lab.codecs import create_codec; {call}"'
        else:
            file, where = Path(self.checkpoint.format(quality=quality)), "Check the path."
        if not file.is_file():
            raise WeightsMissingError(f"{self.label} at quality {quality} needs {file}, which is not there. {where}")
        if self.checkpoint is None and not hashlib.sha256(file.read_bytes()).hexdigest().startswith(_hash(file)):
            raise WeightsCorruptError(f"{file} is not the file that its name promises. Delete it and fetch it again.")
        empty = self._zoo.image_models[self.model](quality=quality, metric=self.metric, pretrained=False)
        renamed = _compressai("compressai.zoo.pretrained").load_pretrained  # old names of parameters to today's

        def refuse(why: str) -> WeightsCorruptError:
            return WeightsCorruptError(f"Expected the weights of {self.model} in {file}; it {why}. Fetch it anew.")

        try:
            state = read_saved(file, refuse)
            network = type(empty).from_state_dict(renamed(state.get("state_dict", state))).to(self.device).eval()
        except WeightsCorruptError:
            raise
        except Exception as error:  # loading raises whatever it meets
            raise WeightsCorruptError(f"{file} holds no weights of {self.model}: {error}") from error
        network.update()  # tables of the entropy coder, where the file has none
        self._networks[quality] = network
        return network


def _hash(file: Path) -> str:
    """The first digits of the SHA-256, which torch.hub's names end in: name-446d5c7f.pth.tar."""
    return file.name.partition(".")[0].rpartition("-")[2]


def _compressai(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"Learned codecs need CompressAI ({error}). Its package asks for numpy below 2, which it can do without: "
            "pip install --no-deps compressai && pip install torchvision torch-geometric einops pytorch-msssim pandas"
        ) from error
