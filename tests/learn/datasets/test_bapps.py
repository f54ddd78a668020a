from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semetric.errors import UsageError
from semetric.learn.datasets import load_dataset
from semetric.learn.datasets.bapps import read_share
from semetric.learn.datasets.files import Damaged
from semetric.learn.triplets import Choice, JudgedPair


@pytest.fixture
def bapps(tmp_path: Path, touch: Callable[..., None]) -> Path:
    """The folder above `2afc` and `jnd`: two subsets of two entries each."""
    for subset in ("cnn", "traditional"):
        for number, share in enumerate((0.2, 1.0)):
            stem = f"{number:06d}"
            touch(*(f"2afc/val/{subset}/{folder}/{stem}.png" for folder in ("ref", "p0", "p1")))
            touch(*(f"jnd/val/{subset}/{folder}/{stem}.png" for folder in ("p0", "p1")))
            for kind, folder in (("2afc", "judge"), ("jnd", "same")):
                file = tmp_path / kind / "val" / subset / folder / f"{stem}.npy"
                file.parent.mkdir(parents=True, exist_ok=True)
                np.save(file, np.array([share], np.float32))
    return tmp_path


def test_two_alternatives(bapps: Path) -> None:
    data = load_dataset("bapps", bapps, "val")
    items = data.of(Choice)
    assert [item.triplet.key for item in items] == [f"val/{s}/00000{i}" for s in ("cnn", "traditional") for i in (0, 1)]
    assert [item.share_b for item in items] == [pytest.approx(0.2), 1.0] * 2  # stored as float32
    assert items[0].triplet.b == str(bapps / "2afc/val/cnn/p1/000000.png")
    assert {item.triplet.group for item in items} == {"cnn", "traditional"}
    assert not data.majority
    assert len(load_dataset("bapps", bapps / "2afc", subset="cnn")) == 2


def test_same_or_different(bapps: Path) -> None:
    data = load_dataset("bapps_jnd", bapps)
    first = data.of(JudgedPair)[0]
    assert (data.kind, len(data), first.opinion) == ("same", 4, pytest.approx(0.2))
    assert (first.reference, first.image) == tuple(str(bapps / f"jnd/val/cnn/{p}/000000.png") for p in ("p0", "p1"))


def test_unknown_splits_and_subsets(bapps: Path) -> None:
    with pytest.raises(UsageError, match=r": val; found 'train'"):
        load_dataset("bapps", bapps, "train")
    with pytest.raises(UsageError, match=r": cnn, traditional; found 'color'"):
        load_dataset("bapps", bapps, subset="color")
    with pytest.raises(UsageError, match="BAPPS 2AFC"):
        load_dataset("bapps", bapps / "jnd" / "val")


@pytest.mark.parametrize("gone", ["ref/000000.png", "p1/000000.png", "judge/000000.npy"])
def test_a_missing_file_is_named(bapps: Path, gone: str) -> None:
    (bapps / "2afc/val/cnn" / gone).unlink()
    data = load_dataset("bapps", bapps)
    assert data.problems.named == (f"val/cnn/000000: val/cnn/{gone} is missing",)
    assert len(data) == 3


def test_a_missing_folder_is_named(bapps: Path) -> None:
    (bapps / "jnd/val/cnn/same").rename(bapps / "elsewhere")
    named = load_dataset("bapps_jnd", bapps).problems.named
    assert named[0] == "val/cnn: the folder same is missing"
    assert len(named) == 3


class Trap:
    """What a pickle would run."""

    def __reduce__(self) -> Any:
        return (pytest.fail, ("a pickle was loaded",))


def stored(value: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, value, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (stored(np.array([0.5]))[:-3], "no array of numbers"),
        (stored(np.array([0.5]))[:40], "no array of numbers"),
        (b"", "empty"),
        (b"\x93NUMPY\x09\x00junk", "no array of numbers"),
        (b"PK\x03\x04" + bytes(100), "no array of numbers"),
        (stored(np.array([Trap()], dtype=object), allow_pickle=True), "no array of numbers"),
        (stored(np.array(["0.5"])), "holds <U3"),
        (stored(np.array([0.5 + 0j])), "holds complex128"),
        (stored(np.array([0.5, 0.5])), r"of shape (2,)"),
        (stored(np.array([np.nan])), "no share"),
        (stored(np.array([1.5])), "no share"),
        (stored(np.zeros(1000)), "too large"),
    ],
)
def test_damaged_judgements_are_named(bapps: Path, content: bytes, why: str) -> None:
    (bapps / "2afc/val/cnn/judge/000001.npy").write_bytes(content)
    data = load_dataset("bapps", bapps)
    assert (len(data), data.problems.count) == (3, 1)
    assert data.problems.named[0].startswith("val/cnn/000001: ")
    assert why in data.problems.named[0]


@given(place=st.integers(0, 135), byte=st.integers(0, 255))
def test_any_other_byte_is_a_share_or_named(tmp_path_factory: pytest.TempPathFactory, place: int, byte: int) -> None:
    content = bytearray(stored(np.array([0.5])))
    content[place] = byte
    file = tmp_path_factory.getbasetemp() / "share.npy"
    file.write_bytes(content)
    try:
        share = read_share(str(file))
    except Damaged:
        return
    assert 0 <= share <= 1


def test_scalars_and_integers_are_shares(tmp_path: Path) -> None:
    for value in (np.float64(1), np.array(1), np.array([[1]], np.uint8)):
        np.save(tmp_path / "x.npy", value)
        assert read_share(str(tmp_path / "x.npy")) == 1.0
