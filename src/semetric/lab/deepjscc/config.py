"""The shape of a DeepJSCC network, and how many channel uses an image takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from semetric.errors import UsageError
from semetric.lab.channels.registry import channel_named
from semetric.settings import Settings, fields_of, setting

__all__ = ["STRIDE", "Constellation", "DeepJsccConfig"]

Constellation: TypeAlias = Literal["none", "16qam"]

STRIDE = 8  # pixels of the image, along each side, per position of the latent


@dataclass(frozen=True, kw_only=True)
class DeepJsccConfig(Settings):
    """One network: saved inside its weights file.

    Examples:
        >>> DeepJsccConfig(symbols=16).uses_per_pixel(512, 512)
        0.25
    """

    symbols: int = setting(16, "Channel symbols per 8 × 8 pixels.", low=1)
    width: int = setting(
        88, "Channels of the layers at the latent's resolution, a multiple of 8; half as many at twice that.", low=8
    )
    blocks: int = setting(2, "Residual blocks at the latent's resolution, in encoder and decoder each.", low=1)
    constellation: Constellation = setting("none", "Constellation of the symbols: none or 16qam.")
    fading: str = setting("none", "Fading during the training, as `semetric lab channel --fading` takes it.")
    snr_min_db: float = setting(0.0, "The lowest SNR of the training, Es/N0 per symbol.", low=-50, high=100)
    snr_max_db: float = setting(20.0, "The highest SNR of the training.", low=-50, high=100)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % 8:
            raise UsageError(f"Expected a width that is a multiple of 8 for DeepJSCC; found {self.width}.")
        channel_named(self.fading)
        if self.snr_min_db > self.snr_max_db:
            raise UsageError(
                f"Expected signal-to-noise ratios, the lowest first; found {self.snr_min_db} and {self.snr_max_db}."
            )

    @property
    def bandwidth_ratio(self) -> float:
        """k/n: complex channel uses per number of the source, n = 3·H·W (Bourtsoulatze et al., II), without padding."""
        return self.symbols / (3 * STRIDE * STRIDE)

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        """(rows, columns) of the latent of an image, which is padded to whole strides."""
        return -(-height // STRIDE), -(-width // STRIDE)

    def channel_uses(self, height: int, width: int) -> int:
        """Complex symbols that an image of this size takes, its padding included."""
        rows, columns = self.latent_size(height, width)
        return self.symbols * rows * columns

    def uses_per_pixel(self, height: int, width: int) -> float:
        """Complex symbols per pixel of the image: 3·k/n where no padding is needed, else a little more."""
        return self.channel_uses(height, width) / (height * width)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DeepJsccConfig:
        """The config that `to_dict` wrote.

        Raises:
            UsageError: an unknown field, a missing one, or a value out of range.
        """
        known = set(fields_of(cls))
        if set(values) != known:
            wrong = ", ".join(sorted(set(values) ^ known))
            raise UsageError(f"Expected the fields {', '.join(sorted(known))}; missing or unknown: {wrong}.")
        return cls(**values)
