"""Texture: the same objects with another surface, their mean colour and their light and shade kept."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from semetric.lab.edits.compositing import blend, feathered
from semetric.lab.edits.objects import Masks, cut_out_of
from semetric.lab.systems import Pixels

__all__ = ["patch", "pattern"]

DEPTH = 0.45  # of a pattern: it multiplies the surface by 1 ± 0.45
PERIOD = 0.18  # of a pattern, and
SHADE = 0.10  # sigma below which light and shade count as texture: both of the root of the object's area
WINDOW = 0.4  # side of a patch, of the same
WINDOWS = 32  # tried for a patch
GAIN = (0.3, 2.5)  # how far a patch may darken and lighten
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def pattern(image: Pixels, masks: Masks, strength: float, rng: np.random.Generator) -> Pixels:
    """Gives objects stripes, checks or dots.

    The strength is the share of the new surface in the mixture with the old. `rng` draws pattern, direction and phase
    of each.
    """
    surfaces = []
    for mask in masks:
        kind, angle, phases = rng.integers(3), rng.uniform(0, math.pi), rng.uniform(0, 2 * math.pi, 2)
        _, shape, _, _ = cut_out_of(image, mask)
        y, x = np.indices(shape.shape)
        turn = 2 * math.pi / max(4.0, PERIOD * math.sqrt(shape.sum()))
        u = np.sin(turn * (math.cos(angle) * x + math.sin(angle) * y) + phases[0])
        v = np.sin(turn * (math.cos(angle) * y - math.sin(angle) * x) + phases[1])
        wave = (u, 2 * u * v, u + v - 0.7)[kind]
        surfaces.append(1 + DEPTH * np.tanh(4 * wave))
    return _resurface(image, masks, surfaces, strength)


def patch(image: Pixels, masks: Masks, strength: float, rng: np.random.Generator) -> Pixels:
    """Gives objects the surface of another part of the photo, mirrored on and on.

    Among places drawn at random, those that hold the least of any object come first, then the one richest in
    detail.

    The strength is the share of the new surface in the mixture with the old. `rng` draws the places.
    """
    anything = np.asarray(masks.any(0))
    luma = image @ LUMA
    surfaces = []
    for mask in masks:
        side = max(1, min(round(WINDOW * math.sqrt(mask.sum())), *image.shape[:2]))
        room = np.array(image.shape[:2]) - side
        places = np.floor(rng.random((WINDOWS, 2)) * (room + 1)).astype(int)
        windows = [(slice(y, y + side), slice(x, x + side)) for y, x in places]
        best = min(windows, key=lambda at: (round(float(anything[at].mean()), 2), -_richness(luma[at])))
        _, shape, _, _ = cut_out_of(image, mask)
        rows, columns = (_back_and_forth(n, side) for n in shape.shape)
        tiles = luma[best][rows[:, None], columns]
        surfaces.append(np.clip(tiles / max(float(luma[best].mean()), 1.0), *GAIN))
    return _resurface(image, masks, surfaces, strength)


def _resurface(image: Pixels, masks: Masks, surfaces: list[NDArray[np.float64]], strength: float) -> Pixels:
    """Mean colour × light and shade × surface, mixed into each object; surfaces cover their boxes."""
    from scipy import ndimage

    canvas = image.copy()
    if strength == 0:
        return canvas
    for mask, surface in zip(masks, surfaces, strict=True):
        pixels, shape, top, left = cut_out_of(image, mask)
        h, w = shape.shape
        sigma = SHADE * math.sqrt(shape.sum())
        inside = shape.astype(np.float64)
        # A Gaussian mean over the mask's own pixels: its surroundings cast no light into it.
        weight = ndimage.gaussian_filter(inside, sigma, mode="constant")
        shade = ndimage.gaussian_filter(inside * (pixels @ LUMA), sigma, mode="constant") / np.maximum(weight, 1e-6)
        colour = pixels[shape].mean(0)
        relative = shade / max(float(shade[shape].mean()), 1.0)
        new = np.clip((relative * surface)[..., None] * colour, 0, 255)
        box = slice(top, top + h), slice(left, left + w)
        canvas[box] = blend(canvas[box], new, strength * feathered(shape))
    return canvas


def _richness(luma: NDArray[np.float64]) -> float:
    return float(luma.std() / (luma.mean() + 16))


def _back_and_forth(length: int, side: int) -> NDArray[np.int64]:
    """0, 1, …, side − 1, side − 1, …, 1, 0, 0, 1, … of that length."""
    at = np.arange(length) % (2 * side)
    return np.minimum(at, 2 * side - 1 - at)
