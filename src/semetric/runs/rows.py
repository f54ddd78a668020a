"""Rows: what one pair's scores look like in Parquet and in CSV."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from semetric.errors import UsageError
from semetric.runs.files import write_whole
from semetric.runs.pairing import Pairing, shown

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Layout", "Row", "read_table", "write_csv", "write_parquet"]

_INDEX = "index"
_ROWS_AT_ONCE = 4096
_SPECIAL = re.compile('[",\r\n]')


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One scored pair.

    Attributes:
        index: its place in the pairing.
        values: metric → score; may be infinite; None where there is none.
        errors: metric → why there is none.
    """

    index: int
    values: Mapping[str, float | None]
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The columns of a run: reference, image, one a metric, error, and the CSV file's further ones.

    Attributes:
        pairing: the pairs that rows refer to.
        metrics: names of the metrics.

    Raises:
        UsageError: a further column has the name of one of ours.
    """

    pairing: Pairing
    metrics: tuple[str, ...]

    def __post_init__(self) -> None:
        taken = {_INDEX, "error", *self.metrics}.intersection(self.pairing.columns)
        if taken:
            raise UsageError(
                f"Expected further columns with names of their own; {', '.join(sorted(taken))} is a column of the "
                "results. Rename it in the CSV file."
            )

    def schema(self) -> pa.Schema:
        """The columns of a part: those of a run after the row's index."""
        import pyarrow as pa

        texts = ["reference", "image"]
        return pa.schema(
            [
                (_INDEX, pa.int64()),
                *((name, pa.string()) for name in texts),
                *((name, pa.float64()) for name in self.metrics),
                ("error", pa.string()),
                *((name, pa.string()) for name in self.pairing.columns),
            ]
        )

    def table(self, rows: Sequence[Row]) -> pa.Table:
        """The rows as a part."""
        import pyarrow as pa

        pairs = [self.pairing.pairs[row.index] for row in rows]
        columns: dict[str, list[Any]] = {
            _INDEX: [row.index for row in rows],
            "reference": [pair.reference for pair in pairs],
            "image": [pair.image for pair in pairs],
            **{name: [row.values[name] for row in rows] for name in self.metrics},
            "error": [_errors(row) for row in rows],
            **{name: [pair.extra[i] for pair in pairs] for i, name in enumerate(self.pairing.columns)},
        }
        return pa.table(columns, schema=self.schema())

    def merge(self, parts: Sequence[pa.Table]) -> pa.Table:
        """All rows in the order of the pairing, without the index. A row that two parts hold is taken once.

        Raises:
            UsageError: a row is missing.
        """
        import numpy as np
        import pyarrow as pa

        table = pa.concat_tables([self.schema().empty_table(), *parts])
        _, places = np.unique(table[_INDEX].to_numpy(), return_index=True)
        if len(places) != len(self.pairing.pairs):
            raise UsageError(f"Expected {len(self.pairing.pairs)} finished rows; found {len(places)}.")
        return table.take(pa.array(places)).drop_columns([_INDEX]).combine_chunks()


def write_parquet(path: Path, table: pa.Table) -> None:
    """Writes a table, whole or not at all.

    Raises:
        StoreError: it cannot be written.
    """
    import pyarrow.parquet as pq

    write_whole(path, lambda stream: pq.write_table(table, stream, row_group_size=1 << 16))


def write_csv(path: Path, table: pa.Table) -> None:
    """Writes a table as CSV in UTF-8, whole or not at all.

    Numbers have as many digits as it takes to read the same float back; a missing score is an empty
    cell, an infinite one is inf.

    Raises:
        StoreError: it cannot be written.
    """

    def write(stream: BinaryIO) -> None:
        stream.write(_line(table.column_names))
        for cells in _cells(table):
            stream.write(_line(cells))

    write_whole(path, write)


def read_table(path: Path) -> pa.Table:
    """A Parquet file in memory.

    On this thread alone, and not through Arrow's data sets: one of their threads may let go of the file only when
    Python has ended, which aborts the process and loses its exit code.

    Raises:
        OSError, pa.ArrowException: it cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pa.OSFile(str(path), "rb") as stream, pq.ParquetFile(stream) as file:
        return file.read(use_threads=False)


def _cells(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    for batch in table.to_batches(max_chunksize=_ROWS_AT_ONCE):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _errors(row: Row) -> str | None:
    if not row.errors:
        return None
    return json.dumps({metric: shown(why) for metric, why in row.errors.items()}, ensure_ascii=False)


def _line(cells: Sequence[Any]) -> bytes:
    """One line. The csv writer of Python 3.11 leaves a lone carriage return unquoted, which readers take for an end."""
    return (",".join(_quoted(_text(cell)) for cell in cells) + "\n").encode()


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return repr(cell) if math.isfinite(cell) else "inf" if cell > 0 else "-inf"
    return str(cell)
