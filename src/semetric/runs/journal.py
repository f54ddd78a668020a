"""Finished rows on their way to the disk: parts, each a small Parquet file that is there whole or not at all."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from semetric.runs.files import named_errors, remove_temporary
from semetric.runs.rows import read_table, write_parquet

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PART_ROWS", "PART_SECONDS", "Columns", "Journal", "finished_rows"]

PART_ROWS = 1000  # rows after which a part is written,
PART_SECONDS = 5.0  # or seconds: what a kill can cost

_log = logging.getLogger(__name__)

RowT = TypeVar("RowT")
RowT_contra = TypeVar("RowT_contra", contravariant=True)


class Columns(Protocol[RowT_contra]):
    """What finished rows look like in a part: a table with a column "index", the place of each row in the run."""

    def schema(self) -> pa.Schema:
        """The columns of a part."""

    def table(self, rows: Sequence[RowT_contra]) -> pa.Table:
        """The rows as a part; a row may fill several lines, all of its index."""

    def merge(self, parts: Sequence[pa.Table]) -> pa.Table:
        """All rows in their order, without the index."""


class Journal(Generic[RowT]):
    """The parts of one run. One process at a time writes them: the run holds a lock.

    Attributes:
        done: indices of the rows that parts held when the journal was opened.

    Args:
        folder: where the parts lie; made if need be.
        layout: the run's columns.

    Raises:
        StoreError: the folder cannot be made.
    """

    def __init__(self, folder: Path, layout: Columns[RowT]) -> None:
        self.folder = folder
        self.layout = layout
        self._rows: list[RowT] = []
        with named_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            remove_temporary(folder)
        self.done = frozenset(index for table in self._read() for index in table["index"].to_pylist())
        self._next = 1 + max((int(path.stem.rpartition("-")[2]) for path in self._paths()), default=0)
        self._since = time.monotonic()

    def add(self, rows: Sequence[RowT]) -> None:
        """Takes finished rows, and writes a part when it is time.

        Raises:
            StoreError: the part cannot be written.
        """
        self._rows += rows
        if len(self._rows) >= PART_ROWS or time.monotonic() - self._since >= PART_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Writes the rows that wait. They no longer wait, even if that fails.

        Raises:
            StoreError: the part cannot be written.
        """
        rows, self._rows = self._rows, []
        self._since = time.monotonic()
        if rows:
            write_parquet(self.folder / f"part-{self._next:06d}.parquet", self.layout.table(rows))
            self._next += 1

    def merged(self) -> pa.Table:
        """All rows in the order of the pairing.

        Raises:
            UsageError: a row is missing.
        """
        return self.layout.merge(self._read())

    def remove(self) -> None:
        """Removes the parts and their folder.

        Raises:
            StoreError: they cannot be removed.
        """
        with named_errors(self.folder):
            for path in self._paths():
                path.unlink()
            self.folder.rmdir()

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("part-*.parquet"))

    def _read(self) -> list[pa.Table]:
        """Every part that is whole and has our columns. Another cannot come from us: its rows are scored again."""
        import pyarrow as pa

        tables = []
        for path in self._paths():
            try:
                table = read_table(path)
                if not table.schema.equals(self.layout.schema()):
                    raise pa.ArrowInvalid("it has other columns")
            except (OSError, pa.ArrowException) as error:
                _log.warning("%s is damaged and was removed; its rows are scored again (%s)", path, error)
                path.unlink(missing_ok=True)
                continue
            tables.append(table)
        return tables


def finished_rows(folder: Path) -> int:
    """How many rows the parts in that folder hold; a part that cannot be read counts for none."""
    import pyarrow as pa

    done: set[int] = set()
    for path in folder.glob("part-*.parquet"):
        try:
            done.update(read_table(path)["index"].to_pylist())
        except (OSError, pa.ArrowException, KeyError):
            continue
    return len(done)
