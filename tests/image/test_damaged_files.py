"""Damaged files are refused, whatever the process is set to; large ones stay within their limits."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from making import chunk, png
from PIL import Image, ImageFile, PngImagePlugin

from semetric.errors import ImageError
from semetric.image import read_image, read_png

RNG = np.random.default_rng(29)
SMOOTH = np.kron(RNG.integers(0, 256, (6, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)


def saved(kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(SMOOTH).save(stream, kind, **options)
    return stream.getvalue()


def test_any_flipped_bit_of_a_png_is_noticed(tmp_path: Path) -> None:
    whole = saved("PNG", exif=Image.Exif().tobytes(), icc_profile=b"a profile")
    path = tmp_path / "a.png"
    for place in range(len(whole)):
        data = bytearray(whole)
        data[place] ^= 1 << place % 8
        path.write_bytes(data)
        with pytest.raises(ImageError, match=r"a\.png"):
            read_image(path)
        with pytest.raises(ImageError, match=r"a\.png"):
            read_png(path)


@pytest.mark.parametrize(
    "rows", [zlib.compress(bytes(10)), zlib.compress(bytes(8 * 25 + 1)), zlib.compress(bytes(200))[:-3]]
)
def test_png_of_too_few_or_too_many_rows(tmp_path: Path, rows: bytes) -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    with pytest.raises(ImageError, match=r"a\.png is damaged \(PNG\)"):
        read_image(path)


def test_interlaced_png(tmp_path: Path) -> None:
    """One pixel of each pass, as rows of zeros: the size of what is compressed follows from all seven."""
    path = tmp_path / "a.png"
    rows = bytes(sum(h * (1 + w * 3) for w, h in ((1, 1), (1, 1), (2, 1), (2, 2), (4, 2), (4, 4), (8, 4))))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 1))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    assert read_image(path).pixels.shape == (8, 8, 3)


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_with_invalid_codes(tmp_path: Path, progressive: bool) -> None:
    data = bytearray(saved("JPEG", quality=95, progressive=progressive))
    middle = data.index(b"\xff\xda") + 60
    data[middle : middle + 8] = b"\xff\0" * 4  # 32 ones: no table has a code of more than 16
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"a\.jpg is damaged \(JPEG\)"):
        read_image(path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "GIF", "BMP", "TGA"])
def test_half_a_file_whatever_pillow_is_set_to(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    stream = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(stream, kind)
    path = tmp_path / "a.img"
    path.write_bytes(stream.getvalue()[: len(stream.getvalue()) // 2])
    with pytest.raises(ImageError, match=r"a\.img"):
        read_image(path)
    if kind != "TIFF":  # half of it has no directory, so that Pillow cannot open it
        with Image.open(path) as image, pytest.raises(ImageError, match="damaged"):
            read_image(image)
    assert ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits"])
def test_tiff_without_some_of_its_strips(tmp_path: Path, compression: str | None) -> None:
    stream = io.BytesIO()
    tifffile.imwrite(stream, SMOOTH, photometric="rgb", compression=compression, rowsperstrip=8)
    path = tmp_path / "a.tif"
    for tag in ("StripOffsets", "StripByteCounts"):
        data = bytearray(stream.getvalue())
        with tifffile.TiffFile(io.BytesIO(bytes(data))) as tiff:
            where = tiff.pages.first.tags[tag].valueoffset
        data[where : where + 2] = bytes(2)  # libtiff's way to leave out a strip, which tifffile fills with zeros
        path.write_bytes(data)
        with pytest.raises(ImageError, match=r"a\.tif"):
            read_image(path)


@pytest.mark.parametrize("kind", ["zTXt", "iTXt", "iCCP"])
def test_large_metadata_does_not_spoil_the_pixels(tmp_path: Path, kind: str) -> None:
    info = PngImagePlugin.PngInfo()
    if kind == "zTXt":
        info.add_text("workflow", "node " * 400_000, zip=True)
    elif kind == "iTXt":
        info.add_itxt("workflow", "node " * 400_000, zip=True)
    path = tmp_path / "a.png"
    path.write_bytes(saved("PNG", pnginfo=info, **({"icc_profile": b"profile " * 200_000} if kind == "iCCP" else {})))
    assert np.array_equal(read_image(path).pixels, SMOOTH)


def test_a_canvas_of_webp_is_refused_before_it_is_made(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    header = b"\x2f" + (16382 | 16382 << 14).to_bytes(4, "little")
    path.write_bytes(b"RIFF" + struct.pack("<I", 26) + b"WEBPVP8L" + struct.pack("<I", 10) + header + bytes(5))
    with pytest.raises(ImageError, match=r"at most 178,956,970 pixels; .* is 16383 × 16383"):
        read_image(path)


def test_deep_pixels_have_a_smaller_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 10_000, 10_000, 16, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    with pytest.raises(ImageError, match=r"at most 59,652,323 pixels of more than 8 bits"):
        read_image(path)
    with pytest.raises(ImageError, match="damaged"):  # which shows that only now were pixels looked for
        read_image(path, max_pixels=300_000_000)


def test_scans_of_a_jpeg_are_limited(tmp_path: Path) -> None:
    data = saved("JPEG", progressive=True)
    size = data.index(b"\xff\xc2") + 5
    data = data[:size] + struct.pack(">HH", 13_000, 13_000) + data[size + 4 :]
    last = data.rindex(b"\xff\xda")
    path = tmp_path / "a.jpg"
    path.write_bytes(data[:-2] + data[last:-2] * 30 + b"\xff\xd9")
    with pytest.raises(ImageError, match=r"at most 16 scans"):
        read_image(path)


@pytest.mark.parametrize("name", ["rgba8.png", "rgb16.png", "grey.jpg"])
def test_memory_is_bounded(tmp_path: Path, name: str) -> None:
    """Peak memory of a process: what Python and numpy take, the pixels in the file's depth, those of the picture."""
    height, width = 1800, 2000
    megabytes = height * width / 1e6
    path = tmp_path / name
    if name == "grey.jpg":
        Image.new("L", (width, height)).save(path)
        limit = 1 + 3
    elif name == "rgba8.png":
        path.write_bytes(imagecodecs.png_encode(np.full((height, width, 4), 9, np.uint8)))
        limit = 4 + 3
    else:
        path.write_bytes(imagecodecs.png_encode(np.full((height, width, 3), 9, np.uint16)))
        limit = 6 + 12
    small = tmp_path / "small.png"
    path_of = {"small": small, "large": path}
    small.write_bytes(png(np.zeros((4, 4, 1), np.uint8), depth=8, colour=0))
    code = """
import resource, sys
from semetric.image import read_image
import imagecodecs, simplejpeg
imagecodecs.png_decode
read_image(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
read_image(sys.argv[2])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    words = [sys.executable, "-c", code, str(path_of["small"]), str(path_of["large"])]
    kilobytes = int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    # a band of a million pixels in floats and its temporaries: five of 12 to 16 MB each
    assert kilobytes / 1024 <= megabytes * limit + 80
