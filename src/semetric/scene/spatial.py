"""Relations read off the geometry of the masks: nine of the 56 predicates, without a network.

Which side of one mask another lies on, how much of its outline the other touches, how much of it the other covers:
a few shares per ordered pair, each turned into a score. A score says how well the masks fit the predicate, not how
often people would say it. docs/spatial.md defines every predicate with a picture.

Nothing tells left from right, so a mirrored image has the same relations, to the bit. All lengths are relative to
the masks, or to the image where that is said, so that scaling and shifting change little (masks are sampled on a grid).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.scene.predicates import PREDICATES

__all__ = ["SPATIAL_PREDICATES", "spatial_probabilities"]

_Array = NDArray[np.float32]

_CEILING = {  # the score of a perfect fit: the surer the geometry, the higher, so that ranking prefers it
    "on": 0.90,
    "in": 0.85,
    "attached to": 0.80,
    "enclosing": 0.75,
    "in front of": 0.70,
    "hanging from": 0.60,
    "over": 0.55,
    "beside": 0.50,
    "touching": 0.40,
}

SPATIAL_PREDICATES: tuple[str, ...] = tuple(p for p in PREDICATES if p in _CEILING)
"""The predicates that geometry scores, in the order of PREDICATES; all others are 0."""

_FOOT = 0.2  # a mask stands on, or hangs from, this share of its height
_REACH = 0.0125  # contact: masks at most this share of the image's longest side apart


def spatial_probabilities(masks: NDArray[np.bool_], *, side: int = 128) -> _Array:
    """Scores the spatial predicates of each ordered pair of masks.

    Args:
        masks: (N, H, W) masks of one image; they may overlap.
        side: length of the longest side, in pixels, that the masks are reduced to.

    Returns:
        (56, N, N) in [0, 0.9]: predicate, subject, object; 0 on the diagonal and for predicates that geometry cannot
        tell. A mask that the reduction leaves without a pixel has no relations.

    Raises:
        UsageError: another shape or dtype.

    Example:
        >>> cup, table = np.zeros((2, 32, 32), bool)
        >>> cup[8:16, 12:20], table[16:24, 4:28] = True, True
        >>> on = spatial_probabilities(np.stack([cup, table]))[PREDICATES.index("on")]
        >>> on[0, 1] > 0.5, on[1, 0]
        (np.True_, np.float32(0.0))
    """
    if masks.ndim != 3 or masks.dtype != np.bool_:
        raise UsageError(f"Expected masks (N, H, W) of bool; found {masks.shape} of {masks.dtype}.")
    scores = np.zeros((len(PREDICATES), len(masks), len(masks)), np.float32)
    if len(masks) < 2 or masks.size == 0:
        return scores
    small = _reduced(masks, side)
    fits = _fits(_Shares(small, max(1, round(_REACH * max(small.shape[1:])))))
    present = small.any(axis=(1, 2))
    valid = np.outer(present, present) & ~np.eye(len(masks), dtype=bool)
    for name, fit in fits.items():
        scores[PREDICATES.index(name)] = np.where(valid, np.float32(_CEILING[name]) * fit, np.float32(0.0))
    return scores


def _fits(s: _Shares) -> dict[str, _Array]:
    """Predicate → (N, N) how well subject (row) and object (column) fit it, in [0, 1]. docs/spatial.md, one by one."""
    apart = 1 - _ramp(s.overlap_of_smaller, 0.1, 0.4)
    larger = _ramp(s.area_ratio, 1.0, 2.0)  # object larger than subject
    part = _ramp(s.covered, 0.6, 0.9) * _ramp(s.area_ratio, 1.0, 1.5)
    inside = _ramp(s.surrounded, 0.6, 0.95) * apart

    unsupported = 1 - _ramp(s.underside_held, 0.1, 0.4)[:, None]
    backdrop = _ramp(s.set_into, 0.15, 0.6)
    hanging = _ramp(s.top_contact, 0.15, 0.5) * larger * unsupported * (1 - backdrop) * apart
    bearing = _ramp(s.underside_contact, 0.15, 0.5) * (1 - _ramp(s.top_contact, 0.2, 0.6))
    on = bearing * (1 - 0.8 * s.reaches_top[:, None]) * (1 - hanging.T) * apart

    before = backdrop * (1 - on) * apart
    above = _ramp(s.above, 0.4, 0.9) * (1 - on) * (1 - hanging.T) * apart / (1 + s.gap_down)
    frontal = np.maximum(before, before.T)
    touching = _ramp(np.maximum(s.contact, s.contact.T), 0.01, 0.1) * (1 - frontal) * apart
    sideways = _ramp(np.maximum(s.lateral, s.lateral.T), 0.4, 0.9) * (1 - np.maximum(on, on.T)) * (1 - frontal)
    beside = sideways * (1 - 0.5 * touching) * apart / (1 + s.gap_along)
    return {
        "on": on,
        "in": inside,
        "attached to": part,
        "enclosing": np.maximum(inside, part).T,
        "in front of": before,
        "hanging from": hanging,
        "over": above,
        "beside": beside,
        "touching": touching,
    }


class _Shares:
    """What the masks are to each other: (N, N) arrays, subject in rows, object in columns, and (N,) arrays.

    Every count is a whole number below 2^24, exact in float32, so that no order of summation matters.

    Attributes:
        covered: share of the subject that the object's mask covers.
        overlap_of_smaller: overlap as a share of the smaller of the two.
        area_ratio: area of the object over that of the subject.
        underside_contact: share of the strip just below the lowest fifth of the subject that the object covers.
        top_contact: the same of the strip just above its highest fifth.
        contact: the same of these two and of the strips at its left and right, together.
        underside_held: (N,) share of the strip below that any mask, or the edge of the image, covers.
        surrounded: share of the subject's pixels that see the object to the left, right, above and below.
        set_into: share that see it to the left, right and above, but not below.
        above: share that see it below, but not above.
        lateral: share that see it to the left or to the right, but not both.
        gap_down: rows between the subject's lowest and the object's highest pixel, over the mean of their sizes.
        gap_along: columns between the two, over the mean of their sizes (size: root of the area).
        reaches_top: (N,) share of the subject's columns in which it begins at the image's upper edge.
    """

    def __init__(self, masks: NDArray[np.bool_], reach: int) -> None:
        packed = _packed(masks)
        area = np.maximum(masks.sum(axis=(1, 2), dtype=np.float32), 1)  # (N,)
        overlap = _common(packed, packed)
        self.covered = overlap / area[:, None]
        self.overlap_of_smaller = overlap / np.minimum(area[:, None], area[None])
        self.area_ratio = area[None] / area[:, None]

        in_row, in_column = np.asarray(masks.any(axis=2)), np.asarray(masks.any(axis=1))
        first_row, last_row = _extent(in_row)
        first_column, last_column = _extent(in_column)
        foot = _FOOT * (last_row - first_row + 1)
        row = np.arange(masks.shape[1])
        low = (row > (last_row - foot)[:, None])[:, :, None]  # (N, h, 1)
        high = (row < (first_row + foot)[:, None])[:, :, None]
        everywhere = np.ones((1, 1, 1), dtype=bool)

        # what the edge of the image cuts off a strip counts with it, so that a mask at the edge is not all contact
        touched, length, held = [], [], []
        anything = masks.any(axis=0)
        sides = ((reach, 1, -1, low), (-reach, 1, 0, high), (reach, 2, -1, everywhere), (-reach, 2, 0, everywhere))
        for by, axis, edge, where in sides:
            strip = _smeared(masks, by, axis) & ~masks & where
            cut = reach * np.take(masks, edge, axis).sum(axis=1, dtype=np.float32)
            touched.append(_common(_packed(strip), packed))
            length.append(np.maximum(strip.sum(axis=(1, 2), dtype=np.float32) + cut, 1))
            held.append((strip & anything).sum(axis=(1, 2), dtype=np.float32) + cut)
        self.underside_contact, self.top_contact = (touched[i] / length[i][:, None] for i in (0, 1))
        self.contact = np.sum(touched, axis=0) / np.sum(length, axis=0)[:, None]
        self.underside_held = held[0] / length[0]

        up, down = _passed(masks, 1)
        west, east = _passed(masks, 2)
        both = west & east
        views = (both & up & down, both & up & ~down, down & ~up, west ^ east)
        seen = [_common(packed, _packed(view)) / area[:, None] for view in views]  # share of each subject's pixels
        self.surrounded, self.set_into, self.above, self.lateral = seen

        size = np.sqrt(area)
        mean = 0.5 * (size[:, None] + size[None])
        self.gap_down = np.maximum(first_row[None] - last_row[:, None] - 1, 0) / mean
        apart = np.maximum(first_column[None] - last_column[:, None], first_column[:, None] - last_column[None]) - 1
        self.gap_along = np.maximum(apart, 0) / mean
        self.reaches_top = masks[:, 0].sum(axis=1) / np.maximum(in_column.sum(axis=1), 1).astype(np.float32)


def _reduced(masks: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """(N, H, W) → (N, h, w), the longest side at most `side`: each new pixel takes the mask at its centre.

    Where a centre lies between two old pixels either may decide: taking always the same one would tell left from right.
    """
    _, h, w = masks.shape
    if max(h, w) <= side:
        return masks
    target = [max(1, round(length * side / max(h, w))) for length in (h, w)]
    out = masks
    for axis, (new, old) in enumerate(zip(target, (h, w), strict=True), start=1):
        centre = (2 * np.arange(new) + 1) * old  # over 2 · new
        last, first = centre // (2 * new), -(-centre // (2 * new)) - 1
        out = (
            np.take(out, last, axis=axis)
            if np.array_equal(first, last)
            else np.take(out, first, axis) | np.take(out, last, axis)
        )
    return out


def _packed(masks: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """(N, h, w) → (N, words), a bit a pixel."""
    octets = np.packbits(masks.reshape(len(masks), -1), axis=1)
    padding = -octets.shape[1] % 8
    return np.pad(octets, ((0, 0), (0, padding))).view(np.uint64)


def _common(masks: NDArray[np.uint64], others: NDArray[np.uint64]) -> _Array:
    """How many pixels each mask shares with each of the others, (N, M): counting bits beats a matrix product."""
    ones = np.ones(masks.shape[1], np.float32)
    out = np.empty((len(masks), len(others)), np.float32)
    block = 4  # rows at a time, so that the words stay in the cache
    for i in range(0, len(masks), block):
        out[i : i + block] = np.bitwise_count(masks[i : i + block, None] & others[None]).astype(np.float32) @ ones
    return out


def _smeared(masks: NDArray[np.bool_], by: int, axis: int) -> NDArray[np.bool_]:
    """The masks shifted by each of 1 … |by| pixels down or right (up or left where negative), together."""
    out = np.zeros_like(masks)
    for step in range(1, abs(by) + 1):
        to, of = [slice(None)] * 3, [slice(None)] * 3
        to[axis], of[axis] = slice(step, None), slice(None, -step)
        if by < 0:
            to, of = of, to
        out[tuple(to)] |= masks[tuple(of)]
    return out


def _passed(masks: NDArray[np.bool_], axis: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Pixels with the mask before them along the axis, and with the mask after them; its own pixels count as both."""
    lines = np.ascontiguousarray(np.moveaxis(masks, axis, 2))  # (N, other, L), where argmax is fast
    hit = lines.any(axis=2)
    length = lines.shape[2]
    first, last = _extent(lines.reshape(-1, length))
    place = np.arange(length, dtype=np.int16).reshape((-1, 1) if axis == 1 else (1, -1))
    first_ = np.where(hit, first.reshape(hit.shape), length).astype(np.int16)  # nothing is before or after no mask
    last_ = np.where(hit, last.reshape(hit.shape), -1).astype(np.int16)
    return place >= np.expand_dims(first_, axis), place <= np.expand_dims(last_, axis)


def _extent(hit: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(N, L) → first and last index that is set, (N,) each."""
    return hit.argmax(axis=1), hit.shape[1] - 1 - hit[:, ::-1].argmax(axis=1)


def _ramp(x: NDArray[Any], low: float, high: float) -> _Array:
    """0 up to low, 1 from high on, straight between."""
    return np.clip((x - low) / (high - low), 0, 1).astype(np.float32)
