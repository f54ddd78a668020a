"""Masks as run lengths: COCO's order (column by column, the first run outside), a few bytes an object."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Rle", "decode", "encode", "to_coco"]

Rle = tuple[NDArray[np.uint32], NDArray[np.uint32]]


def encode(masks: NDArray[np.bool_]) -> Rle:
    """(N, H, W) → all run lengths in one array, and where each mask's runs end: (R,) and (N,).

    Example:
        >>> counts, ends = encode(np.array([[[0, 1], [0, 1]]], bool))
        >>> counts.tolist(), ends.tolist()
        ([2, 2], [2])
        >>> decode((counts, ends), (2, 2)).astype(int).tolist()
        [[[0, 1], [0, 1]]]
    """
    counts: list[NDArray[np.uint32]] = []
    for mask in masks:
        flat = mask.T.reshape(-1)
        edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        bounds = np.concatenate([[0] if not flat[0] else [0, 0], edges, [flat.size]])
        counts.append(np.diff(bounds).astype(np.uint32))
    ends = np.cumsum([len(c) for c in counts], dtype=np.uint32) if counts else np.zeros(0, np.uint32)
    return np.concatenate(counts) if counts else np.zeros(0, np.uint32), ends


def decode(rle: Rle, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The inverse: (N, H, W) bool."""
    h, w = size
    counts, ends = rle
    masks = np.zeros((len(ends), h, w), bool)
    start = 0
    for mask, end in zip(masks, ends, strict=True):
        own = counts[start:end]
        inside = np.arange(len(own)) % 2 == 1
        mask[:] = np.repeat(inside, own).reshape(w, h).T
        start = int(end)
    return masks


def to_coco(rle: Rle, size: tuple[int, int]) -> list[dict[str, Any]]:
    """COCO's compressed form, one {"size": [H, W], "counts": text} a mask."""
    from pycocotools import mask as coco

    counts, ends = rle
    out = []
    for own in np.split(counts, ends[:-1]) if len(ends) else []:
        compressed = coco.frPyObjects({"size": list(size), "counts": own.tolist()}, *size)
        out.append({"size": list(size), "counts": compressed["counts"].decode("ascii")})
    return out
