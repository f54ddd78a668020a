"""Changes of colour alone, pixel by pixel: colour filter, contrast, hue."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from semetric.lab.systems import Pixels
from semetric.lab.transformations.base import rounded, transformation

__all__ = ["blue_filter", "contrast", "hue", "hue_rotation"]

BLUE = np.array([0.0, 0.0, 255.0])
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


@transformation(
    "colour_filter",
    "colour filter",
    unit="share of blue",
    range=(0.0, 1.0),
    strengths=(0.1, 0.25, 0.4, 0.55, 0.7, 0.85),
    figure_13=0.25,
)
def blue_filter(image: Pixels, share: float) -> Pixels:
    """Blends with pure blue: the colour filter of SeSS's Fig. 13 (arXiv 2406.03865)."""
    return rounded((1 - share) * image.astype(np.float64) + share * BLUE)


@transformation(
    "contrast", "contrast", unit="1 − factor", range=(-1.0, 1.0), strengths=(0.1, 0.25, 0.4, 0.55, 0.7, 0.85)
)
def contrast(image: Pixels, change: float) -> Pixels:
    """Moves every value towards the photo's mean luma, or away from it: m + (1 − change)(x − m).

    −1 doubles the contrast and clips, 1 leaves an even grey.
    """
    if change == 0:
        return image.copy()
    values = image.astype(np.float64)
    mean = float((values @ LUMA).mean())
    return rounded(mean + (1 - change) * (values - mean))


def hue_rotation(degrees: float) -> NDArray[np.float64]:
    """(3, 3): the rotation of RGB space about its grey axis, red towards green.

    It takes greys to themselves and keeps R + G + B. At ±120° it permutes the channels.

    Args:
        degrees: any angle.

    Examples:
        >>> (hue_rotation(120).round() @ [1, 2, 3]).tolist()
        [3.0, 1.0, 2.0]
    """
    angle = math.radians(degrees)
    # Rodrigues' formula about (1, 1, 1) / √3.
    along = (1 - math.cos(angle)) / 3
    across = math.sin(angle) / math.sqrt(3)
    matrix = np.full((3, 3), along) + math.cos(angle) * np.eye(3)
    return matrix + across * np.array([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]])


@transformation(
    "hue",
    "hue",
    unit="degrees about the grey axis",
    range=(-180.0, 180.0),
    strengths=(10.0, 20.0, 45.0, 90.0, 135.0, 180.0),
)
def hue(image: Pixels, degrees: float) -> Pixels:
    """Turns all hues by one angle, red towards green, about the grey axis of RGB.

    Unlike a turn in HSV this is linear and steady: greys have no hue to be turned, near-greys hardly change,
    and the mean of the three channels stays where nothing is clipped.
    """
    return rounded(image.astype(np.float64) @ hue_rotation(degrees).T)
