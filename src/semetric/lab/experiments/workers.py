"""Worker processes, each with its own systems and metrics: whole images go in, finished units come out one by one.

A worker talks through a pipe of its own, so that one that dies holds no lock of another, and says nothing on
Ctrl-C: the parent ends it.
"""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from semetric.errors import SemetricError, UsageError
from semetric.lab.experiments.base import Experiment
from semetric.lab.experiments.images import ImageFile
from semetric.lab.experiments.scoring import Finished, Scorer, Task
from semetric.lab.experiments.settings import RunSettings

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

__all__ = ["Recipe", "check_start", "cores", "work"]

# Read when the libraries are loaded; two processes with a thread a core each would take the cores from one another.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")

_GUARD = (
    "Expected a script that a worker process can import; it asks for workers again while it is imported. "
    'With jobs above 1, put what the script does below: if __name__ == "__main__":'
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a worker makes its scorer of: plain values, so that it can be sent to another process.

    Attributes:
        experiment: the systems and levels.
        settings: the metrics.
        metrics: names of those that are scored.
        images: all that will be sent.
        cached: whether products are kept on disk.
    """

    experiment: Experiment
    settings: RunSettings
    metrics: tuple[str, ...]
    images: tuple[ImageFile, ...]
    cached: bool = True

    def scorer(self) -> Scorer:
        """Makes it."""
        return Scorer(self.experiment, self.settings, self.metrics, self.images, cached=self.cached)


def work(recipe: Recipe, tasks: Sequence[Task], *, jobs: int) -> Iterator[Finished]:
    """Does the tasks, in this process or in several, and yields units as they are finished.

    Args:
        recipe: of the scorer.
        tasks: one an image.
        jobs: processes; 1 works in this one.

    Raises:
        SemetricError: what a scorer raised, or a worker died.
        UsageError: a script without a guard for its main module.
    """
    if jobs == 1 or len(tasks) < 2:
        if tasks:
            scorer = recipe.scorer()
            for task in tasks:
                yield from scorer.units(task)
        return
    yield from _spread(recipe, tasks, min(jobs, len(tasks)))


def check_start(jobs: int) -> None:
    """Looks whether processes can be started, before anything else is done.

    Raises:
        UsageError: in a worker that only imports the main module, which asks for workers again.
    """
    import multiprocessing

    if jobs > 1 and getattr(multiprocessing.current_process(), "_inheriting", False):  # as multiprocessing.spawn tells
        raise UsageError(_GUARD)


def cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def _spread(recipe: Recipe, tasks: Sequence[Task], jobs: int) -> Iterator[Finished]:
    import multiprocessing
    from multiprocessing.connection import wait

    context = multiprocessing.get_context("spawn")
    waiting = deque(tasks)
    pipes: dict[Connection, Any] = {}
    with _environment({name: str(max(1, cores() // jobs)) for name in _THREADS}), _without_interrupts():
        for _ in range(jobs):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, recipe), daemon=True)
            process.start()
            theirs.close()
            pipes[ours] = process
    try:
        for pipe, process in pipes.items():
            if not _begins(pipe):
                process.join(5)
                raise UsageError(_GUARD) if process.exitcode == 1 else _ended(process)
            pipe.send(waiting.popleft())
        busy = set(pipes)
        while busy:
            ready = wait(list(busy))
            for pipe in [one for one in pipes if one in ready]:
                try:
                    said = pipe.recv()
                except (EOFError, OSError):
                    pipes[pipe].join(5)
                    raise _ended(pipes[pipe]) from None
                if isinstance(said, Finished):
                    yield said
                elif isinstance(said, BaseException):
                    raise said
                elif waiting:
                    pipe.send(waiting.popleft())
                else:
                    busy.discard(pipe)
    finally:
        for pipe, process in pipes.items():
            pipe.close()
            process.terminate()
        for process in pipes.values():
            process.join()


def _ended(process: Any) -> SemetricError:
    return SemetricError(
        f"A worker process ended with code {process.exitcode}; on most machines -9 means too little memory. "
        "Start the same command with fewer --jobs; finished units are kept."
    )


def _begins(pipe: Connection) -> bool:
    """Whether a worker came so far as to say that it works; it imports the main module of the process first."""
    try:
        pipe.recv()
    except (EOFError, OSError):
        return False
    return True


def _serve(pipe: Connection, recipe: Recipe) -> None:
    """What a worker does until its pipe is closed: None says that it has begun, and that a task is done."""
    try:
        pipe.send(None)
        scorer = recipe.scorer()
        while True:
            task = pipe.recv()
            for finished in scorer.units(task):
                pipe.send(finished)
            pipe.send(None)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent is gone
    except Exception as error:
        _report(pipe, error)


def _report(pipe: Connection, error: Exception) -> None:
    import pickle
    import traceback

    text = "".join(traceback.format_exception(error))
    if not isinstance(error, SemetricError):
        error.add_note(f"In a worker process:\n{text}")
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # an exception of somebody's own may not travel
        error = RuntimeError(f"In a worker process:\n{text}")
    try:
        pipe.send(error)
    except OSError:
        return


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Sets environment variables that are not set, for the processes started inside."""
    set_ = [name for name in values if name not in os.environ]
    os.environ.update({name: values[name] for name in set_})
    try:
        yield
    finally:
        for name in set_:
            os.environ.pop(name, None)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes started inside never see Ctrl-C; here it waits until the end."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
