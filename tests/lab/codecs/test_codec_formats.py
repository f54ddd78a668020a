"""JPEG, JPEG 2000, WebP, AVIF, HEIC: round trips, determinism, damaged streams."""

from __future__ import annotations

import builtins
import contextlib
import io
import time
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from semetric.errors import CodecError, ImageError, MissingExtraError, UsageError
from semetric.lab.codecs import Codec, create_codec
from semetric.lab.codecs.webp import WebP

NAMES = ("jpeg", "jpeg2000", "webp", "avif", "heic")
CODECS = {name: create_codec(name) for name in NAMES}
each = pytest.mark.parametrize("codec", CODECS.values(), ids=NAMES)


def psnr_db(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


@each
@given(h=st.integers(1, 40), w=st.integers(1, 40), place=st.floats(0, 1), seed=st.integers(0, 9))
@settings(max_examples=15, deadline=None)
def test_every_size_comes_back(codec: Codec, h: int, w: int, place: float, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (h, w, 3), dtype=np.uint8)
    stream = codec.encode(pixels, codec.steps[round(place * (len(codec.steps) - 1))])
    for size in (None, (h, w)):
        back = codec.decode(stream, size)
        assert (back.shape, back.dtype) == (pixels.shape, np.uint8)
    with pytest.raises(CodecError, match="px were sent"):
        codec.decode(stream, (h, w + 1))


@each
@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (200, 1), (63, 65)])
def test_thin_and_odd_images(codec: Codec, shape: tuple[int, int]) -> None:
    pixels = np.full((*shape, 3), (200, 40, 90), np.uint8)
    back = codec.decode(codec.encode(pixels, codec.steps[-1]), shape)
    # One colour survives the best quality but for the rounding of YCbCr, 1 or 2 levels, and WebP's 16..235 range: a
    # hue that has turned would be off by dozens.
    assert np.abs(back.astype(int) - pixels).max() <= 6


