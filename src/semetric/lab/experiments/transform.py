"""Changes that keep the meaning, each at rising strength (arXiv 2406.03865, IV-E, Fig. 13 and 17)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from semetric.errors import UsageError
from semetric.lab.experiments.base import Axis, Context, Report, Sweep, check_levels
from semetric.lab.experiments.own_systems import OpenExperiment
from semetric.settings import setting

__all__ = ["PUBLISHED", "Transform", "strengths_of"]

PUBLISHED: Mapping[str, Mapping[str, float]] = {
    name: {"sess": sess, "vitscore": vitscore, "lpips": round(1 - lpips, 3), "ms_ssim": ms_ssim, "psnr": psnr}
    for name, sess, vitscore, lpips, ms_ssim, psnr in (
        ("translation", 0.915, 0.790, 0.901, 0.431, 11.40),
        ("rotation", 0.847, 0.773, 0.920, 0.524, 13.12),
        ("reflection", 0.836, 0.705, 0.520, 0.198, 8.55),
        ("scaling", 0.906, 0.844, 0.910, 0.695, 17.02),
        ("colour_filter", 0.864, 0.843, 0.923, 0.993, 18.21),
    )
}
"""arXiv 2406.03865, Fig. 13: on photos of COCO 2017, at strengths that the paper does not state. The paper prints LPIPS
as 1 − d; here it is the distance d."""


@dataclass(frozen=True, kw_only=True)
class Transform(OpenExperiment):
    """Transformations that keep the meaning, at rising strength."""

    kind: ClassVar[str] = "transform"
    axis: ClassVar[Axis] = Axis(name="strength", label="strength")
    title: ClassVar[str] = "Metrics under transformations"
    report: ClassVar[Report] = Report(
        tables=("transformations",),
        figures=("transformations",),
        findings="extremes",
        published=PUBLISHED,
        source="SeSS paper, Fig. 13",
    )
    example: ClassVar[str] = "semetric lab transform photos --transformations rotation,translation --out runs/transform"
    nested: ClassVar[bool] = True

    transformations: tuple[str, ...] = setting(tuple(PUBLISHED), "Transformations.")
    strengths: Mapping[str, Any] = setting(
        dict, "NAME=0.02,0.06 for strengths other than a transformation's own, in its unit; repeat for more."
    )
    transformation_options: Mapping[str, Any] = setting(dict, "A transformation's name → its options.", flag=False)

    def sweeps(self, context: Context) -> tuple[Sweep, ...]:
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
        sweeps = []
        for name in self.transformations:
            own = self.transformation_options.get(name, {})
            if not isinstance(own, Mapping):
                raise UsageError(f"Expected transformation_options.{name} to be a table; found {own!r}.")
            system = TransformationSystem(name, **own)
            sweeps.append(Sweep(system=system, levels=strengths_of(name, self.strengths.get(name), own)))
        return (*sweeps, *self.own_sweeps(context, None))

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


def strengths_of(name: str, listed: Any, options: Mapping[str, Any]) -> tuple[float, ...]:
    """The strengths of a transformation: those given, or its own.

    Raises:
        UsageError: one that it does not have.
    """
    from semetric.lab.transformations import TRANSFORMATIONS

    known = TRANSFORMATIONS[name]
    if listed is None:
        return known.strengths
    if not isinstance(listed, list | tuple) or not all(type(strength) in (int, float) for strength in listed):
        raise UsageError(f"Expected the strengths of {name} to be a list of numbers; found {listed!r}.")
    levels = tuple(float(strength) for strength in listed)
    check_levels(f"strengths of {name}", levels)
    low, high = known.range
    for level in levels:
        if not options and not low <= level <= high:  # with options another range may hold: the function checks it
            raise UsageError(f"Expected strengths of {name} from {low:g} to {high:g} ({known.unit}); found {level:g}.")
    return levels
