from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from semetric.errors import UsageError
from semetric.tables import number_in, path_in, read_table

PLAIN = "reference,image,note\nr.png,x.png,0.5\nr.png,y.png,\n"
SEMICOLONS = 'reference;image;note\r\nr.png;x.png;"0,5"\r\nr.png;y.png;\r\n'
EXPECTED = ((2, ("r.png", "x.png", "0.5")), (3, ("r.png", "y.png", "")))
DECIMAL_COMMA = ((2, ("r.png", "x.png", "0,5")), (3, ("r.png", "y.png", "")))


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (PLAIN.encode(), EXPECTED),
        (PLAIN.encode("utf-8-sig"), EXPECTED),
        (PLAIN.encode("utf-16"), EXPECTED),
        (b"\xfe\xff" + PLAIN.encode("utf-16-be"), EXPECTED),
        (PLAIN.replace("\n", "\r\n").encode(), EXPECTED),
        (PLAIN.replace(",", "\t").encode(), EXPECTED),
        (PLAIN.replace(",", " , ").replace(" , \n", ",\n").encode(), None),
        (SEMICOLONS.encode("utf-8-sig"), DECIMAL_COMMA),
        (SEMICOLONS.replace("\r", "").encode("utf-16"), DECIMAL_COMMA),
        (SEMICOLONS.replace('"', "").encode(), DECIMAL_COMMA),
        (PLAIN.replace("\n", ",,\n").encode(), EXPECTED),
        ((PLAIN + ",,\n\n,,,,\n").encode(), EXPECTED),
    ],
    ids=[
        *("plain", "mark", "UTF-16", "UTF-16 big-endian", "CRLF", "tabs", "spaces around names"),
        *("semicolons", "semicolons in UTF-16", "decimal comma", "filled up", "empty rows"),
    ],
)
def test_tables_of_spreadsheets(data: bytes, rows: object, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(data)
    table = read_table(tmp_path / "t.csv", ("reference", "image"))
    assert table.columns == ("reference", "image", "note")
    if rows is not None:
        assert table.rows == rows


def test_a_line_may_name_the_separator(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("sep=;\na,b;c\n1,2;3\n")
    table = read_table(tmp_path / "t.csv", ("a,b", "c"))
    assert table.named() == [(3, {"a,b": "1,2", "c": "3"})]


def test_quoted_cells_keep_separators_and_line_ends(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b'a,b\n"x, y.png","two\r\nlines"\n"say ""a""",1\n')
    assert read_table(tmp_path / "t.csv", ("a",)).rows == ((3, ("x, y.png", "two\r\nlines")), (4, ('say "a"', "1")))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"reference|image\na|b\n", "between commas, semicolons or tabs; .* lacks reference, image"),
        (b"a;b\n1;2\n", r"lacks reference, image\. It begins with a, b\."),
        (b"", "begins with nothing"),
        ("reference,image\nré,b\n".encode("latin-1"), "line 2: .*Save it as UTF-8"),
        (PLAIN.encode("utf-16-le"), "zero bytes, as UTF-16 has"),
        (b"\xff\xfea", "UTF-8"),
        (b"reference;image\na;b;c\n", "2 cells in each line, between semicolons; line 2 of .* has 3"),
        (b"reference,image,image\n", "'image' several times"),
        (b"reference,image\n" + b"a" * 200_000 + b",b\n", "line 2: field larger"),
        (b"reference,image\n" + b'"a,b\n', "line 2 of .* has 1"),
    ],
)
def test_what_is_no_table_is_named(data: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(UsageError, match=words):
        read_table(tmp_path / "t.csv", ("reference", "image"))


@pytest.mark.parametrize(
    ("cell", "number"), [("0.5", 0.5), ("0,5", 0.5), (" -12,25 ", -12.25), ("3", 3.0), ("1e3", 1e3)]
)
def test_numbers(cell: str, number: float) -> None:
    assert number_in(cell) == number


@pytest.mark.parametrize("cell", ["1,2,3", "1.234,5", "a", "", "1,"])
def test_no_numbers(cell: str) -> None:
    with pytest.raises(ValueError, match="could not convert"):
        number_in(cell)


def test_names_as_other_systems_spell_them(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    decomposed = unicodedata.normalize("NFD", "café.png")
    for name in ("sub/x.png", " outer .png ", decomposed):
        (tmp_path / name).touch()
    assert path_in(tmp_path, "sub\\x.png") == "sub/x.png"
    assert path_in(tmp_path, " sub/x.png\t") == "sub/x.png"
    assert path_in(tmp_path, " outer .png ") == " outer .png "
    assert path_in(tmp_path, "café.png") == decomposed
    for name in ("nothing.png", "sub\\y.png", "", " ", "a\0b"):
        assert path_in(tmp_path, name) == name
    if os.name == "posix":
        (tmp_path / "sub\\x.png").touch()
        assert path_in(tmp_path, "sub\\x.png") == "sub\\x.png"