@each
def test_equal_input_gives_equal_bytes(codec: Codec, small_photo: NDArray[np.uint8]) -> None:
    quality = codec.steps[len(codec.steps) // 2]
    stream = codec.encode(small_photo, quality)
    assert codec.encode(small_photo, quality) == stream
    assert codec.encode(np.asfortranarray(small_photo), quality) == stream
    again = create_codec(codec.name)
    assert again.encode(small_photo, quality) == stream
    assert again.to_dict() == codec.to_dict()


@each
def test_rate_rises_with_quality_and_so_does_fidelity(codec: Codec, small_photo: NDArray[np.uint8]) -> None:
    count = len(codec.steps)
    places = [round(k * (count - 1) / 10) for k in range(11)]
    streams = [codec.encode(small_photo, codec.steps[place]) for place in places]
    lengths = [len(stream) for stream in streams]
    assert all(a <= b for a, b in pairwise(lengths))
    assert lengths[-1] > 4 * lengths[0]
    fidelity = [psnr_db(small_photo, codec.decode(stream)) for stream in streams]
    assert fidelity[-1] > 33  # 4:2:0 of a colourful small photo stays below 40
    assert all(a < b + 0.5 for a, b in pairwise(fidelity))


@each
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_damaged_streams_are_rejected_or_keep_their_size(codec: Codec, data: Any) -> None:
    pixels = np.add.outer(np.arange(24), np.arange(40))[..., None] * np.array([1, 2, 3]) % 256
    pixels = pixels.astype(np.uint8)
    stream = bytearray(codec.encode(pixels, codec.steps[len(codec.steps) // 2]))
    kind = data.draw(st.sampled_from(["cut", "flip", "header", "noise", "twice"]))
    if kind == "cut":
        stream = stream[: data.draw(st.integers(0, len(stream) - 1))]
    elif kind == "noise":
        stream = bytearray(data.draw(st.binary(max_size=200)))
    elif kind == "twice":
        stream = stream + stream
    else:
        reach = len(stream) if kind == "flip" else min(len(stream), 64)
        for at in data.draw(st.lists(st.integers(0, reach - 1), min_size=1, max_size=8)):
            stream[at] ^= data.draw(st.integers(1, 255))
    began = time.monotonic()
    with contextlib.suppress(CodecError):  # and nothing else
        assert codec.decode(bytes(stream), (24, 40)).shape == (24, 40, 3)
    assert time.monotonic() - began < 5  # milliseconds on an idle machine


@each
def test_another_format_is_not_decoded(codec: Codec, small_photo: NDArray[np.uint8]) -> None:
    out = io.BytesIO()
    Image.fromarray(small_photo).save(out, "PNG")
    with pytest.raises(CodecError, match="rejected a stream of"):
        codec.decode(out.getvalue())


@each
def test_a_claimed_giant_is_refused_before_it_is_decoded(codec: Codec) -> None:
    """The size in the header made enormous, where that is a matter of a few bytes."""
    stream = codec.encode(np.zeros((16, 16, 3), np.uint8), codec.steps[0])
    small = {"jpeg": b"\x00\x10\x00\x10\x03", "jpeg2000": b"\0\0\0\x10\0\0\0\x10", "webp": b"\x10\x00\x10\x00"}
    large = {"jpeg": b"\xff\xf0\xff\xf0\x03", "jpeg2000": b"\0\0\xff\xf0\0\0\xff\xf0", "webp": b"\xff\x3f\xff\x3f"}
    if codec.name not in small:
        small[codec.name], large[codec.name] = b"ispe\0\0\0\0\0\0\0", b"ispe\0\0\0\0\0\0\xff"
    assert small[codec.name] in stream
    bomb = stream.replace(small[codec.name], large[codec.name])
    for size in (None, (16, 16)):
        with pytest.raises(CodecError):
            codec.decode(bomb, size)


@pytest.mark.parametrize("quality", range(1, 101, 3))
def test_jpeg_at_whole_numbers_is_everybodys_jpeg(quality: int, small_photo: NDArray[np.uint8]) -> None:
    out = io.BytesIO()
    Image.fromarray(small_photo).save(out, "JPEG", quality=quality, optimize=True)
    assert CODECS["jpeg"].encode(small_photo, quality) == out.getvalue()


def test_jpeg_subsampling_and_scans(small_photo: NDArray[np.uint8]) -> None:
    lengths = [len(create_codec("jpeg", subsampling=s).encode(small_photo, 75)) for s in ("4:2:0", "4:2:2", "4:4:4")]
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[2]
    assert b"\xff\xc2" in create_codec("jpeg", progressive=True).encode(small_photo, 75)  # SOF2
    assert b"\xff\xc0" in CODECS["jpeg"].encode(small_photo, 75)  # SOF0: baseline


@each
def test_no_metadata_travels(codec: Codec, small_photo: NDArray[np.uint8]) -> None:
    stream = codec.encode(small_photo, codec.steps[0])
    assert b"Exif" not in stream
    assert b"ICC_PROFILE" not in stream
    assert b"XMP" not in stream


def test_webp_steps_follow_the_quantiser() -> None:
    steps = WebP.steps
    assert (steps[0], steps[-1]) == (0, 100)
    assert all(a <= b for a, b in pairwise(steps))
    assert any(abs(step - 75) < 0.5 for step in steps)  # the joint of the two branches


@each
@pytest.mark.parametrize("quality", [-5, 1e9, float("nan"), "high", True, None])
def test_qualities_off_the_scale(codec: Codec, quality: Any, small_photo: NDArray[np.uint8]) -> None:
    with pytest.raises(UsageError, match=f"of {codec.name}; found"):
        codec.encode(small_photo, quality)


def test_scales_of_whole_numbers_take_no_fractions(small_photo: NDArray[np.uint8]) -> None:
    with pytest.raises(UsageError, match="a whole number from 0"):
        CODECS["avif"].encode(small_photo, 50.5)
    assert CODECS["avif"].encode(small_photo, 50.0) == CODECS["avif"].encode(small_photo, 50)


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8), [[1, 2, 3]]],
    ids=["grey", "float", "empty", "list"],
)
def test_what_is_no_image(pixels: Any) -> None:
    with pytest.raises(ImageError, match=r"Expected an array \(H, W, 3\) of uint8"):
        CODECS["jpeg"].encode(pixels, 50)


def test_an_image_that_a_format_cannot_hold() -> None:
    with pytest.raises(CodecError, match="WebP could not encode an image of 16384 × 1 px"):  # 14 bits a side
        CODECS["webp"].encode(np.zeros((1, 16384, 3), np.uint8), 50)


@pytest.mark.parametrize(
    ("name", "options"),
    [("jpeg", {"subsampling": "4:1:1"}), ("webp", {"method": 7}), ("avif", {"speed": -1}), ("heic", {"preset": "x"})],
)
def test_wrong_options(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="Expected"):
        create_codec(name, **options)


def test_heic_without_its_package(monkeypatch: pytest.MonkeyPatch, small_photo: NDArray[np.uint8]) -> None:
    real = builtins.__import__

    def no_heif(name: str, *rest: Any) -> Any:
        if name == "pillow_heif":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", no_heif)
    with pytest.raises(MissingExtraError, match=r"pip install 'semetric\[lab\]'"):
        CODECS["heic"].encode(small_photo, 50)


def test_a_pillow_without_avif(monkeypatch: pytest.MonkeyPatch, small_photo: NDArray[np.uint8]) -> None:
    monkeypatch.setattr("PIL.features.version", lambda feature: None)
    with pytest.raises(MissingExtraError, match="AVIF needs a Pillow"):
        CODECS["avif"].encode(small_photo, 50)
