"""Codecs as systems, and the registry."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.lab.codecs import CODECS, CodecSystem, ExternalSystem, create_codec, create_system, register_codec
from semetric.lab.codecs.jpeg import JPEG

RNG = np.random.default_rng(0)


def test_the_level_is_a_rate(small_photo: NDArray[np.uint8]) -> None:
    system = create_system("jpeg2000")
    got = system.send(small_photo, 0.8, RNG)
    assert (system.name, system.label) == ("jpeg2000", "JPEG 2000")
    assert got.pixels.shape == small_photo.shape
    assert got.rate_bpp == pytest.approx(0.8, rel=0.03)
    assert (got.failed, got.note, got.uses_per_pixel) == (False, "", None)
    assert got.details["target_bpp"] == 0.8
    assert got.details["met"] is True
    json.dumps([dict(got.details), system.to_dict()])


def test_a_missed_rate_is_noted(small_photo: NDArray[np.uint8]) -> None:
    got = create_system("jpeg").send(small_photo, 0.01, RNG)
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
    system = create_system("jpeg", subsampling="4:4:4", name="jpeg444", label="JPEG 4:4:4")
    assert (system.name, system.label) == ("jpeg444", "JPEG 4:4:4")
    assert system.to_dict()["name"] == "jpeg444"
    assert system.to_dict()["subsampling"] == "4:4:4"


def test_chance_plays_no_part(small_photo: NDArray[np.uint8]) -> None:
    system = create_system("webp")
    first = system.send(small_photo, 0.7, np.random.default_rng(1))
    system.send(small_photo[:50], 2.0, RNG)
    second = system.send(small_photo, 0.7, np.random.default_rng(2))
    assert np.array_equal(first.pixels, second.pixels)
    assert first.details == second.details


def test_names_are_taken_once() -> None:
    assert list(CODECS) == ["jpeg", "jpeg2000", "webp", "avif", "heic", "bpg", "compressai", "external"]
    with pytest.raises(UsageError, match="there is a codec 'jpeg' already"):
        register_codec("jpeg", JPEG)


def test_a_codec_of_ones_own_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semetric.lab.codecs.registry.CODECS", dict(CODECS))
    register_codec("fine", lambda *, scans=True: JPEG(subsampling="4:4:4", progressive=scans))
    codec = create_codec("fine", scans=False)
    assert isinstance(codec, JPEG)
    assert codec.progressive is False


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("jpg", {}, r"Expected a codec of jpeg, .*; found 'jpg'"),
        ("jpeg", {"speed": 3}, r"among subsampling, progressive; found 'speed'"),
        ("external", {"encode": "a:b"}, r"'decode' is missing"),
        ("jpeg", {"level": "bpp"}, r"Expected a level of 'rate'"),
        ("external", {"run": "x {input} {output}", "colour": 1}, r"found 'colour'"),
        ("external", {"run": "x {input} {output}"}, r"Expected steps with a level of 'rate'"),
        ("external", {"run": "x {input} {output}", "steps": [1], "level": "quality"}, r"Expected steps with a level"),
        ("external", {"run": "x {input} {output}", "steps": [1]}, r"Expected \{stream\}"),
    ],
)
def test_wrong_names_and_options(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        create_system(name, **options)


def test_a_system_in_one_go_is_made_by_name() -> None:
    system = create_system("external", run="x {input} {output} {quality}", level="quality", name="mine")
    assert isinstance(system, ExternalSystem)
    assert (system.name, system.label) == ("mine", "mine")
