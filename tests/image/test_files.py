"""Every kind of file that people pass, made here and read back."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from semetric.errors import ImageError
from semetric.image import read_image
from semetric.image.suffixes import FORMATS, SUFFIXES

RNG = np.random.default_rng(7)
PHOTO = RNG.integers(0, 256, (9, 14, 3), dtype=np.uint8)
GREY = PHOTO[:, :, 0]


def png(width: int, height: int, *, depth: int, colour: int, rows: np.ndarray, extra: bytes = b"") -> bytes:
    """A PNG file written by hand, since Pillow writes no 16-bit colour: unfiltered big-endian rows."""
    body = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def transparent(kind: bytes) -> bytes:
    """A tRNS chunk."""
    return struct.pack(">I", len(kind)) + b"tRNS" + kind + struct.pack(">I", zlib.crc32(b"tRNS" + kind))


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm", "webp"])
def test_lossless_files_keep_their_pixels(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"photo.{suffix}"
    Image.fromarray(PHOTO).save(path, **({"lossless": True} if suffix == "webp" else {}))
    picture = read_image(path)
    assert np.array_equal(picture.pixels, PHOTO)
    assert picture.pixels.dtype == np.uint8
    assert (picture.name, picture.notes, picture.size) == (str(path), (), (9, 14))
    assert read_image(str(path)).digest == picture.digest


def test_one_pixel(tmp_path: Path) -> None:
    path = tmp_path / "dot.png"
    Image.new("RGB", (1, 1), (1, 2, 3)).save(path)
    picture = read_image(path)
    assert picture.pixels.tolist() == [[[1, 2, 3]]]
    assert tuple(picture.to_tensor().shape) == (1, 3, 1, 1)


def test_grey(tmp_path: Path) -> None:
    path = tmp_path / "grey.png"
    Image.fromarray(GREY).save(path)
    picture = read_image(path)
    assert np.array_equal(picture.pixels, np.repeat(GREY[:, :, None], 3, axis=2))
    assert picture.notes == ("grey repeated over three channels",)


def test_bilevel(tmp_path: Path) -> None:
    path = tmp_path / "ink.png"
    Image.fromarray(GREY > 127).save(path)
    assert np.array_equal(read_image(path).pixels[:, :, 2], np.where(GREY > 127, 255, 0))


@pytest.mark.parametrize(
    ("background", "rgb"), [("white", (255, 255, 255)), ("#102030", (16, 32, 48)), ((9, 8, 7), (9, 8, 7))]
)
def test_alpha_is_composited(tmp_path: Path, background: str | tuple[int, int, int], rgb: tuple[int, int, int]) -> None:
    alpha = RNG.integers(0, 256, (9, 14, 1), dtype=np.uint8)
    alpha[0], alpha[1] = 0, 255
    path = tmp_path / "cut.png"
    Image.fromarray(np.concatenate([PHOTO, alpha], axis=2)).save(path)
    picture = read_image(path, background=background)
    exact = (PHOTO * (alpha / 255) + np.array(rgb) * (1 - alpha / 255)).astype(np.float64)
    assert np.abs(picture.pixels - exact).max() <= 0.5 + 1e-9  # rounded to nearest
    assert np.array_equal(picture.pixels[1], PHOTO[1])
    assert np.array_equal(picture.pixels[0], np.broadcast_to(rgb, (14, 3)))
    assert picture.notes == (f"alpha composited on {background}",)


def test_opaque_alpha_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "opaque.png"
    Image.fromarray(np.dstack([PHOTO, np.full_like(GREY, 255)])).save(path)
    picture = read_image(path)
    assert np.array_equal(picture.pixels, PHOTO)
    assert picture.notes == ("opaque alpha dropped",)


def test_grey_with_alpha(tmp_path: Path) -> None:
    path = tmp_path / "la.png"
    Image.fromarray(np.dstack([GREY, np.zeros_like(GREY)])).save(path)
    picture = read_image(path, background="red")
    assert (picture.pixels == (255, 0, 0)).all()
    assert "alpha composited on red" in picture.notes


def test_palette(tmp_path: Path) -> None:
    path = tmp_path / "palette.png"
    palette = Image.fromarray(PHOTO).quantize(16)
    palette.save(path)
    picture = read_image(path)
    assert np.array_equal(picture.pixels, np.asarray(palette.convert("RGB")))
    assert picture.notes == ("palette looked up",)


def test_palette_with_transparency(tmp_path: Path) -> None:
    path = tmp_path / "palette.gif"
    image = Image.new("P", (4, 3), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((2, 1), 1)
    image.save(path, transparency=0)
    pixels = read_image(path, background=(1, 2, 3)).pixels
    assert pixels[1, 2].tolist() == [200, 100, 50]
    assert pixels[0, 0].tolist() == [1, 2, 3]


def test_colour_key(tmp_path: Path) -> None:
    path = tmp_path / "key.png"
    Image.fromarray(PHOTO).save(path, transparency=tuple(int(v) for v in PHOTO[4, 5]))
    picture = read_image(path, background="blue")
    assert picture.pixels[4, 5].tolist() == [0, 0, 255]
    assert "one colour is transparent" in picture.notes


def test_cmyk_is_converted_and_said(tmp_path: Path) -> None:
    path = tmp_path / "print.jpg"
    Image.fromarray(PHOTO).convert("CMYK").save(path, quality=95)
    picture = read_image(path)
    assert np.array_equal(picture.pixels, np.asarray(Image.open(path).convert("RGB")))
    assert picture.notes == ("CMYK converted to RGB without a colour profile",)


def test_other_colour_spaces_are_converted_and_said(tmp_path: Path) -> None:
    path = tmp_path / "lab.tif"
    Image.new("LAB", (4, 3), (255, 128, 128)).save(path)  # L* = 100, a* = b* = 0
    picture = read_image(path)
    assert picture.pixels.min() >= 250  # white, but for the rounding of Lab to bytes
    assert picture.notes == ("LAB converted to RGB",)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bit_png_keeps_its_precision(tmp_path: Path, channels: int) -> None:
    values = RNG.integers(0, 65536, (9, 14, channels), dtype=np.uint16)
    if channels == 4:
        values[:, :, 3] = 65535
    path = tmp_path / "deep.png"
    path.write_bytes(png(14, 9, depth=16, colour={1: 0, 3: 2, 4: 6}[channels], rows=values.astype(">u2")))
    picture = read_image(path)
    assert picture.pixels.dtype == np.float32
    assert np.array_equal(
        np.rint(picture.pixels.astype(np.float64) * 65535), np.broadcast_to(values[:, :, :3], (9, 14, 3))
    )
    assert "16-bit values divided by 65535" in picture.notes


def test_16_bit_alpha_is_composited_in_full_depth(tmp_path: Path) -> None:
    values = RNG.integers(0, 65536, (9, 14, 4), dtype=np.uint16)
    path = tmp_path / "deep.png"
    path.write_bytes(png(14, 9, depth=16, colour=6, rows=values.astype(">u2")))
    colours, alpha = values[:, :, :3] / 65535, values[:, :, 3:] / 65535
    # two float32 products and a sum of values up to 1: three roundings of 6e-8
    assert np.allclose(read_image(path, background="black").pixels, colours * alpha, rtol=0, atol=2e-7)


def test_16_bit_colour_key(tmp_path: Path) -> None:
    values = RNG.integers(0, 65536, (9, 14, 1), dtype=np.uint16)
    path = tmp_path / "deep.png"
    key = transparent(struct.pack(">H", int(values[3, 3, 0])))
    path.write_bytes(png(14, 9, depth=16, colour=0, rows=values.astype(">u2"), extra=key))
    picture = read_image(path, background="red")
    assert picture.pixels[3, 3].tolist() == [1.0, 0.0, 0.0]
    assert picture.pixels[3, 4].tolist() == [np.float32(values[3, 4, 0]) / np.float32(65535)] * 3


def test_16_bit_file_of_8_bit_values_has_the_8_bit_digest(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    path.write_bytes(png(14, 9, depth=16, colour=2, rows=(PHOTO.astype(np.uint16) * 257).astype(">u2")))
    assert read_image(path).digest == read_image(PHOTO).digest


def test_16_bit_grey_tiff(tmp_path: Path) -> None:
    values = RNG.integers(0, 65536, (9, 14), dtype=np.uint16)
    path = tmp_path / "deep.tif"
    Image.fromarray(values).save(path, compression="tiff_lzw")
    assert np.array_equal(np.rint(read_image(path).pixels[:, :, 1].astype(np.float64) * 65535), values)


def test_float_tiff(tmp_path: Path) -> None:
    values = RNG.random((9, 14), dtype=np.float32)
    path = tmp_path / "float.tif"
    Image.fromarray(values).save(path)
    assert np.array_equal(read_image(path).pixels[:, :, 0], values)
    Image.fromarray(values * 300).save(path)
    with pytest.raises(ImageError, match=r"Expected floats in \[0, 1\].*float\.tif.* to 29"):
        read_image(path)


def test_32_bit_integers(tmp_path: Path) -> None:
    path = tmp_path / "wide.tif"
    Image.fromarray(np.full((3, 4), 70_000, np.int32)).save(path)
    with pytest.raises(ImageError, match=r"Expected integers in 0\.\.65535.*70000 to 70000"):
        read_image(path)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, suffix: str) -> None:
    path = tmp_path / f"phone.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(PHOTO).save(path, exif=exif)
    picture = read_image(path)
    with Image.open(path) as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(picture.pixels, upright)
    assert picture.size == ((9, 14) if orientation < 5 else (14, 9))
    expected = () if orientation == 1 else (f"turned upright (EXIF orientation {orientation})",)
    assert picture.notes == expected


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")  # Pillow's
@pytest.mark.parametrize("block", [b"", b"XX*\0\x08\0\0\0", b"II*\0\xff\xff\xff\x7f", b"MM\0*\0\0\0\x08\0\x09\1\x12"])
def test_damaged_exif_does_not_spoil_the_pixels(tmp_path: Path, block: bytes) -> None:
    path = tmp_path / "phone.jpg"
    Image.fromarray(PHOTO).save(path, exif=b"Exif\0\0" + block, quality=100)
    clean = tmp_path / "clean.jpg"
    Image.fromarray(PHOTO).save(clean, quality=100)
    assert read_image(path).digest == read_image(clean).digest


def test_exif_that_pillow_rejects_is_ignored_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "phone.bmp"
    Image.fromarray(PHOTO).save(path)

    def fail(self: Image.Image) -> None:
        raise SyntaxError("not a TIFF file")

    monkeypatch.setattr(Image.Image, "getexif", fail)
    picture = read_image(path)
    assert np.array_equal(picture.pixels, PHOTO)
    assert picture.notes == ("unreadable EXIF block ignored",)


@pytest.mark.parametrize("suffix", ["gif", "png", "tif", "webp"])
def test_first_frame_is_taken_and_said(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"moving.{suffix}"
    frames = [Image.new("RGB", (6, 5), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)
    picture = read_image(path)
    assert (picture.pixels == (255, 0, 0)).all()
    assert "first of several frames" in picture.notes


def test_later_frames_of_an_open_image(tmp_path: Path) -> None:
    path = tmp_path / "moving.gif"
    frames = [Image.new("RGB", (6, 5), colour) for colour in ("red", "lime")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with Image.open(path) as image:
        image.seek(1)
        assert (read_image(image).pixels == (0, 255, 0)).all()


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "tif", "bmp"])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.7])
def test_truncated(tmp_path: Path, suffix: str, share: float) -> None:
    whole = tmp_path / f"whole.{suffix}"
    Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(whole)
    data = whole.read_bytes()
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageError, match=r"cut\.\w+ is (damaged|not in a format)"):
        read_image(path)


def test_truncated_and_lazily_opened(tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:3000])
    with Image.open(path) as image, pytest.raises(ImageError, match="damaged"):
        read_image(image)


@pytest.mark.parametrize("content", [b"Dear reader,\n", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", os.urandom(500), b"\0"])
def test_not_an_image(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "letter.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"letter\.png"):
        read_image(path)


def test_empty(tmp_path: Path) -> None:
    path = tmp_path / "nothing.png"
    path.touch()
    with pytest.raises(ImageError, match=r"nothing\.png is empty \(0 bytes\)"):
        read_image(path)


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"gone\.png does not exist"):
        read_image(tmp_path / "gone.png")


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="is a folder"):
        read_image(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match="pipe or a device"):
        read_image(tmp_path / "pipe.png")


def test_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.png"
    Image.fromarray(PHOTO).save(path)
    path.chmod(0)
    if os.access(path, os.R_OK):  # the superuser reads everything, so let opening fail for her

        def refuse(*args: object, **kwargs: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(ImageError, match=r"permission to read .*secret\.png is denied"):
        read_image(path)


def test_impossible_path() -> None:
    with pytest.raises(ImageError, match="cannot be opened"):
        read_image("a\0b.png")


def test_bomb_is_refused_before_decoding(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(30_000, 30_000, depth=8, colour=2, rows=np.zeros((1, 1), np.uint8)))
    with pytest.raises(ImageError, match=r"at most 178,956,970 pixels; .*bomb\.png is 30000 × 30000 = 900,000,000"):
        read_image(path)


def test_below_the_limit_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "short.png"
    path.write_bytes(png(40, 50, depth=8, colour=2, rows=np.zeros((1, 1), np.uint8)))
    with pytest.raises(ImageError, match="at most 1,999 pixels"):
        read_image(path, max_pixels=1999)
    with pytest.raises(ImageError, match="damaged"):  # which shows that only now were pixels looked for
        read_image(path, max_pixels=2000)


def test_limit_is_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(PHOTO).save(path)
    assert read_image(path, max_pixels=126).size == (9, 14)
    for source in (path, PHOTO, Image.fromarray(PHOTO)):
        with pytest.raises(ImageError, match="at most 125 pixels"):
            read_image(source, max_pixels=125)
    # Pillow's own limit neither applies nor is changed
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert read_image(path, max_pixels=None).size == (9, 14)
    assert Image.MAX_IMAGE_PIXELS == 10


def test_not_enough_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(PHOTO).save(path)

    def fail(*args: object, **kwargs: object) -> None:
        raise MemoryError

    monkeypatch.setattr("semetric.image.files.to_rgb", fail)
    with pytest.raises(ImageError, match="more than this machine's memory holds"):
        read_image(path)


@pytest.mark.parametrize(
    "mode", ["RGB", "RGBA", "RGBX", "RGBa", "L", "LA", "La", "P", "1", "CMYK", "YCbCr", "HSV", "I", "I;16", "F"]
)
def test_every_pil_mode_is_read(mode: str) -> None:
    image = Image.new(mode, (5, 4))
    picture = read_image(image)
    assert picture.size == (4, 5)
    assert picture.name == "<PIL image>"
    assert picture.pixels.dtype == np.uint8  # all zeros lie on the 8-bit grid


def test_pil_image_is_left_as_it_is() -> None:
    image = Image.fromarray(PHOTO)
    before = image.tobytes()
    picture = read_image(image)
    image.putpixel((0, 0), (0, 0, 0))
    assert np.array_equal(picture.pixels, PHOTO)
    assert before == PHOTO.tobytes()


def files() -> dict[str, Callable[[Path], None]]:
    photo = Image.fromarray(RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8))
    return {s: lambda p: photo.save(p) for s in ("png", "jpg", "gif", "tif", "webp", "bmp", "ico", "ppm")}


@pytest.mark.parametrize("suffix", sorted(files()))
@pytest.mark.filterwarnings("ignore")  # Pillow warns of what it finds in damaged files
def test_altered_bytes_give_a_picture_or_an_image_error(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"photo.{suffix}"
    files()[suffix](path)
    whole = path.read_bytes()
    rng = np.random.default_rng(3)
    outcomes: set[int | str] = set()
    for _ in range(60):
        data = bytearray(whole)
        for place in rng.integers(0, min(len(data), 400), 3):
            data[place] = int(rng.integers(0, 256))
        path.write_bytes(bytes(data))
        try:
            outcomes.add(read_image(path, max_pixels=1_000_000).pixels.shape[2])
        except ImageError as error:
            outcomes.add(0 if f"photo.{suffix}" in str(error) else str(error))
    assert outcomes <= {0, 3}
    assert 0 in outcomes or suffix in {"bmp", "ppm"}  # formats without checks may read anything


@pytest.mark.parametrize("form", ["ICO", "ICNS", "MSP", "XBM", "DDS", "EPS"])
def test_formats_that_are_not_read_are_refused_under_any_name(tmp_path: Path, form: str) -> None:
    path = tmp_path / "photo.png"
    Image.new({"MSP": "1", "XBM": "1"}.get(form, "RGB"), (64, 64)).save(path, format=form)
    with pytest.raises(ImageError, match=r"photo\.png is not in a format that can be read"):
        read_image(path)


def test_an_image_inside_an_icon_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow would decode it before its size is known to us."""
    path = tmp_path / "bomb.png"
    Image.new("RGBA", (256, 256)).save(path, format="ICO", sizes=[(256, 256)])
    decoded: list[str] = []
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: decoded.append(type(self).__name__))
    with pytest.raises(ImageError):
        read_image(path, max_pixels=100)
    assert decoded == []


@pytest.mark.skipif(os.name != "posix", reason="a shell script as the other program")
def test_no_other_program_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, ran = tmp_path / "photo.png", tmp_path / "ran"
    Image.new("RGB", (8, 8)).save(path, format="EPS")
    stub = tmp_path / "gs"
    stub.write_text(f"#!/bin/sh\ntouch {ran}\n")
    stub.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)  # what it knows of an earlier search
    with pytest.raises(ImageError, match="not in a format that can be read"):
        read_image(path)
    assert not ran.exists()


def test_what_is_read_is_what_the_suffixes_stand_for() -> None:
    Image.init()
    assert set(FORMATS) <= set(Image.OPEN)
    named = {Image.EXTENSION[suffix] for suffix in SUFFIXES}
    assert named - {"MPO"} <= set(FORMATS)  # MPO: JPEG's reader
    assert set(FORMATS) <= named
