"""Rayleigh fading: no line of sight, many paths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from semetric.errors import UsageError
from semetric.lab.channels.base import ChannelModel, Lasts, Symbols

__all__ = ["Rayleigh"]


@dataclass(frozen=True, kw_only=True)
class Rayleigh(ChannelModel):
    """Gains that are circular complex Gaussian, h ~ CN(0, 1).

    Attributes:
        lasts: how long a gain lasts: "symbol", "block" or "stream".
    """

    name = "rayleigh"
    label = "Rayleigh"

    lasts: Lasts = "symbol"

    def __post_init__(self) -> None:
        if self.lasts not in get_args(Lasts):
            raise UsageError(f"Expected lasts of {', '.join(get_args(Lasts))}; found {self.lasts!r}.")

    def normals(self, symbols: int) -> int:
        """One a gain."""
        return symbols if self.lasts == "symbol" else 1

    def gains(self, normals: Symbols, symbols: int) -> Symbols:
        """(B, symbols) or (B, 1): the numbers themselves."""
        return normals
