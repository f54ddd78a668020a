"""Sizes or rates of the streams behind images that were made elsewhere: from files, folders or a table."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semetric.errors import UsageError
from semetric.runs.pairing import Pairing, key, shown
from semetric.tables import number_in, read_table

__all__ = ["FILES", "StreamCost", "levels_of", "stream_costs"]

FILES = "files"
"""The rates of images whose files are the streams."""

_NUMBER = re.compile(r"(?:(?:^|(?<=[_ =]))-)?\d+(?:\.\d+)?")  # the hyphen of noise-10 is no minus
_BYTES = ("size_bytes", "bytes")
_RATES = ("rate_bpp", "bpp")


@dataclass(frozen=True, kw_only=True)
class StreamCost:
    """One of the two.

    Attributes:
        size_bytes: of the stream.
        rate_bpp: bits per pixel of the image that was coded.
    """

    size_bytes: int | None = None
    rate_bpp: float | None = None


def levels_of(folders: Sequence[str]) -> tuple[float, ...]:
    """The last number in each folder's name, where all have one and all differ; else 1, 2, 3, … in their order.

    Examples:
        >>> levels_of(["x/noise_10", "x/noise_5"]), levels_of(["low", "high"])
        ((10.0, 5.0), (1.0, 2.0))
    """
    numbers_of_each = [_NUMBER.findall(Path(folder).name) for folder in folders]
    numbers = tuple(float(each[-1]) for each in numbers_of_each if each)
    if len(numbers) == len(folders) == len(set(numbers)):
        return numbers
    return tuple(float(place) for place in range(1, len(folders) + 1))


def stream_costs(
    name: str, rates: Any, folders: Sequence[str], levels: Sequence[float], pairings: Sequence[Pairing]
) -> dict[tuple[float, str], StreamCost]:
    """(level, original) → the size or rate of its stream; empty without rates.

    Args:
        name: of the system.
        rates: "files", a CSV file, one folder of streams, or a folder of streams for each folder of images.
        folders: of images, one a level.
        levels: one a folder.
        pairings: originals and images, one a folder.

    Raises:
        UsageError: an image has none.
    """
    if rates is None:
        return {}
    if rates == FILES:
        costs = {
            (level, pair.reference): StreamCost(size_bytes=os.path.getsize(pair.image_path))
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
                    costs[level, pair.reference] = StreamCost(size_bytes=sizes[key(pair.image)])
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
) -> dict[tuple[float, str], StreamCost]:
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
    known: dict[tuple[float | None, str], StreamCost] = {}
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
    costs: dict[tuple[float, str], StreamCost] = {}
    for level, pairing in zip(levels, pairings, strict=True):
        for pair in pairing.pairs:
            for place in ((level, key(pair.image)), (None, key(pair.image)), (level, key(pair.reference))):
                if place in known:
                    costs.setdefault((level, pair.reference), known[place])
    return costs


def _cost(column: str, text: str) -> StreamCost:
    """Raises ValueError where it is no number of that kind."""
    number = number_in(text)
    if not 0 < number < float("inf"):
        raise ValueError(text)
    return StreamCost(size_bytes=round(number)) if column in _BYTES else StreamCost(rate_bpp=number)
