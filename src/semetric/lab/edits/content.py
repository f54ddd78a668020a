"""Content: objects that are gone, others in their place, or others beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from semetric.errors import ImageError
from semetric.lab.edits.compositing import paste, remove, resized
from semetric.lab.edits.objects import Masks, cut_out_of, how_many
from semetric.lab.systems import Pixels

__all__ = ["Donor", "insert", "remove_objects", "replace"]

INSERTED = 4  # objects at strength 1
AREA = 0.05  # share of the image that an inserted object covers, and
SIDE = 0.9  # share of the image's sides that its box may have; a long object is smaller than AREA


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

    The strength is the share of the objects, the smaller ones first.
    """
    return remove(image, masks[len(masks) - how_many(strength, len(masks)) :])


def replace(image: Pixels, masks: Masks, strength: float, rng: np.random.Generator, *, donor: Donor) -> Pixels:
    """Puts objects of another photo in the place of this one's, at equal area and with their feet at the same place.

    The strength is the share of the objects, the smaller ones first. `rng` draws which of the donor's objects each
    becomes.
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


def insert(image: Pixels, masks: Masks, strength: float, rng: np.random.Generator, *, donor: Donor) -> Pixels:
    """Adds objects of another photo, where they cover as little as possible of any object.

    The strength is the share of the four objects to add; one that a lower strength added stays. `rng` draws which of
    the donor's objects are added, each once before any twice, and among the places that cover the least.

    Raises:
        ImageError: a photo of so few pixels that an object at 5% of it has none.
    """
    from scipy.signal import fftconvolve

    occupied = np.asarray(masks.any(0))
    order = rng.permutation(len(donor.masks))
    canvas = image.copy()
    for i in range(how_many(strength, INSERTED)):
        pixels, shape, _, _ = cut_out_of(donor.pixels, donor.masks[order[i % len(order)]])
        ratio = math.sqrt(AREA * occupied.size / shape.sum())
        ratio = min(ratio, *(SIDE * n / side for n, side in zip(occupied.shape, shape.shape, strict=True)))
        h, w = (max(1, round(ratio * n)) for n in shape.shape)
        pixels, shape = resized(pixels, shape, (h, w))
        if not shape.any():
            rows, columns = occupied.shape
            raise ImageError(
                f"Expected an image in which an object of 5% has a pixel; found {columns} × {rows}. Take a larger one."
            )
        # How many occupied pixels the object would cover, for every place of its box inside the frame.
        covered = np.rint(fftconvolve(occupied.astype(np.float64), shape[::-1, ::-1].astype(np.float64), mode="valid"))
        places = np.argwhere(covered == covered.min())
        top, left = (int(n) for n in places[rng.integers(len(places))])
        paste(canvas, pixels, shape, top, left)
        occupied[top : top + h, left : left + w] |= shape
    return canvas
