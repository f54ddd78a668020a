"""An edit as a system: what is sent comes back with its objects changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from semetric.errors import UsageError
from semetric.lab.edits.content import Donor
from semetric.lab.edits.objects import Masks
from semetric.lab.edits.photo_masks import PhotoMasks
from semetric.lab.edits.registry import edit_named
from semetric.lab.systems import Pixels, Received, System

__all__ = ["EditSystem"]


class EditSystem(System):
    """Edits photos; the level is the strength, 0..1.

    Args:
        edit: a name, or a dimension, whose first edit stands for it.
        masks_of: (H, W, 3) pixels → (N, H, W) bool; None finds them as SeSS does on the lite profile.
        donors: other photos, for edits that take objects from them. One is drawn for each photo sent, never itself.
        name: of its curve; the edit's by default.
        label: as a legend shows it; the edit's by default.

    Raises:
        UsageError: an edit that does not exist, or one that needs donors without any.
    """

    def __init__(
        self,
        edit: str,
        *,
        masks_of: Callable[[Pixels], Masks] | None = None,
        donors: Sequence[Pixels] = (),
        name: str | None = None,
        label: str | None = None,
    ) -> None:
        self.edit = edit_named(edit)
        if self.edit.donor and not donors:
            raise UsageError(f"Expected photos whose objects {self.edit.name} can take; found none. Pass donors.")
        self.masks_of = PhotoMasks() if masks_of is None else masks_of
        self.donors = tuple(donors) if self.edit.donor else ()
        self.name = name or self.edit.name
        self.label = label or self.edit.label

    def send(self, image: Pixels, level: float, rng: np.random.Generator) -> Received:
        """Edits one photo.

        Args:
            image: (H, W, 3) uint8 RGB.
            level: the strength.
            rng: the only source of chance.

        Returns:
            The edited photo; its details hold the share of its pixels that differ.

        Raises:
            UsageError: a strength outside of 0..1; no donor but the photo itself.
            ImageError: too few usable objects.
        """
        donor = self._donor(image, rng) if self.donors else None
        pixels = self.edit(image, self.masks_of(image), level, rng, donor)
        changed = float((pixels != image).any(-1).mean())
        return Received(pixels=pixels, details={"changed_share": changed})

    def _donor(self, image: Pixels, rng: np.random.Generator) -> Donor:
        others = [photo for photo in self.donors if not np.array_equal(photo, image)]
        if not others:
            raise UsageError("Expected a donor other than the photo that is edited; found none. Pass more photos.")
        drawn = others[rng.integers(len(others))]
        return Donor(pixels=drawn, masks=self.masks_of(drawn))

    def to_dict(self) -> dict[str, Any]:
        """Name, label, edit, dimension, what shapes the masks, and the donors' digests."""
        describe = getattr(self.masks_of, "to_dict", None)
        return {
            **super().to_dict(),
            "edit": self.edit.name,
            "dimension": self.edit.dimension,
            "objects": self.edit.objects,
            "masks": describe() if describe else getattr(self.masks_of, "__qualname__", type(self.masks_of).__name__),
            "donors": [hashlib.sha256(np.ascontiguousarray(photo).data).hexdigest()[:12] for photo in self.donors],
        }
