"""Objects and relations over a photo: what both pictures share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patches import FancyArrowPatch
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from semetric.image import Picture, resize_to
from semetric.report.contours import edge_field
from semetric.report.output import DPI
from semetric.report.palette import INK, text_on
from semetric.report.places import Box, box_around, clear_place, label_points
from semetric.scene.predicates import PREDICATES
from semetric.scene.rle import decode

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

    from semetric.scene.graph import SceneGraph

__all__ = [
    "Panel",
    "add_area",
    "along_arrow",
    "arrow_style",
    "file_name",
    "fit_text",
    "inches",
    "new_figure",
    "object_mask",
    "printable",
    "write_disc",
    "write_text",
]

_FAMILY = "DejaVu Sans"  # ships with matplotlib, so that a picture is the same everywhere
_FILL = (0.22, 0.06)  # opacity of an object's colour where it is small, and where it is the whole image
_FAINTEST = 0.25  # opacity of the outline of an object that hardly counts as one
_LABEL_INCHES = 0.11  # radius of a numbered disc
_PLACING_SIDE = 400  # px; label places are sought on masks of at most this side
_BEND = 0.12  # of an arrow, in its length


def new_figure(width: float, height: float) -> Figure:
    """An empty white figure of that many inches, with no part in pyplot's state."""
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def add_area(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place in inches from the top left."""
    w, h = figure.get_size_inches()
    return figure.add_axes((left / w, 1 - (top + height) / h, width / w, height / h))


def inches(axes: Axes) -> tuple[float, float]:
    """(width, height) of axes that `add_area` made."""
    place, figure = axes.get_position(), axes.get_figure(root=True)
    w, h = figure.get_size_inches() if figure is not None else (0.0, 0.0)
    return float(place.width * w), float(place.height * h)


def write_text(
    axes: Axes, x: float, y: float, text: str, *, size: float, colour: str = INK, weight: str = "normal", **more: Any
) -> Text:
    """Puts text, vertically centred, at a place in the axes' data units; never read as mathematics."""
    font = FontProperties(family=_FAMILY, size=size, weight=weight)
    return axes.text(
        x, y, printable(text), fontproperties=font, color=colour, **{"va": "center", "parse_math": False, **more}
    )


def write_disc(axes: Axes, x: float, y: float, number: int, colour: str, *, size: float) -> Text:
    """Puts a number on a disc of that colour; more digits are written smaller, so that all discs are about alike."""
    digits = len(str(number))
    size *= {1: 1.0, 2: 0.8}.get(digits, 0.6)
    pad = {1: 0.22, 2: 0.2}.get(digits, 0.2)
    disc = {"boxstyle": f"circle,pad={pad}", "facecolor": colour, "edgecolor": "white", "linewidth": 1.0}
    text = write_text(axes, x, y, str(number), size=size, weight="bold", colour=text_on(colour), ha="center", bbox=disc)
    text.set_path_effects([])
    return text


def printable(text: str) -> str:
    """The text with what the font lacks, and line ends, replaced."""
    known = _known_characters()
    return "".join(c if ord(c) in known and c.isprintable() else "□" for c in text)


@lru_cache(maxsize=1)
def _known_characters() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties(family=_FAMILY))).get_charmap())


def fit_text(text: str, width: float, size: float) -> str:
    """The text, its middle left out where it would be wider than that many inches."""
    most = max(8, int(width * 72 / (0.62 * size)))  # DejaVu Sans: 0.62 em a character on average
    if len(text) <= most:
        return text
    head = (most - 1) // 3
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def object_mask(graph: SceneGraph, index: int) -> NDArray[np.bool_]:
    """(H, W) mask of one object, without decoding the others."""
    counts, ends = graph.rle
    start = int(ends[index - 1]) if index else 0
    own = counts[start : int(ends[index])]
    mask: NDArray[np.bool_] = decode((own, np.array([len(own)], np.uint32)), graph.size)[0]
    return mask


