"""Additive white Gaussian noise alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semetric.lab.channels.base import ChannelModel, Symbols

__all__ = ["Gaussian"]


@dataclass(frozen=True, kw_only=True)
class Gaussian(ChannelModel):
    """No fading: every gain is 1.

    Examples:
        >>> Gaussian().gains(np.zeros((2, 0), np.complex64), symbols=100).tolist()
        [[(1+0j)], [(1+0j)]]
    """

    name = "none"
    label = ""

    def normals(self, symbols: int) -> int:
        """None."""
        return 0

    def gains(self, normals: Symbols, symbols: int) -> Symbols:
        """(B, 1) ones."""
        return np.ones((len(normals), 1), np.complex64)
