"""Settings of mask generation, apart from its code so that a cached graph is found without torch."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ADAPTIVE", "EVEN", "GRID", "AdaptiveSettings", "MaskSettings"]


@dataclass(frozen=True, kw_only=True)
class MaskSettings:
    """What makes a mask good enough. The defaults are segment-anything's.

    Attributes:
        points_per_side: the finest grid of prompts.
        min_iou: a mask is kept if its predicted IoU is above this.
        min_stability: and if thresholding its logits at ±offset changes it no more than this (IoU).
        stability_offset: that offset, in logits.
        max_box_iou: boxes that overlap more are one object; the best-predicted mask stands.
        max_mask_iou: SeSS drops a mask that overlaps a larger kept one more than this.
        max_masks: at most so many masks.

    Example:
        >>> EVEN.points_per_side, GRID.points_per_side
        (8, 32)
    """

    points_per_side: int = 32
    min_iou: float = 0.88
    min_stability: float = 0.95
    stability_offset: float = 1.0
    max_box_iou: float = 0.7
    max_mask_iou: float = 0.8
    max_masks: int = 512


GRID = MaskSettings()

EVEN = MaskSettings(points_per_side=8, min_iou=0.70, min_stability=0.75)
"""Of graded SeSS: few prompts, and masks down to where they begin to count (`semetric.scene.graded`)."""


@dataclass(frozen=True, kw_only=True)
class AdaptiveSettings:
    """Where `adaptive` prompts SAM. docs/masks.md measures these; docs/architecture.md tells the reasons.

    Attributes:
        start_per_side: the first prompts, a coarse grid over the whole image.
        batch: prompts between two looks at what they gave.
        min_prompts: fewer than this only where no point is worth a prompt.
        max_prompts: never more than this.
        min_new: past `min_prompts`, a batch that shows fewer objects than this for the first time ends the search.
        min_area: a mask below this share of the image is dropped: a speck that comes and goes with the
            faintest noise.
        small: a mask of at most this share of the image settles the points that it covers. A larger
            one, a background above all, settles nothing.
        novelty: a point is worth a prompt while 1 − cosine between SAM's embedding there and at every
            prompted point exceeds this.
        min_stability: in place of the grid's, and at 256 × 256. The grid meets an object at some ten
            points and keeps the best of ten tries; here it has one or two.
    """

    start_per_side: int = 4
    batch: int = 16
    min_prompts: int = 192
    max_prompts: int = 256
    min_new: int = 2
    min_area: float = 0.0005
    small: float = 0.01
    novelty: float = 0.1
    min_stability: float = 0.93


ADAPTIVE = AdaptiveSettings()
