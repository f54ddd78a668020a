"""The transformations by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from semetric.lab.transformations.base import Transformation
from semetric.lab.transformations.colour import blue_filter, contrast, hue
from semetric.lab.transformations.damage import blur, noise, occlusion, salt_and_pepper
from semetric.lab.transformations.deformation import deform
from semetric.lab.transformations.geometry import mirror, rotate, scale, translate

__all__ = ["TRANSFORMATIONS"]

_FIGURE_13 = (translate, rotate, mirror, scale, blue_filter)

TRANSFORMATIONS: Mapping[str, Transformation] = MappingProxyType(
    {each.name: each for each in (*_FIGURE_13, deform, noise, salt_and_pepper, blur, occlusion, contrast, hue)}
)
"""Name → transformation; the five of SeSS's Fig. 13 first."""
