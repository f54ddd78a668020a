"""Layout: the same objects elsewhere."""

from __future__ import annotations

import numpy as np

from semetric.lab.edits.compositing import paste, remove
from semetric.lab.edits.objects import Masks, cut_out_of, how_many
from semetric.lab.systems import Pixels

__all__ = ["move", "swap"]

PLACES = 8  # drawn for an object; it goes to the one farthest away


def move(image: Pixels, masks: Masks, strength: float, rng: np.random.Generator) -> Pixels:
    """Moves objects towards other places inside the frame.

    The strength is the share of the way, in whole px. `rng` draws the places.
    """
    size = np.array(image.shape[:2])
    moves = []
    for mask in masks:
        pixels, shape, top, left = cut_out_of(image, mask)
        here = np.array([top, left])
        room = size - shape.shape
        places = np.floor(rng.random((PLACES, 2)) * (room + 1)).astype(int)
        there = places[np.argmax(((places - here) ** 2).sum(1))]
        way = np.rint(strength * (there - here)).astype(int)
        if way.any():
            moves.append((mask, pixels, shape, *(here + way)))
    if not moves:
        return image.copy()
    canvas = remove(image, np.stack([mask for mask, *_ in moves]))
    for _, pixels, shape, top, left in moves:
        paste(canvas, pixels, shape, int(top), int(left))
    return canvas


def swap(image: Pixels, masks: Masks, strength: float, rng: np.random.Generator) -> Pixels:
    """Lets pairs of objects change places, each at its own size, standing where the other stood.

    The largest changes with the second, the third with the fourth. The strength is the share of the pairs, the smaller
    ones first.
    """
    pairs = [(i, i + 1) for i in range(0, len(masks) - 1, 2)][::-1]
    chosen = pairs[: how_many(strength, len(pairs))]
    if not chosen:
        return image.copy()
    rows, columns = image.shape[:2]
    canvas = remove(image, masks[[i for pair in chosen for i in pair]])
    for first, second in reversed(chosen):  # the larger pair first, so that smaller objects end in front
        cuts = [cut_out_of(image, masks[i]) for i in (first, second)]
        for (pixels, shape, _, _), (_, other, top, left) in (cuts, cuts[::-1]):
            (h, w), (foot, middle) = shape.shape, (top + other.shape[0], left + other.shape[1] / 2)
            y, x = min(max(foot - h, 0), rows - h), min(max(round(middle - w / 2), 0), columns - w)
            paste(canvas, pixels, shape, y, x)
    return canvas
