"""One run's folder: entered, gone on with, finished, read.

`run.sqlite` holds everything. `scores.parquet`, `scores.csv`, `summary.json` and `run.json` are made of it when the run
is at its end, sorted, and have the same bytes however often it was interrupted and whoever did the work.
"""

from __future__ import annotations

import itertools
import logging
import math
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from semetric.errors import StoreError, UsageError
from semetric.results import runner
from semetric.results.database import FILE, Database, Row
from semetric.results.export import file_digest, read_table, write_csv, write_parquet
from semetric.results.files import TEMPORARY, held, named_errors, remove_temporary, write_json, write_whole
from semetric.results.record import differences, plain
from semetric.results.runner import Recipe, Task
from semetric.score_settings import Execution

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["EXPORTS", "Plan", "Run", "Started", "execute", "finished_units", "open_run"]

EXPORTS = ("scores.parquet", "scores.csv", "summary.json", "run.json")
_EARLIER = ("run.json", "lab.json", "parts")  # of runs before there was a database
_AT_ONCE = 4096  # rows that become a piece of a table
_SHOWN = 6

_log = logging.getLogger(__name__)

_Report = Callable[[int, int], None]
"""Told how many units were finished since it was told last, and how many workers are at it (0 for this process)."""


@dataclass(frozen=True, kw_only=True)
class Started:
    """What is known when a run begins or goes on.

    Attributes:
        units: all that are to be done.
        done: those that were done before.
        left_out: metric → why the run goes without it.
        broken: image → why it cannot be read, where that is known by now.
    """

    units: int
    done: int
    left_out: Mapping[str, str] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)


class Plan(ABC):
    """What a run is to do: a new kind of run is a subclass in one file.

    Attributes:
        record: what shapes its numbers: JSON values, with "metrics", "profile" and "fields", the names of what rows
            hold beside scores.
        silent: keys of the record that shape no number.
        words: flat name of the record → what is said where it differs.
        metrics: names, in the order of scores.
        asked: whether the metrics were named: then a unit without one of them has failed; else one has failed if no
            metric scored it.
        units: how many there are.
        recipe: of its workers.
        left_out: metric → why the run goes without it.
        broken: image → why it cannot be read.
    """

    record: Mapping[str, Any]
    silent: ClassVar[tuple[str, ...]] = ("source", "asked", "left_out")
    words: ClassVar[Mapping[str, str]] = {}
    metrics: tuple[str, ...]
    asked: bool
    units: int
    recipe: Recipe
    left_out: Mapping[str, str] = {}
    broken: Mapping[str, str] = {}

    @abstractmethod
    def stamp(self, unit: int) -> str:
        """What tells whether the files of a unit are still the same."""

    @abstractmethod
    def name(self, unit: int) -> str:
        """The unit in words."""

    @abstractmethod
    def chunks(self, missing: Sequence[int], execution: Execution) -> Iterable[Sequence[Task]]:
        """The units that are missing, as tasks, in the order of work; tasks of a chunk share images."""

    @abstractmethod
    def whole(self, row: Row) -> Row:
        """A worker's row with all its fields."""

    @abstractmethod
    def schema(self) -> pa.Schema:
        """The columns of the exported rows."""

    @abstractmethod
    def table(self, rows: Sequence[Row]) -> pa.Table:
        """Rows as they are exported."""

    @abstractmethod
    def summarise(self, rows: Iterable[Row]) -> Mapping[str, Any]:
        """The summary statistics of finished rows, as plain JSON values."""

    def lost(self, unit: int, why: str) -> Row:
        """The row of a unit that nothing came of."""
        return Row(unit=unit, scores=[math.nan] * len(self.metrics), errors=dict.fromkeys(self.metrics, why))

    def failed(self, row: Row) -> bool:
        """Whether a unit has failed."""
        return bool(row.errors) if self.asked else len(row.errors) == len(self.metrics)


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run in its folder.

    Attributes:
        path: the folder.
        record: what shaped its numbers.
        summary: its summary statistics; empty while it is not at its end.
    """

    path: Path
    record: Mapping[str, Any] = field(repr=False)
    summary: Mapping[str, Any] = field(repr=False)

    @property
    def finished(self) -> bool:
        """Whether it is at its end."""
        return bool(self.summary)

    @property
    def failed(self) -> int:
        """The number of units that failed."""
        return len(self.summary["failed"])

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The exported rows: column → value; a score that is missing is None, `error` says why."""
        rows: list[dict[str, Any]] = read_table(self.path / "scores.parquet").to_pylist()
        return rows

    def units(self) -> Iterator[Row]:
        """What is finished, in the order of units.

        Raises:
            StoreError: the database is damaged.
        """
        with Database(self.path / FILE, readonly=True) as database:
            count = (database.document("finished") or {}).get("units")
            yield from database.rows(count)

    def document(self, name: str) -> Any:
        """What `keep` wrote under that name, or None."""
        with Database(self.path / FILE, readonly=True) as database:
            return database.document(name)

    def keep(self, name: str, document: Mapping[str, Any]) -> None:
        """Keeps JSON values with the run.

        Raises:
            StoreError: the folder cannot be written, or another process is writing to it.
        """
        with held(self.path), Database(self.path / FILE) as database:
            database.put({name: document})


