"""Images made elsewhere as a system: a folder a level, each image found by its original's name, with its rate."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from semetric.errors import ImageError, UsageError
from semetric.image import resize
from semetric.lab.experiments.base import Arm, Axis, Context, NamedSystem, check_levels
from semetric.lab.experiments.images import ImageFile, read_picture
from semetric.lab.systems import Pixels, Received, System
from semetric.runs.pairing import Pair, Pairing, image_files, key, match_names, shown
from semetric.tables import number_in, read_table

__all__ = ["FolderSystem", "check_folders", "folder_arm", "levels_of", "pair_originals"]

FILES = "files"
"""The rates of images whose files are the streams."""

_NUMBER = re.compile(r"(?:(?:^|(?<=[_ =]))-)?\d+(?:\.\d+)?")  # the hyphen of noise-10 is no minus
_BYTES = ("size_bytes", "bytes")
_RATES = ("rate_bpp", "bpp")


@dataclass(frozen=True, kw_only=True)
class _Cost:
    """What the stream of one image took: bytes, or bits per pixel."""

    size_bytes: int | None = None
    rate_bpp: float | None = None


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """What stands for one original at one level."""

    path: str
    cost: _Cost | None = None


def folder_arm(table: Mapping[str, Any], context: Context, *, levels: Sequence[float] | None, axis: Axis) -> Arm:
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
    costs = _costs(name, rates, folders, values, pairings)
    paths: dict[float, dict[str, _Answer]] = {}
    for level, pairing in zip(values, pairings, strict=True):
        paths[level] = {
            pair.reference: _Answer(path=pair.image_path, cost=costs.get((level, pair.reference)))
            for pair in pairing.pairs
        }
    contents: list[dict[str, Any]] = [
        {"level": level, "files": pairing.contents(), "pairs": pairing.digest()}
        for level, pairing in zip(values, pairings, strict=True)
    ]
    if costs:
        contents.append({"rates": hashlib.sha256(repr(sorted(costs.items(), key=repr)).encode()).hexdigest()})
    system = FolderSystem(
        name,
        paths,
        label=table.get("label"),
        fit=fit,
        contents=contents,
        reading=context.reading,
        originals={image.name: image.path for image in context.images},
        uses_per_pixel=uses,
        unit=str(table.get("unit") or ""),
        rates=_named_rates(rates),
    )
    return Arm(system=system, levels=tuple(sorted(values)))


def check_folders(table: Mapping[str, Any], levels: Sequence[float] | None) -> tuple[list[str], tuple[float, ...], str]:
    """The folders, their levels, and whether sizes are brought to the originals', before anything is looked for.

    Raises:
        UsageError: no folder, or levels that do not fit the folders.
    """
    name, folders = table["name"], table["folders"]
    folders = [folders] if isinstance(folders, str) else folders
    if not isinstance(folders, list | tuple) or not folders or not all(isinstance(one, str) for one in folders):
        raise UsageError(f"Expected folders of {name}, at least one; found {folders!r}.")
    fit = table.get("fit", "original")
    if fit not in ("original", "none"):
        raise UsageError(f"Expected fit to be original or none; found {fit!r}.")
    values = tuple(levels) if levels is not None else levels_of(folders)
    if len(values) != len(folders):
        raise UsageError(f"Expected a level for each of {len(folders)} folders; found {len(values)}.")
    check_levels(f"levels of {name}", values)
    return list(folders), values, fit


def levels_of(folders: Sequence[str]) -> tuple[float, ...]:
    """The last number in each folder's name, where all have one and all differ; else 1, 2, 3, … in their order."""
    numbers_of_each = [_NUMBER.findall(Path(folder).name) for folder in folders]
    numbers = tuple(float(each[-1]) for each in numbers_of_each if each)
    if len(numbers) == len(folders) == len(set(numbers)):
        return numbers
    return tuple(float(place) for place in range(1, len(folders) + 1))


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
    matched, alone, alone_too, ambiguous = match_names(names, files)
    return Pairing(
        pairs=tuple(
            Pair(
                reference=names[one].name,
                image=shown(two),
                reference_path=names[one].path,
                image_path=str(root / two),
            )
            for one, two in matched
        ),
        source={"images": shown(str(root.absolute()))},
        unmatched_references=tuple(names[one].name for one in alone),
        unmatched_images=tuple(map(shown, alone_too)),
        ambiguous={
            shown(name): (tuple(map(shown, ours)), tuple(map(shown, theirs)))
            for name, (ours, theirs) in ambiguous.items()
        },
    )


