"""The settings of a training of DeepJSCC."""

from __future__ import annotations

from dataclasses import dataclass

from semetric.errors import UsageError
from semetric.lab.deepjscc.config import DeepJsccConfig
from semetric.settings import Settings, setting

__all__ = ["DeepJsccTraining"]


@dataclass(frozen=True, kw_only=True)
class DeepJsccTraining(Settings):
    """One training: saved with its checkpoint, which only an equal one can resume.

    Attributes:
        network: the shape of the network, its constellation, fading and range of SNRs.
    """

    network: DeepJsccConfig = setting(DeepJsccConfig, "The shape of the network.", flag=False)
    steps: int = setting(6_000, "Number of training steps, unless it stops early.", low=1)
    batch: int = setting(8, "Patches per step.", low=1)
    patch: int = setting(96, "Side of a patch in pixels, a multiple of 8.", low=8)
    longest_sides: tuple[int, ...] = setting((512, 768), "Longest sides of the photos in pixels: each is used at each.")
    learning_rate: float = setting(
        3e-4, "Of Adam, at its peak; it rises linearly and falls along a cosine to a hundredth.", above=0, below=1
    )
    warm_up: int = setting(100, "Steps over which the learning rate rises.", low=0)
    average: float = setting(
        0.999, "Decay per step of the running mean of the weights, which is evaluated and saved.", above=0, below=1
    )
    validation_share: float = setting(0.06, "Share of the photos that is held out.", above=0, below=1)
    validation_snrs_db: tuple[float, ...] = setting(
        (0.0, 10.0, 20.0), "SNRs at which the held-out PSNR is measured.", low=-50, high=100
    )
    evaluate_every: int = setting(250, "Steps between evaluations, each of which writes checkpoint and curve.", low=1)
    patience: int = setting(0, "Evaluations without a better one after which it stops; 0 for never.", low=0)
    bfloat16: bool = setting(True, "Run convolutions in bfloat16, where the processor can.")
    seed: int = setting(
        0, "Seed of the initial weights, the split, the patches, the SNRs and the noise.", low=0, high=2**63 - 1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.patch % 8:
            raise UsageError(f"Expected patches whose side is a multiple of 8 px; found {self.patch}.")
        if not self.longest_sides or min(self.longest_sides) < self.patch:
            raise UsageError(f"Expected longest sides of at least {self.patch} px; found {self.longest_sides}.")
        if not self.validation_snrs_db:
            raise UsageError("Expected one SNR or more to validate at; found none.")
