"""What a channel is: the gains that symbols meet before the noise is added."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["ChannelModel", "Lasts", "Symbols"]

Symbols: TypeAlias = NDArray[np.complex64]

Lasts: TypeAlias = Literal["symbol", "block", "stream"]
"""How long one gain lasts: a symbol (as after an ideal interleaver), a code block, or all that is sent."""


class ChannelModel(ABC):
    """y = h x + n: the distribution of h, with E|h|² = 1. The receiver knows h; n is Gaussian, of the SNR's variance.

    A subclass is a frozen dataclass whose fields are its options, each with a default. Users write it by its name and
    the options that differ, "rician:k_factor=4". The digital link draws gains for each code block, or once for all
    blocks; DeepJSCC draws one gain an image.

    Attributes:
        name: short, part of a curve's name; "none" without fading.
        label: as a legend shows it; empty without fading.
        lasts: how long one gain lasts.
    """

    name: str
    label: str
    lasts: Lasts = "symbol"

    @property
    def spans_stream(self) -> bool:
        """Whether one row of gains covers all that is sent; else each code block has a row of its own."""
        return self.lasts == "stream"

    @abstractmethod
    def normals(self, symbols: int) -> int:
        """How many complex normal numbers the gains of a row of so many symbols are made of."""

    @abstractmethod
    def gains(self, normals: Symbols, symbols: int) -> Symbols:
        """The gains of rows of symbols that follow each other.

        Args:
            normals: (B, `normals(symbols)`) circular complex Gaussian numbers of variance 1.
            symbols: in a row.

        Returns:
            (B, symbols), or (B, 1) where one gain holds for the row.
        """
