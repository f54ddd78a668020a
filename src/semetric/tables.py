"""Reading tables with a header, as programs and spreadsheets write them: CSV in whatever separator and encoding.

A spreadsheet separates by semicolons where the decimal sign is a comma, marks its encoding or writes UTF-16, and fills
rows up to a common length. Names of files in a table come from other systems, too: with backslashes, or with accents
composed where the disk has them decomposed.
"""

from __future__ import annotations

import csv
import io
import os
import re
import stat
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from semetric.errors import UsageError

__all__ = ["CsvTable", "number_in", "path_in", "read_table", "read_text"]

_LARGEST = 256 * 2**20  # bytes: some two million pairs
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*")


@dataclass(frozen=True, kw_only=True)
class CsvTable:
    """A table as it was read.

    Attributes:
        columns: their names, without spaces around them.
        rows: the line on which each ends, counted from 1, and its cells, as many as columns.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]

    def named(self) -> list[tuple[int, dict[str, str]]]:
        """The rows with their cells by name."""
        return [(line, dict(zip(self.columns, cells, strict=True))) for line, cells in self.rows]


def read_table(
    path: str | os.PathLike[str], needed: Sequence[str], *, uneven: Callable[[int, str], None] | None = None
) -> CsvTable:
    """Reads a CSV file with a header: separated by commas, semicolons or tabs; in UTF-8, or UTF-16 with its mark.

    The separator is the one that gives the first line the needed columns, or that a line before it names (`sep=;`).
    Empty rows, and empty cells beyond the last named column, are passed over.

    Args:
        path: a regular file of at most 256 MiB.
        needed: columns that must be there.
        uneven: called with the line of a row of another length, and what is wrong with it; None raises.

    Raises:
        UsageError: the file cannot be read, lacks a column, has one twice, or a row of another length.
    """
    file = Path(path)
    text = read_text(file)
    header, start, separator = _header(text, needed, file)
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise UsageError(f"Expected each column once; {file} has {', '.join(map(repr, twice))} several times.")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    rows: list[tuple[int, tuple[str, ...]]] = []
    try:
        for _ in range(start):
            next(reader)
        for cells in reader:
            if not any(cells):
                continue
            while len(cells) > len(header) and not cells[-1]:
                cells.pop()
            if len(cells) == len(header):
                rows.append((reader.line_num, tuple(cells)))
            elif uneven is not None:
                uneven(reader.line_num, f"{len(cells)} cells instead of {len(header)}")
            else:
                raise UsageError(
                    f"Expected {len(header)} cells in each line, between {_SEPARATORS[separator]}; line "
                    f"{reader.line_num} of {file} has {len(cells)}."
                )
    except csv.Error as error:  # such as a cell of more than 131072 characters
        raise UsageError(f"Expected a CSV table; {file}, line {reader.line_num}: {error}.") from error
    return CsvTable(columns=tuple(header), rows=tuple(rows))


def read_text(file: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 with its mark.

    Raises:
        UsageError: it cannot be read, is no regular file, is larger than 256 MiB, or is in another encoding.
    """
    try:
        status = os.stat(file)
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device. Save it to a file first"
            raise UsageError(f"Expected a text file; {file} is {kind}.")
        if status.st_size > _LARGEST:
            raise UsageError(
                f"Expected a text file of at most {_LARGEST // 2**20} MiB; {file} has {status.st_size // 2**20}. "
                "Divide it."
            )
        with file.open("rb") as stream:
            data = stream.read(_LARGEST)
    except OSError as error:
        raise UsageError(f"Expected a text file; {file}: {error.strerror or error}.") from error
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"Expected a text file in UTF-8; {file}, line {line}: {error.reason}. Save it as UTF-8."
        ) from error
    if "\0" in text:
        raise UsageError(f"Expected a text file in UTF-8; {file} has zero bytes, as UTF-16 has. Save it as UTF-8.")
    return text


def path_in(folder: Path, name: str) -> str:
    """The spelling of a table's file name under which the file is there.

    Args:
        folder: where relative names start.
        name: a cell.

    Returns:
        The name itself if it is there, or if no other spelling is: without spaces around it, with slashes in place of
        backslashes, with composed or decomposed accents.
    """
    if os.path.lexists(folder / name):
        return name
    for spelling in (name.strip(), name.strip().replace("\\", "/")):
        for form in (spelling, unicodedata.normalize("NFC", spelling), unicodedata.normalize("NFD", spelling)):
            if form and os.path.lexists(folder / form):
                return form
    return name


def number_in(cell: str) -> float:
    """The number in a cell, with a point or a comma before its decimals.

    Raises:
        ValueError: it is none.
    """
    return float(cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell)


def _header(text: str, needed: Sequence[str], file: Path) -> tuple[list[str], int, str]:
    """The names of the columns, how many rows are before the data, and the separator."""
    first = text[: text.find("\n") + 1 or len(text)].strip()
    named = first[4:] if first.lower().startswith("sep=") and first[4:] in _SEPARATORS else None
    before = 0 if named is None else 1
    headers: dict[str, list[str]] = {}
    for separator in _SEPARATORS if named is None else (named,):
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        try:
            rows = [next(reader, []) for _ in range(before + 1)]
        except csv.Error as error:
            raise UsageError(f"Expected a CSV table; {file}, line {reader.line_num}: {error}.") from error
        header = [name.strip() for name in rows[-1]]
        while header and not header[-1]:
            header.pop()
        headers[separator] = header
        if all(name in header for name in needed):
            return header, before + 1, separator
    separator = max(headers, key=lambda key: len(headers[key]))
    names = headers[separator]
    missing = [name for name in needed if name not in names]
    raise UsageError(
        f"Expected a first line with the columns {', '.join(needed)}, between commas, semicolons or tabs; {file} lacks "
        f"{', '.join(missing)}. It begins with {', '.join(names)[:200] or 'nothing'}."
    )
