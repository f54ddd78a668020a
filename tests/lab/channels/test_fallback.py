"""What is shown in place of a rejected stream."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageFile

from semetric.lab.channels.fallback import grey, last_good_rows
from semetric.lab.systems import Pixels


def photo() -> Pixels:
    rng = np.random.default_rng(0)
    coarse = rng.integers(40, 255, (12, 16, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((160, 120), Image.Resampling.BICUBIC))


def jpeg(pixels: Pixels, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=80, **options)
    return out.getvalue()


def test_grey_is_plain() -> None:
    assert grey((2, 3)).tolist() == np.full((2, 3, 3), 128).tolist()


@pytest.mark.parametrize("share", [0.4, 0.6, 0.9])
def test_the_rows_that_came_are_those_of_the_whole_image(share: float) -> None:
    stream = jpeg(photo())
    whole = np.asarray(Image.open(io.BytesIO(stream)).convert("RGB"))
    pixels, rows = last_good_rows(stream[: int(share * len(stream))], (120, 160))
    assert 0 < rows < 120
    assert (pixels[rows:] == 128).all()
    # Chroma is interpolated across the two rows where the decoder broke off.
    assert np.array_equal(pixels[: rows - 18], whole[: rows - 18])
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_more_bytes_show_more_rows_and_all_show_all() -> None:
    stream = jpeg(photo())
    rows = [last_good_rows(stream[:end], (120, 160))[1] for end in range(0, len(stream), 200)]
    assert rows == sorted(rows)
    assert rows[0] == 0
    assert last_good_rows(stream, (120, 160))[1] == 120


@pytest.mark.parametrize(
    ("stream", "size"),
    [
        (b"", (120, 160)),
        (b"no image at all", (120, 160)),
        (jpeg(photo())[:100], (120, 160)),  # within the header
        (jpeg(photo()), (120, 161)),
        (jpeg(photo(), progressive=True), (120, 160)),  # its first scan has all rows already, badly
    ],
    ids=["empty", "noise", "header", "size", "progressive"],
)
def test_anything_else_is_grey(stream: bytes, size: tuple[int, int]) -> None:
    pixels, rows = last_good_rows(stream, size)
    assert rows == 0
    assert pixels.shape == (*size, 3)
    assert (pixels == 128).all()
