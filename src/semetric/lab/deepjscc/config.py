"""The shape of a DeepJSCC network, and how many channel uses an image takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypeAlias, get_args

from semetric.errors import UsageError
from semetric.lab.channels.registry import channel_named

__all__ = ["STRIDE", "Constellation", "DeepJsccConfig"]

Constellation: TypeAlias = Literal["none", "16qam"]

STRIDE = 8  # pixels of the image, along each side, per position of the latent


@dataclass(frozen=True, kw_only=True)
class DeepJsccConfig:
    """One network: saved inside its weights file.

    Attributes:
        symbols: complex channel symbols per latent position, that is, per STRIDE × STRIDE pixels.
        width: channels of the layers at the latent's resolution; half as many at twice that resolution.
        blocks: residual blocks at the latent's resolution, in the encoder and in the decoder each.
        constellation: "none" for symbols anywhere in the complex plane, "16qam" for sixteen points.
        fading: the channel of the training, as `channel_named` takes it: "none" is AWGN alone.
        snr_min_db: the lowest signal-to-noise ratio of the training, Es/N0 per complex symbol.
        snr_max_db: the highest.
    """

    symbols: int = 16
    width: int = 88
    blocks: int = 2
    constellation: Constellation = "none"
    fading: str = "none"
    snr_min_db: float = 0.0
    snr_max_db: float = 20.0

    def __post_init__(self) -> None:
        for name, lowest in (("symbols", 1), ("width", 8), ("blocks", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
                raise UsageError(f"Expected {name} of at least {lowest} for DeepJSCC; found {value!r}.")
        if self.width % 8:
            raise UsageError(f"Expected a width that is a multiple of 8 for DeepJSCC; found {self.width}.")
        if self.constellation not in get_args(Constellation):
            known = " or ".join(get_args(Constellation))
            raise UsageError(f"Expected constellation {known}; found {self.constellation!r}.")
        channel_named(self.fading)
        if not -50.0 <= self.snr_min_db <= self.snr_max_db <= 100.0:
            raise UsageError(
                "Expected signal-to-noise ratios from -50 to 100 dB, the lowest first; "
                f"found {self.snr_min_db} and {self.snr_max_db}."
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

    def to_dict(self) -> dict[str, Any]:
        """Every field, as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DeepJsccConfig:
        """The config that `to_dict` wrote.

        Raises:
            UsageError: an unknown field, a missing one, or a value out of range.
        """
        known = {field.name for field in fields(cls)}
        if set(values) != known:
            wrong = ", ".join(sorted(set(values) ^ known))
            raise UsageError(f"Expected the fields {', '.join(sorted(known))}; missing or unknown: {wrong}.")
        return cls(**values)
