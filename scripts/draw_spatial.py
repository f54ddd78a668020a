"""Draws the pictures of docs/spatial.md: for each spatial predicate a scene, and the scores that its masks get.

python scripts/draw_spatial.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from semetric.scene.predicates import PREDICATES
from semetric.scene.spatial import SPATIAL_PREDICATES, spatial_probabilities

mpl.use("agg")

OUT = Path(__file__).parents[1] / "docs" / "images" / "spatial"
H, W = 120, 160
Y, X = np.mgrid[:H, :W]
Mask = NDArray[np.bool_]


def box(x0: int, y0: int, x1: int, y1: int) -> Mask:
    """A rectangle, right and lower bound outside."""
    inside: Mask = (x0 <= X) & (x1 > X) & (y0 <= Y) & (y1 > Y)
    return inside


def disc(x: int, y: int, r: int) -> Mask:
    """A disc."""
    inside: Mask = (X - x) ** 2 + (Y - y) ** 2 <= r * r
    return inside


def scenes() -> dict[str, tuple[str, Mask, str, Mask]]:
    """Predicate → (subject, its mask, object, its mask)."""
    person = disc(80, 52, 9) | box(72, 60, 88, 102)
    house = box(30, 20, 130, 90)
    field = box(0, 45, 160, 120)
    cow = box(55, 65, 100, 85) | box(58, 85, 64, 97) | box(91, 85, 97, 97)
    cup = box(66, 40, 90, 68) | (disc(93, 53, 9) & ~disc(93, 53, 5))
    tree = disc(45, 45, 24) | box(41, 65, 49, 105)
    left, right = disc(45, 60, 30), box(75, 30, 130, 95)
    return {
        "over": ("bird", disc(70, 25, 8) | box(55, 22, 85, 26), "lake", box(0, 70, 160, 120)),
        "in front of": ("person", person, "house", house & ~person),
        "beside": ("tree", tree, "house", box(85, 40, 145, 105)),
        "on": ("cup", cup, "table", box(20, 68, 140, 82) | box(28, 82, 36, 118) | box(124, 82, 132, 118)),
        "in": ("cow", cow, "field", field & ~cow),
        "attached to": ("window", box(50, 38, 72, 62), "house", house),
        "hanging from": ("lamp", box(78, 24, 82, 50) | (disc(80, 62, 14) & (Y < 64)), "ceiling", box(0, 0, 160, 24)),
        "touching": ("balloon", left, "box", right & ~left),
        "enclosing": ("field", field & ~cow, "cow", cow),
    }


def draw(predicate: str, scene: tuple[str, Mask, str, Mask], path: Path) -> None:
    """One scene, and what geometry says of subject and object, best first."""
    from matplotlib.figure import Figure

    subject, one, object_, two = scene
    scores = spatial_probabilities(np.stack([one, two]))[:, 0, 1]
    best = np.argsort(-scores, kind="stable")[:2]
    lines = [f"{PREDICATES[p]} {scores[p]:.2f}" for p in best if scores[p] > 0]
    canvas = np.full((H, W, 3), 0.96)
    canvas[two] = (0.62, 0.71, 0.80)
    canvas[one] = (0.90, 0.45, 0.20)
    both = one & two
    canvas[both & ((X + Y) % 8 < 4)] = (0.62, 0.71, 0.80)  # hatched: in both masks
    figure = Figure(figsize=(2.6, 2.4), dpi=100)
    axes = figure.add_axes((0.02, 0.13, 0.96, 0.74))
    axes.imshow(canvas, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    figure.text(0.5, 0.935, f"{subject} {predicate} {object_}", ha="center", va="center", fontsize=9, weight="bold")
    figure.text(0.5, 0.06, " · ".join(lines), ha="center", va="center", fontsize=8, color="0.3")
    figure.savefig(path, metadata={"Software": None})


def main() -> None:
    """Draws them all."""
    OUT.mkdir(parents=True, exist_ok=True)
    for predicate, scene in scenes().items():
        draw(predicate, scene, OUT / f"{predicate.replace(' ', '_')}.png")
    missing = set(SPATIAL_PREDICATES) - set(scenes())
    if missing:
        raise SystemExit(f"no scene for {', '.join(sorted(missing))}")


if __name__ == "__main__":
    main()
