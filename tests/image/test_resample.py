from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from semetric.errors import UsageError
from semetric.image import read_image, resize, resize_to

PHOTO = np.random.default_rng(5).integers(0, 256, (20, 30, 3), dtype=np.uint8)


@pytest.mark.parametrize("kind", ["bilinear", "bicubic", "lanczos"])
def test_bytes_go_through_pillow(kind: str) -> None:
    expected = np.asarray(Image.fromarray(PHOTO).resize((9, 7), Image.Resampling[kind.upper()]))
    assert np.array_equal(resize(PHOTO, (7, 9), resample=kind), expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(7, 9), (41, 33)])
def test_floats_agree_with_bytes(size: tuple[int, int]) -> None:
    photo = PHOTO // 2 + np.uint8(64)  # away from the ends, where bytes are clipped after either pass
    floats = resize(photo.astype(np.float32) / np.float32(255), size)
    assert floats.dtype == np.float32
    assert floats.min() >= 0
    assert floats.max() <= 1
    # Pillow rounds bytes after each of its two passes, and a pass amplifies by up to 1.3
    assert np.abs(floats * 255 - resize(photo, size)).max() <= 0.5 * 1.3 + 0.5 + 1e-3


def test_shrinking_averages() -> None:
    checks = np.indices((64, 64)).sum(axis=0) % 2 * np.uint8(255)
    small = resize(np.repeat(checks[:, :, None], 3, axis=2).astype(np.uint8), (8, 8))
    # without antialias single squares would be picked: 0 or 255
    assert np.abs(small[2:-2, 2:-2].astype(int) - 127).max() <= 2


def test_resize_to_notes_what_it_did() -> None:
    picture = read_image(PHOTO)
    other = resize_to(picture, (7, 9))
    assert other.size == (7, 9)
    assert other.notes == ("resized from 30 × 20 to 9 × 7 (bicubic, antialias)",)
    assert other.name == picture.name
    assert other.digest != picture.digest
    assert not other.pixels.flags.writeable


def test_same_size_is_the_same_picture() -> None:
    picture = read_image(PHOTO)
    assert resize_to(picture, (20, 30)) is picture


def test_empty_size_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 1 × 1 px; found 9 × 0"):
        resize(PHOTO, (0, 9))
