"""Makes src/semetric/data/dense_statistics.npz: means and deviations of the dense encoder's parts over photos.

All features of a network share a large common part, which says nothing of what an image shows; without it the cosines
of unrelated objects lie near 0. The photos are those of `benchmarks.photos.CALIBRATION`, which no benchmark scores.

    python -m benchmarks.dense_statistics
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.photos import calibration_photos
from semetric.image import read_image
from semetric.models.dense import DenseEncoder
from semetric.scene import rle
from semetric.scene.build import GraphBuilder
from semetric.scene.graded import membership
from semetric.scoring import runtime

__all__ = ["statistics"]

TARGET = Path(__file__).parents[1] / "src" / "semetric" / "data" / "dense_statistics.npz"


def statistics(photos: list[tuple[str, NDArray[np.uint8]]]) -> dict[str, NDArray[np.float32]]:
    """Mean and deviation of each part: "looks_mean" (384,), "looks_deviation", "shape_mean" (208,), "image_…"."""
    shared = runtime("lite", device="cpu")
    builder, encoder = GraphBuilder(shared, variant="graded"), DenseEncoder(shared)
    parts: dict[str, list[NDArray[np.float32]]] = {}
    for name, pixels in photos:
        picture = read_image(pixels)
        arrays = builder.masks(picture)
        counted = membership(arrays["iou"], arrays["stability"]) > 0
        masks = rle.decode((arrays["runs"], arrays["ends"]), picture.size)[counted]
        for part, rows in encoder.raw(pixels, masks).items():
            parts.setdefault(part, []).append(rows)
        print(name, len(masks), flush=True)
    result = {}
    for part in ("looks", "image_looks", "shape", "image_shape"):
        rows = np.concatenate(parts[part]).astype(np.float64)
        result[f"{part}_mean"] = rows.mean(axis=0).astype(np.float32)
        if part.endswith("looks"):
            result[f"{part}_deviation"] = rows.std(axis=0).astype(np.float32)
    return result


def main() -> None:
    """Writes the file."""
    np.savez(TARGET, allow_pickle=False, **statistics(calibration_photos()))
    print(TARGET)


if __name__ == "__main__":
    main()
