"""Examples as a figure for a paper: an image, and what each system made of it at rising levels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from semetric.report.drawing import new_figure, printable
from semetric.report.lab.examples import MOST_LEVELS, places, shown_at
from semetric.report.lab.figures import Drawn, draw
from semetric.report.lab.style import PAGE_INCHES
from semetric.report.lab.words import slugs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from semetric.report.lab.examples import Place
    from semetric.report.lab.results import LabRun

__all__ = ["example_strips"]

_MOST_SYSTEMS = 8  # rows that fit a page
_SIDE = 420  # px of the longer side: 300 dots an inch in a fifth of a page's width


def example_strips(run: LabRun) -> Iterator[Drawn]:
    """A figure for each image of which the run pictured what was received; the same run gives the same bytes."""
    pictured = list(places(run))
    for place, slug in zip(pictured, slugs(Path(run.images[place.image]).stem for place in pictured), strict=True):
        caption = f"{run.images[place.image]} after each system, at rising levels."
        yield draw(
            f"examples-{slug}",
            caption,
            lambda place=place: _strip(run, place),  # type: ignore[misc]
            wide=True,
            kinds=("pdf", "png"),
        )


def _strip(run: LabRun, place: Place) -> Figure:
    rows = [
        (s, [(level, file) for at, level, file in place.received if at == s])
        for s in range(len(run.systems))
        if any(at == s for at, _, _ in place.received)
    ][:_MOST_SYSTEMS]
    across = 1 + min(MOST_LEVELS, max((len(files) for _, files in rows), default=0))
    first = _picture(place.original)
    height = first.shape[0] / first.shape[1] * PAGE_INCHES / across
    figure = new_figure(PAGE_INCHES, max(1, len(rows)) * (height + 0.42))
    grid = figure.subplots(max(1, len(rows)), across, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for row, (s, files) in enumerate(rows):
        _show(grid[row, 0], place.original if row == 0 or place.sent is None else place.sent, "")
        if row == 0:
            grid[row, 0].set_title("original" if place.sent is None else "source", fontsize=7, pad=2)
        elif place.sent is not None:
            grid[row, 0].set_title("translated", fontsize=7, pad=2)
        else:
            grid[row, 0].clear()
            grid[row, 0].set_axis_off()
        grid[row, 0].text(
            -0.04,
            0.5,
            printable(run.systems[s].label),
            rotation=90,
            ha="right",
            va="center",
            fontsize=7,
            transform=grid[row, 0].transAxes,
        )
        for axes, (level, file) in zip(grid[row, 1:], files, strict=False):
            labels = shown_at(run, place.image, s, level)
            title = " · ".join(filter(None, (labels.level, labels.rate if labels.rate != labels.level else "")))
            _show(axes, file, printable(title + (" · fallback" if labels.failed else "")))
            scores = [
                labels.scores[0],
                *([score for score in labels.scores if score[0] == "SeSS"] or labels.scores[-1:]),
            ]
            words = ", ".join(f"{name} {value}" for name, value in dict.fromkeys(scores))
            axes.text(0.5, -0.03, printable(words), ha="center", va="top", fontsize=7, transform=axes.transAxes)
    return figure


def _show(axes: Axes, file: Path, title: str) -> None:
    axes.imshow(_picture(file), interpolation="none")
    if title:
        axes.set_title(title, fontsize=7, pad=2)


def _picture(file: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """(h, w, 3) uint8, no side above _SIDE; white where the file is no picture any more."""
    from PIL import Image

    try:
        with Image.open(file) as opened:
            picture = opened.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError):
        return np.full((64, 64, 3), 255, np.uint8)
    picture.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    return np.asarray(picture)
