"""Images with panoptic masks and relations: what COCO and PSG hold."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semetric.errors import ImageError
from semetric.image import read_png

__all__ = ["PanopticRecord", "Relation", "Segment", "panoptic_ids", "read_panoptic"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """One mask of an image.

    Attributes:
        id: its number in the panoptic image.
        category: its class: in PSG an index into thing_classes + stuff_classes, in COCO a category id.
        is_thing: whether it is countable.
        is_crowd: whether it stands for several objects.
        area_px: pixels.
        box: (x0, y0, x1, y1) in pixels; None where the data set names none.
    """

    id: int
    category: int
    is_thing: bool
    is_crowd: bool
    area_px: int
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Relation:
    """A predicate between two segments.

    Attributes:
        subject: index into the record's segments.
        object: index into the record's segments.
        predicate: index into predicate_classes, from 0.
    """

    subject: int
    object: int
    predicate: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PanopticRecord:
    """One image.

    Attributes:
        key: unique within its data set: the image's id as text.
        image: path of the photo.
        panoptic: path of the PNG that holds each pixel's segment; see `read_panoptic`.
        size: (H, W) in pixels; None where the data set does not say.
        segments: in the order to which relations point; empty where no annotation file is there.
        relations: as annotated, repetitions included.
        split: train, val, test or empty.
        group: empty.
    """

    key: str
    image: str
    panoptic: str
    size: tuple[int, int] | None = None
    segments: tuple[Segment, ...] = ()
    relations: tuple[Relation, ...] = ()
    split: str = ""
    group: str = ""


def panoptic_ids(pixels: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Numbers of segments from colours: R + 256·G + 256²·B (Kirillov et al. 2019, COCO's panoptic format).

    Args:
        pixels: (H, W, 3) uint8.

    Returns:
        (H, W); 0 is unlabelled.
    """
    wide = pixels.astype(np.int32)
    ids: NDArray[np.int32] = wide[..., 0] + 256 * wide[..., 1] + 65536 * wide[..., 2]
    return ids


def read_panoptic(path: str | os.PathLike[str]) -> NDArray[np.int32]:
    """Reads a panoptic PNG as it is stored: neither turned nor colour-managed, since its colours are numbers.

    Args:
        path: an RGB PNG.

    Returns:
        (H, W) numbers of segments.

    Raises:
        ImageError: no such file, damaged, or not RGB.
    """
    pixels = read_png(path)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise ImageError(
            f"Expected a panoptic PNG in RGB of 8 bits; {path} holds {pixels.dtype} of shape {pixels.shape}."
        )
    return panoptic_ids(pixels.astype(np.uint8, copy=False))
