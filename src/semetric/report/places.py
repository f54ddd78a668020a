"""Where labels go: inside objects, and clear of each other. Plain arrays, no drawing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from semetric.scene.graph import SceneGraph

__all__ = ["Box", "box_around", "clear_place", "label_points", "paired_relations", "strongest_relations"]

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1."""

_LEAST_STRENGTH = 0.25  # of a relation worth an arrow, in that of its image's strongest
_HIDDEN = 1.5  # an object of less than so many labels' area has its label beside it


def label_points(masks: Sequence[NDArray[np.bool_]], radius: float) -> NDArray[np.float64]:
    """Where a round label of each object goes: deep inside it, clear of the other labels where that can be.

    A point is sought where the object is not covered by a smaller one, so that a background's label does not sit on
    the thing in front of it. An object that a label would hide has it beside. The smallest objects choose first.

    Args:
        masks: N masks of one shape (H, W).
        radius: of a label, in pixels: points keep twice that apart where they can.

    Returns:
        (N, 2) x, y in pixels, inside the image; its centre for an empty mask.
    """
    from scipy.ndimage import distance_transform_edt

    points = np.zeros((len(masks), 2))
    if not masks:
        return points
    h, w = masks[0].shape
    rows, columns = np.mgrid[:h, :w]
    smallest_first = np.argsort([int(mask.sum()) for mask in masks], kind="stable")
    covered = np.zeros((h, w), bool)
    near = np.zeros((h, w), bool)  # the middle of a label here would overlap another label
    for i in smallest_first:
        mask = masks[i]
        if not mask.any():
            points[i] = w / 2, h / 2
            continue
        visible = mask & ~covered
        region = visible if visible.any() else mask
        if mask.sum() < _HIDDEN * np.pi * radius**2:
            away = distance_transform_edt(~mask)
            fits = (rows >= radius) & (rows < h - radius) & (columns >= radius) & (columns < w - radius)
            beside = (away >= radius) & fits & ~near
            worth = np.where(beside, 1.0 / np.maximum(away, 1.0), 0.0)
        else:
            worth = np.zeros((h, w))
        if not worth.any():
            depth = distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
            worth = np.where(near, 0.0, depth)
            worth = worth if worth.any() else depth
        y, x = np.unravel_index(int(np.argmax(worth)), (h, w))
        points[i] = x + 0.5, y + 0.5
        covered |= mask
        near |= np.hypot(columns - x, rows - y) < 2 * radius
    return points


def strongest_relations(
    triplets: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    importance: NDArray[np.floating],
    shown: Sequence[int],
    most: int,
) -> NDArray[np.int64]:
    """The relations worth an arrow: probable, and between objects that matter; faint ones are left out.

    Args:
        triplets: (E, 3) subject, object, predicate.
        probabilities: (E,).
        importance: (N,).
        shown: objects that are drawn; a relation of any other is left out.
        most: how many at most.

    Returns:
        (≤ most,) rows of triplets, by falling probability × geometric mean of the two importances. Of the
        two directions between two objects only the stronger is kept.
    """
    drawn = set(shown)
    ends = importance[triplets[:, :2]]  # (E, 2)
    strength = probabilities * np.sqrt(np.maximum(ends.prod(axis=1), 0.0))
    least = _LEAST_STRENGTH * strength.max(initial=0.0)
    chosen: list[int] = []
    pairs: set[frozenset[int]] = set()
    for row in np.argsort(-strength, kind="stable"):
        subject, target = int(triplets[row, 0]), int(triplets[row, 1])
        pair = frozenset((subject, target))
        if len(chosen) == most or strength[row] < least:
            break
        if subject == target or not pair <= drawn or pair in pairs:
            continue
        pairs.add(pair)
        chosen.append(int(row))
    return np.array(chosen, np.int64)


