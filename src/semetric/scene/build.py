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
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError, WeightsMissingError
from semetric.image import Picture, resize_to
from semetric.models.encoders import object_encoder
from semetric.models.runtime import Arrays, Runtime
from semetric.models.segmenter import SAMS, Segmenter
from semetric.scene import runs
from semetric.scene.boxes import bounds
from semetric.scene.graph import SceneGraph
from semetric.weights import CHECKPOINTS, FOLDERS, RELATE_ANYTHING, absent_of, file_identity, missing_together

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
        variant: "paper" or "demo": how importance is measured.
    """

    def __init__(self, runtime: Runtime, *, variant: Literal["paper", "demo"] = "paper") -> None:
        chosen = runtime.profile
        if chosen.masks not in ("grid", "adaptive"):
            raise UsageError(f"Expected masks to be grid or adaptive; found {chosen.masks!r}.")
        if chosen.relations not in ("spatial", "ram"):
            raise UsageError(f"Expected relations to be spatial or ram; found {chosen.relations!r}.")
        self.runtime = runtime
        self.variant = variant
        self.segmenter = Segmenter(runtime)
        if chosen.relations == "ram" and chosen.relations_weights is None:
            raise WeightsMissingError(self._all_missing())
        try:
            self.encoder = object_encoder(chosen.objects, runtime)
        except WeightsMissingError as error:
            raise WeightsMissingError(self._all_missing(str(error))) from error

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

    def _all_missing(self, alone: str = "") -> str:
        """One message for all that a graph and its comparison lack here; `alone` where it is one thing."""
        from semetric.scene.predicates import SHIPPED
        from semetric.weights.lookup import on_missing

        if alone and on_missing.get() is not None:  # it was tried: what the sources said counts more
            return alone
        chosen = self.runtime.profile
        names = [*SAMS.get(chosen.sam, {}).values(), *chosen.objects.split("+"), chosen.predicates]
        absent = absent_of(n for n in dict.fromkeys(names) if n in (*CHECKPOINTS, *FOLDERS) and n != SHIPPED)
        by_hand = []
        if chosen.relations == "ram" and chosen.relations_weights is None:
            by_hand = [
                f"The Relate-Anything head is not named: {RELATE_ANYTHING.file_name} comes by hand from "
                f"{RELATE_ANYTHING.source}; pass it with {RELATE_ANYTHING.option}."
            ]
        return missing_together(absent, by_hand) if by_hand or len(absent) > 1 or not alone else alone

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
            "objects": self.encoder.name,
            "objects_settings": dict(self.encoder.settings),
            "relations": self.runtime.profile.relations,
            "importance": self.variant,
        }

    @cached_property
    def _mask_settings(self) -> dict[str, Any]:
        from semetric.scene.settings import ADAPTIVE, GRID

        kind = self.runtime.profile.masks
        return {"kind": kind, **asdict(GRID), **(asdict(ADAPTIVE) if kind == "adaptive" else {})}

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

    def __call__(self, picture: Picture) -> SceneGraph:
        """The scene graph of a picture, from memory or the cache where it was made before."""
        recipe = {"kind": "scene_graph", "weights": dict(self.weights), "settings": self.settings}
        try:
            arrays = self.runtime.product(picture, recipe, lambda: self._build(picture).to_arrays())
        except WeightsMissingError as error:
            raise WeightsMissingError(self._all_missing(str(error))) from error
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
        from semetric.scene.masks import adaptive_masks, distinct, grid_masks
        from semetric.scene.settings import GRID

        embedding = torch.from_numpy(np.array(self.segmenter.embedding(picture))).to(self.runtime.device)
        generate = grid_masks if self.runtime.profile.masks == "grid" else adaptive_masks
        found = distinct(generate(self.segmenter.sam, embedding, Frame.of(picture.size)), GRID)
        coded, ends = runs.encode(found.masks)
        return {
            "runs": coded,
            "ends": ends,
            "tokens": found.tokens,
            "iou": found.iou,
            "stability": found.stability,
            "points": found.points,
            "prompts": np.array(found.prompts),
        }

    def _build(self, picture: Picture) -> SceneGraph:
        from semetric.scene.importance import demo_importance, paper_importance, spectral_residual
        from semetric.scene.relations import select

        work = working_picture(picture)
        found = self.masks(work)
        masks, iou, tokens = runs.decode((found["runs"], found["ends"]), work.size), found["iou"], found["tokens"]
        boxes = bounds(masks)
        features = self._embed(work, boxes)
        triplets = select(self._probabilities(masks, tokens))
        if self.runtime.profile.relations == "ram" and len(masks) > 1:
            kept = np.unique(triplets.pairs)  # the published code drops objects without a relation
            masks, iou, boxes, triplets = masks[kept], iou[kept], boxes[kept], triplets.renumbered(kept)
            features = features[[*kept, -1]]
        pixels = work.to_uint8()
        saliency = spectral_residual(pixels)
        if self.variant == "paper":
            importance = paper_importance(saliency, masks)
        else:
            importance = demo_importance(saliency, masks, triplets)
        return SceneGraph(
            size=work.size,
            runs=runs.encode(masks),
            boxes=boxes,
            centres=_centres(masks),
            areas=masks.mean(axis=(1, 2)),
            iou=iou,
            features=features[:-1],
            image_feature=features[-1],
            importance=importance,
            triplets=triplets.triplets,
            probabilities=triplets.probabilities,
        )

    def _embed(self, work: Picture, boxes: NDArray[np.int64]) -> NDArray[np.float32]:
        """(N + 1, D): an embedding for each box, and last the whole image's. Variants and relations share it."""
        settings = self.settings
        recipe = {
            "kind": "object_features",
            "weights": {**self.segmenter.weights, "objects": list(self.encoder.weights)},
            "settings": {name: settings[name] for name in ("masks", "crop", "objects", "objects_settings")},
        }
        pixels = work.to_uint8()

        def embed() -> Arrays:
            return {"features": self.encoder.encode([*(_crop(pixels, box) for box in boxes), pixels])}

        return self.runtime.product(work, recipe, embed)["features"]

    def _probabilities(self, masks: NDArray[np.bool_], tokens: NDArray[np.float32]) -> NDArray[np.float32]:
        """(56, N, N): how probable each predicate is from subject (axis 1) to object (axis 2)."""
        if self.runtime.profile.relations == "spatial":
            from semetric.scene.spatial import spatial_probabilities

            return spatial_probabilities(masks)
        import torch

        from semetric.models.relate_anything import load_relate_anything

        path = Path(str(self.runtime.profile.relations_weights))
        head = self.runtime.network(f"ram {self._ram_identity}", lambda: load_relate_anything(path))
        with torch.inference_mode():
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
