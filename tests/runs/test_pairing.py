from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semetric.errors import ImageError, UsageError
from semetric.image.suffixes import SUFFIXES
from semetric.runs.pairing import key, match_names, pair_folders, read_pairs

PATHS = st.sets(
    st.builds(
        lambda folder, stem, suffix: f"{folder}{stem}{suffix}",
        st.sampled_from(["", "a/", "a/b/", "a.png/"]),
        st.sampled_from(["x", "y", "x.y", "é"]),
        st.sampled_from([".png", ".jpg", ".PNG", ""]),
    )
)


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    root.mkdir(exist_ok=True)
    return root


@given(PATHS, PATHS)
def test_every_file_is_in_one_place(references: set[str], images: set[str]) -> None:
    matched, alone, alone_too, ambiguous = match_names(references, images)
    ours = [r for r, _ in matched] + alone + [r for one, _ in ambiguous.values() for r in one]
    theirs = [i for _, i in matched] + alone_too + [i for _, two in ambiguous.values() for i in two]
    assert sorted(ours) == sorted(references)
    assert sorted(theirs) == sorted(images)
    assert all(key(one) == key(two) for one, two in matched)
    assert matched == sorted(matched, key=lambda pair: key(pair[0]))
    assert not {key(r) for r in alone} & {key(i) for i in alone_too}
    assert all(max(len(one), len(two)) > 1 for one, two in ambiguous.values())


@given(PATHS, PATHS)
def test_the_sides_can_be_swapped(references: set[str], images: set[str]) -> None:
    matched, alone, alone_too, ambiguous = match_names(references, images)
    swapped = match_names(images, references)
    assert [(b, a) for a, b in matched] == swapped[0]
    assert (alone_too, alone) == swapped[1:3]
    assert {name: (two, one) for name, (one, two) in ambiguous.items()} == swapped[3]


@pytest.mark.parametrize(
    ("name", "expected"), [("a/b.png", "a/b"), ("a.b/c", "a.b/c"), ("x.tar.png", "x.tar"), ("", ""), (".png", ".png")]
)
def test_a_key_is_a_path_without_its_suffix(name: str, expected: str) -> None:
    assert key(name) == expected


def test_folders_pair_by_relative_path_without_suffix(tmp_path: Path) -> None:
    references = touch(tmp_path / "r", "b.png", "a/x.PNG", "a/only.png", "two.png", "two.jpg", ".hidden.png", "t.txt")
    images = touch(tmp_path / "i", "b.jpg", "a/x.webp", "new.png", "two.png", ".git/b.png", "README")
    found = pair_folders(references, images)
    assert [(p.reference, p.image) for p in found.pairs] == [("a/x.PNG", "a/x.webp"), ("b.png", "b.jpg")]
    assert found.pairs[0].reference_path == str(references / "a" / "x.PNG")
    assert found.unmatched_references == ("a/only.png",)
    assert found.unmatched_images == ("new.png",)
    assert found.ambiguous == {"two": (("two.jpg", "two.png"), ("two.png",))}
    assert found.not_images == (str(references / "t.txt"), str(images / "README"))


@pytest.mark.parametrize(("images", "message"), [(["c.png"], "no common name"), ([], "found 0 and 1")])
def test_nothing_in_common_is_a_usage_error(tmp_path: Path, images: list[str], message: str) -> None:
    references = touch(tmp_path / "r", "b.png")
    with pytest.raises(UsageError, match=message):
        pair_folders(references, touch(tmp_path / "i", *images))


def test_what_is_no_folder_is_named(tmp_path: Path) -> None:
    folder = touch(tmp_path / "r", "b.png")
    with pytest.raises(UsageError, match=r"b\.png is a file"):
        pair_folders(folder, folder / "b.png")
    with pytest.raises(UsageError, match="nowhere is not there"):
        pair_folders(tmp_path / "nowhere", folder)


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_linked_folders_are_followed_and_loops_end(tmp_path: Path) -> None:
    touch(tmp_path / "far", "b.png")
    references = touch(tmp_path / "r", "a.png")
    (references / "link").symlink_to(tmp_path / "far")
    (references / "loop").symlink_to(references)
    images = touch(tmp_path / "i", "a.png", "link/b.png")
    assert [p.reference for p in pair_folders(references, images).pairs] == ["a.png", "link/b.png"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path: Path) -> None:
    references = touch(tmp_path / "r", "a.png", "closed/b.png")
    (references / "closed").chmod(0)
    try:
        with pytest.raises(ImageError, match="closed"):
            pair_folders(references, references)
    finally:
        (references / "closed").chmod(0o700)


def test_an_unlistable_folder_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    references = touch(tmp_path / "r", "a.png")

    def walk(top: Path, followlinks: bool, onerror: object) -> list[object]:
        onerror(PermissionError(13, "Permission denied", "closed"))  # type: ignore[operator]
        return []

    monkeypatch.setattr("os.walk", walk)
    with pytest.raises(ImageError, match="closed: Permission denied"):
        pair_folders(references, references)


