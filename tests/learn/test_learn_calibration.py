"""The calibration procedure on drawn photos: which pairs it takes, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.image import Picture
from semetric.learn.calibration import CHANGES_PER_PHOTO, calibrate
from semetric.scene.graph import SceneGraph
from semetric.scene.rle import encode


class _Encoder:
    name = "drawn"
    weights = ("drawn.1@000000000000",)
    settings: dict[str, Any] = {"size": 8}  # noqa: RUF012


class Builder:
    """Sees the quarters of an image as its objects; the mean colours of all quarters make each one's embedding."""

    encoder = _Encoder()

    def __init__(self, certainty: float = 0.99) -> None:
        self.certainty = certainty
        self.seen = 0

    def __call__(self, picture: Picture) -> SceneGraph:
        self.seen += 1
        pixels = picture.to_uint8().astype(np.float32)
        h, w = pixels.shape[:2]
        masks = np.zeros((4, h, w), bool)
        for i in range(4):
            masks[i, (i // 2) * h // 2 : (i // 2 + 1) * h // 2, (i % 2) * w // 2 : (i % 2 + 1) * w // 2] = True
        means = np.stack([pixels[mask].mean(0) for mask in masks]) - 127
        return SceneGraph(
            size=(h, w),
            rle=encode(masks),
            boxes=np.zeros((4, 4), np.int64),
            centres=np.zeros((4, 2)),
            areas=masks.mean((1, 2)),
            iou=np.full(4, self.certainty, np.float32),
            stability=np.full(4, 0.99, np.float32),
            features=means,
            image_feature=means.reshape(-1),
            cell_features=np.zeros((1, 3), np.float32),
            held=np.full((4, 1), 0.25),
            classes=np.full(4, -1),
            class_probabilities=np.zeros(4, np.float32),
            importance=np.full(4, 0.25),
            triplets=np.zeros((0, 3), np.int64),
            probabilities=np.zeros(0),
            settings={"importance": "graded"},
        )


def photos(count: int) -> list[tuple[str, NDArray[np.uint8]]]:
    rng = np.random.default_rng(0)
    return [
        (f"p{k}", np.kron(rng.integers(0, 255, (2, 2, 3)), np.ones((16, 16, 1))).astype(np.uint8)) for k in range(count)
    ]


def test_same_objects_are_paired_with_their_place_and_others_with_the_likest() -> None:
    builder, steps = Builder(), []
    calibration = calibrate(photos(8), builder, advance=steps.append)  # type: ignore[arg-type]
    assert builder.seen == len(steps) == 8 * (1 + CHANGES_PER_PHOTO)
    pairs = calibration.recipe["pairs"]
    assert pairs["same object"] == 8 * CHANGES_PER_PHOTO * 4  # each quarter stays where it is
    assert pairs["other object"] == 8 * 2 * 4
    assert (pairs["same image"], pairs["other image"]) == (16, 28)
    assert (calibration.objects, calibration.weights) == ("drawn", ("drawn.1@000000000000",))
    assert calibration.recipe["quartiles"]["same image"][0] > calibration.recipe["quartiles"]["other image"][1]


def test_too_few_photos_or_objects() -> None:
    with pytest.raises(UsageError, match="at least 3 photos"):
        calibrate(photos(2), Builder())  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="at least 10 pairs"):
        calibrate(photos(5), Builder(certainty=0.75))  # type: ignore[arg-type]  # no mask counts as an object
