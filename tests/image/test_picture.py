from __future__ import annotations

import hashlib

import numpy as np

from semetric.image import read_image

BYTES = np.arange(24, dtype=np.uint8).reshape(2, 4, 3) * 10
FLOATS = np.linspace(0, 1, 24, dtype=np.float32).reshape(2, 4, 3) ** 2


def test_bytes_to_floats_and_back() -> None:
    picture = read_image(BYTES)
    assert picture.to_float().dtype == np.float32
    assert np.array_equal(picture.to_float(), BYTES.astype(np.float32) / np.float32(255))
    assert np.array_equal(read_image(picture.to_float()).to_uint8(), BYTES)


def test_floats_are_rounded_to_nearest() -> None:
    picture = read_image(FLOATS)
    assert picture.pixels.dtype == np.float32
    assert np.array_equal(picture.to_uint8(), np.rint(FLOATS * 255).astype(np.uint8))


def test_tensor_layout() -> None:
    tensor = read_image(BYTES).to_tensor()
    assert tuple(tensor.shape) == (1, 3, 2, 4)
    assert float(tensor[0, 2, 1, 3]) == np.float32(BYTES[1, 3, 2]) / np.float32(255)
    assert tensor.is_contiguous()


def test_tensor_is_a_copy() -> None:
    for pixels in (FLOATS, FLOATS[:1, :1]):
        picture = read_image(pixels)
        picture.to_tensor().zero_()
        assert np.array_equal(picture.pixels, pixels)


def test_digest_is_the_documented_one() -> None:
    expected = hashlib.sha256(b"(2, 4, 3) uint8\n" + BYTES.tobytes()).hexdigest()
    assert read_image(BYTES).digest == expected


def test_text_form_leaves_the_pixels_out() -> None:
    assert repr(read_image(BYTES)) == "Picture(name='<array>', notes=())"