class FolderSystem(NamedSystem):
    """Gives what somebody else made of an image.

    Args:
        name: of the curve.
        paths: level → name of the original → file, and what its stream took.
        label: in the legend; the name if None.
        fit: "original" or "none": whether sizes are brought to the original's.
        contents: for the record: what tells whether the files are still the same.
        reading: how images are read, as `read_picture` takes it: like the originals.
        originals: name → file, to know the full size of an original that is shrunk.
        uses_per_pixel: complex channel symbols per pixel; None without a channel.
        unit: of its levels, in words.
        rates: for the record: where the rates are from.
    """

    def __init__(
        self,
        name: str,
        paths: Mapping[float, Mapping[str, _Answer]],
        *,
        label: str | None = None,
        fit: str = "original",
        contents: Sequence[Mapping[str, Any]] = (),
        reading: Mapping[str, Any] | None = None,
        originals: Mapping[str, str] | None = None,
        uses_per_pixel: float | None = None,
        unit: str = "",
        rates: Any = None,
    ) -> None:
        self.name = name
        self.label = label or name
        self.uses_per_pixel = uses_per_pixel
        self._paths = paths
        self._fit = fit
        self._contents = contents
        self._reading = dict(reading or {})
        self._originals = dict(originals or {})
        self._unit, self._rates = unit, rates

    def of(self, name: str) -> System:
        """The system for the original of that name."""
        answers = {level: answers.get(name) for level, answers in self._paths.items()}
        full = self._originals.get(name) if self._reading.get("resize_longest") is not None else None
        return _OneOriginal(self, name, answers, self._fit, self._reading, full)

    def send(self, image: Pixels, level: float, rng: np.random.Generator) -> Received:
        """Not without a name.

        Raises:
            UsageError: always.
        """
        del image, level, rng
        raise UsageError("Expected the name of the image: images made elsewhere are found by name, not by pixels.")

    def to_dict(self) -> dict[str, Any]:
        """Name, label, and what tells whether the files are still the same."""
        own = {"unit": self._unit, "rates": self._rates, "uses_per_pixel": self.uses_per_pixel}
        return {
            **super().to_dict(),
            "level": "quality",
            "fit": self._fit,
            "contents": [dict(one) for one in self._contents],
            **{name: value for name, value in own.items() if value not in ("", None)},
        }


class _OneOriginal(System):
    def __init__(
        self,
        whole: FolderSystem,
        name: str,
        answers: Mapping[float, _Answer | None],
        fit: str,
        reading: Mapping[str, Any],
        full: str | None,
    ) -> None:
        self.name, self.label = whole.name, whole.label
        self._uses = whole.uses_per_pixel
        self._image, self._answers, self._fit, self._reading, self._full = name, answers, fit, reading, full

    def send(self, image: Pixels, level: float, rng: np.random.Generator) -> Received:
        del rng
        answer = self._answers.get(level)
        if answer is None:
            raise ImageError(f"Expected an image of the name of {self._image} at level {level:g}; there is none.")
        picture = read_picture(answer.path, **self._reading)
        notes = list(picture.notes)
        pixels = picture.to_uint8()
        size = image.shape[0], image.shape[1]
        if self._fit == "original" and picture.size != size:
            (h, w), (height, width) = picture.size, size
            pixels = np.asarray(resize(pixels, size), np.uint8)
            notes.append(f"resized from {w} × {h} to {width} × {height} (bicubic, antialias)")
        cost = answer.cost or _Cost()
        stated = cost.rate_bpp
        if cost.size_bytes is not None:
            h, w = size if self._full is None else _full_size(self._full, self._reading)
            stated = 8 * cost.size_bytes / (h * w)  # of the image that was coded, whatever size is scored
        return Received(
            pixels=pixels,
            size_bytes=cost.size_bytes,
            stated_bpp=stated,
            uses_per_pixel=self._uses,
            note="; ".join(notes),
        )


def _full_size(path: str, reading: Mapping[str, Any]) -> tuple[int, int]:
    return read_picture(path, **{**reading, "resize_longest": None}).size


def _relative(image: ImageFile) -> str:
    """The original's path below the folder that was named; of a file that was named itself its name."""
    if image.root is None:
        return os.path.basename(image.path)
    return Path(os.path.relpath(image.path, image.root)).as_posix()


