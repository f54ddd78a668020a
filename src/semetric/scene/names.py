"""Names of objects, where the object encoder's classifier is sure of one.

The classes are those of ILSVRC 2012 (Russakovsky et al. 2015), in its order: 1,000 synsets of WordNet 3.0 by their
identifiers. The labels are a synonym of each, in plain words. A name is a label alone: no score reads it.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

__all__ = ["LEAST_AREA", "LEAST_NAMED", "class_names", "name_of", "short_name"]

LEAST_NAMED = 0.7
"""The probability from which an object is named; benchmarks/names.py measures it."""

LEAST_AREA = 0.02
"""The share of the image from which an object is named: the classifier's map has at most 24 × 24 cells, and of fewer
than a dozen it shows the surroundings more than the object."""


@cache
def class_names() -> tuple[str, ...]:
    """The 1,000 labels; the place of each is its class.

    Example:
        >>> class_names()[504], class_names()[967]
        ('coffee mug', 'espresso')
    """
    text = (resources.files("semetric") / "data" / "imagenet_classes.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


def name_of(index: int, probability: float, area: float) -> str | None:
    """The label of a class; None without a class, below `LEAST_NAMED`, and for small objects.

    Args:
        index: of the class; −1 for none.
        probability: in [0, 1].
        area: share of the image that the object covers.

    Example:
        >>> name_of(504, 0.99, 0.2), name_of(504, 0.3, 0.2), name_of(504, 0.99, 0.001), name_of(-1, 0.0, 0.2)
        ('coffee mug', None, None, None)
    """
    named = index >= 0 and probability >= LEAST_NAMED and area >= LEAST_AREA
    return class_names()[index] if named else None


def short_name(name: str, probability: float) -> str:
    """A name with its probability, as pictures write it.

    Example:
        >>> short_name("cup", 0.714), short_name("cup", 0.9999)
        ('cup .71', 'cup .99')
    """
    return f"{name} .{min(int(100 * probability), 99):02d}"
