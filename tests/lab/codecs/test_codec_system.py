"""Codecs as systems, and the registry."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.lab.codecs import CODECS, CodecSystem, create_codec

RNG = np.random.default_rng(0)


def test_the_level_is_a_rate(small_photo: NDArray[np.uint8]) -> None:
    system = CodecSystem(create_codec("jpeg2000"))
    got = system.send(small_photo, 0.8, RNG)
    assert (system.name, system.label) == ("jpeg2000", "JPEG 2000")
    assert got.pixels.shape == small_photo.shape
    assert got.rate_bpp == pytest.approx(0.8, rel=0.03)
    assert (got.failed, got.note, got.uses_per_pixel) == (False, "", None)
    assert got.details["target_bpp"] == 0.8
    assert got.details["met"] is True
    json.dumps([dict(got.details), system.to_dict()])


def test_a_missed_rate_is_noted(small_photo: NDArray[np.uint8]) -> None:
    got = CodecSystem(create_codec("jpeg")).send(small_photo, 0.01, RNG)
    assert "below the lowest rate on this image" in got.note
    assert got.details["met"] is False
    assert got.size_bytes == len(create_codec("jpeg").encode(small_photo, 1))


def test_the_level_is_a_quality(small_photo: NDArray[np.uint8]) -> None:
    codec = create_codec("avif", speed=10)
    got = CodecSystem(codec, level="quality").send(small_photo, 60.0, RNG)
    stream = codec.encode(small_photo, 60)
    assert got.size_bytes == len(stream)
    assert np.array_equal(got.pixels, codec.decode(stream))
    assert got.details == {"quality": 60}
    with pytest.raises(UsageError):
        CodecSystem(codec, level="quality").send(small_photo, 101, RNG)


def test_two_curves_of_one_codec_have_two_names() -> None:
    system = CodecSystem(create_codec("jpeg", subsampling="4:4:4"), name="jpeg444", label="JPEG 4:4:4")
    assert (system.name, system.label) == ("jpeg444", "JPEG 4:4:4")
    assert system.to_dict()["name"] == "jpeg444"
    assert system.to_dict()["subsampling"] == "4:4:4"


def test_chance_plays_no_part(small_photo: NDArray[np.uint8]) -> None:
    system = CodecSystem(create_codec("webp"))
    first = system.send(small_photo, 0.7, np.random.default_rng(1))
    system.send(small_photo[:50], 2.0, RNG)
    second = system.send(small_photo, 0.7, np.random.default_rng(2))
    assert np.array_equal(first.pixels, second.pixels)
    assert first.details == second.details


def test_the_codecs_of_the_package() -> None:
    assert list(CODECS) == ["jpeg", "jpeg2000", "webp", "avif", "heic", "bpg", "compressai", "external"]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("jpg", {}, r"Expected a codec of jpeg, .*; found 'jpg'"),
        ("jpeg", {"speed": 3}, r"among subsampling, progressive; found 'speed'"),
        ("external", {"encode": "a:b"}, r"'decode' is missing"),
    ],
)
def test_wrong_names_and_options(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        create_codec(name, **options)
