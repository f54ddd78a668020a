"""Pose: the same objects in the same place, turned or mirrored."""

from __future__ import annotations

import numpy as np

from semetric.lab.edits.compositing import paste, remove, turned
from semetric.lab.edits.objects import Masks, cut_out_of, how_many
from semetric.lab.systems import Pixels

__all__ = ["mirror_objects", "turn"]

FULL = 90.0  # degrees: most objects lie on their side


def turn(image: Pixels, masks: Masks, strength: float, rng: np.random.Generator) -> Pixels:
    """Turns objects about the middle of their boxes.

    The strength is a share of 90°. `rng` draws the sense of each turn.
    """
    senses = rng.choice([-1.0, 1.0], len(masks))
    if strength == 0:
        return image.copy()
    canvas = remove(image, masks)
    for mask, sense in zip(masks, senses, strict=True):
        pixels, shape, top, left = cut_out_of(image, mask)
        middle = top + shape.shape[0] / 2, left + shape.shape[1] / 2
        pixels, shape = turned(pixels, shape, float(sense) * FULL * strength)
        h, w = shape.shape
        paste(canvas, pixels, shape, round(middle[0] - h / 2), round(middle[1] - w / 2))
    return canvas


def mirror_objects(image: Pixels, masks: Masks, strength: float, rng: np.random.Generator) -> Pixels:
    """Swaps left and right of objects, each inside its box.

    The strength is the share of the objects, the smaller ones first.
    """
    chosen = masks[len(masks) - how_many(strength, len(masks)) :]
    canvas = remove(image, chosen)
    for mask in chosen:
        pixels, shape, top, left = cut_out_of(image, mask)
        paste(canvas, pixels[:, ::-1], shape[:, ::-1], top, left)
    return canvas
