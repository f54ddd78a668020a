"""A codec over a link: the budget, the fallback, what is reported."""

from __future__ import annotations

import json
import math
import zlib
from typing import Any

import numpy as np
import pytest

from semetric.errors import CodecError, UsageError
from semetric.lab.channels.fallback import last_good_rows
from semetric.lab.channels.link import Link
from semetric.lab.channels.modulation import MODULATIONS
from semetric.lab.channels.system import CodedSystem
from semetric.lab.codecs import create_codec
from semetric.lab.codecs.base import Codec, Quality, Size
from semetric.lab.codecs.jpeg import JPEG
from semetric.lab.systems import Pixels

IMAGE = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)


class FakeCodec(Codec):
    """The mean colour, and as many bytes as the quality says; a checksum tells of every damage."""

    name = "fake"
    label = "Fake"

    def __init__(self, steps: tuple[int, ...] = tuple(range(10, 5000, 10))) -> None:
        self.steps = steps
        self.encodes = 0

    def _encode(self, pixels: Pixels, quality: Quality) -> bytes:
        self.encodes += 1
        body = pixels.mean((0, 1)).astype(np.uint8).tobytes() + bytes(int(quality) - 7)
        return body + zlib.crc32(body).to_bytes(4, "big")

    def _decode(self, stream: bytes, size: Size | None) -> Pixels:
        if zlib.crc32(stream[:-4]).to_bytes(4, "big") != stream[-4:]:
            raise ValueError("checksum")
        assert size is not None
        return np.tile(np.frombuffer(stream[:3], np.uint8), (*size, 1))


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


@pytest.mark.parametrize("modulation", MODULATIONS)
@pytest.mark.parametrize("code_rate", ["1/3", "1/2", "5/6", "1"])
def test_the_budget_is_used_and_not_exceeded(modulation: str, code_rate: str) -> None:
    link = Link(modulation=modulation, code_rate=code_rate)
    system = CodedSystem(FakeCodec(), link, uses_per_pixel=0.5)
    received = system.send(IMAGE, 40.0, rng())
    assert not received.failed
    assert received.uses_per_pixel is not None
    assert received.size_bytes is not None
    assert received.uses_per_pixel <= 0.5
    # The search ends within 3% below the capacity, a multiple of 45 bytes; of what a step of 10 bytes leaves.
    capacity = link.capacity_bytes(math.floor(0.5 * 96 * 128))
    assert 0.97 * capacity - 10 <= received.size_bytes <= capacity
    assert received.uses_per_pixel == link.channel_uses(received.size_bytes) / (96 * 128)
    assert received.details["source_bpp"] == received.rate_bpp
    # Equal uses: the source rate is uses · bits per symbol · code rate, less what the search and the units leave.
    derived = 0.5 * float(link.bits_per_use)
    assert derived * 0.97 - 8 * (45 + 10) / (96 * 128) <= received.rate_bpp <= derived


def test_a_codec_of_few_steps_takes_the_one_below() -> None:
    link = Link(modulation="qpsk")  # one bit a use: 6144 uses carry 765 bytes
    received = CodedSystem(FakeCodec((50, 400, 770, 2000)), link, uses_per_pixel=0.5).send(IMAGE, 40.0, rng())
    assert received.size_bytes == 400
    assert received.details["quality"] == 400


@pytest.mark.parametrize(("uses", "words"), [(0.1, "needs 800 bytes"), (0.01, "not one block fits")])
def test_a_budget_too_small_is_an_error(uses: float, words: str) -> None:
    with pytest.raises(CodecError, match=words):
        CodedSystem(FakeCodec((800, 900)), uses_per_pixel=uses).send(IMAGE, 40.0, rng())


def test_a_rejected_stream_shows_the_fallback_and_says_so() -> None:
    system = CodedSystem(FakeCodec(), uses_per_pixel=0.5)
    received = system.send(IMAGE, -5.0, rng())
    assert received.failed
    assert (received.pixels == 128).all()
    assert received.pixels.shape == IMAGE.shape
    assert "rejected" in received.note
    assert received.note.endswith("in its place: grey 128")
    details: dict[str, Any] = dict(received.details)
    assert details["bit_errors"] > 0
    assert details["block_errors"] == details["blocks"] == 1
    assert details["channel_uses"] == received.uses_per_pixel * 96 * 128
    json.dumps(details)


