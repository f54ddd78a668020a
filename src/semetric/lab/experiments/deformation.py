"""What follows deformation and ignores noise: the protocol of SAMScore (arXiv 2305.15367)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from semetric.errors import UsageError
from semetric.lab.experiments.base import Axis, Context, Report, Sweep
from semetric.lab.experiments.own_systems import OpenExperiment
from semetric.lab.experiments.transform import strengths_of
from semetric.settings import setting

__all__ = ["Deformation"]


@dataclass(frozen=True, kw_only=True)
class Deformation(OpenExperiment):
    """Piecewise affine deformation and noise, and what follows their strength: SAMScore's protocol.

    On images, or on pairs of a source and its translation (--translated, --pairs, --dataset): the translation is
    deformed or disturbed and scored against its source; strength 0, the translation as it is, is then a level as well.
    """

    kind: ClassVar[str] = "deformation"
    axis: ClassVar[Axis] = Axis(name="strength", label="strength")
    title: ClassVar[str] = "Metrics under deformation and noise"
    report: ClassVar[Report] = Report(
        tables=("correlations",), figures=("correlations",), findings="followed", scatter=True
    )
    example: ClassVar[str] = "semetric lab deformation photos --metric samscore,lpips --out runs/deformation"
    nested: ClassVar[bool] = True
    takes: ClassVar[Literal["images", "pairs", "folders"]] = "pairs"

    deformations: tuple[float, ...] = setting(
        (0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1), "Standard deviations of the mesh points, as shares of the side."
    )
    noises: tuple[float, ...] = setting(
        (5.0, 10.0, 25.0, 50.0, 75.0, 100.0), "Standard deviations of Gaussian noise, on the scale 0 to 255."
    )
    rows: int | None = setting(None, "Rows of the deformed mesh. Default: 4.")
    columns: int | None = setting(None, "Columns of the deformed mesh. Default: 4.")

    def sweeps(self, context: Context) -> tuple[Sweep, ...]:
        """The two systems, deformation and noise; then the systems of one's own."""
        from semetric.lab.transformations import TransformationSystem

        mesh: dict[str, Any] = {
            name: value for name, value in (("rows", self.rows), ("columns", self.columns)) if value is not None
        }
        sweeps = []
        start = (0.0,) if any(image.sent is not None for image in context.images) else ()
        for name, strengths, options in (("deformation", self.deformations, mesh), ("noise", self.noises, {})):
            if strengths:
                levels = strengths_of(name, tuple(dict.fromkeys((*start, *strengths))), options)
                sweeps.append(Sweep(system=TransformationSystem(name, **options), levels=levels))
        sweeps += self.own_sweeps(context, None)
        if not sweeps:
            raise UsageError("Expected strengths of deformation or of noise, or a system; found neither.")
        return tuple(sweeps)
