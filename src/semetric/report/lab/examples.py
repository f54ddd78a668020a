"""Examples for the page: originals and what was received at chosen levels, small, with their scores."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from semetric.errors import ImageError
from semetric.image import read_image
from semetric.report.lab.results import LabRun
from semetric.report.lab.style import metric_label, number
from semetric.report.lab.words import level_words

__all__ = ["MOST_IMAGES", "MOST_LEVELS", "Example", "Shown", "chosen", "examples"]

MOST_IMAGES = 3
MOST_LEVELS = 4
_BUDGET = 3_000_000  # bytes of all pictures before base64, which adds a third
_SIDES = (288, 224, 160, 112, 80)  # px of the longer side; the first at which all fit
_QUALITY = 80  # of WebP


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One received image.

    Attributes:
        level: with its unit.
        rate: as achieved, with its unit; empty without a stream.
        failed: whether it is a fallback.
        scores: (metric's label, score or a dash).
        picture: a data address.
    """

    level: str
    rate: str
    failed: bool
    scores: tuple[tuple[str, str], ...]
    picture: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Example:
    """One image of the run.

    Attributes:
        image: its name.
        original: a data address.
        systems: (label, what was received, the level rising).
    """

    image: str
    original: str = field(repr=False)
    systems: tuple[tuple[str, tuple[Shown, ...]], ...]


@dataclass(frozen=True, kw_only=True)
class _Place:
    image: int
    original: Path
    received: tuple[tuple[int, float, Path], ...]  # (system, level, file)


def examples(run: LabRun) -> list[Example]:
    """The first images of which the run kept what was received, as large as the page can hold."""
    places = list(_places(run))
    files = [file for place in places for file in (place.original, *(file for *_, file in place.received))]
    pictures: dict[Path, str] = {}
    for side in _SIDES:
        pictures, size = {}, 0
        for file in files:
            encoded = _encoded(file, side)
            if encoded is not None:
                pictures[file] = f"data:image/webp;base64,{base64.b64encode(encoded).decode('ascii')}"
                size += len(encoded)
            if size > _BUDGET:
                break
        if size <= _BUDGET:
            break
    found = []
    for place in places:
        systems = []
        for s, system in enumerate(run.systems):
            own = [(level, file) for at, level, file in place.received if at == s and file in pictures]
            shown = tuple(_shown(run, place.image, s, level, pictures[file]) for level, file in own)
            if shown:
                systems.append((system.label, shown))
        if place.original in pictures and systems:
            original = pictures[place.original]
            found.append(Example(image=run.images[place.image], original=original, systems=tuple(systems)))
    return found


def chosen(levels: list[float], most: int = MOST_LEVELS) -> list[float]:
    """The lowest, the highest, and as evenly between them as there are levels."""
    levels = sorted(levels)
    if len(levels) <= most:
        return levels
    return [levels[round(i)] for i in np.linspace(0, len(levels) - 1, most)]


def _places(run: LabRun) -> Iterator[_Place]:
    """Files under examples/, by the names of the run: no name leads out of that folder."""
    folder = run.path / "examples"
    count = 0
    for i in range(len(run.images)):
        own = _inside(folder, _example_name(run, i))
        if own is None or not (own / "original.png").is_file():
            continue
        received = []
        for s, system in enumerate(run.systems):
            theirs = _inside(own, system.name)
            files = _by_level(theirs) if theirs is not None else {}
            here = [float(level) for level in run.levels(s) if float(level) in files]
            received += [(s, level, files[level]) for level in chosen(here)]
        yield _Place(image=i, original=own / "original.png", received=tuple(received))
        count += 1
        if count == MOST_IMAGES:
            return


def _example_name(run: LabRun, image: int) -> str:
    """The folder that the record names, else the image's stem; empty where the run kept none."""
    record = run.record["images"][image]
    return str(record["example"] or "") if "example" in record else PurePosixPath(run.images[image]).stem


def _inside(folder: Path, name: str) -> Path | None:
    """The folder of that name, if it is a way into this one and not out of it."""
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
        return None
    found = folder.joinpath(*parts)
    return found if found.is_dir() else None


def _by_level(folder: Path) -> dict[float, Path]:
    found = {}
    for file in sorted(folder.glob("*.png")):
        try:
            found[float(file.stem)] = file
        except ValueError:
            continue
    return found


def _encoded(file: Path, side: int) -> bytes | None:
    """The picture as WebP with that longer side at most; None where the file is no picture any more."""
    from PIL import Image

    try:
        picture = Image.fromarray(read_image(file).to_uint8())
    except ImageError:
        return None
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, "WEBP", quality=_QUALITY, method=4)
    return stream.getvalue()


def _shown(run: LabRun, image: int, system: int, level: float, picture: str) -> Shown:
    rows = run.rows
    here = np.flatnonzero((rows.image == image) & (rows.system == system) & (rows.level == level))
    scores = []
    for i in here:
        name = metric_label(run.metrics[rows.metric[i]].name)
        value = float(rows.value[i])
        scores.append((name, "–" if math.isnan(value) else "∞" if math.isinf(value) else number(value)))
    rates = rows.rate_bpp[here]
    rate = f"{rates[0]:.3g} bpp" if len(here) and np.isfinite(rates[0]) else ""
    return Shown(
        level=level_words(run, system, level),
        rate=rate,
        failed=bool(rows.failed[here].any()),
        scores=tuple(scores),
        picture=picture,
    )
