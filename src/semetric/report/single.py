"""The picture of one scene graph: numbered objects, relations, and a legend beside."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from semetric.report.drawing import (
    Panel,
    add_area,
    file_name,
    fit_text,
    new_figure,
    object_mask,
    write_disc,
    write_text,
)
from semetric.report.output import check_output, write
from semetric.report.palette import INK, object_colour
from semetric.report.places import strongest_relations
from semetric.scene.predicates import PREDICATES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from semetric.image import Picture
    from semetric.scene.graph import SceneGraph

__all__ = ["graph_figure", "save_graph"]

MOST_OBJECTS = 18
MOST_RELATIONS = 8
MARGIN, GAP, CAPTION, LEGEND = 0.3, 0.3, 0.36, 3.0  # inches
PHOTO_WIDTH, PHOTO_HEIGHT, SHORTEST = 9.5, 7.5, 1.6
LINE = 0.25  # inches between two lines of the legend


def save_graph(graph: SceneGraph, picture: Picture, path: str | os.PathLike[str]) -> None:
    """Writes an image with its most important objects and its strongest relations.

    An object's number is its place in the graph, counted from 1: 1 is the largest, whose `id` in the JSON is 0. Plots
    and the page of `semetric explain` call it the same.

    Args:
        graph: of the picture.
        picture: of any size; masks are scaled to it.
        path: .png, .pdf or .svg.

    Raises:
        UsageError: another suffix, or the path is the picture's own file.
        StoreError: the picture cannot be written there.
    """
    check_output(path, [picture.name])
    write(lambda: graph_figure(graph, picture), path)


def graph_figure(graph: SceneGraph, picture: Picture) -> Figure:
    """The figure that `save_graph` writes."""
    shown = np.argsort(-graph.importance, kind="stable")[:MOST_OBJECTS].tolist()
    chosen = strongest_relations(graph.triplets, graph.probabilities, graph.importance, shown, MOST_RELATIONS)
    h, w = graph.size
    scale = min(PHOTO_WIDTH / w, PHOTO_HEIGHT / h)
    width, height = max(w * scale, SHORTEST), max(h * scale, SHORTEST)
    legend = 0.5 + LINE * (len(shown) + (1.6 + len(chosen) if len(chosen) else 0))
    figure = new_figure(width + 2 * MARGIN + GAP + LEGEND, CAPTION + max(height, legend) + 0.25)
    figure.set_label("semetric graph")

    colours = [object_colour(rank) for rank in range(len(shown))]
    masks = [object_mask(graph, i) for i in shown]
    panel = Panel(figure, picture, graph.size, MARGIN, CAPTION, width, height)
    members = graph.membership
    panel.fill(masks, colours, [members[i] for i in shown])
    for rank in reversed(range(len(shown))):
        panel.outline(masks[rank], colours[rank], f"object {shown[rank] + 1}", member=members[shown[rank]])
    points = panel.label(masks, [i + 1 for i in shown], colours, [graph.label(i) for i in shown])
    panel.relate(dict(zip(shown, points, strict=True)), graph.triplets[chosen])

    total = figure.get_size_inches()[0]
    caption = add_area(figure, MARGIN, 0.05, total - 2 * MARGIN, CAPTION - 0.08)
    caption.axis("off")
    write_text(caption, 0.0, 0.5, _title(graph, picture, len(shown), total - 2 * MARGIN), size=10, ha="left")
    _legend(figure, graph, shown, chosen.tolist(), MARGIN + width + GAP, legend)
    return figure


def _title(graph: SceneGraph, picture: Picture, shown: int, width: float) -> str:
    if not len(graph):
        objects = "no objects found"
    elif len(graph) == shown:
        objects = f"{len(graph)} object{'s' if len(graph) > 1 else ''}"
    else:
        objects = f"the {shown} most important of {len(graph)} objects; {len(graph) - shown} are not drawn"
    return f"{fit_text(file_name(picture.name), width - 0.085 * len(objects), 10)}: {objects}"


def _legend(
    figure: Figure, graph: SceneGraph, shown: list[int], relations: list[int], left: float, height: float
) -> None:
    from matplotlib.patches import Rectangle

    axes = add_area(figure, left, CAPTION, LEGEND, height)
    axes.set_xlim(0, LEGEND)
    axes.set_ylim(height, 0)
    axes.axis("off")
    y = 0.12
    if shown:
        write_text(axes, 0.0, y, "Object and importance", size=9, weight="bold", ha="left")
    most = max((float(graph.importance[i]) for i in shown), default=0.0)
    for rank, i in enumerate(shown):
        y += LINE
        colour, value = object_colour(rank), float(graph.importance[i])
        write_disc(axes, 0.14, y, i + 1, colour, size=8)
        axes.add_patch(
            Rectangle(
                (0.38, y - 0.06), 1.9 * value / most if most > 0 else 0.0, 0.12, facecolor=colour, edgecolor=INK, lw=0.4
            )
        )
        write_text(axes, 2.38, y, f"{value:.3f}", size=8, ha="left")
    if relations:
        y += 1.6 * LINE
        write_text(axes, 0.0, y, "Strongest relations", size=9, weight="bold", ha="left")
        write_text(axes, 2.38, y, "probability", size=7, colour="#555555", ha="left")
    ranks = {i: rank for rank, i in enumerate(shown)}
    for row in sorted(relations, key=lambda row: -float(graph.probabilities[row])):
        y += LINE
        subject, target, predicate = (int(v) for v in graph.triplets[row])
        write_disc(axes, 0.14, y, subject + 1, object_colour(ranks[subject]), size=8)
        write_text(axes, 0.36, y, PREDICATES[predicate], size=8, ha="left")
        write_disc(axes, 1.95, y, target + 1, object_colour(ranks[target]), size=8)
        write_text(axes, 2.38, y, f"{float(graph.probabilities[row]):.2f}", size=8, ha="left")