class Panel:
    """One photo on a figure, and what is drawn over it, in the working image's pixels.

    Args:
        figure: on which.
        picture: the photo, of any size.
        size: (H, W) of the working image, or of the picture where there is no graph.
        left: inches from the figure's left.
        top: inches from its top.
        width: inches.
        height: inches.
    """

    def __init__(
        self,
        figure: Figure,
        picture: Picture,
        size: tuple[int, int],
        left: float,
        top: float,
        width: float,
        height: float,
    ) -> None:
        self.size = size
        self.axes = add_area(figure, left, top, width, height)
        self.scale = size[1] / width  # working pixels an inch
        self.bounds: Box = (0.0, 0.0, float(size[1]), float(size[0]))
        self.taken: list[Box] = []
        self._figure = figure
        dots = max(1, round(height * DPI)), max(1, round(width * DPI))
        if picture.size[0] > dots[0] and picture.size[1] > dots[1]:
            picture = resize_to(picture, dots)
        self._extent = (0.0, float(size[1]), float(size[0]), 0.0)
        self.axes.imshow(picture.to_uint8(), extent=self._extent, aspect="auto", interpolation="auto")
        self.axes.set_xlim(0, size[1])
        self.axes.set_ylim(size[0], 0)
        self.axes.set_autoscale_on(False)
        self.axes.set_xticks([])
        self.axes.set_yticks([])
        for spine in self.axes.spines.values():
            spine.set(color="#888888", linewidth=0.6)

    def fill(
        self, masks: Sequence[NDArray[np.bool_]], colours: Sequence[str], members: Sequence[float] | None = None
    ) -> None:
        """Tints objects, the more the further they count as one; where they overlap, the smallest shows.

        Args:
            masks: N of (H, W).
            colours: N.
            members: N in [0, 1]; None: all 1.
        """
        if not masks:
            return
        tint = np.zeros((*self.size, 4), np.uint8)
        for i in np.argsort([-int(mask.sum()) for mask in masks], kind="stable"):
            opacity = _FILL[0] + (_FILL[1] - _FILL[0]) * float(np.sqrt(masks[i].mean()))
            opacity *= 1.0 if members is None else members[i]
            tint[masks[i]] = (*bytes.fromhex(colours[i][1:]), round(255 * opacity))
        self.axes.imshow(tint, extent=self._extent, aspect="auto", interpolation="nearest")

    def outline(
        self,
        mask: NDArray[np.bool_],
        colour: str,
        name: str,
        *,
        width: float = 2.0,
        dashed: bool = False,
        member: float = 1.0,
    ) -> None:
        """Draws an object's edge over a line that sets it off, so that it shows on any photo.

        Args:
            mask: (H, W).
            colour: of the line.
            name: by which the line is found in an SVG file.
            width: in points.
            dashed: rather than solid.
            member: how far it counts as an object, in [0, 1]: the line is the more opaque.
        """
        smoothed = edge_field(mask)
        if smoothed is None:
            return
        (left, top), field = smoothed
        x, y = (
            np.clip(np.arange(length) + first, 0.5, limit - 0.5)
            for length, first, limit in ((field.shape[1], left, mask.shape[1]), (field.shape[0], top, mask.shape[0]))
        )
        opacity = _FAINTEST + (1.0 - _FAINTEST) * member
        shade, style = to_rgba(colour, opacity), "--" if dashed else "-"
        lines = self.axes.contour(x, y, field, levels=[0.5], colors=[shade], linewidths=width, linestyles=style)
        lines.set_gid(name)
        lines.set_path_effects([withStroke(linewidth=width + 1.2, foreground=text_on(colour), alpha=0.65 * opacity)])

    def label(
        self,
        masks: Sequence[NDArray[np.bool_]],
        numbers: Sequence[int],
        colours: Sequence[str],
        names: Sequence[str | None] = (),
    ) -> NDArray[np.float64]:
        """Numbers objects on discs of their colours, with a name beside where there is one.

        Args:
            masks: N of (H, W).
            numbers: N.
            colours: N, of the discs.
            names: N, or none at all.

        Returns:
            (N, 2) the discs' x, y.
        """
        step = max(1, -(-max(self.size) // _PLACING_SIDE))
        radius = _LABEL_INCHES * self.scale
        points = label_points([_shrunk(mask, step) for mask in masks], radius / step) * step
        inside = np.array([self.bounds[2], self.bounds[3]])
        margin = np.minimum(radius, inside / 2)
        points = np.clip(points, margin, inside - margin)
        for (x, y), number, colour in zip(points, numbers, colours, strict=True):
            text = write_disc(self.axes, float(x), float(y), number, colour, size=9)
            text.set_zorder(6)
            text.set_gid(f"number {number}")
            self.taken.append(box_around(x, y, 2 * radius, 2 * radius))
        for (x, y), name in zip(points, names, strict=False):
            if name is not None:
                text, width, height = self._boxed(name, 7.5, INK, {"facecolor": "#FFFFFFD0", "edgecolor": "none"})
                beside, below = radius + width / 2, radius + height / 2
                around = [(x, y + below), (x, y - below), (x + beside, y), (x - beside, y)]
                self._settle(text, clear_place(around, width, height, self.taken, self.bounds), width, height)
        return points

    def relate(
        self,
        places: Mapping[int, NDArray[np.float64]],
        triplets: NDArray[np.int64],
        shared: Sequence[bool] | None = None,
    ) -> None:
        """Draws relations as arrows with their predicates, whose boxes keep clear of numbers and of each other.

        Args:
            places: object → (2,) x, y of its number.
            triplets: (E, 3) subject, object, predicate; every subject and object has a place.
            shared: of each whether both images have it (solid, dark) or this one alone (dashed, light); None where
                there is one image.
        """
        for k, (subject, target, predicate) in enumerate(triplets.tolist()):
            start, end = places[subject], places[target]
            solid = None if shared is None else shared[k]
            arrow = FancyArrowPatch(
                (start[0], start[1]),
                (end[0], end[1]),
                arrowstyle="-|>",
                connectionstyle=f"arc3,rad={_BEND}",
                mutation_scale=10,
                shrinkA=9,
                shrinkB=9,
                zorder=3.9 if solid is False else 4,
                **arrow_style(solid),
            )
            arrow.set_gid(f"relation {subject} {target}")
            self.axes.add_patch(arrow)
            self._name_relation(start, end, PREDICATES[predicate], solid)

    def _name_relation(
        self, start: NDArray[np.float64], end: NDArray[np.float64], words: str, solid: bool | None
    ) -> None:
        colours = ("#FFFFFF", "#222222E6", "#FFFFFF") if solid else (INK, "#FFFFFFE6", "#444444")
        text, width, height = self._boxed(words, 7.5, colours[0], {"facecolor": colours[1], "edgecolor": colours[2]})
        place = clear_place(along_arrow(start, end, height), width, height, self.taken, self.bounds)
        self._settle(text, place, width, height)

    def _boxed(self, words: str, size: float, colour: str, box: Mapping[str, str]) -> tuple[Text, float, float]:
        """Words in a box that has no place yet, and its width and height in working pixels."""
        style = {"boxstyle": "round,pad=0.2", "linewidth": 0.5, **box}
        text = write_text(self.axes, 0, 0, words, size=size, ha="center", colour=colour, bbox=style)
        text.set_zorder(5)
        extent = text.get_window_extent(self._figure.canvas.get_renderer())  # type: ignore[attr-defined]
        per_dot = self.scale / self._figure.dpi
        padding = 2 * 0.2 * size / 72 * self.scale
        return text, extent.width * per_dot + padding, extent.height * per_dot + padding

    def _settle(self, text: Text, place: tuple[float, float], width: float, height: float) -> None:
        text.set_position(place)
        self.taken.append(box_around(*place, width, height))


def arrow_style(solid: bool | None) -> dict[str, Any]:
    """How an arrow is drawn: of a relation that both images have, that one alone has, or (None) of a single image."""
    if solid is None:
        return {"linewidth": 1.3, "color": "white", "path_effects": [withStroke(linewidth=3.0, foreground="#000000C0")]}
    if solid:
        return {
            "linewidth": 2.4,
            "color": "#222222",
            "path_effects": [withStroke(linewidth=4.4, foreground="#FFFFFFE0")],
        }
    under = [withStroke(linewidth=2.6, foreground="#00000090")]
    return {"linewidth": 1.1, "linestyle": (0, (4, 2.5)), "color": "#F4F4F4", "path_effects": under}


def along_arrow(start: NDArray[np.float64], end: NDArray[np.float64], step: float) -> list[tuple[float, float]]:
    """Places for a predicate: on the bent arrow from its middle outwards, then beside it.

    Args:
        start: (2,) x, y of the subject, y downwards.
        end: (2,) of the object.
        step: how far beside, in the same units.
    """
    along = end - start
    across = np.array([-along[1], along[0]])
    control = (start + end) / 2 + _BEND * across
    across = across / max(float(np.hypot(*across)), 1e-9)
    shares = (0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74)
    places = []
    for side in (0.0, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0):
        for t in shares:
            x, y = (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end + side * step * across
            places.append((float(x), float(y)))
    return places


def _shrunk(mask: NDArray[np.bool_], step: int) -> NDArray[np.bool_]:
    """Every step-th pixel, or wherever a block holds a pixel for an object that would vanish."""
    small = mask[::step, ::step]
    if small.any() or not mask.any():
        return small
    small = small.copy()
    y, x = np.argwhere(mask)[0] // step
    small[y, x] = True
    return small


def file_name(name: str) -> str:
    """The last part of a path; other names as they are."""
    return Path(name).name or name
