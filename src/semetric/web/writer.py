"""Access to the study file from an event loop: one thread that writes, a few that read."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from semetric.errors import StoreError
from semetric.learn.judgements.store import JudgementStore

__all__ = ["Readers", "Writer"]

T = TypeVar("T")
_TOGETHER = 64  # jobs in one transaction
_READERS = 4
_CHECK_S = 2.0  # between two looks at the log
_LOG_BYTES = 4_000_000


@dataclass(frozen=True, kw_only=True)
class _Job:
    work: Callable[[JudgementStore], Any]
    durable: bool
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]

    def finish(self, value: Any, error: BaseException | None) -> None:
        """Tells whoever waits; nobody may wait any more."""

        def tell() -> None:
            if self.future.done():
                return
            if error is None:
                self.future.set_result(value)
            else:
                self.future.set_exception(error)

        try:
            self.loop.call_soon_threadsafe(tell)
        except RuntimeError:  # the loop is closed: the server has ended
            return


class Writer:
    """Runs changes in a thread of its own. Those that wait at the same time share one transaction and one flush to
    the disk, so that twenty people who answer at once wait for one flush and not for twenty. Each keeps its own
    savepoint: one that fails undoes itself alone. Nobody is told of success before the flush.

    The log is written back into the file by another thread, since that takes several flushes.

    Args:
        path: of the study file.

    Raises:
        StoreError: it cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._store, self._checkpoints = JudgementStore(path), JudgementStore(path)
        self._level = ""  # of `synchronous`, once it is known
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._serve, name="semetric-writer", daemon=True),
            threading.Thread(target=self._write_back, name="semetric-checkpoint", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, work: Callable[[JudgementStore], T], *, durable: bool = True) -> T:
        """The result of the work, once it is on the disk.

        Args:
            work: changes the file.
            durable: wait for the disk. Otherwise a power cut, though no killed process, may take it back.

        Raises:
            StoreError: it could not be written.
            Exception: what the work raised; nothing of it was written.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(work=work, durable=durable, loop=loop, future=future))
        return await future

    def close(self) -> None:
        """Finishes what waits, and ends."""
        self._jobs.put(None)
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _write_back(self) -> None:
        log = self._path.with_name(f"{self._path.name}-wal")
        with self._checkpoints as store:
            while not self._ended.wait(_CHECK_S):
                try:
                    if log.stat().st_size > _LOG_BYTES:
                        store.rows("PRAGMA wal_checkpoint(PASSIVE)")
                except (StoreError, OSError) as error:  # no log yet, or a full disk; the next look may do better
                    logging.getLogger("semetric").debug("%s", error)

    def _serve(self) -> None:
        with self._store as store:
            store.connection.execute("PRAGMA wal_autocheckpoint = 0")
            while True:
                jobs, going_on = self._waiting()
                if jobs:
                    self._together(store, jobs)
                if not going_on:
                    return

    def _together(self, store: JudgementStore, jobs: list[_Job]) -> None:
        outcomes: list[tuple[Any, BaseException | None]] = []
        level = "FULL" if any(job.durable for job in jobs) else "NORMAL"
        try:
            if level != self._level:
                self._level = ""
                store.rows(f"PRAGMA synchronous = {level}")
                self._level = level
            with store.transaction():
                for job in jobs:
                    try:
                        with store.transaction():
                            value = job.work(store)
                    except Exception as error:
                        outcomes.append((None, error))
                    else:
                        outcomes.append((value, None))
        except Exception as error:  # nothing of it is on the disk
            outcomes = [(None, error)] * len(jobs)
        for job, (value, failure) in zip(jobs, outcomes, strict=True):
            job.finish(value, failure)

    def _waiting(self) -> tuple[list[_Job], bool]:
        jobs: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            jobs.append(job)
            if len(jobs) == _TOGETHER:
                break
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
        return jobs, job is not None


class Readers:
    """Runs queries in a few threads, each with its own connection, so that a long one holds nobody up.

    Args:
        path: of the study file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own = threading.local()
        self._stores: list[JudgementStore] = []
        self._pool = ThreadPoolExecutor(_READERS, thread_name_prefix="semetric-reader")

    async def run(self, work: Callable[[JudgementStore], T]) -> T:
        """The result of the work, which changes nothing."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._call, work)

    def close(self) -> None:
        """Ends the threads and closes their connections."""
        self._pool.shutdown()
        for store in self._stores:
            store.close()

    def _call(self, work: Callable[[JudgementStore], T]) -> T:
        store: JudgementStore | None = getattr(self._own, "store", None)
        if store is None:
            store = JudgementStore(self._path)
            self._own.store = store
            self._stores.append(store)
        return work(store)
