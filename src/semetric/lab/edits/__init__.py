"""Edits that change a photo's meaning, object by object, with a strength: what a metric of meaning should notice.

    from semetric.lab.edits import EditSystem

    received = EditSystem("remove").send(pixels, 0.5, rng)

docs/lab/edits.md shows each.
"""

from semetric.lab.edits.content import Donor
from semetric.lab.edits.objects import Masks, choose, removal_order
from semetric.lab.edits.photo_masks import PhotoMasks
from semetric.lab.edits.registry import DIMENSIONS, EDITS, Dimension, Edit, edit_named
from semetric.lab.edits.system import EditSystem

__all__ = [
    "DIMENSIONS",
    "EDITS",
    "Dimension",
    "Donor",
    "Edit",
    "EditSystem",
    "Masks",
    "PhotoMasks",
    "choose",
    "edit_named",
    "removal_order",
]
