"""What destroys detail and leaves the rest in place: noise, blur, occlusion.

Noise and boxes take their generator from the caller. For equal generators the strengths nest: the noise field
is the same, scaled; pixels that a lower share replaced stay replaced; a greater box holds the smaller ones.
"""

from __future__ import annotations

import math

import numpy as np

from semetric.lab.systems import Pixels
from semetric.lab.transformations._values import checked, rounded

__all__ = ["blur", "noise", "occlusion", "salt_and_pepper"]

GREY = 128
MAX_BLUR = 256.0  # px; beyond it a photo is one colour, and the filter's window has thousands of taps


def blur(image: Pixels, sigma: float) -> Pixels:
    """Gaussian blur, mirrored at the borders, cut off at 4 sigma.

    Args:
        image: the photo.
        sigma: in pixels, 0..256.

    Raises:
        UsageError: a sigma outside of that.
    """
    from scipy import ndimage

    checked("a blur's sigma in px", sigma, 0, MAX_BLUR)
    return rounded(ndimage.gaussian_filter(image.astype(np.float32), (sigma, sigma, 0), mode="reflect"))


def noise(image: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """Adds independent Gaussian noise to every channel and clips.

    Args:
        image: the photo.
        sigma: standard deviation in units of 255, 0..255.
        rng: draws the field.

    Raises:
        UsageError: a sigma outside of that.
    """
    checked("a standard deviation", sigma, 0, 255)
    return rounded(image + rng.normal(0.0, sigma, image.shape))


def salt_and_pepper(image: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """Makes pixels black or white, one as likely as the other.

    Args:
        image: the photo.
        share: of the pixels, 0..1: the probability with which each is replaced.
        rng: draws which, and by what.

    Raises:
        UsageError: a share outside of that.
    """
    checked("a share of the pixels", share, 0, 1)
    size = image.shape[:2]
    order, salt = rng.random(size), rng.random(size) < 0.5
    hit = order < share
    found = image.copy()
    found[hit] = np.where(salt[hit], 255, 0)[:, None]
    return found


def occlusion(image: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """Covers a box of the photo's proportions with mid grey.

    Args:
        image: the photo.
        share: of its area, 0..1, to whole rows and columns.
        rng: draws the place; every place inside the photo is as likely.

    Raises:
        UsageError: a share outside of that.
    """
    checked("a share of the area", share, 0, 1)
    side = math.sqrt(share)
    found = image.copy()
    # Both ends move outwards as the side grows, hence greater boxes hold smaller ones.
    spans = [slice(round(at * (1 - side) * n), round((at * (1 - side) + side) * n)) for at, n in _places(image, rng)]
    found[tuple(spans)] = GREY
    return found


def _places(image: Pixels, rng: np.random.Generator) -> list[tuple[float, int]]:
    return [(float(at), n) for at, n in zip(rng.random(2), image.shape[:2], strict=True)]
