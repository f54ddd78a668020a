"""The picture of a score: both images with their matched objects, and a bar a metric."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from semetric.report.bars import bar_of, bars_height, draw_bars, why
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
from semetric.report.palette import UNMATCHED, object_colour
from semetric.report.places import strongest_relations

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from semetric.image import Picture
    from semetric.scene.graph import SceneGraph
    from semetric.scene.matching import Matching
    from semetric.scoring import Scores

__all__ = ["pair_figure", "panel_sizes", "save_plot"]

MOST_NUMBERED = 12  # matches
LEAST_NUMBERED = 0.001  # that a match must add to SeSS to have a number
MOST_OUTLINED = 24  # other objects an image
MOST_RELATIONS = 5  # an image
MARGIN, GAP, CAPTION = 0.35, 0.3, 0.34  # inches
PANELS_WIDTH, PANELS_HEIGHT = 12.3, 6.2  # inches that both photos may take together, and that each may be high
SHORTEST = 1.6  # inches of a photo's side, however long the other
LIST_WIDTH = 3.3
_LIST_ROWS, _LIST_HEAD, _LIST_LINE = 6, 0.64, 0.27


def save_plot(scores: Scores, reference: Picture, image: Picture, path: str | os.PathLike[str]) -> None:
    """Writes both images side by side, matched objects in one colour and number, and a bar a metric.

    Without a SeSS score the images carry no objects.

    Args:
        scores: of this pair; their artefacts hold the graphs and the matching.
        reference: the first image.
        image: the second.
        path: .png, .pdf or .svg.

    Raises:
        UsageError: another suffix.
        StoreError: the picture cannot be written there.
    """
    check_output(path)
    write(pair_figure(scores, reference, image), path)


def pair_figure(scores: Scores, reference: Picture, image: Picture) -> Figure:
    """The figure that `save_plot` writes."""
    sess = scores.scores.get("sess")
    graphs: tuple[SceneGraph, SceneGraph] | None = sess.artefacts.get("graphs") if sess else None
    matching: Matching | None = sess.artefacts.get("matching") if sess else None
    pictures = (reference, image)
    sizes = [g.size for g in graphs] if graphs else [p.size for p in pictures]
    panels = panel_sizes(sizes)
    bars = [bar_of(score) for score in scores.scores.values()]
    missing = [f"{name} ({why(error)})" for name, error in scores.errors.items()]
    key = _key(matching, graphs) if matching is not None and graphs else []
    panels_height = max(h for _, h in panels)
    total = sum(w for w, _ in panels) + GAP
    width = max(total, 11.0) + 2 * MARGIN
    below = 0.1 + 0.19 * len(key) + 0.08
    rows = max(bars_height(len(bars), len(missing)), _list_height(matching) if matching is not None else 0.0)
    height = CAPTION + panels_height + below + rows + 0.2
    figure = new_figure(width, height)
    figure.set_label("semetric pair")

    left = (width - total) / 2
    for side, (role, picture, (w, h)) in enumerate(zip(("Reference", "Image"), pictures, panels, strict=True)):
        top = CAPTION + (panels_height - h) / 2
        panel = Panel(figure, picture, sizes[side], left, top, w, h)
        if graphs and matching is not None:
            _draw_objects(panel, graphs[side], matching, side)
        count = f"{len(graphs[side])} objects, " if graphs else ""
        size = f"  ({count}{picture.size[1]} × {picture.size[0]})"
        caption = add_area(figure, left, top - 0.28, w, 0.26)
        caption.axis("off")
        name = fit_text(f"{role}: {file_name(picture.name)}", w - 0.075 * len(size), 10)
        write_text(caption, 0.0, 0.5, name + size, size=10, ha="left")
        left += w + GAP

    top = CAPTION + panels_height + 0.1
    if key:
        words = add_area(figure, MARGIN, top, width - 2 * MARGIN, 0.19 * len(key))
        words.set_ylim(len(key), 0)
        words.axis("off")
        for i, line in enumerate(key):
            write_text(words, 0.0, i + 0.5, line, size=8, colour="#444444", ha="left")
    top += below - 0.1
    listed = LIST_WIDTH + GAP if matching is not None else 0.0
    if bars or missing:
        area = add_area(figure, MARGIN, top, width - 2 * MARGIN - listed, bars_height(len(bars), len(missing)))
        draw_bars(area, bars, missing)
    if matching is not None:
        _list_matches(figure, matching, width - MARGIN - LIST_WIDTH, top)
    return figure


def panel_sizes(sizes: Sequence[tuple[int, int]]) -> list[tuple[float, float]]:
    """(width, height) in inches of photos of those (H, W) pixels: one height, in their own shapes where these are not
    extreme."""
    aspects = [w / h for h, w in sizes]
    room = PANELS_WIDTH - GAP * (len(sizes) - 1)
    height = min(PANELS_HEIGHT, room / sum(aspects))
    out = []
    for aspect in aspects:
        w, h = aspect * height, height
        out.append((max(w, SHORTEST), max(h, SHORTEST)))
    return out


def _contributions(matching: Matching) -> dict[tuple[int, int], float]:
    return {(int(i), int(j)): float(c) for (i, j), c in zip(matching.pairs, matching.contributions, strict=True)}


def _numbered(matching: Matching) -> list[tuple[int, int]]:
    """The matches that have a number, by rank."""
    parts = _contributions(matching)
    pairs = [(int(i), int(j)) for i, j in matching.assignment[:MOST_NUMBERED]]
    return [pair for pair in pairs if parts[pair] >= LEAST_NUMBERED]


def _draw_objects(panel: Panel, graph: SceneGraph, matching: Matching, side: int) -> None:
    matched = matching.assignment[:, side].tolist()
    numbered = [pair[side] for pair in _numbered(matching)]
    colours = [object_colour(rank) for rank in range(len(numbered))]
    masks = [object_mask(graph, i) for i in numbered]
    panel.fill(masks, colours)
    drawn = set(numbered)
    others = [i for i in np.argsort(-graph.importance, kind="stable").tolist() if i not in drawn][:MOST_OUTLINED]
    for i in others:
        if i in matched:
            panel.outline(object_mask(graph, i), "#FFFFFF", f"match {matched.index(i) + 1}", width=0.7)
        else:
            panel.outline(object_mask(graph, i), UNMATCHED, f"unmatched {i}", width=0.9, dashed=True)
    for rank in reversed(range(len(numbered))):
        panel.outline(masks[rank], colours[rank], f"match {rank + 1}")
    points = panel.label(masks, range(1, len(numbered) + 1), colours)
    chosen = strongest_relations(graph.triplets, graph.probabilities, graph.importance, numbered, MOST_RELATIONS)
    panel.relate(dict(zip(numbered, points, strict=True)), graph.triplets[chosen])


def _key(matching: Matching, graphs: tuple[SceneGraph, SceneGraph]) -> list[str]:
    """What the drawing's signs mean, in lines."""
    found = len(matching.assignment)
    if not found:
        empty = [side for side, graph in zip(("reference", "image"), graphs, strict=True) if not len(graph)]
        return [f"No objects were found in the {' and in the '.join(empty)}, so none match."]
    shown = len(_numbered(matching))
    which = f"the {shown} of {found} matches that add most to SeSS" if found > shown else "matched objects"
    first = f"Same number and colour: {which}.  Arrows: the strongest relations between them."
    second = []
    if found > shown:
        second.append("Thin white line: other matched objects.")
    if len(graphs[0]) != len(graphs[1]):
        second.append("Dashed line: objects without a counterpart.")
    if any(len(graph) > shown + MOST_OUTLINED for graph in graphs):
        second.append(f"Of objects without a number the {MOST_OUTLINED} most important are outlined.")
    return [first, "  ".join(second)] if second else [first]


