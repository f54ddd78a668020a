"""Images made elsewhere, at rising noise or any other level (arXiv 2406.03865, IV-D, Fig. 12 and 16)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from semetric.errors import ImageError, UsageError
from semetric.image import resize
from semetric.lab.experiments.base import Arm, Axis, Context, Experiment, NamedSystem, check_levels
from semetric.lab.experiments.images import ImageFile, read_picture
from semetric.lab.systems import Pixels, Received, System
from semetric.runs.pairing import Pairing, pair_folders

__all__ = ["FolderSystem", "Levels", "levels_of"]

_NUMBER = re.compile(r"(?:(?:^|(?<=[_ =]))-)?\d+(?:\.\d+)?")  # the hyphen of noise-10 is no minus


@dataclass(frozen=True, kw_only=True)
class Levels(Experiment):
    """Folders of images, a folder a level, each image paired with the original of its name.

    Attributes:
        originals: the folder of originals.
        folders: a folder a level.
        levels: one a folder; empty takes the number in each folder's name, or 1, 2, 3, … where one has none.
        name: of the curve.
        level_label: what a level is, as a figure's axis has it.
        level_unit: its unit, in words.
        fit: "original" brings each image to its original's size (bicubic) where it has another; "none" leaves it, and
            metrics that compare pixels in place give no score.
    """

    kind: ClassVar[str] = "levels"
    axis: ClassVar[Axis] = Axis(name="level", label="level")
    title: ClassVar[str] = "images made elsewhere"

    originals: str
    folders: tuple[str, ...]
    levels: tuple[float, ...] = ()
    name: str = "levels"
    level_label: str = "level"
    level_unit: str = ""
    fit: str = "original"

    @cached_property
    def values(self) -> tuple[float, ...]:
        """The level of each folder.

        Raises:
            UsageError: no folder, or levels that do not fit the folders.
        """
        if not self.folders:
            raise UsageError("Expected at least one folder of images made from the originals; found none.")
        given = self.levels or levels_of(self.folders)
        if len(given) != len(self.folders):
            raise UsageError(f"Expected a level for each of {len(self.folders)} folders; found {len(given)}.")
        check_levels("levels", given)
        return given

    @cached_property
    def pairings(self) -> tuple[Pairing, ...]:
        """Originals and images, a pairing a folder.

        Raises:
            UsageError: no folder, or no common name.
        """
        return tuple(pair_folders(self.originals, folder) for folder in self.folders)

    def level_axis(self) -> Axis:
        """As the configuration names it."""
        return Axis(name="level", label=self.level_label, unit=self.level_unit)

    def passed_over(self) -> dict[str, list[str]]:
        """Files without a partner, and originals that some level lacks."""
        sent = {image.name for image in self.find()}
        alone = [name for name in self.pairings[0].unmatched_references if name not in sent]
        found = {"originals without an image at any level": alone}
        for folder, pairing in zip(self.folders, self.pairings, strict=True):
            found[f"images of {folder} without an original"] = list(pairing.unmatched_images)
            found[f"names that several files share, not scored, in {folder}"] = list(pairing.ambiguous)
        return {what: names for what, names in found.items() if names}

    def find(self, inputs: Sequence[str | os.PathLike[str]] = ()) -> list[ImageFile]:
        """The originals that have an image at a level or more."""
        if inputs:
            raise UsageError("The originals of levels are part of the experiment; found images beside them.")
        found = {pair.reference: pair.reference_path for pairing in self.pairings for pair in pairing.pairs}
        return [ImageFile(name=name, path=found[name]) for name in sorted(found)]

    def arms(self, context: Context) -> tuple[Arm, ...]:
        """One system: the folders, in the order of their levels."""
        if self.fit not in ("original", "none"):
            raise UsageError(f"Expected fit to be original or none; found {self.fit!r}.")
        values = self.values
        paths: dict[float, dict[str, str]] = {
            level: {pair.reference: pair.image_path for pair in pairing.pairs}
            for level, pairing in zip(values, self.pairings, strict=True)
        }
        digests = [
            {"level": level, "files": pairing.stamps(), "pairs": pairing.digest()}
            for level, pairing in zip(values, self.pairings, strict=True)
        ]
        system = FolderSystem(self.name, paths, fit=self.fit, contents=digests, reading=context.reading)
        return (Arm(system=system, levels=tuple(sorted(values))),)


class FolderSystem(NamedSystem):
    """Gives what somebody else made of an image.

    Args:
        name: of the curve.
        paths: level → name of the original → file.
        fit: "original" or "none": whether sizes are brought to the original's.
        contents: for the record: what tells whether the files are still the same.
        reading: how images are read, as `read_picture` takes it: like the originals.
    """

    def __init__(
        self,
        name: str,
        paths: Mapping[float, Mapping[str, str]],
        *,
        fit: str = "original",
        contents: Sequence[Mapping[str, Any]] = (),
        reading: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.label = name
        self._paths = paths
        self._fit = fit
        self._contents = contents
        self._reading = dict(reading or {})

    def of(self, name: str) -> System:
        """The system for the original of that name."""
        paths = {level: paths.get(name) for level, paths in self._paths.items()}
        return _OneOriginal(self, name, paths, self._fit, self._reading)

    def send(self, image: Pixels, level: float, rng: np.random.Generator) -> Received:
        """Not without a name.

        Raises:
            UsageError: always.
        """
        del image, level, rng
        raise UsageError("Expected the name of the image: images made elsewhere are found by name, not by pixels.")

    def to_dict(self) -> dict[str, Any]:
        """Name, label, and what tells whether the files are still the same."""
        return {**super().to_dict(), "fit": self._fit, "contents": [dict(one) for one in self._contents]}


class _OneOriginal(System):
    def __init__(
        self,
        whole: FolderSystem,
        name: str,
        paths: Mapping[float, str | None],
        fit: str,
        reading: Mapping[str, Any],
    ) -> None:
        self.name, self.label = whole.name, whole.label
        self._image, self._paths, self._fit, self._reading = name, paths, fit, reading

    def send(self, image: Pixels, level: float, rng: np.random.Generator) -> Received:
        del rng
        path = self._paths.get(level)
        if path is None:
            raise ImageError(f"Expected an image of the name of {self._image} at level {level:g}; there is none.")
        picture = read_picture(path, **self._reading)
        notes = list(picture.notes)
        pixels = picture.to_uint8()
        size = image.shape[0], image.shape[1]
        if self._fit == "original" and picture.size != size:
            (h, w), (height, width) = picture.size, size
            pixels = np.asarray(resize(pixels, size), np.uint8)
            notes.append(f"resized from {w} × {h} to {width} × {height} (bicubic, antialias)")
        return Received(pixels=pixels, note="; ".join(notes))


def levels_of(folders: Sequence[str]) -> tuple[float, ...]:
    """The last number in each folder's name, where all have one and all differ; else 1, 2, 3, … in their order."""
    found = [_NUMBER.findall(Path(folder).name) for folder in folders]
    numbers = tuple(float(each[-1]) for each in found if each)
    if len(numbers) == len(folders) == len(set(numbers)):
        return numbers
    return tuple(float(place) for place in range(1, len(folders) + 1))
