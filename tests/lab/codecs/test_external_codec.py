"""Codecs and systems of somebody's own: command lines and callables."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from semetric.errors import CodecError, UsageError
from semetric.lab.codecs import ExternalSystem, create_codec, encode_at_rate
from semetric.plugins import Registry, create

RNG = np.random.default_rng(0)

# A codec in a few lines: JPEG behind the tag "MINE", with what a test asks of it on the way.
PROGRAM = """
import io, subprocess, sys, time
from PIL import Image

verb, source, target, quality = sys.argv[1:5]
print("working on", source)
if verb == "encode":
    out = io.BytesIO()
    Image.open(source).save(out, "JPEG", quality=int(quality))
    open(target, "wb").write(b"MINE" + out.getvalue())
elif verb == "decode":
    data = open(source, "rb").read()
    if data[:4] != b"MINE":
        sys.exit("no stream of mine")
    Image.open(io.BytesIO(data[4:])).save(target)
elif verb == "sleep":
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    time.sleep(60)
elif verb == "shrink":
    Image.open(source).resize((5, 5)).save(target)
elif verb == "whole":
    image = Image.open(source)
    image.save(sys.argv[5], "JPEG", quality=int(float(quality)))
    Image.open(sys.argv[5]).save(target)
elif verb == "nothing":
    pass
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    folder = tmp_path / "a folder"  # with a space
    folder.mkdir()
    (folder / "codec.py").write_text(PROGRAM)
    return f"'{sys.executable}' '{folder / 'codec.py'}'"


def command_codec(program: str, **options: Any) -> Any:
    return create_codec(
        "external",
        encode=f"{program} encode {{input}} {{stream}} {{quality}}",
        decode=f"{program} decode {{stream}} {{output}} 0",
        **({"steps": range(5, 96, 10), "name": "mine"} | options),
    )


def test_two_command_lines(program: str, small_photo: NDArray[np.uint8]) -> None:
    codec = command_codec(program, label="Mine", unit="quality 5–95")
    found = encode_at_rate(codec, small_photo, 1.2, tolerance=0.1)
    assert found.met
    assert found.stream.startswith(b"MINE\xff\xd8")
    assert codec.decode(found.stream, small_photo.shape[:2]).shape == small_photo.shape
    assert codec.to_dict()["commands"]["encode"].endswith("{quality}")
    assert codec.to_dict()["steps"] == {"first": 5, "last": 95, "count": 10}


def test_the_programs_words_reach_the_user(program: str) -> None:
    with pytest.raises(CodecError, match=r"(?s)mine rejected a stream of 4 bytes: .*ended with status 1.*no stream of"):
        command_codec(program).decode(b"YOUR")


def test_a_program_that_hangs_is_stopped_with_its_children(program: str, small_photo: NDArray[np.uint8]) -> None:
    codec = create_codec(
        "external",
        encode=f"{program} sleep {{input}} {{stream}} 0",
        decode=f"{program} decode {{stream}} {{output}} 0",
        steps=[1],
        timeout_s=1.0,
    )
    began = time.monotonic()
    with pytest.raises(CodecError, match="ran past 1 s and was stopped"):
        codec.encode(small_photo, 1)
    assert time.monotonic() - began < 20  # not the 60 of the program, nor those of its child


@pytest.mark.parametrize(
    ("verb", "message"), [("nothing", "wrote 0 bytes"), ("missing", "wrote 0 bytes"), ("decode", "ended with status")]
)
def test_programs_that_write_no_stream(program: str, verb: str, message: str, small_photo: NDArray[np.uint8]) -> None:
    codec = create_codec(
        "external", encode=f"{program} {verb} {{input}} {{stream}} 0", decode="true {stream} {output}", steps=[1]
    )
    with pytest.raises(CodecError, match=message):
        codec.encode(small_photo, 1)


@pytest.mark.parametrize(("verb", "message"), [("nothing", "does not exist"), ("shrink", "5 × 5")])
def test_programs_whose_image_is_none_or_of_another_size(
    program: str, verb: str, message: str, small_photo: NDArray[np.uint8]
) -> None:
    system = ExternalSystem(f"{program} {verb} {{input}} {{output}} {{quality}}", name="mine")
    with pytest.raises(CodecError, match=message):
        system.send(small_photo, 1, RNG)


def test_a_missing_program(small_photo: NDArray[np.uint8]) -> None:
    system = ExternalSystem("no-such-program {input} {output}")
    with pytest.raises(UsageError, match="Expected the program 'no-such-program' on the PATH"):
        system.send(small_photo, 1, RNG)


