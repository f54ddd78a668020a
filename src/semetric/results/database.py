"""The database of a run: one SQLite file that holds every finished unit and what shaped it, each with a checksum.

One process writes, others may read. Rows wait in memory for a second or a thousand rows, and then reach the disk in one
transaction: a kill costs that second, and nothing else. The rollback journal, rather than SQLite's write-ahead log,
works on network file systems, too.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semetric.errors import StoreError

__all__ = ["FILE", "FLUSH_ROWS", "FLUSH_SECONDS", "FORMAT", "Database", "Row"]

FILE = "run.sqlite"
FORMAT = 2  # of a run's folder; raise it when its files change their meaning
FLUSH_ROWS = 1000  # rows that wait for the disk at most,
FLUSH_SECONDS = 1.0  # and for how long: what a kill can cost
_APPLICATION = 0x53654D52  # "SeMR": how SQLite knows whose file it is
_READ = 4096  # rows read at once
_OUTSIDE = (  # errors that are no damage
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
)
_SCHEMA = """
CREATE TABLE documents (name TEXT PRIMARY KEY, text TEXT NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE units (
    unit INTEGER PRIMARY KEY,
    fields TEXT NOT NULL,    -- JSON list: what the unit is, and what came of it beside scores
    scores BLOB NOT NULL,    -- little-endian float64, one a metric; NaN for none
    errors TEXT NOT NULL,    -- JSON object: metric to the reason why it gave no score
    stamp TEXT NOT NULL,     -- size and time of change of the unit's files, or their digest
    crc INTEGER NOT NULL     -- CRC-32 of the other columns
);
"""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What came of one unit.

    Attributes:
        unit: its place in the run.
        scores: one a metric, NaN where there is none; may be infinite.
        errors: metric → why there is none.
        fields: what the unit is, and what came of it beside scores: plain JSON values.
        stamp: what tells whether the unit's files are still the same.
        files: name within the run's folder → content, to be written before the unit counts as finished.
    """

    unit: int
    scores: Sequence[float] | NDArray[np.float64]
    errors: Mapping[str, str] = field(default_factory=dict)
    fields: Sequence[Any] = ()
    stamp: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)


