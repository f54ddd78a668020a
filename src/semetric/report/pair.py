"""The picture of a score: both images with their matched objects, and a bar a metric."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from semetric.report.account import Account, account_of
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
from semetric.report.palette import UNMATCHED, object_colour
from semetric.report.places import paired_relations

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
MOST_ALONE = 5  # objects without a counterpart that have a number, an image
LEAST_ALONE = 0.02  # importance of such
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
    sess = scores.scores.get("sess")
    graphs: tuple[SceneGraph, SceneGraph] | None = sess.artefacts.get("graphs") if sess else None
    matching: Matching | None = sess.artefacts.get("matching") if sess else None
    pictures = (reference, image)
    sizes = [g.size for g in graphs] if graphs else [p.size for p in pictures]
    panels = panel_sizes(sizes)
    bars = [bar_of(score) for score in scores.scores.values()]
    missing = [f"{name} ({why(error)})" for name, error in scores.errors.items()]
    account = account_of(matching) if matching is not None and graphs else None
    key = _key(account, graphs) if account and graphs else []
    panels_height = max(h for _, h in panels)
    total = sum(w for w, _ in panels) + GAP
    width = max(total, 11.0) + 2 * MARGIN
    below = 0.1 + 0.19 * len(key) + 0.08
    rows = max(bars_height(len(bars), len(missing)), _list_height(account) if account else 0.0)
    height = CAPTION + panels_height + below + rows + 0.2
    figure = new_figure(width, height)
    figure.set_label("semetric pair")

    left = (width - total) / 2
    arrows = paired_relations(graphs, _numbered(account), MOST_SHARED, MOST_OWN) if account and graphs else []
    for side, (role, picture, (w, h)) in enumerate(zip(("Reference", "Image"), pictures, panels, strict=True)):
        top = CAPTION + (panels_height - h) / 2
        panel = Panel(figure, picture, sizes[side], left, top, w, h)
        if graphs and account:
            places = _draw_objects(panel, graphs[side], account, side)
            chosen, shared = arrows[side]
            panel.relate(places, graphs[side].triplets[chosen], shared)
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
        if any(len(chosen) for chosen, _ in arrows):
            _arrow_key(figure, width, top)
    top += below - 0.1
    listed = LIST_WIDTH + GAP if account else 0.0
    if bars or missing:
        area = add_area(figure, MARGIN, top, width - 2 * MARGIN - listed, bars_height(len(bars), len(missing)))
        draw_bars(area, bars, missing)
    if account and graphs:
        _list_matches(figure, account, graphs, width - MARGIN - LIST_WIDTH, top)
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


def _numbered(account: Account) -> list[tuple[int, int]]:
    """The matches that have a colour, by rank."""
    found = zip(account.counterparts[:MOST_NUMBERED].tolist(), account.adds, strict=False)
    return [(i, j) for (i, j), adds in found if adds >= LEAST_NUMBERED]


def _alone(account: Account, graph: SceneGraph, side: int) -> list[int]:
    """The objects without a counterpart that have a number."""
    return [i for i in account.alone(side, graph.importance) if graph.importance[i] >= LEAST_ALONE][:MOST_ALONE]


def _draw_objects(panel: Panel, graph: SceneGraph, account: Account, side: int) -> dict[int, NDArray[np.float64]]:
    """Draws outlines and numbers; returns the places of the numbers."""
    match = account.match(side)
    members = graph.membership
    numbered = [pair[side] for pair in _numbered(account)]
    colours = [object_colour(rank) for rank in range(len(numbered))]
    alone = _alone(account, graph, side)
    masks = [object_mask(graph, i) for i in numbered]
    panel.fill(masks, colours, [members[i] for i in numbered])
    drawn = set(numbered)
    others = _others(graph, drawn)[:MOST_OUTLINED]
    for i in others:
        if match[i] is not None:
            panel.outline(object_mask(graph, i), "#FFFFFF", f"match {i + 1}", width=0.7, member=members[i])
        else:
            heavy = 1.4 if i in alone else 0.9
            name = f"unmatched {i + 1}"
            panel.outline(object_mask(graph, i), UNMATCHED, name, width=heavy, dashed=True, member=members[i])
    for rank in reversed(range(len(numbered))):
        member = members[numbered[rank]]
        panel.outline(masks[rank], colours[rank], f"match {numbered[rank] + 1}", member=member)
    labelled = [*numbered, *alone]
    masks += [object_mask(graph, i) for i in alone]
    names = [graph.label(i) for i in labelled]
    points = panel.label(masks, [i + 1 for i in labelled], [*colours, *([UNMATCHED] * len(alone))], names)
    return dict(zip(labelled, points, strict=True))


def _others(graph: SceneGraph, drawn: set[int]) -> list[int]:
    """The objects that have no colour, the most important first; without those that count for nothing."""
    return [
        i for i in np.argsort(-graph.importance, kind="stable").tolist() if i not in drawn and graph.importance[i] > 0
    ]


def _key(account: Account, graphs: tuple[SceneGraph, SceneGraph]) -> list[str]:
    """What the drawing's signs mean, in lines; the first leaves room for the arrows' key."""
    empty = [side for side, graph in zip(("reference", "image"), graphs, strict=True) if not len(graph)]
    if empty:
        return [f"No objects were found in the {' and in the '.join(empty)}, so none match."]
    found, shown = len(account.counterparts), len(_numbered(account))
    if not found:
        first = "No two objects are alike enough to be called a match."
    elif found > shown:
        first = f"Same colour: the {shown} of {found} matches that add most to SeSS."
    else:
        first = "Same colour: matched objects."
    second = ["Numbers: an image's objects by size, 1 the largest."]
    if found > shown:
        second.append("Thin white line: other matches.")
    if any(account.alone(side, graph.importance) for side, graph in enumerate(graphs)):
        second.append("Dashed outline, grey number: no real counterpart.")
    third = []
    if any((graph.membership < 1.0).any() for graph in graphs):
        third.append("Fainter: less surely an object, and counts for less.")
    if any(len(graph) > shown + MOST_OUTLINED for graph in graphs):
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


def _list_matches(
    figure: Figure, account: Account, graphs: tuple[SceneGraph, SceneGraph], left: float, top: float
) -> None:
    """What each match adds to the score, in two columns; then the rest, and what has no counterpart."""
    shown = _numbered(account)
    height = _list_height(account)
    axes = add_area(figure, left, top, LIST_WIDTH, height)
    axes.set_xlim(0, LIST_WIDTH)
    axes.set_ylim(height, 0)
    axes.axis("off")
    write_text(axes, 0.0, 0.2, f"What adds up to SeSS {account.score:.3f}", size=9, weight="bold", ha="left")
    for k, (i, j) in enumerate(shown):
        x, y = (k // _LIST_ROWS) * LIST_WIDTH / 2, _LIST_HEAD + _LIST_LINE * (k % _LIST_ROWS)
        if k % _LIST_ROWS == 0:
            write_text(axes, x + 0.8, 0.42, "adds", size=7, colour="#555555", ha="left")
            write_text(axes, x + 1.3, 0.42, "similarity", size=7, colour="#555555", ha="left")
        write_disc(axes, x + 0.12, y, i + 1, object_colour(k), size=8)
        write_text(axes, x + 0.36, y, "↔", size=9, ha="center")
        write_disc(axes, x + 0.6, y, j + 1, object_colour(k), size=8)
        write_text(axes, x + 0.8, y, f"{account.adds[k]:+.3f}", size=8, ha="left")
        write_text(axes, x + 1.3, y, f"{account.similarity[i, j]:.2f}", size=8, ha="left")
    images = account.gamma * account.image_similarity
    rest = round(account.score - images - float(account.adds[: len(shown)].sum()), 3) + 0.0  # no "−0.000"
    lines = [f"other pairs {rest:+.3f},  whole images {images:+.3f}".replace("-", "−")]
    outside = [round(100 * max(0.0, 1.0 - float(graph.importance.sum()))) for graph in graphs]
    if any(outside):
        lines.append(f"what no object holds ({outside[0]}%, {outside[1]}%) goes to the whole images")
    lines.append(f"What is missing to 1: {1 - account.score:.3f}".replace("-", "−"))
    for side, role in enumerate(("reference", "image")):
        alone = account.alone(side, graphs[side].importance)
        if alone:
            share, most = float(graphs[side].importance[alone].sum()), _alone(account, graphs[side], side)
            names = ", ".join(str(i + 1) for i in most) + (" …" if len(alone) > len(most) else "")
            lines.append(
                f"no real counterpart: {100 * share:.0f}% of the {role}'s importance" + (f" ({names})" if most else "")
            )
    y = _LIST_HEAD + _LIST_LINE * min(_LIST_ROWS, len(shown))
    for k, line in enumerate(lines):
        write_text(axes, 0.0, y + _LIST_FOOT * k, line, size=8, ha="left")


def _list_height(account: Account) -> float:
    return _LIST_HEAD + _LIST_LINE * min(_LIST_ROWS, len(_numbered(account))) + 5 * _LIST_FOOT
