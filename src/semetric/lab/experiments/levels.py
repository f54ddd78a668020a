"""Images made elsewhere, at rising noise or any other level (arXiv 2406.03865, IV-D, Fig. 8, 12, 15 and 16)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal

from semetric.errors import UsageError
from semetric.lab.experiments.base import Axis, Context, Sweep
from semetric.lab.experiments.compression import RATES_BPP
from semetric.lab.experiments.folders import check_folders
from semetric.lab.experiments.images import ImageFile
from semetric.lab.experiments.own_systems import OpenExperiment, codec_sweeps, levels_in
from semetric.runs.pairing import Pairing, pair_folders
from semetric.settings import setting

__all__ = ["Levels"]


@dataclass(frozen=True, kw_only=True)
class Levels(OpenExperiment):
    """Images made elsewhere, at rising noise or any other level; several systems; against the rate, beside codecs.

    Each image is paired with the original of its name.

    Attributes:
        originals: the folder of originals.
        folders: a folder a level, of one system; further systems are tables of `systems` with `folders` of their own.
        levels: one a folder; empty takes the number in each folder's name, or 1, 2, 3, … where one has none.
        rates: what the images' streams took, for every system without rates of its own: "files" where their files are
            the streams; a CSV file with the columns image, size_bytes or rate_bpp, and perhaps system and level; or,
            of one level, the folder of streams. Empty where that is not known.
        codec_options: a codec's name → its options.
    """

    kind: ClassVar[str] = "levels"
    axis: ClassVar[Axis] = Axis(name="level", label="level")
    title: ClassVar[str] = "Metrics against level"
    example: ClassVar[str] = "semetric lab levels originals noise_10 noise_20 noise_40 --out runs/noise"
    takes: ClassVar[Literal["images", "pairs", "folders"]] = "folders"

    originals: str
    folders: tuple[str, ...] = ()
    levels: tuple[float, ...] = ()
    rates: str = ""
    against: Literal["level", "rate"] | None = setting(
        None, "The axis: level, or rate in bits per pixel. Default: the rate beside codecs, else the level."
    )
    codecs: tuple[str, ...] = setting((), "Codecs beside, at target rates; the axis is then the rate.")
    rates_bpp: tuple[float, ...] = setting(RATES_BPP, "Their target rates.")
    name: str = setting("levels", "Name of the curve of folders without NAME.")
    level_label: str = setting("level", "Label of the axis of levels.")
    level_unit: str = setting("", "Unit of a level.")
    fit: str = setting(
        "original",
        "original brings images to their original's size (bicubic); none leaves them, and metrics that compare pixels "
        "in place give no score.",
        words=("original", "none"),
    )
    codec_options: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def pairings(self) -> tuple[tuple[str, Pairing], ...]:
        """Originals and images, a folder and its pairing each.

        Raises:
            UsageError: no folder, or no common name.
        """
        folders = [folder for table in self.tables() for folder in table.get("folders", ())]
        if not folders:
            raise UsageError("Expected at least one folder of images made from the originals; found none.")
        return tuple((folder, pair_folders(self.originals, folder)) for folder in folders)

    def tables(self) -> list[dict[str, Any]]:
        """The systems as tables, that of `folders` first."""
        tables: list[dict[str, Any]] = []
        if self.folders:
            tables.append({"name": self.name, "folders": list(self.folders)})
            if self.levels:
                tables[0]["levels"] = list(self.levels)
        tables += super().tables()
        for table in tables:
            if "folders" in table:
                if isinstance(table["folders"], str):
                    table["folders"] = [table["folders"]]
                table.setdefault("fit", self.fit)
                check_folders(table, levels_in(table))
                if self.rates:
                    table.setdefault("rates", self.rates)
        return tables

    def level_axis(self) -> Axis:
        """A rate, or the level as the configuration names it."""
        if self.against == "rate" or (not self.against and self.codecs):
            return Axis(name="rate_bpp", label="rate", unit="bits per pixel")
        return Axis(name="level", label=self.level_label, unit=self.level_unit)

    def passed_over(self) -> dict[str, list[str]]:
        """Files without a partner, and originals that some level lacks."""
        sent = {image.name for image in self.find()}
        originals = [name for name in self.pairings[0][1].unmatched_references if name not in sent]
        unmatched = {"originals without an image at any level": originals}
        for folder, pairing in self.pairings:
            unmatched[f"images of {folder} without an original"] = list(pairing.unmatched_images)
            unmatched[f"names that several files share, not scored, in {folder}"] = list(pairing.ambiguous)
        return {what: names for what, names in unmatched.items() if names}

    def find(self, inputs: Sequence[str | os.PathLike[str] | ImageFile] = ()) -> list[ImageFile]:
        """The originals that have an image at a level or more."""
        if inputs:
            raise UsageError("The originals of levels are part of the experiment; found images beside them.")
        originals = {pair.reference: pair.reference_path for _, pairing in self.pairings for pair in pairing.pairs}
        return [ImageFile(name=name, path=originals[name], root=self.originals) for name in sorted(originals)]

    def sweeps(self, context: Context) -> tuple[Sweep, ...]:
        """The folders' systems, in the order of their levels; then codecs."""
        axis = self.level_axis()
        if self.codecs and axis.name != "rate_bpp":
            raise UsageError("Expected against = 'rate' beside codecs, whose levels are rates; found 'level'.")
        self.tables()  # what does not fit is said before files are looked for
        if not context.images:
            context = Context(runtime=context.runtime, images=self.find(), reading=context.reading)
        own = self.own_sweeps(context, self.rates_bpp if axis.name == "rate_bpp" else None)
        return (*own, *codec_sweeps(self.codecs, self.codec_options, context, axis, self.rates_bpp))
