from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from semetric.errors import UsageError
from semetric.learn.datasets import load_dataset
from semetric.learn.triplets import Choice

COLUMNS = (
    *(
        "id",
        "left_vote",
        "right_vote",
        "votes",
        "ref_path",
        "left_path",
        "right_path",
        "split",
        "is_imagenet",
        "prompt",
    ),
)


def row(number: int, **other: Any) -> dict[str, Any]:
    stem = f"{number:03d}"
    found = {
        "id": number,
        "left_vote": 1,
        "right_vote": 0,
        "votes": 6,
        "ref_path": f"ref/000/{stem}.png",
        "left_path": f"distort/000/{stem}_0.png",
        "right_path": f"distort/000/{stem}_1.png",
        "split": "train",
        "is_imagenet": "True",
        "prompt": 'a "cat", sitting',
    }
    return found | other


@pytest.fixture
def nights(tmp_path: Path, touch: Callable[..., None]) -> Callable[..., Path]:
    """Rows → the folder above `nights`, with an image for each path of the first four triplets."""

    def make(*rows: dict[str, Any]) -> Path:
        for number in range(4):
            touch(f"nights/ref/000/{number:03d}.png", *(f"nights/distort/000/{number:03d}_{i}.png" for i in (0, 1)))
        with (tmp_path / "nights" / "data.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        return tmp_path

    return make


def test_rows_become_choices_with_paths_as_given(nights: Callable[..., Path]) -> None:
    swapped = {"left_path": "distort/000/001_1.png", "right_path": "distort/000/001_0.png"}
    root = nights(
        row(0),
        row(1, left_vote="0.0", right_vote="1.0", votes="8", split="test", is_imagenet="False", **swapped),
        row(2, votes=5),
    )
    data = load_dataset("nights", root)
    first, second = data.of(Choice)
    assert (data.kind, data.name, data.majority) == ("choices", "nights", True)
    assert (first.share_b, first.votes, first.triplet.split, first.triplet.group) == (0.0, 6, "train", "imagenet")
    assert (second.share_b, second.votes, second.triplet.group) == (1.0, 8, "other")
    assert second.triplet.a == str(root / "nights/distort/000/001_1.png")
    assert second.triplet.b == str(root / "nights/distort/000/001_0.png")
    assert data.left_out == {"fewer than 6 votes": 1}
    assert not data.problems


def test_a_split_and_the_folder_itself(nights: Callable[..., Path]) -> None:
    root = nights(row(0), row(1, split="val"), row(2, split="val"))
    data = load_dataset("nights", root / "nights", "val")
    assert [item.triplet.key for item in data.of(Choice)] == ["1", "2"]
    assert data.published_size == 1720
    with pytest.raises(UsageError, match=r"split of NIGHTS: train, val, test; found 'tset'"):
        load_dataset("nights", root, "tset")


def test_fewer_votes_when_asked(nights: Callable[..., Path]) -> None:
    data = load_dataset("nights", nights(row(0, votes=1)), min_votes=1)
    assert (len(data), data.published_size) == (1, None)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"ref_path": "ref/000/009.png"}, "ref/000/009.png is missing"),
        ({"ref_path": "../../secret.png"}, "leads out of the data set's folder"),
        ({"left_path": "/etc/passwd"}, "leads out of the data set's folder"),
        ({"left_path": "distort\\..\\..\\..\\x.png"}, "leads out of the data set's folder"),
        ({"right_path": "C:/x.png"}, "leads out of the data set's folder"),
        ({"right_path": ""}, "is no path"),
        ({"right_path": "distort/000"}, "distort/000 is missing"),
        ({"right_vote": "many"}, "right_vote is 'many' and no number"),
        ({"right_vote": "nan"}, "outside"),
        ({"right_vote": "1"}, "do not add up to 1"),
        ({"votes": "-1"}, "outside"),
        ({"split": "dev"}, "its split is 'dev'"),
        ({"id": 0}, "its id occurs twice"),
    ],
)
def test_damaged_rows_are_named(nights: Callable[..., Path], other: dict[str, Any], why: str) -> None:
    data = load_dataset("nights", nights(row(0), row(1, **other)))
    assert len(data) == 1
    assert data.problems.count == 1
    assert data.problems.named[0].startswith("data.csv, line 3 (id ")
    assert why in data.problems.named[0]


def test_a_path_may_turn_back_inside_the_root(nights: Callable[..., Path]) -> None:
    data = load_dataset("nights", nights(row(0, ref_path="distort/../ref/000/000.png")))
    assert not data.problems


def test_an_empty_file_is_damaged(nights: Callable[..., Path]) -> None:
    root = nights(row(0), row(1))
    (root / "nights/ref/000/001.png").write_bytes(b"")
    assert load_dataset("nights", root).problems.named == ("data.csv, line 3 (id 1): ref/000/001.png is empty",)


def test_rows_of_other_length_and_other_headers(nights: Callable[..., Path]) -> None:
    root = nights(row(0))
    file = root / "nights" / "data.csv"
    file.write_text(file.read_text() + "7,1\n")
    assert load_dataset("nights", root).problems.named == ("data.csv, line 3: 2 cells instead of 10",)
    file.write_text("id,left_vote\n1,1\n")
    with pytest.raises(UsageError, match="lacks right_vote, votes, ref_path, left_path, right_path, split"):
        load_dataset("nights", root)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="Expected a text file in UTF-8"):
        load_dataset("nights", root)


def test_nothing_whole_is_an_error(nights: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"found none that is whole. The first problem: data.csv, line 2 \(id 8\)"):
        load_dataset("nights", nights(row(8), row(9)))
    with pytest.raises(UsageError, match=r"data\.csv or nights/data\.csv; found none of them"):
        load_dataset("nights", tmp_path / "nights" / "ref")
    with pytest.raises(UsageError, match="is not there"):
        load_dataset("nights", tmp_path / "nothing")


def test_problems_are_counted_and_the_first_are_named(nights: Callable[..., Path]) -> None:
    data = load_dataset("nights", nights(row(0), *(row(number) for number in range(100, 400))))
    assert (data.problems.count, len(data.problems.named)) == (300, 200)
