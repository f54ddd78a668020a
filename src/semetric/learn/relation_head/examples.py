"""From an annotated image to what the relation head learns from: mask tokens, and relations between masks.

The masks of an image are those of SeSS (`adaptive` or `grid`, kept in the cache where a scene graph finds them, too),
or SAM is asked at the annotated segments alone (`prompted`): one point in the middle of each, and its box as well where
no answer to the point overlaps it enough. `prompted` needs a tenth of the time, and SAM's token of a point's mask is
what the head sees in a scene graph; but it sees neither the parts nor the background there. Use it for small sets.

Tokens pass the head all together, matched or not, as they do later; only pairs of matched masks are taught.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from semetric.errors import ImageError, UsageError
from semetric.image import Picture, read_image
from semetric.learn.datasets import Dataset, PanopticRecord
from semetric.learn.datasets.panoptic import read_panoptic
from semetric.learn.relation_head.matching import MIN_IOU, match_masks, segment_iou
from semetric.models.runtime import Arrays, Runtime
from semetric.models.segmenter import Segmenter
from semetric.scene import rle
from semetric.scene.build import GraphBuilder, working_picture
from semetric.scene.predicates import PREDICATES

__all__ = ["Example", "ExampleMaker", "MaskSource", "Prepared", "predicate_numbers", "prepare"]

MaskSource = Literal["adaptive", "grid", "prompted"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """An image as the head sees it.

    Attributes:
        key: of the record.
        tokens: (N, 256) of all its masks.
        matched: (M,) indices of the masks that are a segment each, ascending.
        relations: (E, 3) subject, object, predicate: two indices of masks and one into PREDICATES; none twice.
        annotated: how many distinct relations the image has; those of segments without a mask are not in `relations`.
        segments: how many segments the image has.
        lost: (L,) predicates of the relations that are not in `relations`.
        coded: run lengths of the masks and where they end, see semetric.scene.rle; None where they were not kept.
        size: (H, W) of the masks.
    """

    key: str
    tokens: NDArray[np.float32]
    matched: NDArray[np.int64]
    relations: NDArray[np.int64]
    annotated: int
    segments: int
    lost: NDArray[np.int64]
    coded: rle.Rle | None
    size: tuple[int, int]

    @property
    def masks(self) -> NDArray[np.bool_]:
        """(N, H, W).

        Raises:
            UsageError: they were not kept.
        """
        if self.coded is None:
            raise UsageError(f"Expected the masks of {self.key}; they were not kept.")
        return rle.decode(self.coded, self.size)


def predicate_numbers(dataset: Dataset) -> tuple[int, ...]:
    """For each predicate of a data set its index into PREDICATES, by name.

    Raises:
        UsageError: a predicate that the head does not have.
    """
    names = dataset.classes.get("predicate_classes", ())
    unknown = [name for name in names if name not in PREDICATES]
    if unknown or not names:
        raise UsageError(
            f"Expected the predicates of PSG in {dataset.root}; found {', '.join(map(repr, unknown[:5])) or 'none'}."
        )
    return tuple(PREDICATES.index(name) for name in names)


class ExampleMaker:
    """Turns records into examples on a runtime; what SAM finds is kept in its cache.

    Args:
        runtime: whose profile names SAM.
        masks: where masks come from.
        min_iou: of a match.

    Raises:
        UsageError: another source of masks.
    """

    def __init__(self, runtime: Runtime, *, masks: MaskSource = "adaptive", min_iou: float = MIN_IOU) -> None:
        if masks not in get_args(MaskSource):
            raise UsageError(f"Expected masks among {', '.join(get_args(MaskSource))}; found {masks!r}.")
        self.source, self.min_iou = masks, min_iou
        profile = runtime.profile if masks == "prompted" else replace(runtime.profile, masks=masks)
        self._runtime = runtime
        self._segmenter = Segmenter(runtime)
        self._builder = None if masks == "prompted" else GraphBuilder(_with(runtime, profile))

    @property
    def identity(self) -> dict[str, Any]:
        """What shapes an example beside the image and its annotation."""
        return {"masks": self.source, "min_iou": self.min_iou, "weights": dict(self._segmenter.weights)}

    def __call__(self, record: PanopticRecord, predicates: Sequence[int], *, keep_masks: bool = False) -> Example:
        """The example of a record.

        Args:
            record: an image with segments and relations.
            predicates: from `predicate_numbers`.
            keep_masks: whether the masks come along.

        Raises:
            ImageError: the photo or its panoptic image cannot be read, or they are of unequal size.
            WeightsError: SAM is not there.
        """
        picture = read_image(record.image)
        ids = read_panoptic(record.panoptic)
        if picture.size != ids.shape:
            raise ImageError(
                f"Expected {record.image} and {record.panoptic} of one size; found {picture.size} and {ids.shape}."
            )
        work = working_picture(picture)
        ids = _reduced(ids, work.size)
        segments = [segment.id for segment in record.segments]
        arrays = self._prompted(work, ids, segments) if self._builder is None else self._builder.masks(work)
        masks = rle.decode((arrays["runs"], arrays["ends"]), work.size)
        match = match_masks(segment_iou(masks, ids, segments), min_iou=self.min_iou)
        known = {(r.subject, r.object, predicates[r.predicate]) for r in record.relations if r.subject != r.object}
        relations, lost = [], []
        for subject, other, predicate in sorted(known):
            ends = int(match.masks[subject]), int(match.masks[other])
            if min(ends) < 0:
                lost.append(predicate)
            else:
                relations.append((*ends, predicate))
        return Example(
            key=record.key,
            tokens=np.asarray(arrays["tokens"], np.float32),
            matched=np.sort(match.masks[match.masks >= 0]),
            relations=np.array(relations, np.int64).reshape(-1, 3),
            annotated=len(known),
            segments=len(segments),
            lost=np.array(lost, np.int64),
            coded=(arrays["runs"], arrays["ends"]) if keep_masks else None,
            size=work.size,
        )

    def _prompted(self, work: Picture, ids: NDArray[np.int32], segments: Sequence[int]) -> Arrays:
        """A mask a segment that shows, in the segments' order, from memory or the cache."""
        import hashlib

        drawn = hashlib.sha256(np.ascontiguousarray(ids).tobytes()).hexdigest()
        recipe = {
            "kind": "prompted_masks",
            "weights": dict(self._segmenter.weights),
            "settings": {"version": 1, "segments": list(segments), "drawn": drawn, "min_iou": self.min_iou},
        }

        def ask() -> Arrays:
            from semetric.learn.relation_head.prompting import prompted_masks

            return prompted_masks(self._segmenter.sam, work, ids, segments, self._runtime.device, self.min_iou)

        return self._runtime.product(work, recipe, ask)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The images of a data set as the head sees them.

    Attributes:
        examples: in the data set's order.
        broken: "key: reason" of images that cannot be read.
    """

    examples: tuple[Example, ...]
    broken: tuple[str, ...]


def prepare(
    dataset: Dataset,
    maker: ExampleMaker,
    *,
    keep_masks: bool = False,
    advance: Callable[[int], None] = lambda count: None,
) -> Prepared:
    """Computes the masks of every image and matches them; masks come from the runtime's cache where it has them.

    Args:
        dataset: of panoptic records, as `load_dataset("psg", …)` gives it.
        maker: makes the examples.
        keep_masks: whether the masks come along, for the spatial rules.
        advance: called with 1 after every image.

    Raises:
        UsageError: the data set holds something else, or predicates that the head does not have.
    """
    predicates = predicate_numbers(dataset)
    examples: list[Example] = []
    broken: list[str] = []
    for record in dataset.of(PanopticRecord):
        try:
            examples.append(maker(record, predicates, keep_masks=keep_masks))
        except ImageError as error:
            broken.append(f"{record.key}: {error}")
        advance(1)
    return Prepared(examples=tuple(examples), broken=tuple(broken))


def _with(runtime: Runtime, profile: Any) -> Runtime:
    """The runtime under another profile; itself where that is the same."""
    return runtime if profile == runtime.profile else Runtime(profile, device=runtime.device, store=runtime.store)


def _reduced(ids: NDArray[np.int32], size: tuple[int, int]) -> NDArray[np.int32]:
    """Each new pixel takes the segment at its centre."""
    if ids.shape == size:
        return ids
    rows, columns = (((2 * np.arange(new) + 1) * old) // (2 * new) for new, old in zip(size, ids.shape, strict=True))
    return ids[np.ix_(rows, columns)]
