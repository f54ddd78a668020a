"""Changes of the whole picture with a strength: what a metric of meaning should, or should not, see.

    from semetric.lab.transformations import TRANSFORMATIONS

    turned = TRANSFORMATIONS["rotation"](pixels, 8.0, rng)

docs/lab/transformations.md shows each.
"""

from semetric.lab.transformations.base import Transformation
from semetric.lab.transformations.colour import blue_filter, contrast, hue
from semetric.lab.transformations.damage import blur, noise, occlusion, salt_and_pepper
from semetric.lab.transformations.deformation import deform
from semetric.lab.transformations.geometry import Fill, mirror, rotate, scale, translate
from semetric.lab.transformations.registry import TRANSFORMATIONS
from semetric.lab.transformations.system import TransformationSystem

__all__ = [
    "TRANSFORMATIONS",
    "Fill",
    "Transformation",
    "TransformationSystem",
    "blue_filter",
    "blur",
    "contrast",
    "deform",
    "hue",
    "mirror",
    "noise",
    "occlusion",
    "rotate",
    "salt_and_pepper",
    "scale",
    "translate",
]
