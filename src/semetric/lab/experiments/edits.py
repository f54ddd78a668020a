"""Edits that change what a photo shows, in the five dimensions of DreamSim's data (arXiv 2306.09344)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from semetric.errors import ImageError, UsageError
from semetric.lab.experiments.base import Axis, Context, Report, Sweep, check_levels
from semetric.lab.experiments.images import find_images, read_picture
from semetric.lab.experiments.own_systems import OpenExperiment
from semetric.lab.systems import Pixels
from semetric.runs.choice import check_weights
from semetric.settings import setting

__all__ = ["MAX_DONORS", "Edits"]

MAX_DONORS = 24  # photos that give objects; they are held in memory


@dataclass(frozen=True, kw_only=True)
class Edits(OpenExperiment):
    """Edits of objects that change the meaning.

    The objects are the masks of the profile.
    """

    kind: ClassVar[str] = "edits"
    axis: ClassVar[Axis] = Axis(name="strength", label="strength")
    title: ClassVar[str] = "Metrics under edits that change meaning"
    report: ClassVar[Report] = Report(tables=("sensitivity",), figures=("sensitivity",), findings="noticed")
    example: ClassVar[str] = "semetric lab edits photos --edits content,layout --out runs/edits"
    nested: ClassVar[bool] = True

    edits: tuple[str, ...] = setting(
        ("colour", "texture", "layout", "pose", "content"), "Edits, or dimensions, whose first edit stands for them."
    )
    strengths: tuple[float, ...] = setting((), "Strengths, above 0 and up to 1. Default: each edit's own.")
    donors: tuple[str, ...] = setting(
        (), "Files or folders of photos that give objects to 'replace' and 'insert'. Default: the images."
    )

    def sweeps(self, context: Context) -> tuple[Sweep, ...]:
        """An edit a system, each at its strengths; then the systems of one's own."""
        from semetric.lab.edits import EditSystem, PhotoMasks, edit_named

        if not self.edits and not self.systems:
            raise UsageError("Expected at least one edit or system; found none.")
        if self.strengths:
            check_levels("strengths of edits", self.strengths, low=0.0, high=1.0)
        chosen = [edit_named(name) for name in self.edits]
        donors = self._donors(context) if any(edit.donor for edit in chosen) else []
        own = self.own_sweeps(context, self.strengths or None)
        if not chosen:
            return tuple(own)
        masks = PhotoMasks(context.runtime)
        check_weights(masks.to_dict()["weights"])
        sweeps = [
            Sweep(
                system=EditSystem(edit.name, masks_of=masks, donors=donors),
                levels=self.strengths or edit.strengths,
            )
            for edit in chosen
        ]
        return (*sweeps, *own)

    def _donors(self, context: Context) -> list[Pixels]:
        files = find_images(self.donors) if self.donors else context.images
        donors: dict[str, Pixels] = {}
        for file in files:
            if len(donors) == MAX_DONORS:
                break
            try:
                picture = read_picture(file.path, **context.reading)  # as it is sent, so that none gives to itself
            except ImageError:
                if self.donors:
                    raise
                continue  # it costs its own rows
            donors[picture.digest] = picture.to_uint8()
        if len(donors) < 2:
            raise UsageError(
                f"Expected two or more photos that can give objects; found {len(donors)}. "
                "Pass more images, or --donors."
            )
        return list(donors.values())