class Database:
    """The database of one run.

    Args:
        path: of the file.
        create: make it where there is none.
        readonly: for readers beside the process that writes.

    Raises:
        StoreError: there is none, it is another program's or of another format, or it is damaged.
    """

    def __init__(self, path: Path, *, create: bool = False, readonly: bool = False) -> None:
        self.path = path
        self._waiting: list[Row] = []
        self._since = time.monotonic()
        if not create and not path.is_file():
            raise StoreError(f"Expected the results of a run in {path}; there are none.")
        mode = "rwc" if create else "rw"  # readers, too, may have to undo what a killed process had begun
        with self._named():
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=60, isolation_level=None
            )
        self._connection.text_factory = lambda content: content.decode(errors="replace")  # checksums tell damage
        try:
            with self._named():
                self._prepare(readonly)
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self, readonly: bool) -> None:
        version = self._value("PRAGMA user_version")
        if readonly:
            self._connection.execute("PRAGMA query_only = ON")
        else:
            self._connection.execute("PRAGMA journal_mode = DELETE")
            self._connection.execute("PRAGMA synchronous = FULL")
            if version == 0 and not self._value("SELECT count(*) FROM sqlite_master"):
                with self._transaction():
                    for statement in _SCHEMA.split(";\n")[:-1]:
                        self._connection.execute(statement)
                    self._connection.execute(f"PRAGMA application_id = {_APPLICATION}")
                    self._connection.execute(f"PRAGMA user_version = {FORMAT}")
                version = FORMAT
        if self._value("PRAGMA application_id") != _APPLICATION or version != FORMAT:
            raise StoreError(
                f"Expected {self.path} to be of format {FORMAT} of Semetric's results; it is of another. "
                "Choose another --out."
            )

    def document(self, name: str) -> Any:
        """A JSON document, or None.

        Raises:
            StoreError: it is damaged.
        """
        with self._named():
            row = self._connection.execute("SELECT text, crc FROM documents WHERE name = ?", (name,)).fetchone()
        if row is None:
            return None
        if zlib.crc32(f"{name}\0{row[0]}".encode()) != row[1]:
            raise self._damaged(f"its {name} does not match its checksum")
        return json.loads(row[0])

    def put(self, documents: Mapping[str, Any]) -> None:
        """Writes JSON documents, all or none; None removes one.

        Raises:
            StoreError: the disk is full.
        """
        with self._named(), self._transaction():
            for name, document in documents.items():
                text = json.dumps(document)
                if document is None:
                    self._connection.execute("DELETE FROM documents WHERE name = ?", (name,))
                else:
                    crc = zlib.crc32(f"{name}\0{text}".encode())
                    self._connection.execute("REPLACE INTO documents VALUES (?, ?, ?)", (name, text, crc))

    def add(self, rows: Iterable[Row]) -> None:
        """Takes finished rows, and writes those that wait when it is time. Rows of one call are written together.

        Raises:
            StoreError: the disk is full.
        """
        self._waiting += rows
        if len(self._waiting) >= FLUSH_ROWS or time.monotonic() - self._since >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Writes the rows that wait. If that fails they no longer wait: a second error would hide the first.

        Raises:
            StoreError: the disk is full.
        """
        self._since = time.monotonic()
        if not self._waiting:
            return
        try:
            with self._named(), self._transaction():
                rows = map(_encoded, self._waiting)
                self._connection.executemany("REPLACE INTO units VALUES (?, ?, ?, ?, ?, ?)", rows)
        except StoreError:
            self._waiting.clear()
            raise
        self._waiting.clear()

    def remove(self, units: Iterable[int]) -> None:
        """Forgets units, so that they are done again.

        Raises:
            StoreError: the disk is full.
        """
        with self._named(), self._transaction():
            self._connection.executemany("DELETE FROM units WHERE unit = ?", ((unit,) for unit in units))

    def __len__(self) -> int:
        with self._named():
            return int(self._value("SELECT count(*) FROM units"))

    def rows(self, stop: int | None = None) -> Iterator[Row]:
        """Finished units in their order, each held against its checksum.

        Args:
            stop: units below this alone.

        Raises:
            StoreError: a row is damaged.
        """
        for row in self._read(stop):
            if not _whole(row):
                raise self._damaged(f"unit {row[0]} does not match its checksum")
            yield Row(
                unit=row[0],
                fields=json.loads(row[1]),
                scores=np.frombuffer(row[2], "<f8"),
                errors=json.loads(row[3]),
                stamp=row[4],
            )

    def stamps(self) -> Iterator[tuple[int, str]]:
        """(unit, stamp) of finished units, in their order."""
        with self._named():
            yield from self._connection.execute("SELECT unit, stamp FROM units ORDER BY unit")

    def repair(self) -> None:
        """Forgets units that do not match their checksums, and says so: they are done again.

        Raises:
            StoreError: the file is damaged where no checksum helps.
        """
        damaged = [row[0] for row in self._read(None) if not _whole(row)]
        if damaged:
            _log.warning("%s: %d rows were damaged; their units are done again", self.path, len(damaged))
            self.remove(damaged)

    def close(self) -> None:
        """Lets go of the file; rows that wait are not written."""
        self._connection.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, stop: int | None) -> Iterator[tuple[Any, ...]]:
        """Raw rows, in short queries: a reader in the middle of one would keep the writer waiting."""
        after = -(2**63)
        bound = 2**63 - 1 if stop is None else stop
        while True:
            with self._named():
                rows = self._connection.execute(
                    "SELECT unit, fields, scores, errors, stamp, crc FROM units WHERE unit > ? AND unit < ? "
                    "ORDER BY unit LIMIT ?",
                    (after, bound, _READ),
                ).fetchall()
            yield from rows
            if len(rows) < _READ:
                return
            after = rows[-1][0]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # a full disk has ended it already
                self._connection.execute("ROLLBACK")
            raise

    def _value(self, query: str) -> Any:
        return self._connection.execute(query).fetchone()[0]

    def _damaged(self, what: str) -> StoreError:
        return StoreError(
            f"Expected {self.path} as it was written; {what}. Start the command that made the run again: it does the "
            "damaged units again. If that does not help, choose another --out."
        )

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError, OverflowError) as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code == sqlite3.SQLITE_FULL:
                raise StoreError(
                    f"Expected to write {self.path}; the disk is full. What was finished is kept: free some space and "
                    "start the same command again."
                ) from error
            if code in _OUTSIDE:
                raise StoreError(f"Expected to read and write {self.path}; SQLite says: {error}.") from error
            raise StoreError(
                f"Expected a whole SQLite file in {self.path}; it is damaged ({error}). Choose another --out, or "
                "remove the folder and start again."
            ) from error


def _encoded(row: Row) -> tuple[Any, ...]:
    columns = (
        row.unit,
        json.dumps(list(row.fields)),
        np.asarray(row.scores, "<f8").tobytes(),
        json.dumps(dict(row.errors)),
        row.stamp,
    )
    return *columns, _crc(columns)


def _crc(columns: Sequence[Any]) -> int:
    crc = 0
    for column in columns:
        content = column if isinstance(column, bytes) else f"{column}\0".encode()
        crc = zlib.crc32(content, crc)
    return crc


def _whole(row: Sequence[Any]) -> bool:
    return bool(_crc(row[:5]) == row[5])
