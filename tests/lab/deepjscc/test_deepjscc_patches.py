from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from semetric.errors import ImageError
from semetric.lab.deepjscc.patches import PhotoSet, Pixels


def photo_set(folder: Path, *, seed: int = 0, sides: tuple[int, ...] = (64,)) -> PhotoSet:
    return PhotoSet(folder, patch=32, longest_sides=sides, validation_share=0.3, seed=seed)


def test_every_photo_is_on_one_side_of_the_split(photo_folder: Path) -> None:
    photos = photo_set(photo_folder)
    assert (len(photos.training), len(photos.validation)) == (4, 2)
    training = {pixels.tobytes() for pixels in photos.training}
    assert len(training) == 4
    assert not training & {pixels.tobytes() for pixels in photos.validation}


def test_the_split_follows_from_seed_and_photos_and_not_from_names(photo_folder: Path, tmp_path: Path) -> None:
    renamed = tmp_path / "deep" / "er"
    renamed.mkdir(parents=True)
    for i, path in enumerate(sorted(photo_folder.iterdir(), reverse=True)):
        (renamed / f"z{i}.PNG").write_bytes(path.read_bytes())
    (renamed / "twin.png").write_bytes((renamed / "z0.PNG").read_bytes())  # counts once
    (renamed / "notes.txt").write_text("no photo")
    one, other = photo_set(photo_folder), photo_set(tmp_path)
    assert one.digest == other.digest
    assert [p.tobytes() for p in one.training] == [p.tobytes() for p in other.training]
    splits = {tuple(p.tobytes() for p in photo_set(photo_folder, seed=seed).validation) for seed in range(6)}
    assert len(splits) > 1


def test_photos_are_held_at_every_size(photo_folder: Path) -> None:
    photos = photo_set(photo_folder, sides=(48, 64))
    assert [max(pixels.shape[:2]) for pixels in photos.training] == [48, 64] * (len(photos.training) // 2)


def test_patches_are_cut_from_the_training_photos(photo_folder: Path) -> None:
    photos = photo_set(photo_folder)
    batch = photos.batch(3, 12)
    assert batch.shape == (12, 3, 32, 32)
    assert np.array_equal(batch, photos.batch(3, 12))
    assert not np.array_equal(batch, photos.batch(4, 12))
    cut = np.rint(batch.permute(0, 2, 3, 1).numpy() * 255).astype(np.uint8)
    windows = [sliding_window_view(pixels, (32, 32, 3))[:, :, 0] for pixels in photos.training]

    def found(patch: Pixels) -> bool:
        return any(bool((places == patch).all((2, 3, 4)).any()) for places in windows)

    plain = [found(patch) for patch in cut]
    mirrored = [found(patch[:, ::-1]) for patch in cut]
    assert all(a or b for a, b in zip(plain, mirrored, strict=True))
    assert any(plain)
    assert any(mirrored)


def test_a_damaged_photo_is_named(photo_folder: Path, tmp_path: Path) -> None:
    Image.open(photo_folder / "0.png").save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:500])
    with pytest.raises(ImageError, match=r"half\.png"):
        photo_set(tmp_path)
