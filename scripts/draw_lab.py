"""Draws the pictures of docs/lab/transformations.md and docs/lab/edits.md; the latter need the lite weights.

python scripts/draw_lab.py
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from semetric.lab.edits import EDITS, Donor, Edit, PhotoMasks
from semetric.lab.systems import Pixels
from semetric.lab.transformations import TRANSFORMATIONS

OUT = Path(__file__).parents[1] / "docs" / "images" / "lab"
WIDTH = 920  # px of a sheet
GAP, LINE = 6, 20  # px between pictures, and for the words above them
SHEETS = {
    "geometry": ("translation", "rotation", "reflection", "scaling", "deformation"),
    "damage": ("noise", "salt_and_pepper", "blur", "occlusion"),
    "colours": ("colour_filter", "contrast", "hue"),
}
Cell = tuple[str, Pixels]


def photo(name: str, longest_side: int = 512) -> Pixels:
    """One of scikit-image's photos, shrunk."""
    from skimage import data

    image = Image.fromarray(getattr(data, name)())
    image.thumbnail((longest_side, longest_side), Image.Resampling.LANCZOS)
    return np.array(image)


def sheet(rows: Sequence[Sequence[Cell]], path: Path) -> None:
    """Pictures with words above them, in rows."""
    columns = max(len(row) for row in rows)
    width = (WIDTH - (columns - 1) * GAP) // columns
    h, w = rows[0][0][1].shape[:2]
    height = round(h * width / w)
    canvas = Image.new("RGB", (WIDTH, len(rows) * (height + LINE + GAP) - GAP), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(13)
    for i, row in enumerate(rows):
        for j, (words, pixels) in enumerate(row):
            x, y = j * (width + GAP), i * (height + LINE + GAP)
            draw.text((x, y + 2), words, fill="black", font=font)
            small = Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS)
            canvas.paste(small, (x, y + LINE))
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(path, quality=72, optimize=True)


def transformed(name: str, image: Pixels, count: int) -> list[Cell]:
    """The photo at some of a transformation's strengths, from its second to its last."""
    each = TRANSFORMATIONS[name]
    steps = sorted({round(i) for i in np.linspace(min(1, len(each.strengths) - 1), len(each.strengths) - 1, count)})
    strengths = [each.strengths[i] for i in steps]
    cells = [(f"{each.label} {s:g}", each(image, s, np.random.default_rng(1))) for s in strengths]
    return cells if len(cells) > 1 else [("the photo", image), *cells]


def edited(each: Edit, image: Pixels, masks_of: Callable[[Pixels], np.ndarray], donor: Donor) -> list[Cell]:
    """The photo at every strength of an edit."""
    masks = masks_of(image)
    return [
        (f"{each.name} {strength:g}", each(image, masks, strength, np.random.default_rng(2), donor))
        for strength in each.strengths
    ]


def main() -> None:
    """Draws them all."""
    coffee = photo("coffee")
    for name, members in SHEETS.items():
        sheet([transformed(member, coffee, 4) for member in members], OUT / f"transformations_{name}.jpg")
    missing = set(TRANSFORMATIONS) - {member for members in SHEETS.values() for member in members}
    if missing:
        raise SystemExit(f"not drawn: {', '.join(sorted(missing))}")
    masks_of, cat = PhotoMasks(), photo("chelsea")
    donor = Donor(pixels=cat, masks=masks_of(cat))
    for dimension, edits in EDITS.items():
        sheet([edited(each, coffee, masks_of, donor) for each in edits], OUT / f"edits_{dimension}.jpg")


if __name__ == "__main__":
    main()
