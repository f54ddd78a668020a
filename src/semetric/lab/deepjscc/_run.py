"""The state of a DeepJSCC training: its steps, evaluations and checkpoints."""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from semetric.errors import UsageError, WeightsCorruptError
from semetric.lab.deepjscc.network import DeepJscc
from semetric.lab.deepjscc.patches import PhotoSet, Pixels
from semetric.lab.deepjscc.start import begin_linear, second_moment
from semetric.lab.deepjscc.training_config import TrainingConfig
from semetric.lab.deepjscc.weights import channels_last, load_deepjscc, pack

__all__ = ["Run"]

MSE_FLOOR = 1e-4  # 40 dB: without it, flat patches would rule the gradient
CLIP_NORM = 1.0
LINEAR = ("linear", "mix", "unmix", "offset", "pilot", "log_power")  # what starts near its best
SLOWER = 0.1  # the learning rate of those, as a share of the others'


class Run:
    """Everything that changes while training.

    Args:
        config: of the training.
        photos: what it trains on.
        start: a weights file to begin with, or None for random weights.
        device: "cpu" or "cuda".
    """

    def __init__(
        self, config: TrainingConfig, photos: PhotoSet, start: str | os.PathLike[str] | None, device: str
    ) -> None:
        self.config, self.photos, self.device = config, photos, device
        with torch.random.fork_rng(devices=[]):  # initial weights come from torch's global generator, which stays
            torch.manual_seed(config.seed)
            self.network = DeepJscc(config.network)
            self.average = DeepJscc(config.network)
        if start is None:
            begin_linear(self.network, second_moment(photos.training, config.seed), config.seed)
        else:
            _begin_with(self.network, start)
        for network in (self.network, self.average):
            channels_last(network.to(device))
        self.average.load_state_dict(self.network.state_dict())
        self.average.eval().requires_grad_(False)
        linear = {name for name, _ in self.network.named_parameters() if name.split(".")[1] in LINEAR}
        groups = [
            {"params": [p for name, p in self.network.named_parameters() if (name in linear) == slow], "slow": slow}
            for slow in (False, True)
        ]
        self.optimiser = torch.optim.Adam(groups, lr=config.learning_rate)
        self.step = 0
        self.best_db = -math.inf
        self.stale = 0
        self.elapsed_s = 0.0
        self.losses: list[float] = []
        self.history: list[dict[str, float]] = []

    @property
    def exhausted(self) -> bool:
        """Whether patience has run out."""
        return 0 < self.config.patience <= self.stale

    def advance(self) -> float:
        """One step; returns its loss."""
        config = self.config
        seed = int(np.random.default_rng([config.seed, 2, self.step]).integers(2**62))
        generator = torch.Generator().manual_seed(seed)
        images = self.photos.batch(self.step, config.batch).to(self.device, memory_format=torch.channels_last)
        low, high = config.network.snr_min_db, config.network.snr_max_db
        snr_db = (low + (high - low) * torch.rand(config.batch, generator=generator)).to(self.device)
        for group in self.optimiser.param_groups:
            group["lr"] = _learning_rate(self.step, config) * (SLOWER if group["slow"] else 1.0)
        with torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=config.bfloat16):
            output = self.network(images, snr_db, generator)
        mse = (output.float() - images).square().mean(dim=(1, 2, 3))
        loss = (mse + MSE_FLOOR).log().mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP_NORM)
        self.optimiser.step()
        self.step += 1
        self._follow()
        value: float = loss.item()
        if not math.isfinite(value):
            raise UsageError(
                f"Expected a finite loss; found {value} at step {self.step}. Use a lower learning rate than "
                f"{config.learning_rate:g}, in another folder."
            )
        self.losses.append(value)
        return value

    def _follow(self) -> None:
        share = 1.0 - min(self.config.average, self.step / (self.step + 10.0))  # the first steps are soon forgotten
        with torch.no_grad():
            for mean, now in zip(self.average.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(now, share)

    def evaluate(self) -> bool:
        """Adds a row to the history; whether it is the best so far."""
        snrs_db = self.config.validation_snrs_db
        by_snr = [_psnr_db(self.average, self.photos.validation, snr_db, self.device) for snr_db in snrs_db]
        row = {
            "step": float(self.step),
            "elapsed_s": round(self.elapsed_s, 1),
            "learning_rate": _learning_rate(self.step - 1, self.config),
            "loss": sum(self.losses) / len(self.losses),
            "psnr_db": sum(by_snr) / len(by_snr),
        }
        names = [f"psnr_db_at_{snr:g}db" for snr in snrs_db]
        self.history.append(row | dict(zip(names, by_snr, strict=True)))
        self.losses = []
        better = row["psnr_db"] > self.best_db
        self.best_db = max(self.best_db, row["psnr_db"])
        self.stale = 0 if better else self.stale + 1
        return better

    def packed(self) -> bytes:
        """The weights file of the averaged network."""
        return pack(self.average, steps=str(self.step), photos=self.photos.digest)

    def curve(self) -> str:
        """The learning curve as CSV."""
        lines = [",".join(self.history[0])]
        lines += [",".join(f"{value:.6g}" for value in row.values()) for row in self.history]
        return "\n".join(lines) + "\n"

    def save(self, stream: Any) -> None:
        """Writes the checkpoint."""
        state = {
            "config": json.dumps(self.config.to_dict()),
            "photos": self.photos.digest,
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "best_db": self.best_db,
            "stale": self.stale,
            "elapsed_s": self.elapsed_s,
            "history": self.history,
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        stream.write(buffer.getbuffer())

    def restore(self, path: Path) -> None:
        """Reads a checkpoint of an equal config and equal photos."""
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            config, photos = dict(json.loads(state["config"])), state["photos"]
        except Exception as error:  # torch.load raises nearly anything on a damaged file
            raise WeightsCorruptError(
                f"Expected a DeepJSCC training checkpoint at {path}; it cannot be read ({type(error).__name__}). "
                "Remove it to begin anew."
            ) from error
        expected = self.config.to_dict()
        differing = sorted(name for name in expected.keys() | config.keys() if expected.get(name) != config.get(name))
        if differing:
            raise UsageError(
                f"Expected the config of the training in {path.parent}, which differs in {', '.join(differing)}. "
                "Give the same options, or another folder."
            )
        if photos != self.photos.digest:
            raise UsageError(f"Expected the photos of the training in {path.parent}; found others. Use another folder.")
        try:
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step, self.stale = int(state["step"]), int(state["stale"])
            self.best_db, self.elapsed_s = float(state["best_db"]), float(state["elapsed_s"])
            self.history = list(state["history"])
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise WeightsCorruptError(
                f"Expected a whole DeepJSCC training checkpoint at {path}; {error}. Remove it to begin anew."
            ) from error


def _learning_rate(step: int, config: TrainingConfig) -> float:
    rise = min(1.0, (step + 1) / (config.warm_up + 1))
    fall = 0.5 + 0.5 * math.cos(math.pi * min(1.0, step / config.steps))
    return config.learning_rate * rise * (0.01 + 0.99 * fall)


def _begin_with(network: DeepJscc, start: str | os.PathLike[str]) -> None:
    loaded = load_deepjscc(start)
    for name in ("symbols", "width", "blocks"):
        found, expected = getattr(loaded.config, name), getattr(network.config, name)
        if found != expected:
            raise UsageError(f"Expected weights with {name} {expected} to begin with; {os.fspath(start)} has {found}.")
    network.load_state_dict(loaded.state_dict())


@torch.no_grad()
def _psnr_db(network: DeepJscc, photos: Sequence[Pixels], snr_db: float, device: str) -> float:
    """Mean PSNR of the photos through the channel at one SNR; the noise is always the same."""
    total = 0.0
    for i, pixels in enumerate(photos):
        generator = torch.Generator().manual_seed(i)
        image: Tensor = (torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255.0).to(device)
        output = network(image, torch.full((1,), snr_db, device=device), generator).clamp(0.0, 1.0)
        total -= 10.0 * math.log10(max(1e-10, float((output - image).square().mean())))
    return total / len(photos)