def test_one_image_is_encoded_once_for_all_snrs() -> None:
    codec = FakeCodec()
    system = CodedSystem(codec, uses_per_pixel=0.5)
    first = system.send(IMAGE, 10.0, rng())
    encodes = codec.encodes
    second = system.send(IMAGE.copy(), 12.0, rng())
    assert codec.encodes == encodes
    assert first.size_bytes == second.size_bytes
    system.send(IMAGE[::-1], 12.0, rng())
    assert codec.encodes > encodes


def test_the_generator_decides() -> None:
    system = CodedSystem(create_codec("jpeg"), Link(code_rate=1), uses_per_pixel=1.0)
    noisy = [system.send(IMAGE, 11.0, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert noisy[0].details == noisy[1].details
    assert np.array_equal(noisy[0].pixels, noisy[1].pixels)
    assert noisy[0].details != noisy[2].details


class StrictJpeg(JPEG):
    """Rejects every damage, where libjpeg decodes most of it to something."""

    sent: float = 1

    def _decode(self, stream: bytes, size: Size | None) -> Pixels:
        if stream != self.encode(IMAGE, self.sent):
            raise ValueError("damage")
        return super()._decode(stream, size)


def test_jpeg_arrives_whole_or_in_part() -> None:
    codec = StrictJpeg()
    system = CodedSystem(codec, Link(block_bits=720), uses_per_pixel=2.0, fallback="rows")
    codec.sent = system._encoded(IMAGE)[1]
    clean = system.send(IMAGE, 10.0, rng())
    assert not clean.failed
    assert clean.details["bit_errors"] == 0
    for seed in range(20):
        received = system.send(IMAGE, 1.3, np.random.default_rng(seed))
        assert received.failed == (received.details["bit_errors"] > 0)
        if "rows" in received.note:
            rows = int(received.note.partition("the first ")[2].partition(" ")[0])
            assert (received.pixels[rows:] == 128).all()
            kept = max(rows - 18, 0)  # the last rows are half decoded, see test_fallback
            assert np.array_equal(received.pixels[:kept], clean.pixels[:kept])
            return
    pytest.fail("twenty streams, and none was lost after its first rows")


def test_rows_of_another_codec_are_grey() -> None:
    received = CodedSystem(FakeCodec(), uses_per_pixel=0.5, fallback="rows").send(IMAGE, -5.0, rng())
    assert received.failed
    assert np.array_equal(received.pixels, last_good_rows(b"", (96, 128))[0])


def test_names_and_record() -> None:
    system = CodedSystem(FakeCodec(), Link(modulation="16qam", code_rate=2 / 3), uses_per_pixel=0.25)
    assert (system.name, system.label) == ("fake-ldpc23-16qam", "Fake + LDPC 2/3, 16QAM")
    record = json.loads(json.dumps(system.to_dict()))
    assert record["link"]["code_rate"] == "2/3"
    assert (record["uses_per_pixel"], record["fallback"], record["codec"]["name"]) == (0.25, "grey", "fake")
    faded = CodedSystem(FakeCodec(), Link(fading="rayleigh", code_rate=1), uses_per_pixel=1.0)
    assert (faded.name, faded.label) == ("fake-uncoded-qpsk-rayleigh", "Fake, uncoded, QPSK, Rayleigh")
    assert CodedSystem(FakeCodec(), uses_per_pixel=1.0, name="a", label="A").to_dict()["label"] == "A"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"uses_per_pixel": 0.0}, "more than 0 channel uses"),
        ({"uses_per_pixel": math.nan}, "more than 0 channel uses"),
        ({"uses_per_pixel": 1.0, "fallback": "black"}, "grey, rows; found 'black'"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        CodedSystem(FakeCodec(), **options)


def test_a_bad_snr_is_refused_before_the_work() -> None:
    codec = FakeCodec()
    with pytest.raises(UsageError, match="SNR"):
        CodedSystem(codec, uses_per_pixel=0.5).send(IMAGE, math.nan, rng())
    assert codec.encodes == 0
