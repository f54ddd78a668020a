"""Rows as files for other programs: Parquet and CSV, written as a stream and whole or not at all."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from semetric.results.files import write_whole

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["GROUP_ROWS", "csv_line", "file_digest", "read_table", "write_csv", "write_parquet"]

GROUP_ROWS = 1 << 16  # rows of a group of a Parquet file, whatever comes in at once
_SPECIAL = re.compile('[",\r\n]')


def write_parquet(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    """Writes rows in groups of GROUP_ROWS: the same rows give the same bytes.

    Args:
        path: of the file.
        schema: of the rows.
        tables: the rows, some at a time.

    Raises:
        StoreError: it cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    def write(stream: BinaryIO) -> None:
        with pq.ParquetWriter(stream, schema) as writer:
            waiting = schema.empty_table()
            for table in tables:
                waiting = pa.concat_tables([waiting, table])
                while waiting.num_rows >= GROUP_ROWS:
                    writer.write_table(waiting.slice(0, GROUP_ROWS).combine_chunks(), row_group_size=GROUP_ROWS)
                    waiting = waiting.slice(GROUP_ROWS)
            if waiting.num_rows:
                writer.write_table(waiting.combine_chunks(), row_group_size=GROUP_ROWS)

    write_whole(path, write)


def write_csv(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    """Writes rows as CSV in UTF-8.

    Numbers have as many digits as it takes to read the same float back; a missing score is an empty
    cell, an infinite one is inf.

    Args:
        path: of the file.
        schema: of the rows.
        tables: the rows, some at a time.

    Raises:
        StoreError: it cannot be written.
    """

    def write(stream: BinaryIO) -> None:
        stream.write(csv_line(schema.names))
        for table in tables:
            for cells in zip(*(column.to_pylist() for column in table.columns), strict=True):
                stream.write(csv_line(cells))

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


def file_digest(path: Path) -> str | None:
    """SHA-256, in hex, of a file; None where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None


def csv_line(cells: Sequence[Any]) -> bytes:
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