@pytest.mark.skipif(os.name != "posix", reason="a shell's syntax")
def test_no_shell_is_at_work(program: str, small_photo: NDArray[np.uint8], tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    system = ExternalSystem(f"{program} whole {{input}} {{output}} 50 {{stream}} ; touch {witness} $(touch {witness})")
    assert system.send(small_photo, 1, RNG).size_bytes
    assert not witness.exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("enc {input}", r"missing: \{stream\}"),
        ("enc {input} {stream} {size}", r"unknown: \{size\}"),
        ("enc {input.parent} {stream}", r"unknown: \{input.parent\}"),
        ("enc {} {input} {stream}", r"unknown: \{\}"),
        ("enc '{input} {stream}", "No closing quotation"),
        ("enc {input} {stream", "expected '}'"),
    ],
)
def test_wrong_command_lines(line: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        create_codec("external", encode=line, decode="dec {stream} {output}", steps=[1])


def test_formats_of_placeholders_and_braces(program: str, small_photo: NDArray[np.uint8]) -> None:
    line = f"{program} whole {{input}} {{output}} {{quality:.0f}} {{stream}} {{{{x}}}}"
    assert ExternalSystem(line).send(small_photo, 49.6, RNG).size_bytes
    with pytest.raises(UsageError, match="Expected plain placeholders"):
        ExternalSystem(f"{program} whole {{input}} {{output}} {{quality:d}} {{stream}}").send(small_photo, 49.6, RNG)


def test_one_command_line_in_one_go(program: str, small_photo: NDArray[np.uint8]) -> None:
    line = f"{program} whole {{input}} {{output}} {{quality}} {{stream}}"
    plain = ExternalSystem(line, name="mine").send(small_photo, 50, RNG)
    assert plain.details["quality"] == 50
    assert plain.size_bytes
    searched = ExternalSystem(line, steps=range(10, 96)).send(small_photo, 1.1, RNG)
    assert searched.rate_bpp == pytest.approx(1.1, rel=0.03)
    assert searched.details["met"] is True
    low = ExternalSystem(line, steps=[40, 80]).send(small_photo, 0.01, RNG)
    assert "below the lowest rate" in low.note
    assert low.details["quality"] == 40


# Callables


def halves(pixels: NDArray[np.uint8], quality: float) -> bytes:
    return (pixels // 2).tobytes()


def doubles(stream: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(stream, np.uint8).reshape(-1, 160, 3) * 2


def test_two_callables(small_photo: NDArray[np.uint8]) -> None:
    codec = create_codec("external", encode=halves, decode=doubles, steps=[1, 2], name="half")
    back = codec.decode(codec.encode(small_photo, 1), small_photo.shape[:2])
    assert np.array_equal(back, small_photo // 2 * 2)
    assert codec.to_dict()["functions"]["encode"].endswith(":halves")
    with pytest.raises(CodecError, match=r"half rejected a stream of 7 bytes: cannot reshape"):
        codec.decode(bytes(7))
    with pytest.raises(CodecError, match="px were sent"):
        codec.decode(bytes(480), (2, 160))


def test_callables_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_photo: NDArray[np.uint8]) -> None:
    (tmp_path / "my_codec_of_a_test.py").write_text(
        "import zlib, numpy as np\n"
        "def encode(pixels, quality): return zlib.compress(pixels.tobytes(), quality)\n"
        "class Decoder:\n"
        "    @staticmethod\n"
        "    def decode(stream): return np.frombuffer(zlib.decompress(stream), np.uint8).reshape(128, 160, 3)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    codec = create_codec(
        "external", encode="my_codec_of_a_test:encode", decode="my_codec_of_a_test:Decoder.decode", steps=range(1, 10)
    )
    assert np.array_equal(codec.decode(codec.encode(small_photo, 9)), small_photo)
    assert codec.to_dict()["functions"]["decode"] == "my_codec_of_a_test:Decoder.decode"


@pytest.mark.parametrize("name", ["zlib", "zlib:", "no_such_module:f", "zlib:no_such_function", "zlib:DEFLATED"])
def test_names_of_no_function(name: str) -> None:
    with pytest.raises(UsageError, match="Expected a function"):
        create_codec("external", encode=name, decode=doubles, steps=[1])


def test_a_line_and_a_callable_do_not_mix() -> None:
    with pytest.raises(UsageError, match="found one of each"):
        create_codec("external", encode="enc {input} {stream}", decode=doubles, steps=[1])


@pytest.mark.parametrize("steps", [[], [1, 1], [1, 3, 2], [1, "2"], [True, 2], [1, float("nan")]])
def test_steps_that_are_no_scale(steps: list[Any]) -> None:
    with pytest.raises(UsageError, match="Expected steps that rise or fall"):
        create_codec("external", encode=halves, decode=doubles, steps=steps)


@pytest.mark.parametrize("wrong", ["text", None, 3])
def test_encoders_that_give_no_bytes(wrong: Any, small_photo: NDArray[np.uint8]) -> None:
    codec = create_codec("external", encode=lambda pixels, quality: wrong, decode=doubles, steps=[1])
    with pytest.raises(CodecError, match="expected bytes of the function"):
        codec.encode(small_photo, 1)


def test_a_callable_in_one_go(small_photo: NDArray[np.uint8]) -> None:
    def noisy(pixels: NDArray[np.uint8], quality: float, rng: np.random.Generator) -> Any:
        return (pixels ^ rng.integers(0, 2, pixels.shape, dtype=np.uint8)), bytes(int(quality))

    system = ExternalSystem(noisy, name="noisy", steps=range(100, 9000, 10))
    one = system.send(small_photo, 1.5, np.random.default_rng(3))
    two = system.send(small_photo, 1.5, np.random.default_rng(3))
    other = system.send(small_photo, 1.5, np.random.default_rng(4))
    assert np.array_equal(one.pixels, two.pixels)
    assert not np.array_equal(one.pixels, other.pixels)
    assert one.rate_bpp == pytest.approx(1.5, rel=0.03)
    assert system.to_dict()["run"].endswith("noisy")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda p, q, rng: p[:5], "px were sent"),
        (lambda p, q, rng: p / 255, "of float64"),
        (lambda p, q, rng: None, "Expected an array"),
        (lambda p, q, rng: 1 / 0, "ZeroDivisionError"),
        (lambda p, q, rng: (p, b"", 3), "too many values"),
        (lambda p, q, rng: (p, "stream"), "expected bytes or their number"),
        (lambda p, q, rng: (p, -1), "expected bytes or their number"),
    ],
)
def test_callables_that_fail(given: Any, message: str, small_photo: NDArray[np.uint8]) -> None:
    with pytest.raises(CodecError, match=message):
        ExternalSystem(given).send(small_photo, 1, RNG)


