"""Masks as SVG paths, with no more corners than the eye needs."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

__all__ = ["edge_field", "outlines", "path", "rings", "simplify"]

TOLERANCE = 0.6  # px of the working image that an outline may stray from the mask's edge
MOST_BYTES = 400_000  # of all paths of one image; beyond that the tolerance grows
_SMOOTHING = 0.8  # px: takes the stairs out of an edge


def outlines(masks: Iterable[NDArray[np.bool_]], *, most_bytes: int = MOST_BYTES) -> list[str]:
    """One SVG path a mask; holes are rings of their own, for fill-rule "evenodd".

    Args:
        masks: (H, W) each; an empty one gives an empty path.
        most_bytes: of all paths together; met by coarser outlines, as far as four corners a ring allow.
    """
    edges = [rings(mask) for mask in masks]
    tolerance = TOLERANCE
    while True:
        paths = [path([simplify(ring, tolerance) for ring in own]) for own in edges]
        if sum(map(len, paths)) <= most_bytes or tolerance > 32:
            return paths
        tolerance *= 2


def rings(mask: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """The closed edges of a mask: (K, 2) x, y in pixels, first = last, inside [0, W] × [0, H]."""
    from contourpy import contour_generator

    smoothed = edge_field(mask)
    if smoothed is None:
        return []
    origin, field = smoothed
    limit = np.array(mask.shape[::-1], np.float64)
    lines = contour_generator(z=field).lines(0.5)
    return [np.clip(np.asarray(line, np.float64) + origin, 0.0, limit) for line in lines]


def edge_field(mask: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float32]] | None:
    """A slightly smoothed mask, whose 0.5 contour is its edge.

    Args:
        mask: (H, W).

    Returns:
        The x, y of the field's first pixel centre in the mask, and the field (h, w) around the object; None for an
        empty mask.
    """
    from scipy.ndimage import gaussian_filter

    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)
    field: NDArray[np.float32] = gaussian_filter(np.pad(part, 2), _SMOOTHING)
    if field.max() <= 0.55:  # a speck that smoothing would hide
        field = np.pad(part, 2)
    return np.array([columns[0], rows[0]]) - 2 + 0.5, field


def simplify(ring: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
    """A closed ring with fewer corners (Douglas & Peucker 1973), none further than the tolerance from the old line.

    Args:
        ring: (K, 2), first = last.
        tolerance: in the ring's units.

    Returns:
        (≤ K, 2), first = last; four corners that span it are kept always, so that no ring collapses.
    """
    if len(ring) < 5:
        return ring
    far = int(np.argmax(np.hypot(*(ring - ring[0]).T)))
    keep = np.zeros(len(ring), bool)
    keep[[0, far, -1]] = True
    spans = [(0, far, 0.0), (far, len(ring) - 1, 0.0)]  # start, end, how far a corner may be from the line
    while spans:
        start, end, allowed = spans.pop()
        if end - start < 2:
            continue
        away = _distances(ring[start + 1 : end], ring[start], ring[end])
        most = int(np.argmax(away))
        if away[most] > allowed:
            middle = start + 1 + most
            keep[middle] = True
            spans += [(start, middle, tolerance), (middle, end, tolerance)]
    return ring[keep]


def path(closed: Iterable[NDArray[np.float64]]) -> str:
    """SVG path data of closed rings: relative steps in tenths of a pixel, which add up without drift."""
    parts = []
    for ring in closed:
        tenths = np.rint(ring[:-1] * 10).astype(np.int64)
        if len(tenths) < 3:
            continue
        x, y = tenths[0].tolist()
        steps = np.diff(tenths, axis=0)
        steps = steps[steps.any(axis=1)].tolist()
        words = " ".join(f"{_tenths(dx)} {_tenths(dy)}" for dx, dy in steps)
        parts.append(f"M{_tenths(x)} {_tenths(y)}l{words}z")
    return "".join(parts)


def _distances(points: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K,) from points (K, 2) to the segment a–b."""
    along = b - a
    length = float(along @ along)
    shares = np.clip((points - a) @ along / max(length, 1e-12), 0.0, 1.0)
    away: NDArray[np.float64] = np.hypot(*(points - a - shares[:, None] * along).T)
    return away


def _tenths(value: int) -> str:
    return f"{value / 10:g}"
