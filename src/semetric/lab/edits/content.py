"""Content: objects that are gone, or others in their place."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from semetric.lab.edits.compositing import paste, remove, resized
from semetric.lab.edits.objects import Masks, cut_out_of, how_many
from semetric.lab.systems import Pixels

__all__ = ["Donor", "remove_objects", "replace"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Donor:
    """A photo that gives its objects.

    Attributes:
        pixels: (h, w, 3) uint8 RGB, of any size.
        masks: (M, h, w), the objects that it gives; at least one.
    """

    pixels: Pixels = field(repr=False)
    masks: Masks = field(repr=False)


def remove_objects(image: Pixels, masks: Masks, strength: float, rng: np.random.Generator) -> Pixels:
    """Removes objects and inpaints the holes.

    Args:
        image: the photo.
        masks: (K, H, W), the objects, the largest first.
        strength: share of the objects, the smaller ones first.
        rng: not used.

    Returns:
        The photo, changed where the objects were and 4 px around.
    """
    return remove(image, masks[len(masks) - how_many(strength, len(masks)) :])


def replace(image: Pixels, masks: Masks, strength: float, rng: np.random.Generator, *, donor: Donor) -> Pixels:
    """Puts objects of another photo in the place of this one's, at equal area and with their feet at the same place.

    Args:
        image: the photo.
        masks: (K, H, W), the objects, the largest first.
        strength: share of the objects, the smaller ones first.
        rng: draws which of the donor's objects each becomes.
        donor: the other photo.

    Returns:
        The photo, changed where the objects were (and 4 px around) and where the new ones are.
    """
    drawn = [int(i) for i in rng.integers(0, len(donor.masks), len(masks))]
    first = len(masks) - how_many(strength, len(masks))
    canvas = remove(image, masks[first:])
    for mask, which in zip(masks[first:], drawn[first:], strict=True):
        _, shape, top, left = cut_out_of(image, mask)
        pixels, other, _, _ = cut_out_of(donor.pixels, donor.masks[which])
        ratio = math.sqrt(shape.sum() / other.sum())
        h, w = (max(1, round(ratio * n)) for n in other.shape)
        pixels, other = resized(pixels, other, (h, w))
        paste(canvas, pixels, other, top + shape.shape[0] - h, round(left + (shape.shape[1] - w) / 2))
    return canvas
