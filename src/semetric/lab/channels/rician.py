"""Rician fading: a line of sight beside scattered paths."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from semetric.errors import UsageError
from semetric.lab.channels.base import Symbols
from semetric.lab.channels.rayleigh import Rayleigh

__all__ = ["Rician"]


@dataclass(frozen=True, kw_only=True)
class Rician(Rayleigh):
    """h = √(K / (K + 1)) + √(1 / (K + 1)) g with g ~ CN(0, 1) (Proakis, Digital Communications).

    K = 0 is Rayleigh fading; a large K is Gaussian noise alone. The mean power is 1 for every K.

    Attributes:
        k_factor: K, the power of the line of sight over that of the scattered paths; not in dB.

    Examples:
        >>> bool(Rician(k_factor=1.0).gains(np.zeros((1, 1), np.complex64), 1)[0, 0] == np.float32(0.5**0.5))
        True
    """

    name = "rician"
    label = "Rician"

    k_factor: float = 4.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (isinstance(self.k_factor, int | float) and 0 <= self.k_factor < math.inf):
            raise UsageError(f"Expected a k_factor of at least 0; found {self.k_factor!r}.")

    def gains(self, normals: Symbols, symbols: int) -> Symbols:
        """The line of sight and the scattered paths."""
        k = self.k_factor
        return np.complex64((k / (k + 1)) ** 0.5) + normals * np.float32((1 / (k + 1)) ** 0.5)
