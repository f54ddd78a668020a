"""Equal channel uses: a system that takes more than the others may is no comparison with them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from semetric.errors import CodecError, UsageError
from semetric.lab.systems import Pixels, Received, System

__all__ = ["USES_TOLERANCE", "BudgetedSystem", "check_uses"]

USES_TOLERANCE = 0.03
"""Of the budget: as far as a codec may miss its rate."""


class BudgetedSystem(System):
    """A system of one's own whose channel uses are held against the budget of the others.

    More than the budget is an error of that image; less than it is noted, since a system that could take more is
    not at its best.

    Attributes:
        uses_per_pixel: the budget, in complex channel symbols per pixel.
    """

    def __init__(self, system: System, *, uses_per_pixel: float) -> None:
        self.name, self.label = system.name, system.label
        self.uses_per_pixel = uses_per_pixel
        self._system = system

    def send(self, image: Pixels, level: float, rng: np.random.Generator) -> Received:
        """Sends one image.

        Raises:
            CodecError: the system fails, or takes more channel uses than the budget.
            UsageError: the system does not say how many channel uses it takes.
        """
        received = self._system.send(image, level, rng)
        try:
            note = check_uses(self.label, received.uses_per_pixel, self.uses_per_pixel)
        except UsageError as error:
            if received.uses_per_pixel is None:
                raise
            raise CodecError(str(error)) from error  # of this image: another may take fewer
        return replace(received, note="; ".join(filter(None, (received.note, note))))

    def to_dict(self) -> dict[str, Any]:
        """The system's, with the budget."""
        return self._system.to_dict() | {"budget_uses_per_pixel": self.uses_per_pixel, "uses_tolerance": USES_TOLERANCE}


def check_uses(label: str, uses: float | None, budget: float) -> str:
    """What a reader has to know of a system's channel uses beside those of the others; empty where they are equal.

    Args:
        label: of the system.
        uses: complex channel symbols per pixel; None where they are not known.
        budget: what the others may take.

    Raises:
        UsageError: they are not known, or more than the budget.

    Examples:
        >>> check_uses("Mine", 0.2, 0.25)
        'takes 0.2 of 0.25 channel uses per pixel'
    """
    if uses is None:
        raise UsageError(
            f"Expected the channel uses of {label}, to hold them against the others'; it gives none. Return "
            "(pixels, number of channel uses), or set uses_per_pixel of the system."
        )
    if uses > budget * (1 + USES_TOLERANCE):
        raise UsageError(
            f"{label} takes {uses:.4g} channel uses per pixel, where the others may take {budget:.4g}. Let it take "
            f"fewer, or give all of them as many (--uses-per-pixel {uses:.4g})."
        )
    return "" if uses >= budget * (1 - USES_TOLERANCE) else f"takes {uses:.4g} of {budget:.4g} channel uses per pixel"
