from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from semetric.errors import UsageError
from semetric.learn.datasets import OddOneOut, choices_of, load_dataset

NAMES = ("aardvark", "abacus", "bat1", "zipper")
TABLE = "triplet_dataset/triplets_large_final_correctednc_correctedorder.csv"


@pytest.fixture
def things(tmp_path: Path, touch: Callable[..., None]) -> Path:
    touch("images/aardvark.jpg", "images/abacus/abacus_01b.jpg", "images/bat1.jpg", "images/zipper.jpg")
    (tmp_path / "unique_id.txt").write_text("\n".join(NAMES) + "\n")
    return tmp_path


def stems(item: OddOneOut) -> list[str]:
    return [Path(path).stem.removesuffix("_01b") for path in item.images]


def test_the_table_of_all_judgements_counts_from_one(things: Path) -> None:
    (things / "triplet_dataset").mkdir()
    (things / TABLE).write_text(
        "image1\timage2\timage3\tchoice\tsubject_id\n1\t2\t4\t3\tA\n3\t2\t1\t1\tB\n1\t2\t5\t1\tB\n1\t2\t3\t4\tB\n1\tx\n"
    )
    data = load_dataset("things", things)
    first, second = data.of(OddOneOut)
    assert (stems(first), first.odd) == (["aardvark", "abacus", "zipper"], 2)
    assert (stems(second), second.odd) == (["bat1", "abacus", "aardvark"], 0)
    assert first.images[1] == str(things / "images/abacus/abacus_01b.jpg")
    assert [name.partition("line ")[2][0] for name in data.problems.named] == ["4", "5", "6"]


def test_early_files_are_reordered(things: Path) -> None:
    (things / "validationset.txt").write_text("0 1 3\n2 1 0\n")
    with pytest.raises(UsageError, match=r"Expected a file sortindex in .* early order"):
        load_dataset("things", things, "val")
    assert stems(load_dataset("things", things, "val", sortindex="none").of(OddOneOut)[0])[2] == "zipper"
    (things / "sortindex").write_text("0\n3\n1\n2\n")  # the final second object was number 3 in the early list
    first, second = load_dataset("things", things, "val").of(OddOneOut)
    assert stems(first) == ["aardvark", "bat1", "abacus"]
    assert stems(second) == ["zipper", "bat1", "aardvark"]
    assert (first.odd, first.split, first.key) == (2, "val", "validationset/1")
    (things / "sortindex").write_text("0 0 1 2")
    with pytest.raises(UsageError, match="each number from 0 to 3 once"):
        load_dataset("things", things, "val")


@pytest.mark.parametrize("form", ["txt", "npy"])
def test_files_of_ones_own_count_in_the_final_order(things: Path, form: str) -> None:
    triplets = np.array([[0, 1, 3], [2, 0, 1]])
    (things / "triplets").mkdir()
    if form == "npy":
        np.save(things / "triplets" / "test_10.npy", triplets)
    else:
        np.savetxt(things / "triplets" / "test_10.txt", triplets)  # as 0.000000000000000000e+00
    data = load_dataset("things", things, "test")
    assert [stems(item) for item in data.of(OddOneOut)] == [
        ["aardvark", "abacus", "zipper"],
        ["bat1", "aardvark", "abacus"],
    ]


def test_the_odd_one_is_the_farther_candidate(things: Path) -> None:
    (things / "train_90.txt").write_text("0 1 3\n")
    data = load_dataset("things", things, "train")
    one, two = choices_of(data)
    assert [Path(one.triplet.reference).stem, Path(two.triplet.reference).parent.name] == ["aardvark", "abacus"]
    assert all(Path(choice.triplet.b).stem == "zipper" and choice.share_b == 0 for choice in (one, two))
    assert one.triplet.a == two.triplet.reference


def test_objects_by_tsv(things: Path) -> None:
    (things / "unique_id.txt").unlink()
    (things / "things_concepts.tsv").write_text("Word\tuniqueID\n" + "".join(f"w\t{name}\n" for name in NAMES))
    (things / "mine.txt").write_text("0 1 3\n")
    assert len(load_dataset("things", things, file="mine.txt")) == 1
    (things / "things_concepts.tsv").write_text("Word\tid\nw\tx\n")
    with pytest.raises(UsageError, match="a column uniqueID"):
        load_dataset("things", things, file="mine.txt")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("0 1", "not three whole numbers"),
        ("0 1 2 3", "not three whole numbers"),
        ("0 1 2.5", "not three whole numbers"),
        ("0 1 inf", "not three whole numbers"),
        ("0 1 4", "object 4 is not among the 4"),
        ("0 1 -1", "object -1 is not among the 4"),
        ("0 1 1", "are not three objects"),
    ],
)
def test_damaged_lines_are_named(things: Path, line: str, why: str) -> None:
    (things / "test_10.txt").write_text(f"0 1 2\n{line}\n")
    data = load_dataset("things", things, "test")
    assert (len(data), data.problems.count) == (1, 1)
    assert data.problems.named[0].startswith("test_10.txt, line 2: ")
    assert why in data.problems.named[0]


def test_missing_images_and_names_that_lead_out(things: Path) -> None:
    (things / "images/bat1.jpg").unlink()
    (things / "unique_id.txt").write_text("aardvark\nabacus\nbat1\n../../zipper\n")
    (things / "test_10.txt").write_text("0 1 2\n0 1 3\n")
    with pytest.raises(UsageError, match=r"line 1: no image of bat1\. \(2 entries"):
        load_dataset("things", things, "test")


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01\x00v", np.zeros(3).tobytes()])
def test_a_damaged_array_is_an_error(things: Path, content: bytes) -> None:
    (things / "test_10.npy").write_bytes(content)
    with pytest.raises(UsageError, match="Expected an array of triplets"):
        load_dataset("things", things, "test")


def test_arrays_of_other_shape_and_missing_files(things: Path) -> None:
    np.save(things / "test_10.npy", np.zeros((3, 2)))
    with pytest.raises(UsageError, match=r"\(N, 3\) whole numbers"):
        load_dataset("things", things, "test")
    with pytest.raises(UsageError, match=r"trainset\.txt or train_90\.txt"):
        load_dataset("things", things, "train")
    with pytest.raises(UsageError, match="a split of THINGS"):
        load_dataset("things", things, "../x")
