"""Images made elsewhere as a system: a folder a level, each image found by its original's name, with its rate."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from semetric.errors import ImageError, UsageError
from semetric.image import resize
from semetric.lab.experiments.base import Axis, Context, Sweep, check_levels
from semetric.lab.experiments.images import ImageFile, read_picture
from semetric.lab.experiments.stream_costs import FILES, StreamCost, levels_of, stream_costs
from semetric.lab.systems import NamedSystem, Pixels, Received
from semetric.runs.pairing import Pair, Pairing, image_files, match_names, shown

__all__ = ["FolderSystem", "check_folders", "folder_sweep", "pair_originals"]


def folder_sweep(table: Mapping[str, Any], context: Context, *, levels: Sequence[float] | None, axis: Axis) -> Sweep:
    """The system of a table with `folders`.

    Args:
        table: `name`, `folders`, and perhaps `label`, `rates`, `fit`, `unit`, `uses_per_pixel`.
        context: the originals, and how they are read.
        levels: one a folder; None takes the number in each folder's name.
        axis: of the experiment; a rate needs `rates`, an SNR `uses_per_pixel`.

    Raises:
        UsageError: no folder, levels or rates that do not fit, or an image without its rate.
    """
    name = table["name"]
    folders, values, fit = check_folders(table, levels)
    uses = table.get("uses_per_pixel")
    if axis.name == "snr_db" and uses is None:
        raise UsageError(f"Expected uses_per_pixel of {name}, to hold its channel uses against the others'; none.")
    rates = table.get("rates")
    if axis.name == "rate_bpp" and rates is None:
        raise UsageError(
            f"Expected the rates of {name}, since the axis is a rate: {FILES!r} where the images' files are the "
            "streams, a CSV file, or a folder of streams for each folder of images."
        )
    pairings = [pair_originals(context.images, folder) for folder in folders]
    costs = stream_costs(name, rates, folders, values, pairings)
    contents: list[dict[str, Any]] = [
        {"level": level, "files": pairing.contents(), "pairs": pairing.digest()}
        for level, pairing in zip(values, pairings, strict=True)
    ]
    if costs:
        contents.append({"rates": hashlib.sha256(repr(sorted(costs.items(), key=repr)).encode()).hexdigest()})
    system = FolderSystem(
        name=name,
        label=table.get("label") or name,
        files={
            level: {pair.reference: pair.image_path for pair in pairing.pairs}
            for level, pairing in zip(values, pairings, strict=True)
        },
        costs=costs,
        fit=fit,
        contents=contents,
        reading=context.reading,
        originals={image.name: image.path for image in context.images},
        uses_per_pixel=uses,
        unit=str(table.get("unit") or ""),
        rates=list(rates) if isinstance(rates, tuple) else rates,
    )
    return Sweep(system=system, levels=tuple(sorted(values)))


def check_folders(table: Mapping[str, Any], levels: Sequence[float] | None) -> tuple[list[str], tuple[float, ...], str]:
    """The folders, their levels, and whether sizes are brought to the originals', before anything is looked for.

    Raises:
        UsageError: no folder, or levels that do not fit the folders.
    """
    name, folders = table["name"], table["folders"]
    folders = [folders] if isinstance(folders, str) else folders
    if not isinstance(folders, list | tuple) or not folders or not all(isinstance(folder, str) for folder in folders):
        raise UsageError(f"Expected folders of {name}, at least one; found {folders!r}.")
    fit = table.get("fit", "original")
    if fit not in ("original", "none"):
        raise UsageError(f"Expected fit to be original or none; found {fit!r}.")
    values = tuple(levels) if levels is not None else levels_of(folders)
    if len(values) != len(folders):
        raise UsageError(f"Expected a level for each of {len(folders)} folders; found {len(values)}.")
    check_levels(f"levels of {name}", values)
    return list(folders), values, fit


def pair_originals(originals: Sequence[ImageFile], folder: str) -> Pairing:
    """Pairs originals with the images of a folder, by their paths without suffix; an original's below its own root.

    Args:
        originals: those that are sent.
        folder: of images, subfolders included.

    Raises:
        UsageError: no such folder.
        ImageError: it cannot be listed.
    """
    root = Path(folder)
    if not root.is_dir():
        raise UsageError(f"Expected a folder of images; {folder} is {'a file' if root.exists() else 'not there'}.")
    names: dict[str, ImageFile] = {}
    for image in originals:
        other = names.setdefault(_relative(image), image)
        if other is not image:
            raise UsageError(
                f"Expected originals with names of their own, since images made elsewhere are found by them; "
                f"{other.path} and {image.path} share theirs."
            )
    files, _ = image_files(root)
    matched, unmatched_references, unmatched_images, ambiguous = match_names(names, files)
    return Pairing(
        pairs=tuple(
            Pair(
                reference=names[reference].name,
                image=shown(image),
                reference_path=names[reference].path,
                image_path=str(root / image),
            )
            for reference, image in matched
        ),
        source={"images": shown(str(root.absolute()))},
        unmatched_references=tuple(names[name].name for name in unmatched_references),
        unmatched_images=tuple(map(shown, unmatched_images)),
        ambiguous={
            shown(name): (tuple(map(shown, references)), tuple(map(shown, images)))
            for name, (references, images) in ambiguous.items()
        },
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class FolderSystem(NamedSystem):
    """Gives what somebody else made of an image.

    Attributes:
        name: of the curve.
        label: in the legend.
        files: level → name of the original → the image in its place.
        costs: (level, name of the original) → size or rate of its stream; empty where that is not known.
        fit: "original" brings images to their original's size (bicubic); "none" leaves them.
        contents: for the record: names and digests of the files.
        reading: how images are read, as `read_picture` takes it: like the originals.
        originals: name → file, to know the full size of an original that is shrunk.
        uses_per_pixel: complex channel symbols per pixel; None without a channel.
        unit: of its levels, in words.
        rates: for the record: where the rates are from.
    """

    name: str
    label: str
    files: Mapping[float, Mapping[str, str]]
    costs: Mapping[tuple[float, str], StreamCost]
    fit: str
    contents: Sequence[Mapping[str, Any]]
    reading: Mapping[str, Any]
    originals: Mapping[str, str]
    uses_per_pixel: float | None = None
    unit: str = ""
    rates: Any = None

    def send_named(self, name: str, image: Pixels, level: float, rng: np.random.Generator) -> Received:
        """The image in the place of that original.

        Raises:
            ImageError: there is none at this level, or it cannot be read.
        """
        del rng
        path = self.files.get(level, {}).get(name)
        if path is None:
            raise ImageError(f"Expected an image of the name of {name} at level {level:g}; there is none.")
        picture = read_picture(path, **self.reading)
        notes = list(picture.notes)
        pixels = picture.to_uint8()
        size = image.shape[0], image.shape[1]
        if self.fit == "original" and picture.size != size:
            (h, w), (height, width) = picture.size, size
            pixels = np.asarray(resize(pixels, size), np.uint8)
            notes.append(f"resized from {w} × {h} to {width} × {height} (bicubic, antialias)")
        cost = self.costs.get((level, name), StreamCost())
        rate_bpp = cost.rate_bpp
        if cost.size_bytes is not None:  # of the image that was coded, whatever size is scored
            h, w = self._full_size(name, size)
            rate_bpp = 8 * cost.size_bytes / (h * w)
        return Received(
            pixels=pixels,
            size_bytes=cost.size_bytes,
            stated_bpp=rate_bpp,
            uses_per_pixel=self.uses_per_pixel,
            note="; ".join(notes),
        )

    def _full_size(self, name: str, size: tuple[int, int]) -> tuple[int, int]:
        """(H, W) of the original before it was shrunk."""
        if self.reading.get("resize_longest") is None or name not in self.originals:
            return size
        return read_picture(self.originals[name], **{**self.reading, "resize_longest": None}).size

    def to_dict(self) -> dict[str, Any]:
        """Name, label, and what tells whether the files are still the same."""
        own = {"unit": self.unit, "rates": self.rates, "uses_per_pixel": self.uses_per_pixel}
        return {
            **super().to_dict(),
            "level": "quality",
            "fit": self.fit,
            "contents": [dict(content) for content in self.contents],
            **{name: value for name, value in own.items() if value not in ("", None)},
        }


def _relative(image: ImageFile) -> str:
    """The original's path below the folder that was named; of a file that was named itself its name."""
    if image.root is None:
        return os.path.basename(image.path)
    return Path(os.path.relpath(image.path, image.root)).as_posix()
