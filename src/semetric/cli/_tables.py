"""Tables on stdout: one style, no number cut, as wide as the terminal or as their text needs.

A table that is wider than the terminal is shown as several, one below the other: each repeats the leading key
columns and holds the next of the others, so that every digit is there and rows can still be compared.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import rich.table
    from rich.text import Text

    from semetric import results

__all__ = ["Column", "TerminalTable", "show_tables", "table_of"]

_GAP = 2  # columns between two cells
_LEAST_TEXT = 20  # a text column is not folded to fewer characters than this


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        title: its heading.
        kind: "key" names the row and is repeated where a table is split; "number" stands at the right; "word" is
            never folded; "text" may be folded into several lines.
        style: rich's name of a style.
        repeated: whether it is repeated like a key.
    """

    title: str
    kind: Literal["key", "number", "word", "text"] = "number"
    style: str = ""
    repeated: bool = False


@dataclass
class TerminalTable:
    """Rows below headings; key columns come first. Cells that are str are shown letter by letter, never as markup."""

    columns: list[Column]
    rows: list[Sequence[str | Text]] = field(default_factory=list)
    sections: set[int] = field(default_factory=set)

    def add_row(self, *cells: str | Text) -> None:
        """Adds a row, a cell a column."""
        self.rows.append(cells)

    def add_section(self) -> None:
        """Draws a line below the rows so far."""
        self.sections.add(len(self.rows) - 1)


def table_of(table: results.tables.Table) -> TerminalTable:
    """A table of results for the terminal, the best of a column in bold."""
    from rich.text import Text

    from semetric.formatting import number
    from semetric.results.tables import Mean

    first, *names = table.header
    others = zip(names, table.right[1:], strict=True)
    drawn = TerminalTable(
        [Column(first, "key"), *(Column(name, "number" if right else "word") for name, right in others)]
    )
    for row in table.rows:
        cells: list[str | Text] = []
        for cell in row:
            if not isinstance(cell, Mean):
                cells.append(number(cell))
            elif cell.best:
                value = number(cell.mean)
                cells.append(Text.assemble((value, "bold"), str(cell)[len(value) :]))
            else:
                cells.append(str(cell))
        drawn.add_row(*cells)
    return drawn


def show_tables(*tables: TerminalTable) -> None:
    """Prints tables to stdout, without blanks at ends of lines where it is no terminal.

    A terminal's own width, or COLUMNS, limits them; a file or a pipe does not.
    """
    from rich.console import Console

    limit = _width_limit()
    for position, table in enumerate(tables):
        if position:
            sys.stdout.write("\n")
        for part, (columns, width) in enumerate(_parts(table, limit)):
            if part:
                sys.stdout.write("\n")
            console = Console(width=width, markup=False, emoji=False, highlight=False)
            text = StringIO()
            if not console.is_terminal:
                console = Console(width=width, file=text, markup=False, emoji=False, highlight=False)
            console.print(_drawn(table, columns))
            sys.stdout.write("".join(line.rstrip() + "\n" for line in text.getvalue().splitlines()))


def _width_limit() -> int | None:
    """How many columns stdout has; None where nothing limits it."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or None
    except (OSError, ValueError, AttributeError):
        return None


def _parts(table: TerminalTable, limit: int | None) -> Iterable[tuple[list[int], int]]:
    """Which columns stand beside each other, and how wide they are together.

    Args:
        table: the table.
        limit: columns of the terminal; None for any number.

    Yields:
        Indices of columns, key columns first, and a width that cuts no cell.
    """
    wide = [_natural_width(table, index) for index in range(len(table.columns))]
    least = [
        min(width, _LEAST_TEXT) if column.kind == "text" else width
        for width, column in zip(wide, table.columns, strict=True)
    ]
    keys = [index for index, column in enumerate(table.columns) if column.kind == "key" or column.repeated]
    others = [index for index in range(len(table.columns)) if index not in keys]

    def needed(widths: Sequence[int], columns: Sequence[int]) -> int:
        return sum(widths[index] for index in columns) + _GAP * (len(columns) - 1)

    parts: list[list[int]] = [[*keys]]
    for index in others:
        if limit is not None and len(parts[-1]) > len(keys) and needed(least, [*parts[-1], index]) > limit:
            parts.append([*keys])
        parts[-1].append(index)
    for columns in parts:
        natural = needed(wide, columns)
        yield columns, natural if limit is None else max(needed(least, columns), min(natural, limit))


def _natural_width(table: TerminalTable, index: int) -> int:
    """Characters of the widest line of a column."""
    from rich.cells import cell_len

    cells = [table.columns[index].title, *(str(row[index]) for row in table.rows)]
    return max(cell_len(line) for cell in cells for line in cell.split("\n"))


def _drawn(table: TerminalTable, columns: Sequence[int]) -> rich.table.Table:
    """Those columns as rich draws them."""
    from rich import box
    from rich.table import Table as RichTable

    drawn = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for index in columns:
        column = table.columns[index]
        drawn.add_column(
            column.title,
            justify="right" if column.kind == "number" else "left",
            style=column.style or ("bold" if column.kind == "key" else ""),
            no_wrap=column.kind != "text",
            overflow="fold",
        )
    for position, row in enumerate(table.rows):
        drawn.add_row(*(row[index] for index in columns), end_section=position in table.sections)
    return drawn
