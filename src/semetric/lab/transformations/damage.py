"""What destroys detail and leaves the rest in place: noise, blur, occlusion.

Noise and boxes take their generator from the caller. For equal generators the strengths nest: the noise field
is the same, scaled; pixels that a lower share replaced stay replaced; a greater box holds the smaller ones.
"""

from __future__ import annotations

import math

import numpy as np

from semetric.lab.systems import Pixels
from semetric.lab.transformations.base import rounded, transformation

__all__ = ["blur", "noise", "occlusion", "salt_and_pepper"]

GREY = 128
MAX_BLUR = 256.0  # px; beyond it a photo is one colour, and the filter's window has thousands of taps


@transformation(
    "blur", "Gaussian blur", unit="sigma, px", range=(0.0, MAX_BLUR), strengths=(0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
)
def blur(image: Pixels, sigma: float) -> Pixels:
    """Gaussian blur, mirrored at the borders, cut off at 4 sigma."""
    from scipy import ndimage

    return rounded(ndimage.gaussian_filter(image.astype(np.float32), (sigma, sigma, 0), mode="reflect"))


@transformation(
    "noise",
    "Gaussian noise",
    unit="standard deviation, of 255",
    range=(0.0, 255.0),
    strengths=(5.0, 10.0, 25.0, 50.0, 75.0, 100.0),
)
def noise(image: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """Adds independent Gaussian noise to every channel and clips."""
    return rounded(image + rng.normal(0.0, sigma, image.shape))


@transformation(
    "salt_and_pepper",
    "salt-and-pepper noise",
    unit="share of the pixels",
    range=(0.0, 1.0),
    strengths=(0.01, 0.02, 0.05, 0.1, 0.2, 0.4),
)
def salt_and_pepper(image: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """Makes pixels black or white, one as likely as the other; each with the probability `share`."""
    size = image.shape[:2]
    order, salt = rng.random(size), rng.random(size) < 0.5
    hit = order < share
    changed = image.copy()
    changed[hit] = np.where(salt[hit], 255, 0)[:, None]
    return changed


@transformation(
    "occlusion",
    "occlusion",
    unit="share of the area",
    range=(0.0, 1.0),
    strengths=(0.02, 0.05, 0.1, 0.2, 0.4, 0.6),
)
def occlusion(image: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """Covers a box of the photo's proportions with mid grey, to whole rows and columns; every place is as likely."""
    side = math.sqrt(share)
    covered = image.copy()
    places = [(float(at), n) for at, n in zip(rng.random(2), image.shape[:2], strict=True)]
    # Both ends move outwards as the side grows, hence greater boxes hold smaller ones.
    spans = [slice(round(at * (1 - side) * n), round((at * (1 - side) + side) * n)) for at, n in places]
    covered[tuple(spans)] = GREY
    return covered
