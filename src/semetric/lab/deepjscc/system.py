"""DeepJSCC as a system of the lab: an image at an SNR."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from semetric.errors import CodecError, UsageError
from semetric.lab.channels.registry import channel_named
from semetric.lab.deepjscc.config import Constellation
from semetric.lab.systems import Pixels, Received, System
from semetric.models.torch_state import clean_state

if TYPE_CHECKING:
    from semetric.lab.deepjscc.network import DeepJscc

__all__ = ["DeepJsccSystem"]

LEVELS_DB = (-50.0, 100.0)


class DeepJsccSystem(System):
    """Joint source–channel coding by a trained network; the level is the SNR in dB, Es/N0 per complex symbol.

    There is no bitstream and therefore no rate in bits per pixel: systems are compared at equal channel uses per
    pixel, which `Received.uses_per_pixel` counts, padding to multiples of 8 pixels included. The sender knows the
    mean SNR, the receiver what the channel is at this moment.

    Args:
        weights: a weights file; None for those that come with the package.
        constellation: which of the shipped ones: "none" or "16qam". Only without `weights`.
        fading: a name of `CHANNELS`, perhaps with options, which gives one gain an image; None as in training.
        device: "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:N".
        name: of the curve; None for "deepjscc" or "deepjscc-16qam".
        label: in a legend; None for one that follows from the constellation.

    Raises:
        UsageError: both `weights` and a constellation, or an unknown fading or device.
        WeightsMissingError: no such file.
        WeightsCorruptError: not a DeepJSCC weights file.
    """

    def __init__(
        self,
        weights: str | os.PathLike[str] | None = None,
        *,
        constellation: Constellation | None = None,
        fading: str | None = None,
        device: str = "auto",
        name: str | None = None,
        label: str | None = None,
    ) -> None:
        from semetric.lab.deepjscc.weights import load_deepjscc, shipped_weights
        from semetric.models.runtime import Runtime
        from semetric.weights.digests import sha256_of

        if weights is not None and constellation is not None:
            raise UsageError("Expected a weights file or a constellation; found both. The file has its constellation.")
        if constellation not in (None, "none", "16qam"):
            raise UsageError(f"Expected constellation none or 16qam; found {constellation!r}.")
        if fading is not None:
            channel_named(fading)  # before the weights are read
        path = Path(weights) if weights is not None else shipped_weights(constellation or "none")
        self._device = Runtime(device=device).device
        self._network: DeepJscc = load_deepjscc(path, device=self._device)
        self._sha256 = sha256_of(path)
        self._fading = fading or self._network.config.fading
        self._channel = channel_named(self._fading)
        plain = self._network.config.constellation == "none"
        faded = bool(self._channel.label)
        self.name = name or ("deepjscc" if plain else "deepjscc-16qam") + f"-{self._channel.name}" * faded
        self.label = label or (
            ("DeepJSCC" if plain else "DeepJSCC, 16QAM") + f" over {self._channel.label} fading" * faded
        )

    def send(self, image: Pixels, level: float, rng: np.random.Generator) -> Received:
        """Sends one image at an SNR.

        The noise is drawn on the CPU by a torch generator that `rng` seeds, so that equal generators give the same
        noise on every device. Pixels repeat exactly on one machine; between devices they may differ in rounding.

        Args:
            image: (H, W, 3) uint8 RGB, of any size.
            level: SNR in dB, from -50 to 100. Beyond those of the training the network is told the nearest of them.
            rng: the only source of chance.

        Raises:
            UsageError: an SNR that is no number from -50 to 100, or an image of another kind.
            CodecError: the image does not fit into memory.
        """
        import torch

        if not LEVELS_DB[0] <= level <= LEVELS_DB[1]:  # nan fails too
            raise UsageError(f"Expected an SNR from {LEVELS_DB[0]:g} to {LEVELS_DB[1]:g} dB; found {level}.")
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
            raise UsageError(f"Expected (H, W, 3) uint8 pixels; found {image.shape} {image.dtype}.")
        h, w = image.shape[:2]
        config = self._network.config
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        pixels = torch.from_numpy(np.array(image, order="C")).permute(2, 0, 1)[None]
        try:
            with clean_state(inference=True):
                snr_db = torch.full((1,), float(level), device=self._device)
                batch = pixels.to(self._device, torch.float32) / 255.0
                output, seen_db = self._network.transmit(batch, snr_db, generator, channel=self._channel)
                received = output.clamp(0.0, 1.0).mul(255.0).round().to("cpu", torch.uint8)[0].permute(1, 2, 0).numpy()
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, MemoryError) or "memory" in str(error).lower():
                raise CodecError(f"{self.label} ran out of memory on an image of {w} × {h} px. Shrink it.") from error
            raise
        details: dict[str, Any] = {"channel_uses": config.channel_uses(h, w)}
        if self._channel.label:
            details["received_snr_db"] = float(seen_db)
        return Received(
            pixels=np.ascontiguousarray(received), uses_per_pixel=config.uses_per_pixel(h, w), details=details
        )

    def to_dict(self) -> dict[str, Any]:
        """Name, label, network, fading, and the SHA-256 of the weights."""
        return {
            **super().to_dict(),
            "kind": "deepjscc",
            "network": self._network.config.to_dict(),
            "bandwidth_ratio": self._network.config.bandwidth_ratio,
            "fading": self._fading,
            "weights_sha256": self._sha256,
        }
