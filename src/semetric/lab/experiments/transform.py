"""Changes that keep the meaning, each at rising strength (arXiv 2406.03865, IV-E, Fig. 13 and 17)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from semetric.errors import UsageError
from semetric.lab.experiments.base import Arm, Axis, Context, check_levels
from semetric.lab.experiments.own_systems import OpenExperiment

__all__ = ["FIGURE_13", "Transform", "strengths_of"]

FIGURE_13 = ("translation", "rotation", "reflection", "scaling", "colour_filter")


@dataclass(frozen=True, kw_only=True)
class Transform(OpenExperiment):
    """Transformations × strengths.

    Attributes:
        transformations: names of transformations; by default the five of the paper.
        strengths: a transformation's name → strengths, in its own unit; its default ones otherwise.
        transformation_options: a transformation's name → its options.
    """

    kind: ClassVar[str] = "transform"
    axis: ClassVar[Axis] = Axis(name="strength", label="strength")
    title: ClassVar[str] = "changes that keep the meaning"
    nested: ClassVar[bool] = True

    transformations: tuple[str, ...] = FIGURE_13
    strengths: Mapping[str, Any] = field(default_factory=dict)
    transformation_options: Mapping[str, Any] = field(default_factory=dict)

    def arms(self, context: Context) -> tuple[Arm, ...]:
        """A transformation a system, each at its own strengths; then the systems of one's own."""
        from semetric.lab.transformations import TransformationSystem

        if not self.transformations and not self.systems:
            raise UsageError("Expected at least one transformation or system; found none.")
        for given, what in ((self.strengths, "strengths"), (self.transformation_options, "transformation_options")):
            foreign = [name for name in given if name not in self.transformations]
            if foreign:
                raise UsageError(
                    f"Expected {what} of {', '.join(self.transformations)}; found those of {', '.join(foreign)}."
                )
        arms = []
        for name in self.transformations:
            own = self.transformation_options.get(name, {})
            if not isinstance(own, Mapping):
                raise UsageError(f"Expected transformation_options.{name} to be a table; found {own!r}.")
            system = TransformationSystem(name, **own)
            arms.append(Arm(system=system, levels=strengths_of(name, self.strengths.get(name), own)))
        return (*arms, *self.own_arms(context, None))

    def analyse(self, columns: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
        """The table of Fig. 13: each transformation at the strength that stands for the paper's, mean per metric."""
        from semetric.lab.transformations import TRANSFORMATIONS

        rows = []
        for name in self.transformations:
            strength = TRANSFORMATIONS[name].figure_13
            here = (columns["system"] == name) & (columns["level"] == (np.nan if strength is None else strength))
            if not here.any():
                continue
            means: dict[str, float | None] = {}
            for metric in metrics:
                values = columns["value"][here & (columns["metric"] == metric)]
                finite = values[np.isfinite(values)]
                means[metric] = float(finite.mean()) if finite.size else None
            rows.append({"system": name, "strength": strength, "means": means})
        return {"figure_13": rows}


def strengths_of(name: str, given: Any, options: Mapping[str, Any]) -> tuple[float, ...]:
    """The strengths of a transformation: those given, or its own.

    Raises:
        UsageError: one that it does not have.
    """
    from semetric.lab.transformations import TRANSFORMATIONS

    known = TRANSFORMATIONS[name]
    if given is None:
        return known.strengths
    if not isinstance(given, list | tuple) or not all(type(one) in (int, float) for one in given):
        raise UsageError(f"Expected the strengths of {name} to be a list of numbers; found {given!r}.")
    levels = tuple(float(one) for one in given)
    check_levels(f"strengths of {name}", levels)
    low, high = known.range
    for level in levels:
        if not options and not low <= level <= high:  # with options another range may hold: the function checks it
            raise UsageError(f"Expected strengths of {name} from {low:g} to {high:g} ({known.unit}); found {level:g}.")
    return levels
