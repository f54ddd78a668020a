from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from semetric.errors import UsageError
from semetric.learn.datasets import load_dataset
from semetric.learn.datasets.quality import KADID_DISTORTIONS, TID_DISTORTIONS
from semetric.learn.triplets import JudgedPair


@pytest.fixture
def kadid(tmp_path: Path, touch: Callable[..., None]) -> Path:
    touch(*(f"images/{name}.png" for name in ("I01", "I01_01_01", "I01_25_05", "I81", "I81_10_03")))
    (tmp_path / "dmos.csv").write_text(
        "dist_img,ref_img,dmos,var\n"
        "I01_01_01.png,I01.png,4.57,0.496\n"
        "I01_25_05.png,I01.png,1.0,0.3\n"
        "I81_10_03.png,I81.png,5,0.1\n"
    )
    return tmp_path


@pytest.fixture
def tid(tmp_path: Path, touch: Callable[..., None]) -> Path:
    """As on the published disc: one reference and some lines in other case."""
    touch(*(f"tid2013/reference_images/{name}" for name in ("I01.BMP", "i25.bmp")))
    touch(*(f"tid2013/distorted_images/{name}" for name in ("i01_01_1.bmp", "I25_24_5.BMP")))
    (tmp_path / "tid2013" / "mos_with_names.txt").write_text("5.51429 I01_01_1.bmp\r\n\r\n0.24242 i25_24_5.bmp\r\n")
    return tmp_path


def test_kadid(kadid: Path) -> None:
    data = load_dataset("kadid10k", kadid)
    assert [(item.opinion, item.group) for item in data.of(JudgedPair)] == [
        (4.57, "gaussian blur"),
        (1.0, "contrast change"),
        (5.0, "jpeg"),
    ]
    assert data.items[2].reference == str(kadid / "images/I81.png")  # type: ignore[union-attr]
    assert (data.kind, data.published_size, len(KADID_DISTORTIONS)) == ("pairs", 10_125, 25)


def test_tid_in_any_case(tid: Path) -> None:
    data = load_dataset("tid2013", tid)
    first, second = data.of(JudgedPair)
    place = tid / "tid2013"
    assert first.reference == str(place / "reference_images/I01.BMP")
    assert first.image == str(place / "distorted_images/i01_01_1.bmp")
    assert second.reference == str(place / "reference_images/i25.bmp")
    assert second.image == str(place / "distorted_images/I25_24_5.BMP")
    assert (first.opinion, first.group, second.group) == (5.51429, TID_DISTORTIONS[0], TID_DISTORTIONS[23])
    assert (data.published_size, len(TID_DISTORTIONS)) == (3000, 24)
    assert not data.problems


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("I01_01_02.png,I01.png,3,0", "images/I01_01_02.png is missing"),
        ("I01_01_01.png,I01.png,3,0", "rated twice"),
        ("I01_01_01b.png,I01.png,0.5,0", "missing"),
        ("I81.png,I01.png,0.5,0", "dmos is 0.5, outside [1, 5]"),
        ("../../x.png,I01.png,3,0", "leads out"),
        ("I81.png,I01.png,high,0", "no number"),
        ("I81.png,I01.png", "2 cells instead of 4"),
    ],
)
def test_damaged_lines_of_kadid(kadid: Path, line: str, why: str) -> None:
    file = kadid / "dmos.csv"
    file.write_text(file.read_text() + line + "\n")
    data = load_dataset("kadid10k", kadid)
    assert len(data) == 3
    assert data.problems.count == 1
    assert data.problems.named[0].startswith("dmos.csv, line 5: ")
    assert why in data.problems.named[0]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("5.5 I02_01_1.bmp", "reference_images/I02.bmp is missing"),
        ("5.5 I01_02_1.bmp", "distorted_images/I01_02_1.bmp is missing"),
        ("5.5 ../I01_02_1.bmp", "is no score with the name"),
        ("9.5 I25_24_5.bmp", "rated twice"),
        ("I01_01_1.bmp", "is no score with the name"),
        ("nine i01_01_3.bmp", "missing"),
    ],
)
def test_damaged_lines_of_tid(tid: Path, line: str, why: str) -> None:
    file = tid / "tid2013" / "mos_with_names.txt"
    file.write_text(file.read_text() + line + "\n")
    data = load_dataset("tid2013", tid)
    assert (len(data), data.problems.count) == (2, 1)
    assert why in data.problems.named[0]


def test_names_that_differ_in_case_alone(tid: Path, touch: Callable[..., None]) -> None:
    folder = tid / "tid2013" / "distorted_images"
    if (folder / "I01_01_1.BMP").exists():
        pytest.skip("this file system knows no case")
    touch("tid2013/distorted_images/I01_01_1.BMP")
    named = load_dataset("tid2013", tid).problems.named
    assert named == (
        "mos_with_names.txt, line 1: distorted_images holds I01_01_1.BMP and i01_01_1.bmp: which is meant?",
    )
    touch("tid2013/distorted_images/I01_01_1.bmp")  # written as in the list
    assert not load_dataset("tid2013", tid).problems


def test_they_have_no_splits(kadid: Path, tid: Path) -> None:
    for name, root in (("kadid10k", kadid), ("tid2013", tid)):
        with pytest.raises(UsageError, match=r"it has none; found 'test'"):
            load_dataset(name, root, "test")


def test_another_header_is_an_error(kadid: Path) -> None:
    (kadid / "dmos.csv").write_text("image,reference,score\n")
    with pytest.raises(UsageError, match="lacks dist_img, ref_img, dmos"):
        load_dataset("kadid10k", kadid)
