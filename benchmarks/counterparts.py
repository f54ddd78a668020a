"""Do masks hold still? How much of an image's importance finds its counterpart after an invisible change.

    python -m benchmarks.counterparts [--photos 4]

For each way of placing SAM's prompts, the masks of photos that benchmarks/meaning.py does not score are compared with
those of a JPEG of quality 60, of a copy with noise of σ 10 and of one shifted by 3 px. An object keeps its importance
if a mask of the copy covers the same place (IoU above 0.5). Prints one row a placement, as docs/masks.md shows them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.distortions import generator, jpeg, noise
from benchmarks.photos import photos
from semetric.image import Picture, read_image
from semetric.models.sam import Frame
from semetric.models.segmenter import Segmenter
from semetric.scene.graded import availability, importance_in_cells, membership
from semetric.scene.importance import spectral_residual
from semetric.scene.masks import Masks, adaptive_masks, distinct, even_masks
from semetric.scene.settings import EVEN, GRID
from semetric.scoring import runtime

__all__ = ["kept_importance"]

FIRST = 24  # of benchmarks.photos: those before are scored by benchmarks/meaning.py
SHIFT = 3  # px
SAME_PLACE = 0.5  # IoU


def kept_importance(
    masks: NDArray[np.bool_], importance: NDArray[np.float64], others: NDArray[np.bool_], shift: int = 0
) -> float:
    """The share of importance of the objects over whose place the copy has a mask.

    Args:
        masks: (N, H, W) of the photo.
        importance: (N,).
        others: (M, H, W) of the copy.
        shift: px by which the copy moved to the right.
    """
    size = masks.shape[1] * (masks.shape[2] - shift)
    first = masks[:, :, : masks.shape[2] - shift].reshape(len(masks), size).astype(np.float32)
    second = others[:, :, shift:].reshape(len(others), size).astype(np.float32)
    shared = first @ second.T
    union = first.sum(1)[:, None] + second.sum(1)[None] - shared
    iou = (shared / np.maximum(union, 1)).max(axis=1, initial=0.0)
    return float(importance[iou > SAME_PLACE].sum() / importance.sum())


def _placements() -> dict[str, Callable[..., Masks]]:
    """Name → (sam, embedding, frame) → masks."""
    rows: dict[str, Callable[..., Masks]] = {
        f"even, {side} × {side}": lambda sam, embedding, frame, side=side: even_masks(
            sam, embedding, frame, replace(EVEN, points_per_side=side)
        )
        for side in (8, 12, 16)
    }
    return {"adaptive (variant paper)": adaptive_masks, **rows}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Do masks hold still?")
    parser.add_argument("--photos", type=int, default=4)
    options = parser.parse_args()
    segmenter = Segmenter(runtime("lite", device="cpu"))
    results: dict[str, dict[str, list[float]]] = {name: {} for name in _placements()}
    for name, pixels in photos(FIRST + options.photos)[FIRST:]:
        copies = {
            "photo": pixels,
            "JPEG 60": jpeg(pixels, 60),
            "noise 10": noise(pixels, 10.0, generator(name)),
            "shift 3 px": np.roll(pixels, SHIFT, axis=1),
        }
        pictures = {change: read_image(copy) for change, copy in copies.items()}
        for placement, place in _placements().items():
            found = {change: _masks(segmenter, picture, place) for change, picture in pictures.items()}
            photo = found["photo"]
            fading = placement.startswith("even")
            members = membership(photo.iou, photo.stability) if fading else np.ones(len(photo))
            importance = importance_in_cells(spectral_residual(pixels), photo.masks, members).sum(axis=1)
            for change, copy in found.items():
                there = availability(copy.iou, copy.stability) > 0 if fading else np.ones(len(copy), bool)
                shift = SHIFT if change.startswith("shift") else 0
                kept = kept_importance(photo.masks, importance, copy.masks[there], shift)
                results[placement].setdefault(change, []).append(kept)
            results[placement].setdefault("prompts", []).append(photo.prompts)
        print(name, flush=True)
    changes = ("JPEG 60", "noise 10", "shift 3 px")
    print("| prompts | how many | " + " | ".join(changes) + " |\n|---|--:|" + "--:|" * len(changes))
    for placement, columns in results.items():
        shares = " | ".join(f"{np.mean(columns[change]):.3f}" for change in changes)
        print(f"| {placement} | {np.mean(columns['prompts']):.0f} | {shares} |")


def _masks(segmenter: Segmenter, picture: Picture, place: Callable[..., Masks]) -> Masks:
    embedding = torch.from_numpy(np.array(segmenter.embedding(picture)))
    return distinct(place(segmenter.sam, embedding, Frame.of(picture.size)), GRID)


if __name__ == "__main__":
    main()
