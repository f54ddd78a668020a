"""A study file, open: connection, transactions, errors."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from semetric.errors import StoreError, UsageError
from semetric.learn.judgements import schema

__all__ = ["StudyFile", "check_utc", "utc_now"]

_BUSY_MS = 10_000


def utc_now() -> str:
    """The time, ISO 8601 in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def check_utc(text: str) -> str:
    """The text of a time that came from outside.

    Raises:
        UsageError: it is no time in ISO 8601, or of another zone than UTC.
    """
    try:
        offset = datetime.fromisoformat(text).utcoffset()
    except (TypeError, ValueError):
        raise UsageError(f"Expected a time such as 2026-01-31T12:00:00+00:00; found {str(text)[:80]!r}.") from None
    if offset:
        raise UsageError(f"Expected a time in UTC (+00:00); found {text!r}.")
    return text


class StudyFile:
    """A study file, open.

    Rows are added and never changed: the file's own triggers refuse it. What was answered is on the disk when the
    method that adds it has returned (write-ahead log, synchronous=FULL). One store serves one thread at a time;
    several processes and threads, each with its own, share a file.

    Args:
        path: of the file.
        create: make it where it does not exist.
        schema_version: for tests of older files.

    Raises:
        StoreError: it does not exist, is damaged, is another program's, or a newer Semetric wrote it.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, create: bool = False, schema_version: int = schema.VERSION
    ) -> None:
        self.path = Path(path)
        if not create and not self.path.is_file():
            raise StoreError(f"Expected a study file; there is no {self.path}. Make one: semetric learn study create.")
        if create and not self.path.exists():
            _make(self.path)
        with self._named():
            self.connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            with self._named():
                self.connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
                self.connection.execute("PRAGMA foreign_keys = ON")
                self.connection.execute("PRAGMA recursive_triggers = ON")  # so that REPLACE asks them, too
                self.connection.execute("PRAGMA synchronous = FULL")
                schema.upgrade(self.connection, self.path, to=schema_version)
                self.connection.execute("PRAGMA journal_mode = WAL")
        except BaseException:
            self.connection.close()
            raise

    def close(self) -> None:
        """Closes the file."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; inside another transaction, all or nothing of this part.

        Raises:
            StoreError: the disk is full, the file is locked for more than ten seconds, or may not be written.
        """
        inner = self.connection.in_transaction
        with self._named():
            self.connection.execute("SAVEPOINT part" if inner else "BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("RELEASE part" if inner else "COMMIT")
            except BaseException:
                if self.connection.in_transaction:  # a full disk has ended it already
                    if inner:
                        self.connection.execute("ROLLBACK TO part")
                    self.connection.execute("RELEASE part" if inner else "ROLLBACK")
                raise

    @contextmanager
    def view(self) -> Iterator[None]:
        """Everything read inside is of one moment, whatever others add meanwhile."""
        if self.connection.in_transaction:
            yield
            return
        with self._named():
            self.connection.execute("BEGIN")
        try:
            yield
        finally:
            if self.connection.in_transaction:
                with self._named():
                    self.connection.execute("COMMIT")

    def rows(self, query: str, values: Mapping[str, Any] | tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query, all read here, so that damage further into the file is named, too.

        Raises:
            StoreError: the file is locked or damaged.
        """
        with self._named():
            return self.connection.execute(query, values).fetchall()

    def row(self, query: str, values: Mapping[str, Any] | tuple[Any, ...] = ()) -> tuple[Any, ...] | None:
        """Its first row.

        Raises:
            StoreError: the file is locked or damaged.
        """
        with self._named():
            found: tuple[Any, ...] | None = self.connection.execute(query, values).fetchone()
        return found

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"Expected to read and write the study file {self.path}; SQLite says: {error}.") from error


def _make(path: Path) -> None:
    """An empty file for its owner alone: whoever reads the secret in it can make links to the server."""
    try:
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise StoreError(f"Expected to make the study file {path}; {error.strerror or error}.") from error
