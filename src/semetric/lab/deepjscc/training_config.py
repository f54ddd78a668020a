"""The settings of a training of DeepJSCC."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from semetric.errors import UsageError
from semetric.lab.deepjscc.config import DeepJsccConfig

__all__ = ["DeepJsccTraining"]


@dataclass(frozen=True, kw_only=True)
class DeepJsccTraining:
    """One training: saved with its checkpoint, which only an equal one can resume.

    Attributes:
        network: the shape of the network, its constellation, fading and range of SNRs.
        steps: batches, unless it stops early.
        batch: patches a step.
        patch: their side in pixels, a multiple of 8.
        longest_sides: of the photos, in pixels: each is used at each of these sizes.
        learning_rate: of Adam, at its peak; it rises over `warm_up` steps and falls along a cosine to a hundredth.
        warm_up: in steps.
        average: decay a step of the running mean of the weights, which is what is evaluated and saved.
        validation_share: of the photos, held out of the training.
        validation_snrs_db: where the held-out PSNR is measured.
        evaluate_every: steps between evaluations, each of which writes checkpoint and curve.
        patience: evaluations without a better one after which it stops; 0 for never.
        bfloat16: whether convolutions run in bfloat16, where the processor can.
        seed: of the initial weights, the split, the patches, the SNRs and the noise.
    """

    network: DeepJsccConfig = field(default_factory=DeepJsccConfig)
    steps: int = 6_000
    batch: int = 8
    patch: int = 96
    longest_sides: tuple[int, ...] = (512, 768)
    learning_rate: float = 3e-4
    warm_up: int = 100
    average: float = 0.999
    validation_share: float = 0.06
    validation_snrs_db: tuple[float, ...] = (0.0, 10.0, 20.0)
    evaluate_every: int = 250
    patience: int = 0
    bfloat16: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "patch", "evaluate_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"Expected {name} of at least 1; found {getattr(self, name)}.")
        for name in ("warm_up", "patience", "seed"):
            if getattr(self, name) < 0:
                raise UsageError(f"Expected {name} of at least 0; found {getattr(self, name)}.")
        if self.patch % 8:
            raise UsageError(f"Expected patches whose side is a multiple of 8 px; found {self.patch}.")
        if not self.longest_sides or min(self.longest_sides) < self.patch:
            raise UsageError(f"Expected longest sides of at least {self.patch} px; found {self.longest_sides}.")
        if self.seed >= 2**63:
            raise UsageError(f"Expected a seed below 2^63; found {self.seed}.")
        if not self.validation_snrs_db or not all(-50.0 <= snr <= 100.0 for snr in self.validation_snrs_db):
            raise UsageError(
                f"Expected one SNR or more from -50 to 100 dB to validate at; found {self.validation_snrs_db}."
            )
        for name, low, high in (("learning_rate", 0.0, 1.0), ("average", 0.0, 1.0), ("validation_share", 0.0, 1.0)):
            if not low < getattr(self, name) < high:
                raise UsageError(f"Expected {name} between {low:g} and {high:g}; found {getattr(self, name)}.")

    def to_dict(self) -> dict[str, Any]:
        """Every field, as plain JSON values."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return values
