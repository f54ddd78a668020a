"""Colour: the same objects in another colour."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from semetric.lab.edits.compositing import blend, feathered
from semetric.lab.edits.objects import Masks, cut_out_of
from semetric.lab.systems import Pixels
from semetric.lab.transformations.colour import hue_rotation

__all__ = ["recolour"]

LEAST = 80.0  # distance from the grey axis, of 255, that a colour has at the end at least
NO_HUE = 8.0  # distance below which an object counts as grey


def recolour(image: Pixels, masks: Masks, strength: float, rng: np.random.Generator) -> Pixels:
    """Turns the hue of objects about the grey axis, up to the opposite, and tints those that hardly have one.

    R + G + B of each pixel stays where nothing is clipped, so that light and shade do. Distance from the old
    colour rises with the strength.

    The strength is a share of 180°, and of the tint. `rng` draws the sense of each turn, and the tint of what is
    grey.
    """
    canvas = image.copy()
    for mask in masks:
        sense, angle = rng.choice([-1.0, 1.0]), rng.uniform(0, 2 * math.pi)
        if strength == 0:
            continue
        pixels, shape, top, left = cut_out_of(image, mask)
        own = pixels[shape].astype(np.float64)  # (P, 3)
        mean = own.mean(0) - own.mean()
        length = float(np.linalg.norm(mean))
        away = -mean / length if length > NO_HUE else _on_the_wheel(angle)
        new = pixels.astype(np.float64)
        new[shape] = own @ hue_rotation(sense * 180 * strength).T + strength * max(0.0, LEAST - length) * away
        box = slice(top, top + shape.shape[0]), slice(left, left + shape.shape[1])
        canvas[box] = blend(canvas[box], np.clip(new, 0, 255), feathered(shape))
    return canvas


def _on_the_wheel(angle: float) -> NDArray[np.float64]:
    """The unit vector at that angle in the plane across the grey axis."""
    red = np.array([2.0, -1, -1]) / math.sqrt(6)
    green = np.array([0.0, 1, -1]) / math.sqrt(2)
    wheel: NDArray[np.float64] = math.cos(angle) * red + math.sin(angle) * green
    return wheel
