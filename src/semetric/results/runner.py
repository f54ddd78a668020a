"""The runner: units in, rows out, in this process, in several, or on a cluster.

Whoever does the work, units that are scored together stay together, rows come as they are finished, and only the caller
writes. A worker that dies costs its time alone: what it had not reported is given out again, and a unit that has killed
three workers becomes a row with an error.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from semetric.errors import SemetricError
from semetric.results.database import Row
from semetric.score_settings import Execution

__all__ = ["Death", "Pool", "Recipe", "Task", "Worker", "cores", "work"]

_STRIKES = 3  # workers that a unit may kill


@dataclass(frozen=True, kw_only=True)
class Task:
    """Units that are scored together.

    Attributes:
        units: their places in the run.
        items: what a worker needs to know of each: plain values that can be sent to another machine.
        files: paths that are read for them.
    """

    units: tuple[int, ...]
    items: tuple[Any, ...]
    files: tuple[str, ...] = ()

    def single(self) -> tuple[Task, ...]:
        """Each unit by itself."""
        return tuple(
            Task(units=(unit,), items=(item,), files=self.files)
            for unit, item in zip(self.units, self.items, strict=True)
        )


class Worker(Protocol):
    """Scores units; holds its networks."""

    @property
    def places(self) -> dict[str, str]:
        """Path → where a copy of that file is on this machine; the pool fills it where paths are not the same."""

    def rows(self, tasks: Iterable[Task]) -> Iterator[list[Row]]:
        """The rows of each task, in the order of the tasks. It may look ahead to decode images.

        Raises:
            SemetricError: what is no unit's fault: weights that are missing, an option that does not fit.
        """


class Recipe(Protocol):
    """Makes a worker: plain values that can be sent to another machine."""

    def worker(self) -> Worker:
        """Makes it, and checks that all it needs is on this machine."""


@dataclass(frozen=True, kw_only=True)
class Death:
    """A worker that is gone; the pool has begun to replace it.

    Attributes:
        why: in words.
        ready: whether it had made its networks, so that a unit may have been its end.
    """

    why: str
    ready: bool


class Pool(Protocol):
    """Workers elsewhere, by number."""

    def send(self, worker: int, tasks: Sequence[Task], *, careful: bool) -> None:
        """Gives an idle worker its next tasks; `careful` has each reported before the next one begins."""

    def receive(self) -> Iterable[tuple[int, Death | list[list[Row]]]]:
        """Waits for news: rows of tasks, in their order; no rows from a worker that is ready for its first; deaths.

        Raises:
            Exception: what a worker raised.
        """

    def close(self) -> None:
        """Ends all workers."""


def work(
    recipe: Recipe,
    chunks: Iterable[Sequence[Task]],
    execution: Execution,
    *,
    lost: Callable[[int, str], Row],
    workers: Callable[[int], None] = lambda count: None,
) -> Iterator[list[Row]]:
    """Does tasks and yields their rows, task by task, as they are finished.

    Args:
        recipe: of the workers.
        chunks: tasks that one worker does best, since they share images.
        execution: where.
        lost: (unit, why) → the row of a unit that nothing came of.
        workers: told how many workers are at it, whenever that changes.

    Raises:
        SemetricError: what a worker raised, or workers that end before they score anything.
    """
    first = next(iter(source := iter(chunks)), None)
    if first is None:
        return
    source = itertools.chain([first], source)
    if execution.inline:
        yield from recipe.worker().rows(itertools.chain.from_iterable(source))
        return
    pool: Pool
    if execution.ray is None:
        from semetric.results.processes import Processes

        pool = Processes(recipe, execution.jobs)
    else:
        from semetric.results.cluster import Cluster

        pool = Cluster(recipe, execution)
    try:
        yield from _spread(pool, source, lost, workers)
    finally:
        pool.close()


def cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


@dataclass
class _Chunk:
    """Tasks in a worker's hands, or on their way to one: those that are not reported yet."""

    tasks: deque[Task]
    careful: bool = False


def _spread(
    pool: Pool,
    chunks: Iterator[Sequence[Task]],
    lost: Callable[[int, str], Row],
    workers: Callable[[int], None],
) -> Iterator[list[Row]]:
    again: deque[_Chunk] = deque()
    given: dict[int, _Chunk] = {}
    idle: list[int] = []
    ready: set[int] = set()
    strikes: Counter[int] = Counter()
    unready = 0  # deaths since a worker was ready for the last time
    scored = fatal = 0

    def following() -> _Chunk | None:
        if again:
            return again.popleft()
        tasks = next(chunks, None)
        return None if tasks is None else _Chunk(deque(tasks))

    chunk = following()
    while chunk is not None or given:
        while chunk is not None and idle:
            worker = idle.pop()
            given[worker] = chunk
            pool.send(worker, tuple(chunk.tasks), careful=chunk.careful)
            chunk = following()
        for worker, news in pool.receive():
            if isinstance(news, Death):
                ready.discard(worker)
                workers(len(ready))
                if worker in idle:
                    idle.remove(worker)
                unready = 0 if news.ready else unready + 1
                if unready >= _STRIKES:
                    raise SemetricError(f"Workers end before they score anything: {news.why}")
                held = given.pop(worker, None)
                if held is None:
                    continue
                # Without care, what was finished and not yet reported is under suspicion, too.
                for task in itertools.islice(held.tasks, 1 if held.careful else None):
                    strikes.update(task.units)
                first = held.tasks[0]
                if held.careful and strikes[first.units[0]] >= _STRIKES:
                    held.tasks.popleft()
                    if len(first.units) > 1:
                        held.tasks.extendleft(reversed(first.single()))
                        strikes.subtract(first.units)  # one more ends it
                    else:
                        fatal += 1
                        if fatal >= _STRIKES and not scored:
                            raise SemetricError(f"Workers end at every unit: {news.why}")
                        yield [lost(first.units[0], f"It has ended {_STRIKES} workers: {news.why}")]
                if held.tasks:
                    again.append(_Chunk(held.tasks, careful=True))
                continue
            if worker not in ready:
                ready.add(worker)
                unready = 0
                workers(len(ready))
            for rows in news:
                given[worker].tasks.popleft()
                scored += len(rows)
                yield rows
            if worker not in given or not given[worker].tasks:
                given.pop(worker, None)
                idle.append(worker)
        if chunk is None:
            chunk = following()
