"""Changes of colour alone, pixel by pixel: colour filter, contrast, hue."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from semetric.lab.systems import Pixels
from semetric.lab.transformations._values import checked, rounded

__all__ = ["blue_filter", "contrast", "hue", "hue_rotation"]

BLUE = np.array([0.0, 0.0, 255.0])
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def blue_filter(image: Pixels, share: float = 0.25) -> Pixels:
    """Blends with pure blue: the colour filter of SeSS's Fig. 13 (arXiv 2406.03865).

    Args:
        image: the photo.
        share: of the blue, 0..1.

    Raises:
        UsageError: a share outside of that.
    """
    checked("a share of blue", share, 0, 1)
    return rounded((1 - share) * image.astype(np.float64) + share * BLUE)


def contrast(image: Pixels, change: float) -> Pixels:
    """Moves every value towards the photo's mean luma, or away from it: m + (1 − change)(x − m).

    The factor on the contrast is 1 − change, so that 0 leaves the photo as it is.

    Args:
        image: the photo.
        change: −1 doubles the contrast and clips, 1 leaves an even grey; −1..1.

    Raises:
        UsageError: a change outside of that.
    """
    checked("a change of contrast", change, -1, 1)
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
    """
    angle = math.radians(degrees)
    # Rodrigues' formula about (1, 1, 1) / √3.
    along = (1 - math.cos(angle)) / 3
    across = math.sin(angle) / math.sqrt(3)
    matrix = np.full((3, 3), along) + math.cos(angle) * np.eye(3)
    return matrix + across * np.array([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]])


def hue(image: Pixels, degrees: float) -> Pixels:
    """Turns all hues by one angle, about the grey axis of RGB.

    Unlike a turn in HSV this is linear and steady: greys have no hue to be turned, near-greys hardly change,
    and the mean of the three channels stays where nothing is clipped.

    Args:
        image: the photo.
        degrees: red towards green, −180..180.

    Raises:
        UsageError: an angle outside of that.
    """
    checked("an angle in degrees", degrees, -180, 180)
    return rounded(image.astype(np.float64) @ hue_rotation(degrees).T)
