"""Workers in processes of this machine.

A worker talks through a pipe of its own, so that one that dies holds no lock of another, and says nothing on Ctrl-C:
the parent ends it. It ends by itself when the parent is gone.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from semetric.errors import SemetricError, UsageError
from semetric.results.database import Row
from semetric.results.runner import Death, Recipe, Task, cores

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

__all__ = ["Processes", "check_start"]

# Read when the libraries are loaded; two processes with a thread a core each would take the cores from one another.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
_GUARD = (
    "Expected a script that a worker process can import; it asks for workers again while it is imported. "
    'With jobs above 1, put what the script does below: if __name__ == "__main__":'
)
_PATIENCE_S = 5.0  # for a process to end by itself


def check_start() -> None:
    """Looks whether processes can be started, before anything else is done.

    Raises:
        UsageError: in a worker that only imports the main module, which asks for workers again.
    """
    import multiprocessing

    if getattr(multiprocessing.current_process(), "_inheriting", False):  # as multiprocessing.spawn tells
        raise UsageError(_GUARD)


class Processes:
    """A pool of processes: see `runner.Pool`.

    Args:
        recipe: of the workers.
        jobs: how many.

    Raises:
        UsageError: in a worker that only imports the main module, which asks for workers again.
    """

    def __init__(self, recipe: Recipe, jobs: int) -> None:
        check_start()
        self._recipe = recipe
        self._threads = str(max(1, cores() // jobs))
        self._pipes: dict[int, Connection] = {}
        self._processes: dict[int, Any] = {}
        self._ready: set[int] = set()
        try:
            for worker in range(jobs):
                self._start(worker)
        except BaseException:
            self.close()
            raise

    def send(self, worker: int, tasks: Sequence[Task], *, careful: bool) -> None:
        """Gives a worker its next tasks; every task is reported by itself."""
        del careful
        with suppress(OSError):  # it is gone, which `receive` tells
            self._pipes[worker].send(tasks)

    def receive(self) -> Iterator[tuple[int, Death | list[list[Row]]]]:
        """Waits for news."""
        from multiprocessing.connection import wait

        ready = wait(list(self._pipes.values()))
        for worker, pipe in [one for one in self._pipes.items() if one[1] in ready]:
            try:
                message = pipe.recv()
            except (EOFError, OSError):
                process = self._processes[worker]
                process.join(_PATIENCE_S)
                if worker not in self._ready and process.exitcode == 1:  # it says what else it ends of
                    raise UsageError(_GUARD) from None
                why = f"a worker process ended with code {process.exitcode}" + (
                    "; on most machines that means too little memory. Try fewer --jobs"
                    if process.exitcode == -signal.SIGKILL
                    else ""
                )
                known = worker in self._ready
                self._ready.discard(worker)
                pipe.close()
                self._start(worker)
                yield worker, Death(why=f"{why}.", ready=known)
                continue
            if isinstance(message, BaseException):
                raise message
            self._ready.add(worker)
            yield worker, message

    def close(self) -> None:
        """Ends all processes."""
        for pipe in self._pipes.values():
            pipe.close()
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.join(_PATIENCE_S)
            if process.is_alive():
                process.kill()
                process.join()

    def _start(self, worker: int) -> None:
        import multiprocessing

        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._recipe), daemon=True)
        self._pipes[worker], self._processes[worker] = ours, process
        with _environment(dict.fromkeys(_THREADS, self._threads)), _without_interrupts():
            process.start()
        theirs.close()


def _serve(pipe: Connection, recipe: Recipe) -> None:
    """What a worker does until its pipe is closed: no rows say that it is ready, then come those of each task."""
    try:
        worker = recipe.worker()
        pipe.send([])
        while True:
            tasks = pipe.recv()
            for rows in worker.rows(tasks):
                pipe.send([rows])
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
    new = [name for name in values if name not in os.environ]
    os.environ.update({name: values[name] for name in new})
    try:
        yield
    finally:
        for name in new:
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