def _costs(
    name: str, rates: Any, folders: Sequence[str], levels: Sequence[float], pairings: Sequence[Pairing]
) -> dict[tuple[float, str], _Cost]:
    """(level, original) → what its stream took; empty without rates.

    Raises:
        UsageError: an image has none.
    """
    if rates is None:
        return {}
    if rates == FILES:
        costs = {
            (level, pair.reference): _Cost(size_bytes=os.path.getsize(pair.image_path))
            for level, pairing in zip(levels, pairings, strict=True)
            for pair in pairing.pairs
        }
    elif isinstance(rates, str) and not os.path.isdir(rates):
        costs = _table_costs(Path(rates), name, levels, pairings)
    else:
        streams = [rates] if isinstance(rates, str) else rates
        if not isinstance(streams, list | tuple) or len(streams) != len(folders):
            raise UsageError(f"Expected a folder of streams for each of {len(folders)} folders; found {rates!r}.")
        by_number = dict(zip(levels_of(streams), streams, strict=True))
        if set(by_number) == set(levels_of(folders)):  # q5, q20 stand beside q5, q20 in whatever order both came
            streams = [by_number[number] for number in levels_of(folders)]
        costs = {}
        for folder, level, pairing in zip(streams, levels, pairings, strict=True):
            sizes = _stream_sizes(Path(folder))
            for pair in pairing.pairs:
                if key(pair.image) in sizes:
                    costs[level, pair.reference] = _Cost(size_bytes=sizes[key(pair.image)])
    lacking = [
        f"{pair.image} at level {level:g}"
        for level, pairing in zip(levels, pairings, strict=True)
        for pair in pairing.pairs
        if (level, pair.reference) not in costs
    ]
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise UsageError(f"Expected the rate of every image of {name} in {rates}; there is none of {lacking[0]}{more}.")
    return costs


def _stream_sizes(folder: Path) -> dict[str, int]:
    """Path without suffix → bytes, of every file of a folder."""
    if not folder.is_dir():
        raise UsageError(f"Expected a folder of streams; {folder} is {'a file' if folder.exists() else 'not there'}.")
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and not file.name.startswith(".")]
    return {key(shown(file.relative_to(folder).as_posix())): file.stat().st_size for file in files}


def _table_costs(
    file: Path, name: str, levels: Sequence[float], pairings: Sequence[Pairing]
) -> dict[tuple[float, str], _Cost]:
    """The rates of a CSV file: columns image, size_bytes or rate_bpp, and where they are needed system and level."""
    table = read_table(file, ("image",))
    header = table.columns
    value = next((column for column in (*_BYTES, *_RATES) if column in header), None)
    if value is None:
        raise UsageError(
            f"Expected the columns image and size_bytes or rate_bpp, and perhaps system and level, in {file}; found "
            f"{', '.join(header)}."
        )
    if len(levels) > 1 and "level" not in header:
        raise UsageError(f"Expected a column level in {file}, since {name} has {len(levels)} levels; found none.")
    known: dict[tuple[float | None, str], _Cost] = {}
    for number, line in table.named():
        if line.get("system", "").strip() not in ("", name):
            continue
        try:
            level = number_in(line["level"]) if "level" in header else None
            cost = _cost(value, line[value])
        except ValueError:
            raise UsageError(
                f"Expected numbers in line {number} of {file}; found {line.get('level')!r} and {line[value]!r}."
            ) from None
        known[level, key(line["image"].strip())] = cost
    costs: dict[tuple[float, str], _Cost] = {}
    for level, pairing in zip(levels, pairings, strict=True):
        for pair in pairing.pairs:
            for place in ((level, key(pair.image)), (None, key(pair.image)), (level, key(pair.reference))):
                if place in known:
                    costs.setdefault((level, pair.reference), known[place])
    return costs


def _cost(column: str, text: str) -> _Cost:
    """Raises ValueError where it is no number of that kind."""
    number = number_in(text)
    if not 0 < number < float("inf"):
        raise ValueError(text)
    return _Cost(size_bytes=round(number)) if column in _BYTES else _Cost(rate_bpp=number)


def _named_rates(rates: Any) -> Any:
    """For the record: text as it is, lists as lists."""
    return list(rates) if isinstance(rates, tuple) else rates
