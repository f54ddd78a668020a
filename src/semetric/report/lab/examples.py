"""Examples for the page: originals and what was received at chosen levels, small, with their scores."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from semetric.errors import ImageError
from semetric.formatting import number
from semetric.image import read_image
from semetric.report.lab.results import LabRun
from semetric.report.lab.style import metric_label
from semetric.report.lab.words import level_words

__all__ = ["MOST_IMAGES", "MOST_LEVELS", "Example", "Place", "Shown", "chosen", "examples", "places", "shown_at"]

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
        sent: likewise of what was sent in its place, a translation; None where it was sent itself.
        systems: (label, what was received, the level rising).
    """

    image: str
    original: str = field(repr=False)
    sent: str | None = field(default=None, repr=False)
    systems: tuple[tuple[str, tuple[Shown, ...]], ...]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the pictures of one image are.

    Attributes:
        image: its index.
        original: the file that results are scored against.
        sent: what was sent in its place; None where it was sent itself.
        received: (system, level, file), the level rising.
    """

    image: int
    original: Path
    sent: Path | None
    received: tuple[tuple[int, float, Path], ...]  # (system, level, file)


def examples(run: LabRun) -> list[Example]:
    """The first images of which the run pictured what was received, as large as the page can hold."""
    pictured = list(places(run))
    files = [
        file
        for place in pictured
        for file in (place.original, place.sent, *(file for *_, file in place.received))
        if file is not None
    ]
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
    rows = []
    for place in pictured:
        systems = []
        for s, system in enumerate(run.systems):
            own = [(level, file) for at, level, file in place.received if at == s and file in pictures]
            shown = tuple(shown_at(run, place.image, s, level, pictures[file]) for level, file in own)
            if shown:
                systems.append((system.label, shown))
        if place.original in pictures and systems:
            original = pictures[place.original]
            sent = None if place.sent is None else pictures.get(place.sent)
            rows.append(Example(image=run.images[place.image], original=original, sent=sent, systems=tuple(systems)))
    return rows


def chosen(levels: list[float], most: int = MOST_LEVELS) -> list[float]:
    """The lowest, the highest, and as evenly between them as there are levels."""
    levels = sorted(levels)
    if len(levels) <= most:
        return levels
    return [levels[round(i)] for i in np.linspace(0, len(levels) - 1, most)]


def places(run: LabRun) -> Iterator[Place]:
    """Files under examples/, by the names of the run: no name leads out of that folder."""
    count = 0
    for i, image in enumerate(run.images):
        original, received = None, []
        for s, system in enumerate(run.systems):
            files: dict[float, Path] = {}
            for folder in system.pictures:
                own = _inside(folder.root, folder.folders.get(image, ""))
                if own is None or not (own / "original.png").is_file():
                    continue
                original = original or own
                received_folder = _inside(own, folder.system)
                files |= _by_level(received_folder) if received_folder is not None else {}
            here = [float(level) for level in run.levels(s) if float(level) in files]
            received += [(s, level, files[level]) for level in chosen(here)]
        if original is None:
            continue
        sent = original / "sent.png"
        yield Place(
            image=i,
            original=original / "original.png",
            sent=sent if sent.is_file() else None,
            received=tuple(received),
        )
        count += 1
        if count == MOST_IMAGES:
            return


def _inside(folder: Path, name: str) -> Path | None:
    """The folder of that name, if it is a way into this one and not out of it."""
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
        return None
    inside = folder.joinpath(*parts)
    return inside if inside.is_dir() else None


def _by_level(folder: Path) -> dict[float, Path]:
    files = {}
    for file in sorted(folder.glob("*.png")):
        try:
            files[float(file.stem)] = file
        except ValueError:
            continue
    return files


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


def shown_at(run: LabRun, image: int, system: int, level: float, picture: str = "") -> Shown:
    """One received image in words: level, rate, scores."""
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
