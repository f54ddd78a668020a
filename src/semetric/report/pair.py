"""The picture of a score: both images with their matched objects, and a bar a metric."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from semetric.formatting import minus
from semetric.report.account import Account, SceneObject, account_of
from semetric.report.bars import bar_of, bars_height, draw_bars, why
from semetric.report.drawing import (
    Panel,
    add_area,
    arrow_style,
    file_name,
    fit_text,
    new_figure,
    object_mask,
    write_disc,
    write_text,
)
from semetric.report.output import check_output, write
from semetric.report.palette import UNMATCHED
from semetric.report.places import paired_relations

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from semetric.image import Picture
    from semetric.scoring import Scores

__all__ = ["pair_figure", "panel_sizes", "save_plot"]

MOST_OUTLINED = 24  # other objects an image
MOST_SHARED, MOST_OWN = 5, 3  # relations an image: that both have, that it alone has
MOST_RELATIONS = MOST_SHARED + MOST_OWN
MARGIN, GAP, CAPTION = 0.35, 0.3, 0.34  # inches
PANELS_WIDTH, PANELS_HEIGHT = 12.3, 6.2  # inches that both photos may take together, and that each may be high
SHORTEST = 1.6  # inches of a photo's side, however long the other
LIST_WIDTH = 4.1
_LIST_ROWS, _LIST_HEAD, _LIST_LINE, _LIST_FOOT = 6, 0.64, 0.27, 0.2


def save_plot(scores: Scores, reference: Picture, image: Picture, path: str | os.PathLike[str]) -> None:
    """Writes both images side by side, matched objects in one colour, and a bar a metric.

    An object's number is its place in its image's graph, counted from 1, as in `save_graph`; 3 ↔ 5 is a match.

    Without a SeSS score the images carry no objects.

    Args:
        scores: of this pair; their artefacts hold the graphs and the matching.
        reference: the first image.
        image: the second.
        path: .png, .pdf or .svg.

    Raises:
        UsageError: another suffix, or the path is the file of one of the images.
        StoreError: the picture cannot be written there.
    """
    check_output(path, [reference.name, image.name])
    write(lambda: pair_figure(scores, reference, image), path)


def pair_figure(scores: Scores, reference: Picture, image: Picture) -> Figure:
    """The figure that `save_plot` writes."""
    account = account_of(scores.scores.get("sess"))
    pictures = (reference, image)
    sizes = [graph.size for graph in account.graphs] if account else [picture.size for picture in pictures]
    panels = panel_sizes(sizes)
    bars = [bar_of(score) for score in scores.scores.values()]
    missing = [f"{name} ({why(error)})" for name, error in scores.errors.items()]
    key = _key(account) if account else []
    panels_height = max(h for _, h in panels)
    total = sum(w for w, _ in panels) + GAP
    width = max(total, 11.0) + 2 * MARGIN
    below = 0.1 + 0.19 * len(key) + 0.08
    rows = max(bars_height(len(bars), len(missing)), _list_height(account) if account else 0.0)
    height = CAPTION + panels_height + below + rows + 0.2
    figure = new_figure(width, height)
    figure.set_label("semetric pair")

    left = (width - total) / 2
    arrows = []
    if account:
        matched = [(one.index, one.match) for one in _coloured(account, 0) if one.match is not None]
        arrows = paired_relations(account.graphs, matched, MOST_SHARED, MOST_OWN)
    for side, (role, picture, (w, h)) in enumerate(zip(("Reference", "Image"), pictures, panels, strict=True)):
        top = CAPTION + (panels_height - h) / 2
        panel = Panel(figure, picture, sizes[side], left, top, w, h)
        if account:
            places = _draw_objects(panel, account, side)
            chosen, shared = arrows[side]
            panel.relate(places, account.graphs[side].triplets[chosen], shared)
        count = f"{len(account.graphs[side])} objects, " if account else ""
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
        if any(len(chosen) for chosen, _ in arrows):
            _arrow_key(figure, width, top)
    top += below - 0.1
    listed = LIST_WIDTH + GAP if account else 0.0
    if bars or missing:
        area = add_area(figure, MARGIN, top, width - 2 * MARGIN - listed, bars_height(len(bars), len(missing)))
        draw_bars(area, bars, missing)
    if account:
        _list_matches(figure, account, width - MARGIN - LIST_WIDTH, top)
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


def _coloured(account: Account, side: int) -> list[SceneObject]:
    """The objects whose match has a colour, by what it adds: those of both sides correspond."""
    return sorted((one for one in account.objects[side] if one.colour), key=lambda one: one.rank)


def _numbered_alone(account: Account, side: int) -> list[SceneObject]:
    """The objects without a counterpart that have a number, the most important first."""
    return [one for one in map(account.objects[side].__getitem__, account.alone(side)) if one.numbered]


def _draw_objects(panel: Panel, account: Account, side: int) -> dict[int, NDArray[np.float64]]:
    """Draws outlines and numbers; returns the places of the numbers."""
    graph = account.graphs[side]
    coloured, alone = _coloured(account, side), _numbered_alone(account, side)
    colours = [one.colour or UNMATCHED for one in (*coloured, *alone)]
    masks = [object_mask(graph, one.index) for one in (*coloured, *alone)]
    panel.fill(masks[: len(coloured)], colours[: len(coloured)], [one.member for one in coloured])
    others = [one for one in account.objects[side] if not one.colour and one.importance > 0]
    for one in sorted(others, key=lambda one: -one.importance)[:MOST_OUTLINED]:
        mask = object_mask(graph, one.index)
        if one.match is not None:
            panel.outline(mask, "#FFFFFF", f"match {one.number}", width=0.7, member=one.member)
        else:
            heavy = 1.4 if one.numbered else 0.9
            panel.outline(mask, UNMATCHED, f"unmatched {one.number}", width=heavy, dashed=True, member=one.member)
    for one, mask, colour in reversed(list(zip(coloured, masks, colours, strict=False))):
        panel.outline(mask, colour, f"match {one.number}", member=one.member)
    labelled = [*coloured, *alone]
    points = panel.label(masks, [one.number for one in labelled], colours, [one.label for one in labelled])
    return {one.index: point for one, point in zip(labelled, points, strict=True)}


def _key(account: Account) -> list[str]:
    """What the drawing's signs mean, in lines; the first leaves room for the arrows' key."""
    empty = [role for role, graph in zip(("reference", "image"), account.graphs, strict=True) if not len(graph)]
    if empty:
        return [f"No objects were found in the {' and in the '.join(empty)}, so none match."]
    matches, shown = len(account.counterparts), len(_coloured(account, 0))
    if not matches:
        first = "No two objects are alike enough to be called a match."
    elif matches > shown:
        first = f"Same colour: the {shown} of {matches} matches that add most to SeSS."
    else:
        first = "Same colour: matched objects."
    second = ["Numbers: an image's objects by size, 1 the largest."]
    if matches > shown:
        second.append("Thin white line: other matches.")
    if account.alone(0) or account.alone(1):
        second.append("Dashed outline, grey number: no real counterpart.")
    third = []
    if any((graph.membership < 1.0).any() for graph in account.graphs):
        third.append("Fainter: less surely an object, and counts for less.")
    if any(len(graph) > shown + MOST_OUTLINED for graph in account.graphs):
        third.append(f"Of objects without a colour the {MOST_OUTLINED} most important are outlined.")
    return [first, "  ".join(second), *(["  ".join(third)] if third else [])]


def _arrow_key(figure: Figure, width: float, top: float) -> None:
    """What solid and dashed arrows mean, to the right of the key's first line."""
    from matplotlib.patches import FancyArrowPatch, Rectangle

    axes = add_area(figure, width - MARGIN - 6.0, top, 6.0, 0.19)
    axes.set_xlim(0, 6.0)
    axes.set_ylim(0.19, 0)
    axes.axis("off")
    for x, solid, words in (
        (0.3, True, "relation that both images have"),
        (3.0, False, "one that this image alone has"),
    ):
        axes.add_patch(Rectangle((x, 0.0), 0.5, 0.19, facecolor="#8A8A8A"))
        arrow = FancyArrowPatch(
            (x + 0.04, 0.095),
            (x + 0.46, 0.095),
            arrowstyle="-|>",
            mutation_scale=9,
            shrinkA=0,
            shrinkB=0,
            **arrow_style(solid),
        )
        axes.add_patch(arrow)
        write_text(axes, x + 0.58, 0.095, words, size=8, colour="#444444", ha="left")


