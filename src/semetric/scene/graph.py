"""The scene graph of one image: objects, what they look like, how they relate, how much each matters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semetric.models.runtime import Arrays
from semetric.scene.graded import GradedGraph, availability, membership
from semetric.scene.matching import GraphArrays
from semetric.scene.names import name_of, short_name
from semetric.scene.predicates import PREDICATES
from semetric.scene.rle import Rle, decode, to_coco

__all__ = ["SceneGraph"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SceneGraph:
    """N objects of one image and E relations between them, largest object first.

    Attributes:
        size: (H, W) of the working image, in whose pixels masks and boxes are.
        rle: the masks, run-length coded (see `semetric.scene.rle`).
        boxes: (N, 4) xyxy, the right and lower bound outside.
        centres: (N, 2) centroid of each mask as (y, x) in [0, 1].
        areas: (N,) share of the image that each mask covers.
        iou: (N,) SAM's predicted IoU.
        stability: (N,) IoU of the mask at two thresholds of its logits, in [0, 1].
        features: (N, D) embedding of each object's crop.
        image_feature: (D,) embedding of the whole image.
        cell_features: (C, D) embedding of each cell of the image (`semetric.scene.graded.cell_numbers`); C = 0 but in
            graded graphs.
        held: (N, C) how much of each object's importance lies in each cell.
        classes: (N,) index of the most probable class of the encoder's classifier; −1 where it has none.
        class_probabilities: (N,) its probability.
        importance: (N,) ≥ 0; sums to 1, in graded graphs to the share of the image's saliency that objects hold.
        triplets: (E, 3) subject, object, predicate; one predicate a directed pair, in graded graphs any number.
        probabilities: (E,) of each triplet.
        weights: role → "name.tag@digest" of what made it.
        settings: every choice that shaped it.
    """

    size: tuple[int, int]
    rle: Rle
    boxes: NDArray[np.int64]
    centres: NDArray[np.float64]
    areas: NDArray[np.float64]
    iou: NDArray[np.float32]
    stability: NDArray[np.float32]
    features: NDArray[np.float32]
    image_feature: NDArray[np.float32]
    cell_features: NDArray[np.float32]
    held: NDArray[np.float64]
    classes: NDArray[np.int64]
    class_probabilities: NDArray[np.float32]
    importance: NDArray[np.float64]
    triplets: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    weights: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.features)

    @cached_property
    def masks(self) -> NDArray[np.bool_]:
        """(N, H, W), decoded when first asked for."""
        return decode(self.rle, self.size)

    @property
    def membership(self) -> NDArray[np.float64]:
        """(N,) how far each mask counts as an object, in [0, 1]: 1 but in graded graphs."""
        graded = self.settings.get("importance") == "graded"
        return membership(self.iou, self.stability) if graded else np.ones(len(self))

    @cached_property
    def names(self) -> tuple[str | None, ...]:
        """What each object is, where the encoder's classifier is sure of it; a label that no score reads."""
        rows = zip(self.classes.tolist(), self.class_probabilities.tolist(), self.areas.tolist(), strict=True)
        return tuple(name_of(*row) for row in rows)

    def label(self, index: int) -> str | None:
        """An object's name with its probability, "cup .71"; None where it has no name."""
        name = self.names[index]
        return None if name is None else short_name(name, float(self.class_probabilities[index]))

    @cached_property
    def relations(self) -> NDArray[np.int64]:
        """(N, N) predicate from subject (row) to object (column), the most probable one; −1 where there is none."""
        matrix = np.full((len(self), len(self)), -1, np.int64)
        rising = self.triplets[np.argsort(self.probabilities, kind="stable")]  # of one pair the last stays
        matrix[rising[:, 0], rising[:, 1]] = rising[:, 2]
        return matrix

    @property
    def arrays(self) -> GraphArrays:
        """What matching reads."""
        return GraphArrays(
            features=self.features, relations=self.relations, importance=self.importance, centres=self.centres
        )

    @property
    def graded(self) -> GradedGraph:
        """What graded matching reads."""
        return GradedGraph(
            features=self.features,
            cells=self.cell_features,
            held=self.held,
            available=availability(self.iou, self.stability),
            relations=self.triplets,
            probabilities=self.probabilities,
        )

    def to_arrays(self) -> Arrays:
        """For the cache; `from_arrays` is the inverse."""
        return {
            "size": np.array(self.size),
            "runs": self.rle[0],
            "ends": self.rle[1],
            **{name: getattr(self, name) for name in _PLAIN},
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays, weights: Mapping[str, str], settings: Mapping[str, Any]) -> SceneGraph:
        """Rebuilds a graph that `to_arrays` took apart."""
        return cls(
            size=(int(arrays["size"][0]), int(arrays["size"][1])),
            rle=(arrays["runs"], arrays["ends"]),
            weights=weights,
            settings=settings,
            **{name: arrays[name] for name in _PLAIN},
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: masks as COCO RLE, importance, relations with names and probabilities."""
        members = self.membership
        return {
            "size": list(self.size),
            "objects": [
                {
                    "id": i,
                    "mask": mask,
                    "box_xyxy": self.boxes[i].tolist(),
                    "centre_xy": [round(float(self.centres[i, 1]), 6), round(float(self.centres[i, 0]), 6)],
                    "area": round(float(self.areas[i]), 6),
                    "importance": round(float(self.importance[i]), 6),
                    "predicted_iou": round(float(self.iou[i]), 6),
                    "stability": round(float(self.stability[i]), 6),
                    "membership": round(float(members[i]), 6),
                    "name": self.names[i],
                    "name_probability": round(float(self.class_probabilities[i]), 6) if self.names[i] else None,
                }
                for i, mask in enumerate(to_coco(self.rle, self.size))
            ],
            "relations": [
                {
                    "subject": int(s),
                    "object": int(o),
                    "predicate": PREDICATES[p],
                    "probability": round(float(q), 6),
                }
                for (s, o, p), q in zip(self.triplets, self.probabilities, strict=True)
            ],
            "weights": dict(self.weights),
            "settings": dict(self.settings),
        }


_PLAIN = tuple(f.name for f in fields(SceneGraph) if f.name not in {"size", "rle", "weights", "settings"})