def test_a_rate_is_searched_for_and_there_is_no_stream(small_photo: NDArray[np.uint8]) -> None:
    with pytest.raises(CodecError, match="gave no stream"):
        ExternalSystem(lambda p, q, rng: p, steps=[1, 2]).send(small_photo, 1, RNG)
    with pytest.raises(UsageError, match="Expected a rate"):
        ExternalSystem(lambda p, q, rng: p, steps=[1, 2]).send(small_photo, 0, RNG)


def test_an_image_in_one_go_without_a_stream(small_photo: NDArray[np.uint8]) -> None:
    got = ExternalSystem(lambda p, q, rng: p).send(small_photo, 7, RNG)
    assert got.rate_bpp is None
    assert np.array_equal(got.pixels, small_photo)


@pytest.mark.parametrize("steps", [5, None, "abc", [1, float("nan")], [float("nan")], [1, float("inf")], [True]])
def test_steps_of_another_kind(steps: Any) -> None:
    with pytest.raises(UsageError, match="Expected steps"):
        create_codec("external", encode="e {input} {stream}", decode="d {stream} {output}", steps=steps)


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), float("inf"), "x", None, True])
def test_time_limits_that_are_none(timeout_s: Any) -> None:
    with pytest.raises(UsageError, match="Expected timeout_s above 0"):
        create_codec(
            "external", encode="e {input} {stream}", decode="d {stream} {output}", steps=[1], timeout_s=timeout_s
        )
    with pytest.raises(UsageError, match="Expected timeout_s above 0"):
        ExternalSystem("s {input} {output}", timeout_s=timeout_s)


def test_options_of_another_kind_are_named() -> None:
    def factory(*, size: int = 1) -> Any:
        raise TypeError("'str' is no size")

    with pytest.raises(UsageError, match=r"options that the codec picky takes; found .*: 'str' is no size"):
        create(Registry("codec", "semetric.codecs", {"picky": factory}), "picky", size="x")


def test_a_programs_last_words_are_text(small_photo: NDArray[np.uint8], tmp_path: Path) -> None:
    """Neither escape sequences nor binary reach a terminal, however much of it there is."""
    talker = tmp_path / "talker.py"
    talker.write_text(
        "import sys\n"
        "sys.stdout.buffer.write(bytes(range(256)) * 40_000 + b'\\x1b[2J the end\\r\\nof it')\n"
        "sys.exit(3)\n"
    )
    line = f"{sys.executable} {talker} {{input}} {{stream}}"
    codec = create_codec("external", encode=line, decode="d {stream} {output}", steps=[1])
    with pytest.raises(CodecError, match=r"(?s)ended with status 3\. It said: .* the end\nof it") as caught:
        codec.encode(small_photo, 1)
    said = str(caught.value).replace("\n", "")
    assert said.isprintable()
    assert len(said) < 3000
