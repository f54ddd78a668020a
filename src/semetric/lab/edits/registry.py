"""The edits by name and by dimension."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from semetric.errors import ImageError, UsageError
from semetric.lab.edits.colour import recolour
from semetric.lab.edits.content import INSERTED, Donor, insert, remove_objects, replace
from semetric.lab.edits.layout import move, swap
from semetric.lab.edits.objects import Masks, choose
from semetric.lab.edits.pose import mirror_objects, turn
from semetric.lab.edits.texture import patch, pattern
from semetric.lab.systems import Pixels

__all__ = ["DIMENSIONS", "EDITS", "Dimension", "Edit", "edit_named"]

Dimension = Literal["colour", "texture", "layout", "pose", "content"]
DIMENSIONS: tuple[Dimension, ...] = ("colour", "texture", "layout", "pose", "content")
"""In which DreamSim's data set (arXiv 2306.09344) lets images differ."""


@dataclass(frozen=True, kw_only=True)
class Edit:
    """A change of a photo's objects, with a strength in [0, 1]; 0 leaves the photo as it is.

    Attributes:
        name: as users write it.
        dimension: what it changes.
        label: as a figure shows it.
        function: (image, objects (K, H, W), strength, rng) → the photo, changed inside the objects, 4 px around and
            where they go; the largest object comes first. Of equal generators, a greater strength changes more.
        grows: what a greater strength has more of: changed "objects", or the "amount" by which each is changed.
        objects: how many it changes or adds at most.
        least: how many it needs in the photo.
        donor: whether it takes objects from another photo.
        adds: whether it leaves the photo's own objects as they are; then it gets all of them, and needs none.
        strengths: a curve's, mildest first.
    """

    name: str
    dimension: Dimension
    label: str
    function: Callable[..., Pixels]
    grows: Literal["objects", "amount"]
    objects: int = 4
    least: int = 1
    donor: bool = False
    adds: bool = False
    strengths: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)

    def __call__(
        self, image: Pixels, masks: Masks, strength: float, rng: np.random.Generator, donor: Donor | None = None
    ) -> Pixels:
        """Edits one photo.

        Args:
            image: (H, W, 3) uint8 RGB.
            masks: (N, H, W), all that were found in it; those that an edit can use are chosen.
            strength: 0..1.
            rng: the only source of chance.
            donor: the other photo, where one is needed.

        Raises:
            UsageError: another strength; masks of another size; no donor.
            ImageError: too few usable objects, here or in the donor.
        """
        if not 0 <= strength <= 1:
            raise UsageError(f"Expected the strength of {self.name} between 0 and 1; found {strength:g}.")
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise UsageError(f"Expected (H, W, 3) uint8 pixels; found {image.shape} {image.dtype}.")
        if masks.ndim != 3 or masks.dtype != bool or masks.shape[1:] != image.shape[:2]:
            raise UsageError(f"Expected (N, {image.shape[0]}, {image.shape[1]}) bool masks; found {masks.shape}.")
        limit = len(masks) if self.adds else self.objects
        chosen = _usable(masks, limit, self.least, f"to {self.name}")
        if not self.donor:
            return self.function(image, chosen, strength, rng)
        if donor is None:
            raise UsageError(f"Expected another photo whose objects {self.name} can take; found none.")
        gives = Donor(pixels=donor.pixels, masks=_usable(donor.masks, 2 * self.objects, 1, "in the other photo"))
        return self.function(image, chosen, strength, rng, donor=gives)


def _usable(masks: Masks, most: int, least: int, purpose: str) -> Masks:
    objects = choose(masks, most)
    if len(objects) < least:
        raise ImageError(
            f"Expected {least} or more objects {purpose} (0.5% to 40% of the image, clear of its corners); "
            f"found {len(objects)} among {len(masks)} masks. Take another photo."
        )
    return objects


_ALL = (
    Edit(name="recolour", dimension="colour", label="another colour", function=recolour, grows="amount"),
    Edit(name="pattern", dimension="texture", label="a pattern", function=pattern, grows="amount"),
    Edit(name="patch", dimension="texture", label="another surface", function=patch, grows="amount"),
    Edit(name="move", dimension="layout", label="moved", function=move, grows="amount", objects=2),
    Edit(name="swap", dimension="layout", label="swapped", function=swap, grows="objects", least=2),
    Edit(name="turn", dimension="pose", label="turned", function=turn, grows="amount", objects=2),
    Edit(name="mirror", dimension="pose", label="mirrored", function=mirror_objects, grows="objects"),
    Edit(name="remove", dimension="content", label="removed", function=remove_objects, grows="objects"),
    Edit(name="replace", dimension="content", label="replaced", function=replace, grows="objects", donor=True),
    Edit(
        name="insert",
        dimension="content",
        label="inserted",
        function=insert,
        grows="objects",
        objects=INSERTED,
        least=0,
        donor=True,
        adds=True,
    ),
)

EDITS: Mapping[Dimension, tuple[Edit, ...]] = MappingProxyType(
    {dimension: tuple(edit for edit in _ALL if edit.dimension == dimension) for dimension in DIMENSIONS}
)
"""Dimension → its edits; the first stands for it."""


def edit_named(name: str) -> Edit:
    """The edit of that name, or the first of that dimension.

    Raises:
        UsageError: neither.

    Examples:
        >>> edit_named("layout").name
        'move'
    """
    for edit in _ALL:
        if name in (edit.name, edit.dimension):
            return edit
    names = ", ".join([*DIMENSIONS, *(edit.name for edit in _ALL)])
    raise UsageError(f"Expected a dimension or an edit among {names}; found {name!r}.")