def open_run(path: Path) -> Run:
    """The run in a folder, finished or not.

    Raises:
        UsageError: there is none, or one of an earlier Semetric.
        StoreError: it is damaged.
    """
    with named_errors(path):
        absent = not (path / FILE).is_file()
    if absent:
        _refuse_earlier(path)
        raise UsageError(f"Expected the folder of a run; {path} holds no run. Name the folder that --out named.")
    with Database(path / FILE, readonly=True) as database:
        record = database.document("record")
        if record is None:
            raise UsageError(f"Expected the folder of a run; the one in {path} had not begun. Start it again.")
        finished = database.document("finished") is not None
        return Run(path=path, record=record, summary=database.document("summary") if finished else {})


def finished_units(path: Path) -> int:
    """How many units of the run in that folder are finished; none where there is no run."""
    try:
        with Database(path / FILE, readonly=True) as database:
            return len(database)
    except StoreError:
        return 0


def execute(
    plan: Plan,
    folder: Path,
    *,
    execution: Execution | None = None,
    retry_failed: bool = False,
    limit: int | None = None,
    started: Callable[[Started], None] | None = None,
    progress: _Report | None = None,
) -> Run:
    """Does what a folder's run lacks, and makes its files.

    Args:
        plan: what to do.
        folder: new, empty, or with the same run.
        execution: where units are done; None for this process.
        retry_failed: do failed units again, whose files may have changed.
        limit: the first units alone; a later call with more, or without, goes on.
        started: told what there is to do.
        progress: told of progress.

    Raises:
        UsageError: the folder holds another run, other files, or files of done units have changed.
        StoreError: the folder cannot be written, or another process is writing to it.
    """
    units = plan.units if limit is None else min(limit, plan.units)
    report = progress or (lambda units, workers: None)
    check_folder(folder)
    if execution is not None and execution.jobs > 1:
        from semetric.results.processes import check_start

        check_start()
    with held(folder), _ended_as_interrupted():
        with named_errors(folder):
            for inner in {path.parent for path in folder.rglob(f".*{TEMPORARY}")}:
                remove_temporary(inner)  # a process that was killed had begun to write it
        with Database(folder / FILE, create=True) as database:
            record = plain(plan.record)
            done = _enter(database, folder, plan, record, retry_failed=retry_failed)
            missing = [unit for unit in range(units) if not done[unit]]
            if started is not None:
                started(Started(units=units, done=units - len(missing), left_out=plan.left_out, broken=plan.broken))
            finished = database.document("finished")
            if missing or finished is None or finished["units"] != units:
                database.put({"finished": None, "summary": None, "record": record})
                _remove_exports(folder)
                _do(plan, database, folder, missing, execution or Execution(), report)
                summary = plain(plan.summarise(database.rows(units)))
                database.put({"summary": summary})
                _export(plan, database, folder, units, record, summary)
            else:
                summary = database.document("summary")
                record = database.document("record")
                wrong = [name for name in EXPORTS if file_digest(folder / name) != finished["exports"].get(name)]
                if wrong:
                    _log.warning("%s: missing or damaged; written again from %s", ", ".join(wrong), FILE)
                    _export(plan, database, folder, units, record, summary)
    return Run(path=folder, record=record, summary=summary)


