"""The photos of a training: read once, shrunk, split, and cut into random patches."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semetric.errors import ImageError, UsageError
from semetric.image import read_image
from semetric.image.suffixes import SUFFIXES

__all__ = ["PhotoSet", "Pixels"]

Pixels = NDArray[np.uint8]


class PhotoSet:
    """The photos of a folder, in memory: those that train and those that are held out for validation.

    Args:
        folder: searched at every depth.
        patch: side of the training patches, in pixels; smaller photos are left out.
        longest_sides: each photo is held once for each of these, shrunk to it where it is larger (Lanczos).
        validation_share: of the photos, at least one.
        seed: of the split.

    Attributes:
        digest: SHA-256, in hex, over the digests of the photos in order: the name of this set.
        training: (H, W, 3) uint8 each.
        validation: (side, side, 3) uint8 each: the centre of a photo at the first of the longest sides.

    Raises:
        UsageError: no folder, or fewer than two photos in it.
        ImageError: a file that cannot be read.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        patch: int,
        longest_sides: Sequence[int],
        validation_share: float,
        seed: int,
    ) -> None:
        photos: dict[str, list[Pixels]] = {}
        for path in _paths(Path(folder)):
            picture = read_image(path)
            sizes = [_shrunk(picture.to_uint8(), side) for side in longest_sides]
            if min(sizes[0].shape[:2]) >= patch:
                photos[picture.digest] = sizes  # equal photos count once
        if len(photos) < 2:
            raise UsageError(
                f"Expected at least two photos of {patch} × {patch} px or more in {os.fspath(folder)} "
                f"(at most {longest_sides[0]} px long); found {len(photos)}."
            )
        names = sorted(photos)
        order = np.random.default_rng([seed, 0]).permutation(len(names))
        count = min(max(1, round(validation_share * len(names))), len(names) - 1)
        held = {names[i] for i in order[:count]}
        self.digest = hashlib.sha256("".join(names).encode()).hexdigest()
        self.training = [sized for name in names if name not in held for sized in photos[name]]
        self.validation = [_centre(photos[name][0]) for name in names if name in held]
        self._patch = patch
        self._seed = seed

    def batch(self, step: int, size: int) -> Tensor:
        """Patches at random places of random photos, half of them mirrored.

        Args:
            step: which batch; equal steps give equal patches.
            size: how many patches.

        Returns:
            (size, 3, patch, patch) float32 in [0, 1].
        """
        rng = np.random.default_rng([self._seed, 1, step])
        side = self._patch
        cut = np.empty((size, side, side, 3), np.uint8)
        for i in range(size):
            photo = self.training[int(rng.integers(len(self.training)))]
            y, x = (int(rng.integers(n - side + 1)) for n in photo.shape[:2])
            piece = photo[y : y + side, x : x + side]
            cut[i] = piece[:, ::-1] if rng.random() < 0.5 else piece
        return torch.from_numpy(cut).permute(0, 3, 1, 2).float() / 255.0


def _paths(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UsageError(f"Expected a folder of photos; {folder} is none.")
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def _shrunk(pixels: Pixels, longest_side: int) -> Pixels:
    from PIL import Image

    scale = longest_side / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    height, width = (max(1, round(n * scale)) for n in pixels.shape[:2])
    try:
        small = Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS)
    except ValueError as error:
        raise ImageError(f"A photo of {pixels.shape[1]} × {pixels.shape[0]} px cannot be shrunk: {error}.") from error
    return np.asarray(small, dtype=np.uint8)


def _centre(pixels: Pixels, side: int = 256) -> Pixels:
    h, w = pixels.shape[:2]
    y, x = max(0, (h - side) // 2), max(0, (w - side) // 2)
    return pixels[y : y + side, x : x + side]