def paired_relations(
    graphs: tuple[SceneGraph, SceneGraph], pairs: Sequence[tuple[int, int]], shared: int, own: int
) -> list[tuple[NDArray[np.int64], list[bool]]]:
    """The relations worth an arrow in two images whose objects are matched.

    First those that the matched objects have in both images, with one predicate and direction, strongest first by the
    weaker of the two; then of each image the strongest that only it has. Relations that are faint beside the image's
    strongest are left out.

    Args:
        graphs: of both images.
        pairs: the matches that are drawn.
        shared: how many at most of the relations in both.
        own: how many at most of those in one image alone.

    Returns:
        For each image the (k,) rows of its triplets, and of each whether it is in both; these come first and
        correspond. Of the two directions between two objects only one is kept.
    """
    match = [{pair[k]: pair[1 - k] for pair in pairs} for k in (0, 1)]
    rows = [{tuple(t): row for row, t in enumerate(graph.triplets.tolist())} for graph in graphs]
    strength = []
    for graph in graphs:
        ends = np.sqrt(np.maximum(graph.importance[graph.triplets[:, :2]].prod(axis=1), 0.0))  # (E,)
        strength.append(graph.probabilities * ends)
    twins = []
    for (subject, target, predicate), row in rows[0].items():
        if subject in match[0] and target in match[0] and subject != target:
            twin = rows[1].get((match[0][subject], match[0][target], predicate))
            if twin is not None:
                twins.append((-min(strength[0][row], strength[1][twin]), row, twin))
    chosen: tuple[list[int], list[int]] = ([], [])
    taken: set[frozenset[int]] = set()
    least = [_LEAST_STRENGTH * values.max(initial=0.0) for values in strength]
    for _, row, twin in sorted(twins):
        ends_of = frozenset(graphs[0].triplets[row, :2].tolist())
        faint = strength[0][row] < least[0] and strength[1][twin] < least[1]
        if not faint and ends_of not in taken and len(chosen[0]) < shared:
            taken.add(ends_of)
            chosen[0].append(row)
            chosen[1].append(twin)
    both = [{row for _, row, _ in twins}, {twin for _, _, twin in twins}]
    chosen_rows = []
    for k, graph in enumerate(graphs):
        drawn = {frozenset(graph.triplets[row, :2].tolist()) for row in chosen[k]}
        alone: list[int] = []
        for row in np.argsort(-strength[k], kind="stable").tolist():
            subject, target = graph.triplets[row, :2].tolist()
            known = (
                strength[k][row] < least[k]
                or row in both[k]
                or subject == target
                or subject not in match[k]
                or target not in match[k]
            )
            if not known and frozenset((subject, target)) not in drawn and len(alone) < own:
                drawn.add(frozenset((subject, target)))
                alone.append(row)
        rows_k = np.array([*chosen[k], *alone], np.int64)
        chosen_rows.append((rows_k, [True] * len(chosen[k]) + [False] * len(alone)))
    return chosen_rows


def clear_place(
    candidates: Sequence[tuple[float, float]], width: float, height: float, taken: Sequence[Box], bounds: Box
) -> tuple[float, float]:
    """The first candidate at which a box of that size overlaps nothing; else the one that overlaps least.

    Args:
        candidates: centres x, y, the best first; moved inside the bounds where the box would stick out.
        width: of the box.
        height: of the box.
        taken: boxes to keep clear of.
        bounds: the area to stay in.

    Returns:
        The centre of the box.
    """
    best, least = (0.0, 0.0), np.inf
    for x, y in candidates:
        place = (_within(x, width, bounds[0], bounds[2]), _within(y, height, bounds[1], bounds[3]))
        box = box_around(*place, width, height)
        shared = sum(_overlap(box, other) for other in taken)
        if shared < least:
            best, least = place, shared
        if shared == 0:
            break
    return best


def box_around(x: float, y: float, width: float, height: float) -> Box:
    """The box with that centre."""
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _within(centre: float, length: float, low: float, high: float) -> float:
    if high - low <= length:
        return (low + high) / 2
    return min(max(centre, low + length / 2), high - length / 2)


def _overlap(a: Box, b: Box) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
