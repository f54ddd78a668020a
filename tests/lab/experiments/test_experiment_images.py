from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_systems import make_images
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from semetric.errors import ImageError, UsageError
from semetric.lab.experiments.images import find_images, level_name, look_at, read_picture


def test_files_and_folders_are_found_once(tmp_path: Path) -> None:
    make_images(tmp_path / "a" / "deep", 2)
    make_images(tmp_path / "b", 1)
    (tmp_path / "b" / "notes.txt").write_text("no image")
    (tmp_path / "b" / ".hidden.png").write_bytes(b"")
    found = find_images([tmp_path / "b", tmp_path / "a", tmp_path / "a" / "deep" / "0.png"])
    assert [one.name for one in found] == ["b/0.png", "a/deep/0.png", "a/deep/1.png"]
    assert [one.name for one in find_images([tmp_path / "a"])] == ["0.png", "1.png"]


@pytest.mark.parametrize(
    ("inputs", "message"), [([], "none is named"), (["nowhere"], "is not there"), (["empty"], "Expected a folder with")]
)
def test_nothing_to_send(inputs: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=message):
        find_images([tmp_path / name for name in inputs])


def test_large_images_shrink_and_say_so(tmp_path: Path) -> None:
    Image.new("RGB", (200, 100), "red").save(tmp_path / "wide.png")
    small = read_picture(str(tmp_path / "wide.png"), resize_longest=50)
    assert small.size == (25, 50)
    assert small.notes == ("resized from 200 × 100 to 50 × 25 (Lanczos, antialias)",)
    same = read_picture(str(tmp_path / "wide.png"), resize_longest=200)
    assert (same.size, same.notes) == ((100, 200), ())


def test_sixteen_bits_are_sent_as_eight(tmp_path: Path) -> None:
    Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30) * 100).save(tmp_path / "deep.png")
    picture = read_picture(str(tmp_path / "deep.png"))
    assert picture.pixels.dtype == np.uint8
    assert any("rounded to 8 bits" in note for note in picture.notes)


def test_a_broken_image_is_known_beforehand_and_keeps_no_example(tmp_path: Path) -> None:
    make_images(tmp_path, 3)
    (tmp_path / "0.png").write_bytes(b"broken")
    known = look_at(find_images([tmp_path]), examples=1)
    assert [one.error is None for one in known] == [False, True, True]
    assert [one.example for one in known] == [None, "1", None]
    assert (known[1].height, known[1].width) == (24, 24)
    with pytest.raises(ImageError):
        read_picture(str(tmp_path / "0.png"))


def test_examples_of_one_stem_have_folders_of_their_own(tmp_path: Path) -> None:
    for folder in "ab":
        make_images(tmp_path / folder, 1)
    known = look_at(find_images([tmp_path]), examples=9)
    assert [one.example for one in known] == ["a_0.png", "b_0.png"]


def test_folders_of_examples_are_names_of_files_anywhere(tmp_path: Path) -> None:
    names = ["new\nline.png", "back\\slash.png", "...png", "<b>.png", "x/b.png", "b.png", "x_b.png.png", "B.jpg.png"]
    names += ["long" * 60 + ".png", "long" * 60 + ".jpg"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name, "PNG")
    folders = [str(one.example) for one in look_at(find_images([tmp_path, tmp_path / "...png"]), examples=99)]
    assert len({one.casefold() for one in folders}) == len(names)
    for folder in folders:
        assert folder.isprintable()
        assert len(folder) <= 70
        assert not set(folder) & set('/\\:*?"<>|')
        assert not folder.startswith(".")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_name_of_a_level_reads_as_the_level(level: float) -> None:
    assert float(level_name(level)) == level


def test_ordinary_levels_have_short_names() -> None:
    assert [level_name(v) for v in (0.25, 12.0, 1e-5, -3.0)] == ["0.25", "12", "1e-05", "-3"]
