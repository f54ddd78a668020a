"""What follows deformation and ignores noise: the protocol of SAMScore (arXiv 2305.15367)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from semetric.errors import UsageError
from semetric.lab.experiments.base import Axis, Context, Report, Sweep
from semetric.lab.experiments.own_systems import OpenExperiment
from semetric.lab.experiments.transform import strengths_of

__all__ = ["Deformation"]


@dataclass(frozen=True, kw_only=True)
class Deformation(OpenExperiment):
    """Piecewise affine deformation and Gaussian noise, each at rising strength; |Pearson r| of metric and strength.

    Of pairs, as `pair_images` gives them, the translated image is deformed or disturbed and scored against its source;
    strength 0, the translation as it is, is then a level as well.

    Attributes:
        deformations: standard deviations of the mesh's nodes, as shares of the side; empty leaves them out.
        noises: standard deviations of the noise, of 255; likewise.
        rows: of the mesh; None takes the transformation's own.
        columns: likewise.
    """

    kind: ClassVar[str] = "deformation"
    axis: ClassVar[Axis] = Axis(name="strength", label="strength")
    title: ClassVar[str] = "Metrics under deformation and noise"
    report: ClassVar[Report] = Report(
        tables=("correlations",), figures=("correlations",), findings="followed", scatter=True
    )
    nested: ClassVar[bool] = True

    deformations: tuple[float, ...] = (0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1)
    noises: tuple[float, ...] = (5.0, 10.0, 25.0, 50.0, 75.0, 100.0)
    rows: int | None = None
    columns: int | None = None

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