@pytest.mark.skipif(os.name != "posix", reason="file names are bytes there")
def test_names_that_are_no_text_are_escaped(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.png")
    try:
        references = touch(tmp_path / "r", name)
    except OSError:
        pytest.skip("this file system takes no such name")
    (pair,) = pair_folders(references, references).pairs
    assert pair.reference == "\\xff.png"
    assert Path(pair.reference_path).exists()


def test_suffixes_are_lower_case_and_decodable() -> None:
    from PIL import Image

    Image.init()
    assert set(Image.registered_extensions()) >= SUFFIXES
    assert {s.lower() for s in SUFFIXES} == SUFFIXES


def test_a_csv_file_keeps_its_order_and_further_columns(tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    file.write_text(
        '\ufeffsystem,image, reference\na,"x,1.png",r.png\n\nb,/abs/y.png,r.png\na,"x,1.png",r.png\n', "utf-8"
    )
    found = read_pairs(file)
    assert [(p.reference, p.image, p.extra) for p in found.pairs] == [
        ("r.png", "x,1.png", ("a",)),
        ("r.png", "/abs/y.png", ("b",)),
        ("r.png", "x,1.png", ("a",)),
    ]
    assert found.columns == ("system",)
    assert found.pairs[0].image_path == str(tmp_path / "x,1.png")
    assert found.pairs[1].image_path == "/abs/y.png"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "begins with nothing"),
        ("reference,picture\na,b\n", "begins with reference, picture"),
        ("reference,image\n", "a header and no lines"),
        ("reference,image\na\n", "line 2 .* has 1"),
        ("reference,image\na,b\na,b,c\n", "line 3 .* has 3"),
        ("reference,image\na,\n", "line 2 .* lacks one"),
        ("reference,image,image\na,b,c\n", "'image' several times"),
        ("reference,image\n\udcff,b\n", "UTF-8"),
    ],
)
def test_a_bad_csv_file_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "pairs.csv"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match=message):
        read_pairs(file)


def test_a_missing_csv_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_pairs(tmp_path / "none.csv")


def test_the_digest_is_of_the_names_and_the_stamps_of_the_files(tmp_path: Path) -> None:
    one = touch(tmp_path / "1", "a.png", "b.png")
    two = touch(tmp_path / "2", "a.png", "b.png")
    here, there = pair_folders(one, one), pair_folders(two, two)
    assert here.digest() == there.digest()
    for name in ("a.png", "b.png"):
        os.utime(one / name, ns=(0, 0))
        os.utime(two / name, ns=(0, 0))
    assert here.stamps() == there.stamps()
    os.utime(two / "b.png", ns=(0, 1))
    assert here.stamps() != there.stamps()
    (two / "b.png").unlink()
    there.stamps()  # a file that is gone is the row's failure, later
    touch(two, "c.png")
    assert pair_folders(two, two).digest() != here.digest()


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices")
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_a_list_is_a_regular_file(tmp_path: Path, kind: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    place = {"pipe": tmp_path / "pipe", "device": Path("/dev/zero"), "folder": tmp_path}[kind]
    with pytest.raises(UsageError, match="is a folder" if kind == "folder" else "a pipe or a device"):
        read_pairs(place)


def test_a_list_has_a_largest_size(tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    with file.open("wb") as stream:
        stream.truncate(2**40)  # a hole: it takes no room
    with pytest.raises(UsageError, match=r"at most 256 MiB; .* has 1048576"):
        read_pairs(file)


def test_folders_whose_names_the_system_refuses(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="too long"):
        pair_folders("x" * 300, tmp_path)


def test_composed_and_decomposed_names_pair_up() -> None:
    composed, decomposed = (unicodedata.normalize(form, "é/café.png") for form in ("NFC", "NFD"))
    assert match_names([composed, "b.png"], [decomposed, "b.jpg"]) == (
        [("b.png", "b.jpg"), (composed, decomposed)],
        [],
        [],
        {},
    )
    # where one folder has both spellings, each pairs with its own
    pairs, *rest = match_names([composed, decomposed], [composed, decomposed])
    assert sorted(pairs) == sorted([(composed, composed), (decomposed, decomposed)])
    assert rest == [[], [], {}]
    # one name left on one side and two on the other: none can be told
    mixed = unicodedata.normalize("NFD", "é") + "/" + unicodedata.normalize("NFC", "café.png")
    name = composed.removesuffix(".png")
    assert match_names([composed], [decomposed, mixed]) == ([], [], [], {name: ([composed], [decomposed, mixed])})


def test_a_table_of_a_spreadsheet_pairs(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("r.png", "in/x.png"):
        (tmp_path / name).touch()
    (tmp_path / "pairs.csv").write_text("reference;image;rate\r\nr.png ;in\\x.png;0,15\r\n", encoding="utf-16")
    pairing = read_pairs(tmp_path / "pairs.csv")
    assert [(pair.reference, pair.image, pair.extra) for pair in pairing.pairs] == [("r.png", "in/x.png", ("0,15",))]