def check_folder(folder: Path) -> None:
    """Whether a run may begin or go on there; looks, and touches nothing.

    Raises:
        UsageError: it is a file, or a folder of other files.
        StoreError: it cannot be read.
    """
    with named_errors(folder):
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"Expected --out to be a folder; {folder} is a file. Choose another --out.")
        if not folder.is_dir() or (folder / FILE).exists():
            return
        _refuse_earlier(folder)
        others = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    if others:
        raise UsageError(
            f"Expected --out to be a new or empty folder, or one with a run; {folder} holds {others[0]}"
            f"{' and more' if len(others) > 1 else ''}. Choose another --out."
        )


def _refuse_earlier(folder: Path) -> None:
    if any((folder / name).exists() for name in _EARLIER):
        raise UsageError(
            f"{folder} holds a run of an earlier Semetric, whose format this one does not read. Choose another --out, "
            "and score again: the cache still has what networks computed."
        )


def _enter(database: Database, folder: Path, plan: Plan, record: Mapping[str, Any], *, retry_failed: bool) -> bytearray:
    """Begins a run, or makes sure that the one in the folder is this one. Returns which units are done, a byte each."""
    database.repair()
    old = database.document("record")
    if old is not None and len(database):
        changed = differences(old, record, silent=plan.silent, words=plan.words)
        if changed:
            more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
            raise UsageError(
                f"{folder} holds a run that differs from this one in {'; '.join(changed[:_SHOWN])}{more}. "
                "Choose another --out."
            )
    if old is None or not len(database):
        database.put({"record": record})
    if retry_failed:
        database.remove([row.unit for row in database.rows() if plan.failed(row)])
    done = bytearray(plan.units)
    changed = []
    for unit, stamp in database.stamps():
        done[unit] = True
        if stamp != plan.stamp(unit):
            changed.append(plan.name(unit))
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        hint = "" if retry_failed else " (where they had failed, --retry-failed does them again)"
        raise UsageError(
            f"{folder} holds a run that differs from this one in the files of {changed[0]}{more}: they have changed"
            f"{hint}. Choose another --out."
        )
    return done


def _do(
    plan: Plan, database: Database, folder: Path, missing: Sequence[int], execution: Execution, report: _Report
) -> None:
    """Does the units; what is finished is on the disk, however this ends."""
    count = 0

    def workers(number: int) -> None:
        nonlocal count
        count = number
        report(0, count)

    chunks = plan.chunks(missing, execution)
    rows = runner.work(plan.recipe, chunks, execution, lost=plan.lost, workers=workers)
    try:
        for together in rows:
            for row in together:
                for name, content in row.files.items():
                    _write_file(folder / name, content)
            database.add([plan.whole(row) for row in together])
            report(len(together), count)
    finally:
        rows.close()  # type: ignore[attr-defined]  # a generator
        database.flush()


def _export(
    plan: Plan, database: Database, folder: Path, units: int, record: Mapping[str, Any], summary: Mapping[str, Any]
) -> None:
    def tables() -> Iterator[pa.Table]:
        rows = database.rows(units)
        while some := list(itertools.islice(rows, _AT_ONCE)):
            yield plan.table(some)

    schema = plan.schema()
    write_parquet(folder / "scores.parquet", schema, tables())
    write_csv(folder / "scores.csv", schema, tables())
    write_json(folder / "run.json", record)
    write_json(folder / "summary.json", summary)
    exports = {name: file_digest(folder / name) for name in EXPORTS}
    database.put({"finished": {"units": units, "exports": exports}})


def _remove_exports(folder: Path) -> None:
    """Of an earlier end: what stands there would be of other rows."""
    with named_errors(folder):
        for name in EXPORTS:
            (folder / name).unlink(missing_ok=True)


def _write_file(path: Path, content: bytes) -> None:
    with named_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda stream: stream.write(content))


@contextmanager
def _ended_as_interrupted() -> Iterator[None]:
    """Inside, SIGTERM is what Ctrl-C is: what waits for the disk is written, and workers are ended."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
