"""Fits the calibration of an object encoder for graded SeSS on the user's photos.

Pairs that show the same thing are an object of a photo and the mask over the same place in a harmlessly changed copy.
Pairs that do not are an object and the likest object of another photo, since that is what matching would pair it with.
The changes are as strong as changes can be that leave every object recognisable, and none of those that
benchmarks/meaning.py scores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

from semetric.errors import UsageError
from semetric.image import read_image
from semetric.scene.build import GraphBuilder, working_picture
from semetric.scene.calibration import Calibration, fit
from semetric.scene.graph import SceneGraph

__all__ = ["CHANGES", "CHANGES_PER_PHOTO", "calibrate"]

SAME_PLACE = 0.5
"""IoU from which a mask of the changed copy counts as the same object."""

OTHERS = 2
"""Other photos whose objects each photo's objects are compared with."""

CHANGES_PER_PHOTO = 2

_SHEAR = 0.15


def _median(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.MedianFilter(7))


def _dim(image: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(0.6)


def _grey(image: Image.Image) -> Image.Image:
    return ImageEnhance.Color(image).enhance(0.0)


def _shear(image: Image.Image) -> Image.Image:
    slope = (1.0, _SHEAR, -_SHEAR * image.height / 2, 0.0, 1.0, 0.0)
    return image.transform(image.size, Image.Transform.AFFINE, slope, Image.Resampling.BILINEAR)


CHANGES: Mapping[str, Callable[[Image.Image], Image.Image]] = MappingProxyType(
    {"median 7": _median, "brightness 0.6": _dim, "grey": _grey, "shear 15%": _shear}
)
"""Name → change; only the shear moves what the masks show."""


def calibrate(
    photos: Sequence[tuple[str, NDArray[np.uint8]]],
    builder: GraphBuilder,
    *,
    advance: Callable[[int], None] = lambda count: None,
) -> Calibration:
    """Fits midpoints and scales to the embeddings of some photos.

    Args:
        photos: (name, (H, W, 3) uint8 RGB), at least three of different scenes; some twenty serve.
        builder: of the variant graded.
        advance: progress callback: images whose graph was made since the last call.

    Raises:
        UsageError: too few photos, or photos in which too few objects are found.
    """
    if len(photos) <= OTHERS:
        raise UsageError(f"Expected at least {OTHERS + 1} photos of different scenes; found {len(photos)}.")
    changes = list(CHANGES.items())
    references, same, image_same = [], [], []
    for k, (_, pixels) in enumerate(photos):
        reference = _graph(builder, Image.fromarray(pixels))
        advance(1)
        references.append(reference)
        for step in range(CHANGES_PER_PHOTO):
            name, change = changes[(k + step) % len(changes)]
            copy = _graph(builder, change(Image.fromarray(pixels)))
            advance(1)
            same += _same_object(reference, copy, change if name.startswith("shear") else None)
            image_same.append(_cosine(reference.image_feature[None], copy.image_feature[None])[0, 0])
    other = [
        cosine
        for k, reference in enumerate(references)
        for step in range(1, OTHERS + 1)
        for cosine in _likest(reference, references[(k + step) % len(references)])
    ]
    image_features = np.stack([graph.image_feature for graph in references])
    image_other = _cosine(image_features, image_features)[np.triu_indices(len(references), 1)]
    midpoint, scale = fit(same, other)
    image_midpoint, image_scale = fit(image_same, image_other)
    encoder = builder.encoder
    return Calibration(
        objects=encoder.name,
        weights=tuple(encoder.weights),
        settings=dict(encoder.settings),
        midpoint=round(midpoint, 4),
        scale=round(scale, 4),
        image_midpoint=round(image_midpoint, 4),
        image_scale=round(image_scale, 4),
        recipe={
            "photos": [name for name, _ in photos],
            "changes": list(CHANGES),
            "pairs": {
                "same object": len(same),
                "other object": len(other),
                "same image": len(image_same),
                "other image": len(image_other),
            },
            "quartiles": {
                "same object": _quartiles(same),
                "other object": _quartiles(other),
                "same image": _quartiles(image_same),
                "other image": _quartiles(image_other),
            },
        },
    )


def _graph(builder: GraphBuilder, image: Image.Image) -> SceneGraph:
    return builder(working_picture(read_image(image)))


def _same_object(
    reference: SceneGraph, copy: SceneGraph, move: Callable[[Image.Image], Image.Image] | None
) -> list[float]:
    """Cosines of the reference's objects with the masks over the same place in the copy."""
    counted = np.flatnonzero(reference.membership > 0)
    there = np.flatnonzero(copy.graded.available > 0)
    if not (len(counted) and len(there)):
        return []
    masks = reference.masks[counted]
    if move is not None:
        masks = np.array([np.asarray(move(Image.fromarray(mask)).convert("1")) for mask in masks])
    first, second = masks.reshape(len(counted), -1), copy.masks[there].reshape(len(there), -1)
    shared = first.astype(np.float32) @ second.astype(np.float32).T
    union = first.sum(1)[:, None] + second.sum(1)[None] - shared
    iou = shared / np.maximum(union, 1)
    cosines = _cosine(reference.features[counted], copy.features[there])
    best = iou.argmax(axis=1)
    rows = np.arange(len(counted))
    return [float(c) for c in cosines[rows, best][iou[rows, best] >= SAME_PLACE]]


def _likest(reference: SceneGraph, other: SceneGraph) -> list[float]:
    """For each object of the reference, its largest cosine with an object of another photo."""
    counted = np.flatnonzero(reference.membership > 0)
    there = np.flatnonzero(other.graded.available > 0)
    if not len(there):
        return []
    return [float(c) for c in _cosine(reference.features[counted], other.features[there]).max(axis=1)]


def _cosine(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
    a, b = (
        rows.astype(np.float64) / np.maximum(np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True), 1e-12)
        for rows in (first, second)
    )
    cosine: NDArray[np.float64] = a @ b.T
    return cosine


def _quartiles(values: Sequence[float] | NDArray[np.float64]) -> list[float]:
    return [round(float(q), 3) for q in np.percentile(values, (25, 50, 75))]
