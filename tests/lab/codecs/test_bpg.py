"""BPG, by programs that stand in for bpgenc and bpgdec."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from semetric.errors import CodecError, UsageError
from semetric.lab.codecs import create_codec, encode_at_rate

# The header of BPG before a JPEG; the options are those that the real programs know.
ENCODER = """#!{python}
import getopt, io, sys
from PIL import Image
options, (source,) = getopt.gnu_getopt(sys.argv[1:], "q:f:m:o:")
options = dict(options)
assert options["-f"] == "420" and 1 <= int(options["-m"]) <= 9
image = Image.open(source)
def ue7(n): return (bytes([0x80 | n >> 7]) if n > 127 else b"") + bytes([n & 127])
out = io.BytesIO()
image.save(out, "JPEG", quality=100 - int(options["-q"]))
with open(options["-o"], "wb") as file:
    file.write(b"BPG\\xfb\\x20\\x00" + ue7(image.width) + ue7(image.height) + b"\\x00" + out.getvalue())
"""
DECODER = """#!{python}
import getopt, io, sys
from PIL import Image
options, (source,) = getopt.gnu_getopt(sys.argv[1:], "o:")
data = open(source, "rb").read()
Image.open(io.BytesIO(data[data.index(b"\\xff\\xd8"):])).save(dict(options)["-o"])
"""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="programs by their first line")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in (("bpgenc", ENCODER), ("bpgdec", DECODER)):
        (tmp_path / name).write_text(text.format(python=sys.executable))
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("programs")
def test_there_and_back(small_photo: NDArray[np.uint8]) -> None:
    codec = create_codec("bpg", effort=9)
    stream = codec.encode(small_photo, 30)
    assert len(stream) < len(codec.encode(small_photo, 10))  # a quantiser: the lower, the better
    assert codec.decode(stream, small_photo.shape[:2]).shape == small_photo.shape
    assert codec.to_dict()["effort"] == 9
    assert codec.to_dict()["steps"] == {"first": 51, "last": 0, "count": 52}
    found = encode_at_rate(codec, small_photo, 1.8)
    assert abs(found.rate_bpp / 1.8 - 1) < 0.1


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (b"", "does not begin as a BPG file"),
        (b"BPG\xfb", "header is cut off"),
        (b"BPG\xfb\x20\x00\xff\xff\xff\xff\xff\xff", "header is cut off"),
        (b"BPG\xfb\x20\x00\x00\x05", "claims 0 × 5 px"),
        (b"BPG\xfb\x20\x00\xff\xff\x7f\xff\xff\x7f\x00", "where 160 × 128 px were sent"),
        (b"BPG\xfb\x20\x00\x81\x20\x81\x00\x00trash", "ended with status 1"),
    ],
)
def test_damaged_streams(stream: bytes, message: str) -> None:
    with pytest.raises(CodecError, match=message):
        create_codec("bpg").decode(stream, (128, 160))


def test_a_giant_is_refused_whether_or_not_the_size_is_known(programs: Path) -> None:
    (programs / "bpgdec").write_text("#!/bin/false")  # it must not come to that
    with pytest.raises(CodecError, match="more than the limit"):
        create_codec("bpg").decode(b"BPG\xfb\x20\x00\xff\xff\x7f\xff\xff\x7f\x00")


@pytest.mark.parametrize("missing", ["bpgenc", "bpgdec"])
def test_missing_programs(programs: Path, missing: str) -> None:
    (programs / missing).unlink()
    with pytest.raises(UsageError, match=f"{missing} is not there. Build them from .* or use 'heic'"):
        create_codec("bpg")


@pytest.mark.usefixtures("programs")
def test_wrong_effort() -> None:
    with pytest.raises(UsageError, match="effort from 1 to 9"):
        create_codec("bpg", effort=0)
