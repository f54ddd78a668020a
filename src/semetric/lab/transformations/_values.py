"""What every transformation needs: rounding to pixels, and a check of its strength."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.lab.systems import Pixels

__all__ = ["checked", "rounded"]


def rounded(values: NDArray[np.floating]) -> Pixels:
    """To the nearest of 0..255."""
    pixels: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return pixels


def checked(what: str, value: float, low: float, high: float) -> float:
    """The value.

    Args:
        what: what it is, for the message.
        value: a strength.
        low: the least that is allowed.
        high: the most.

    Raises:
        UsageError: NaN, or outside of that.
    """
    if math.isnan(value) or not low <= value <= high:
        raise UsageError(f"Expected {what} between {low:g} and {high:g}; found {value:g}.")
    return value