def _list_matches(figure: Figure, matching: Matching, left: float, top: float) -> None:
    """What each numbered match adds to the score, in two columns."""
    parts, shown = _contributions(matching), _numbered(matching)
    height = _list_height(matching)
    axes = add_area(figure, left, top, LIST_WIDTH, height)
    axes.set_xlim(0, LIST_WIDTH)
    axes.set_ylim(height, 0)
    axes.axis("off")
    write_text(axes, 0.0, 0.2, f"What adds up to SeSS {matching.score:.3f}", size=9, weight="bold", ha="left")
    for k, pair in enumerate(shown):
        x, y = (k // _LIST_ROWS) * LIST_WIDTH / 2, _LIST_HEAD + _LIST_LINE * (k % _LIST_ROWS)
        if k % _LIST_ROWS == 0:
            write_text(axes, x + 0.32, 0.42, "adds", size=7, colour="#555555", ha="left")
            write_text(axes, x + 0.85, 0.42, "similarity", size=7, colour="#555555", ha="left")
        write_disc(axes, x + 0.12, y, k + 1, object_colour(k), size=8)
        write_text(axes, x + 0.32, y, f"{parts[pair]:+.3f}", size=8, ha="left")
        write_text(axes, x + 0.85, y, f"{matching.final[pair]:.2f}".replace("-", "−"), size=8, ha="left")
    rest = sum(parts.values()) - sum(parts[pair] for pair in shown)
    words = f"other matches {rest:+.3f},  whole images {matching.image_contribution:+.3f}".replace("-", "−")
    write_text(axes, 0.0, _LIST_HEAD + _LIST_LINE * min(_LIST_ROWS, len(shown)), words, size=8, ha="left")


def _list_height(matching: Matching) -> float:
    return _LIST_HEAD + _LIST_LINE * min(_LIST_ROWS, len(_numbered(matching))) + 0.15
