"""Rayleigh fading that changes with time as a moving receiver meets it: Clarke's model, Jakes's spectrum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semetric.errors import UsageError
from semetric.lab.channels.base import ChannelModel, Symbols

__all__ = ["Jakes"]

_PATHS = 64  # from as many directions, evenly spaced over half a circle: the other half has the same shifts
_CHUNK = 1 << 14  # symbols whose gains are computed at once


@dataclass(frozen=True, kw_only=True)
class Jakes(ChannelModel):
    """Gains h ~ CN(0, 1) with the autocorrelation E[h(t) h*(t + τ)] = J₀(2π f_D τ) over all that is sent.

    Clarke, A Statistical Theory of Mobile-Radio Reception (1968); Jakes, Microwave Mobile Communications (1974).
    h(t) = Σ g_n exp(2πi f_D cos(α_n) t) / √N over N = 64 directions α_n, with g_n ~ CN(0, 1), so that h is exactly
    Gaussian. The mean over the directions is Bessel's integral by the midpoint rule: exact to 1e-6 for lags up to
    15 / f_D symbols, beyond which |J₀| < 0.09.

    Attributes:
        doppler: f_D, the greatest Doppler shift times the duration of a symbol. A gain lasts about 0.4 / f_D symbols.
    """

    name = "jakes"
    label = "Jakes"

    doppler: float = 0.001

    def __post_init__(self) -> None:
        if not (isinstance(self.doppler, int | float) and 0 < self.doppler <= 0.5):
            raise UsageError(f"Expected doppler above 0 and up to 0.5 cycles a symbol; found {self.doppler!r}.")

    @property
    def spans_stream(self) -> bool:
        """Always: gains follow each other over all that is sent."""
        return True

    def normals(self, symbols: int) -> int:
        """One a direction."""
        return _PATHS

    def gains(self, normals: Symbols, symbols: int) -> Symbols:
        """(B, symbols), a gain a symbol."""
        directions = np.pi * (np.arange(_PATHS) + 0.5) / _PATHS
        shifts = 2 * np.pi * self.doppler * np.cos(directions)  # radians a symbol
        parts: list[Symbols] = []
        for start in range(0, symbols, _CHUNK):
            times = np.arange(start, min(start + _CHUNK, symbols))
            paths = np.exp(1j * np.outer(shifts, times)) / _PATHS**0.5  # (paths, chunk)
            parts.append(normals @ paths.astype(np.complex64))
        return np.concatenate(parts, axis=1)