def _list_matches(figure: Figure, account: Account, left: float, top: float) -> None:
    """What each match adds to the score, in two columns; then the rest, and what has no counterpart."""
    matching, matches = account.matching, _coloured(account, 0)
    height = _list_height(account)
    axes = add_area(figure, left, top, LIST_WIDTH, height)
    axes.set_xlim(0, LIST_WIDTH)
    axes.set_ylim(height, 0)
    axes.axis("off")
    write_text(axes, 0.0, 0.2, f"What adds up to SeSS {matching.score:.3f}", size=9, weight="bold", ha="left")
    for k, (one, two) in enumerate(zip(matches, _coloured(account, 1), strict=True)):
        x, y = (k // _LIST_ROWS) * LIST_WIDTH / 2, _LIST_HEAD + _LIST_LINE * (k % _LIST_ROWS)
        if k % _LIST_ROWS == 0:
            write_text(axes, x + 0.8, 0.42, "adds", size=7, colour="#555555", ha="left")
            write_text(axes, x + 1.3, 0.42, "similarity", size=7, colour="#555555", ha="left")
        write_disc(axes, x + 0.12, y, one.number, one.colour or UNMATCHED, size=8)
        write_text(axes, x + 0.36, y, "↔", size=9, ha="center")
        write_disc(axes, x + 0.6, y, two.number, two.colour or UNMATCHED, size=8)
        write_text(axes, x + 0.8, y, f"{one.adds:+.3f}", size=8, ha="left")
        write_text(axes, x + 1.3, y, f"{one.after:.2f}", size=8, ha="left")
    images = matching.image_weight * matching.image_similarity
    rest = round(matching.score - images - float(account.adds[: len(matches)].sum()), 3) + 0.0  # no "−0.000"
    lines = [f"other pairs {rest:+.3f},  whole images {images:+.3f}"]
    outside = [round(100 * max(0.0, 1.0 - float(graph.importance.sum()))) for graph in account.graphs]
    if any(outside):
        lines.append(f"what no object holds ({outside[0]}%, {outside[1]}%) goes to the whole images")
    lines.append(f"What is missing to 1: {1 - matching.score:.3f}")
    for side, role in enumerate(("reference", "image")):
        objects = account.objects[side]
        alone = [i for i in account.alone(side) if not objects[i].seen_in_place]
        numbered = [one for one in _numbered_alone(account, side) if not one.seen_in_place]
        if alone:
            share = float(account.graphs[side].importance[alone].sum())
            names = ", ".join(str(one.number) for one in numbered) + (" …" if len(alone) > len(numbered) else "")
            listed = f" ({names})" if numbered else ""
            lines.append(f"no real counterpart: {100 * share:.0f}% of the {role}'s importance{listed}")
    y = _LIST_HEAD + _LIST_LINE * min(_LIST_ROWS, len(matches))
    for k, line in enumerate(lines):
        write_text(axes, 0.0, y + _LIST_FOOT * k, minus(line), size=8, ha="left")


def _list_height(account: Account) -> float:
    return _LIST_HEAD + _LIST_LINE * min(_LIST_ROWS, len(_coloured(account, 0))) + 5 * _LIST_FOOT
