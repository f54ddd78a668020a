"""The table of docs/images.md, cell by cell: format, depth, colour model, alpha."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from making import chunk, png
from PIL import Image

from semetric.errors import ImageError
from semetric.image import read_image

H, W = 9, 14
RNG = np.random.default_rng(23)
FLOAT = 2e-7  # float32: a division, two products and a sum of values up to 1, each rounded by 6e-8
BYTE = 0.5 / 255 + 1e-9  # composited in 8 bits, rounded to nearest


def integers(bits: int, channels: int) -> np.ndarray:
    return RNG.integers(0, 1 << bits, (H, W, channels)).astype(np.uint8 if bits <= 8 else np.uint16)


def on_white(values: np.ndarray, bits: int) -> np.ndarray:
    """What the pixels are in [0, 1], composited on white where there are 2 or 4 channels."""
    unit = values / ((1 << bits) - 1)
    if unit.shape[2] in {2, 4}:
        unit = unit[:, :, :-1] * unit[:, :, -1:] + 1 - unit[:, :, -1:]
    return np.broadcast_to(unit, (H, W, 3))


def check(path: Path, expected: np.ndarray, tolerance: float, *notes: str) -> None:
    picture = read_image(path)
    assert np.abs(picture.to_float() - expected).max() <= tolerance
    for note in notes:
        assert note in picture.notes


@pytest.mark.parametrize(
    ("depth", "colour", "channels"),
    [(d, 0, 1) for d in (1, 2, 4, 8, 16)] + [(d, c, n) for d in (8, 16) for c, n in ((2, 3), (4, 2), (6, 4))],
)
def test_png(tmp_path: Path, depth: int, colour: int, channels: int) -> None:
    values = integers(depth, channels)
    path = tmp_path / "a.png"
    path.write_bytes(png(values, depth=depth, colour=colour))
    tolerance = BYTE if depth <= 8 and channels in {2, 4} else FLOAT
    check(path, on_white(values, depth), tolerance, *(["16-bit values divided by 65535"] if depth == 16 else []))


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_png_palette(tmp_path: Path, depth: int) -> None:
    values = integers(depth, 1)
    values[0, 0] = 0
    palette = RNG.integers(0, 256, (1 << depth, 3), dtype=np.uint8)
    path = tmp_path / "a.png"
    extra = chunk(b"PLTE", palette.tobytes()) + chunk(b"tRNS", b"\0")  # the first colour is transparent
    path.write_bytes(png(values, depth=depth, colour=3, extra=extra))
    palette[0] = 255
    check(path, palette[values[:, :, 0]] / 255, FLOAT, "palette looked up", "alpha composited on white")


@pytest.mark.parametrize(("depth", "colour"), [(1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (8, 2), (16, 2)])
def test_png_colour_key(tmp_path: Path, depth: int, colour: int) -> None:
    values = integers(depth, 3 if colour == 2 else 1)
    key = values[4, 5]
    path = tmp_path / "a.png"
    path.write_bytes(png(values, depth=depth, colour=colour, extra=chunk(b"tRNS", key.astype(">u2").tobytes())))
    clear = (values == key).all(axis=2, keepdims=True)
    check(path, np.where(clear, 1, on_white(values, depth)), FLOAT, "one colour is transparent")


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "packbits", "zstd"])
@pytest.mark.parametrize("layout", ["contig", "separate"])
@pytest.mark.parametrize("bits", [8, 16])
def test_tiff_rgb(tmp_path: Path, bits: int, layout: str, compression: str | None) -> None:
    values = integers(bits, 3)
    stored = np.ascontiguousarray(np.moveaxis(values, 2, 0)) if layout == "separate" else values
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stored, photometric="rgb", planarconfig=layout, compression=compression, byteorder=">")
    check(path, on_white(values, bits), FLOAT)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 10, 12, 16])
@pytest.mark.parametrize("model", ["minisblack", "miniswhite"])
def test_tiff_grey(tmp_path: Path, model: str, bits: int) -> None:
    values = integers(bits, 1)
    path = tmp_path / "a.tif"
    stored = values[:, :, 0].astype(np.bool_) if bits == 1 else values[:, :, 0]
    tifffile.imwrite(path, stored, photometric=model, bitspersample=bits)
    expected = on_white(values, bits)
    check(path, 1 - expected if model == "miniswhite" else expected, FLOAT)


@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha", "unspecified"])
@pytest.mark.parametrize("bits", [8, 16])
def test_tiff_alpha(tmp_path: Path, bits: int, kind: str) -> None:
    values = integers(bits, 4)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, photometric="rgb", extrasamples=[kind])
    unit = values / ((1 << bits) - 1)
    expected = {
        "unassalpha": on_white(values, bits),
        "assocalpha": np.minimum(unit[:, :, :3] + 1 - unit[:, :, 3:], 1),
        "unspecified": unit[:, :, :3],
    }[kind]
    check(path, expected, BYTE if bits == 8 else FLOAT)


@pytest.mark.parametrize("bits", [8, 16])
def test_tiff_cmyk(tmp_path: Path, bits: int) -> None:
    values = integers(bits, 4)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, photometric="separated")
    unit = values / ((1 << bits) - 1)
    # Pillow's conversion rounds a product to 8 bits; that of 16 bits is rounded to them
    tolerance = 1 / 255 if bits == 8 else 1 / 65535
    expected = (1 - unit[:, :, :3]) * (1 - unit[:, :, 3:])
    check(path, expected, tolerance, "CMYK converted to RGB without a colour profile")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("model", ["rgb", "miniswhite"])
def test_tiff_floats(tmp_path: Path, dtype: type, model: str) -> None:
    values = RNG.random((H, W, 3 if model == "rgb" else 1)).astype(dtype)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values if model == "rgb" else values[:, :, 0], photometric=model)
    expected = np.broadcast_to(values.astype(np.float64), (H, W, 3))
    check(path, expected if model == "rgb" else 1 - expected, FLOAT, "float values taken as they are")


@pytest.mark.parametrize("write", [lambda v: v * 257, lambda v: v * 256, lambda v: v], ids=["257", "256", "1"])
def test_tiff_palette_of_8_bits(tmp_path: Path, write: Callable[[np.ndarray], np.ndarray]) -> None:
    indices = integers(8, 1)[:, :, 0]
    table = RNG.integers(0, 256, (3, 256)).astype(np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, indices, photometric="palette", colormap=write(table))
    assert np.array_equal(read_image(path).pixels, table.T[indices])


def test_tiff_palette_of_16_bits(tmp_path: Path) -> None:
    indices = integers(8, 1)[:, :, 0]
    table = RNG.integers(0, 65536, (3, 256)).astype(np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, indices, photometric="palette", colormap=table)
    check(path, table.T[indices] / 65535, FLOAT)


@pytest.mark.parametrize("kind", ["complex64", "int8", "uint32", "int16"])
def test_tiff_of_other_types_is_refused(tmp_path: Path, kind: str) -> None:
    value = {"uint32": 1 << 31, "int16": -5}.get(kind, 1)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.full((H, W), value, kind), photometric="minisblack")
    with pytest.raises(ImageError, match=r"Expected .*a\.tif holds"):
        read_image(path)


@pytest.mark.parametrize("white", [1, 15, 100, 255, 1023, 65535])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("text", [False, True])
def test_netpbm(tmp_path: Path, channels: int, white: int, text: bool) -> None:
    values = RNG.integers(0, white + 1, (H, W, channels))
    kind = (2 if channels == 1 else 3) + (0 if text else 3)
    header = f"P{kind}\n# a comment\n{W} {H}\n{white}\n".encode()
    body = " ".join(str(v) for v in values.reshape(-1)).encode()
    path = tmp_path / "a.ppm"
    path.write_bytes(header + (body if text else values.astype(">u2" if white > 255 else "u1").tobytes()))
    check(path, np.broadcast_to(values / white, (H, W, 3)), FLOAT)


@pytest.mark.parametrize("kind", [b"P1", b"P4"])
def test_netpbm_of_one_bit(tmp_path: Path, kind: bytes) -> None:
    values = RNG.integers(0, 2, (H, W))
    rows = [np.packbits(row.astype(np.uint8)).tobytes() for row in values]
    body = b"".join(rows) if kind == b"P4" else "".join(str(v) for v in values.reshape(-1)).encode()
    path = tmp_path / "a.pbm"
    path.write_bytes(kind + b" 14 9\n" + body)
    check(path, np.broadcast_to(1 - values[:, :, None], (H, W, 3)), 0)


@pytest.mark.parametrize("body", [b"1 2 3", b"1 2 x 4", b"1 2 3 9", b"1 2 3 -4"])
def test_netpbm_text_that_is_none(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P2 2 2 8\n" + body)
    with pytest.raises(ImageError, match=r"a\.pgm is damaged"):
        read_image(path)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_jpeg_2000(tmp_path: Path, bits: int, channels: int) -> None:
    values = integers(bits, channels)
    stored = values[:, :, 0] if channels == 1 else values
    path = tmp_path / "a.jp2"
    path.write_bytes(imagecodecs.jpeg2k_encode(stored, level=0, bitspersample=bits, reversible=True))
    check(path, on_white(values, bits), BYTE if bits == 8 and channels == 4 else FLOAT)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_avif(tmp_path: Path, bits: int, channels: int) -> None:
    values = integers(bits, channels)
    path = tmp_path / "a.avif"
    path.write_bytes(imagecodecs.avif_encode(values, level=100, bitspersample=bits))  # lossless
    check(path, on_white(values, bits), BYTE if bits == 8 and channels == 4 else FLOAT)


@pytest.mark.parametrize("channels", [3, 4])
def test_qoi(tmp_path: Path, channels: int) -> None:
    values = integers(8, channels)
    path = tmp_path / "a.qoi"
    stream = imagecodecs.qoi_encode(values)
    path.write_bytes(stream)
    check(path, on_white(values, 8), BYTE if channels == 4 else FLOAT)
    path.write_bytes(stream[:-20])
    with pytest.raises(ImageError, match="damaged"):
        read_image(path)


def test_deep_sgi_says_what_it_lost(tmp_path: Path) -> None:
    values = integers(16, 1)[:, :, 0]
    head = struct.pack(">hBBHHHHll", 474, 0, 2, 2, W, H, 1, 0, 65535) + bytes(492)
    path = tmp_path / "a.sgi"
    path.write_bytes(head[:512] + values[::-1].astype(">u2").tobytes())
    check(
        path,
        np.broadcast_to((values >> 8)[:, :, None] / 255, (H, W, 3)),
        FLOAT,
        "16 bits a channel reduced to 8 (Pillow)",
    )


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_has_the_pixels_that_pillow_gives(tmp_path: Path, mode: str, progressive: bool) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(integers(8, 3)).convert(mode).save(path, progressive=progressive)
    assert np.array_equal(read_image(path).pixels, np.asarray(Image.open(path).convert("RGB")))


def test_a_camera_s_bytes_after_the_last_pixel(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(integers(8, 3)).save(stream, "JPEG")
    path = tmp_path / "a.jpg"
    path.write_bytes(stream.getvalue()[:-2] + bytes(40) + b"\xff\xd9")
    assert np.array_equal(read_image(path).pixels, np.asarray(Image.open(stream)))


def test_pil_images_with_a_key_below_8_bits(tmp_path: Path) -> None:
    values = integers(2, 1)
    path = tmp_path / "a.png"
    path.write_bytes(png(values, depth=2, colour=0, extra=chunk(b"tRNS", b"\0\2")))
    with Image.open(path) as image:
        assert np.array_equal(read_image(image).pixels, read_image(path).pixels)
