"""Workers on a Ray cluster: an actor each, which keeps its networks loaded.

Ray places actors, moves bytes and notices deaths; this module gives actors their next tasks. An actor works in slices
of half a second and returns what is finished, so that results stream back and any Ray client will do.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from semetric.errors import MissingExtraError, SemetricError
from semetric.results.database import Row
from semetric.results.runner import Death, Recipe, Task
from semetric.score_settings import Execution

__all__ = ["Cluster"]

_SLICE_S = 0.5  # of work between reports: a driver that is killed loses no more of each actor
_PATIENCE_S = 120.0  # for the first actor to be ready
_CONNECT_S = 10.0  # for a cluster's address to answer

Stamp = tuple[int, int] | None
"""Size and time of change of a file; None where it is not there."""


class Cluster:
    """A pool of Ray actors: see `runner.Pool`.

    Args:
        recipe: of the workers.
        execution: the cluster's address, and what each actor takes.

    Raises:
        MissingExtraError: Ray is not installed.
        SemetricError: there is no cluster at that address, or none of its nodes has room for an actor.
    """

    def __init__(self, recipe: Recipe, execution: Execution) -> None:
        try:
            import ray
        except ImportError as error:
            raise MissingExtraError("Ray is not installed. Run: pip install 'semetric[ray]'.") from error
        self._ray: Any = ray
        self._own = not ray.is_initialized()
        if self._own:
            self._connect(str(execution.ray))
        room = self._ray.cluster_resources()
        fit = [room.get("CPU", 0) / execution.ray_cpus] if execution.ray_cpus else [1.0]
        fit += [room.get("GPU", 0) / execution.ray_gpus] if execution.ray_gpus else []
        count = execution.ray_workers or int(min(fit))
        if count < 1 or (execution.ray_gpus and not room.get("GPU")):
            self.close()
            raise SemetricError(
                f"Expected a cluster with room for a worker of {execution.ray_cpus:g} cores and {execution.ray_gpus:g} "
                f"GPUs; it has {room.get('CPU', 0):g} and {room.get('GPU', 0):g}. Lower --ray-cpus or --ray-gpus."
            )
        self._actor: Any = ray.remote(_Actor).options(
            num_cpus=execution.ray_cpus, num_gpus=execution.ray_gpus, max_restarts=0, max_task_retries=0
        )
        self._arguments = (ray.put(recipe), _here(), execution.fetch)
        self._actors: dict[int, Any] = {}
        self._pending: dict[Any, int] = {}
        self._tasks: dict[int, tuple[Sequence[Task], bool]] = {}
        self._contents: dict[int, Mapping[str, Any]] = {}
        self._ready: set[int] = set()
        try:
            for worker in range(count):
                self._start(worker)
        except BaseException:
            self.close()
            raise

    def send(self, worker: int, tasks: Sequence[Task], *, careful: bool) -> None:
        """Gives an actor its next tasks."""
        self._contents[worker] = {}
        self._give(worker, tasks, careful=careful)

    def receive(self) -> Iterator[tuple[int, Death | list[list[Row]]]]:
        """Waits for news."""
        ready, _ = self._ray.wait(list(self._pending), num_returns=1, timeout=1.0)
        if not ready and not self._ready and time.monotonic() - self._since > _PATIENCE_S:
            raise SemetricError(
                f"No worker was ready within {_PATIENCE_S:g} seconds. Look at the cluster with: ray status."
            )
        for reference in ready:
            worker = self._pending.pop(reference)
            try:
                answer = self._ray.get(reference)
            except self._ray.exceptions.RayTaskError as error:
                raise error.cause from None  # what the worker raised
            except self._ray.exceptions.RayError as error:
                known = worker in self._ready
                self._ready.discard(worker)
                self._start(worker)
                yield worker, Death(why=f"a worker on the cluster died ({_reason(error)}).", ready=known)
                continue
            if worker not in self._ready:
                self._ready.add(worker)
                yield worker, []
                continue
            rows, finished, missing = answer
            if missing:
                self._contents[worker] = {path: self._content(path) for path in missing}
                tasks, careful = self._tasks[worker]
                self._give(worker, tasks, careful=careful)
                continue
            if not finished:
                self._pending[self._actors[worker].go_on.remote()] = worker
            yield worker, rows

    def close(self) -> None:
        """Ends all actors; and the connection, or the cluster, where it was made here."""
        for actor in getattr(self, "_actors", {}).values():
            self._ray.kill(actor, no_restart=True)
        if self._own:
            self._ray.shutdown()

    def _connect(self, address: str) -> None:
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
        if address in ("local", "default"):
            options["include_dashboard"] = False
        if address != "default":
            options["address"] = address
        handler = signal.getsignal(signal.SIGTERM)
        try:
            if ":" in address:  # Ray would try again for minutes
                host, _, port = address.removeprefix("ray://").rpartition(":")
                socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
            self._ray.init(**options)
        except (OSError, RuntimeError, ValueError, ImportError) as error:
            # the last line: above it may be a traceback of the cluster's
            why = (str(error).strip(" .\n") or type(error).__name__).splitlines()[-1]
            raise SemetricError(
                f"Expected a Ray cluster at {address!r}; {why}. Start one with: ray start --head."
            ) from error
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray has put its own there

    def _start(self, worker: int) -> None:
        self._since = time.monotonic()
        self._actors[worker] = self._actor.remote(*self._arguments)
        self._pending[self._actors[worker].ready.remote()] = worker

    def _give(self, worker: int, tasks: Sequence[Task], *, careful: bool) -> None:
        self._tasks[worker] = tasks, careful
        stamps = {path: _stamp(path) for task in tasks for path in task.files}
        contents = self._contents[worker]
        step = self._actors[worker].begin.remote(tasks, stamps, list(contents), careful, *contents.values())
        self._pending[step] = worker

    def _content(self, path: str) -> Any:
        """A file's bytes in the object store; None of one that cannot be read here either."""
        try:
            return self._ray.put(Path(path).read_bytes())
        except OSError:
            return None


class _Actor:
    """What runs on a node."""

    def __init__(self, recipe: Recipe, driver: Mapping[str, str], fetch: bool) -> None:
        self._recipe = recipe
        self._driver = driver
        self._fetch = fetch
        self._folder: tempfile.TemporaryDirectory[str] | None = None  # of the chunk in hand
        self._rows: Iterator[list[Row]] = iter(())
        self._left = 0
        self._careful = False

    def ready(self) -> None:
        """Makes networks, and looks whether the node has all that it needs.

        Raises:
            SemetricError: which node lacks what.
        """
        own = _here()
        for what, wanted in self._driver.items():
            if what != "node" and own[what] != wanted:
                raise SemetricError(
                    f"Expected {what} {wanted} on every node, as where the run was started; {own['node']} has "
                    f"{own[what]}. Install the same there."
                )
        try:
            if self._fetch:
                from semetric.weights import downloads

                with downloads(lambda text: None, lambda done, total: None):
                    self._worker = self._recipe.worker()
            else:
                self._worker = self._recipe.worker()
        except SemetricError as error:
            raise type(error)(f"On the node {own['node']}: {error}") from error

    def begin(
        self, tasks: Sequence[Task], stamps: Mapping[str, Stamp], paths: Sequence[str], careful: bool, *contents: bytes
    ) -> tuple[list[list[Row]], bool, list[str]]:
        """Begins tasks. Returns what is finished, whether that is all, and files that this node does not have."""
        self._worker.places.clear()
        if paths:
            self._folder = tempfile.TemporaryDirectory(prefix="semetric-")
            for number, (path, content) in enumerate(zip(paths, contents, strict=True)):
                if content is not None:
                    copy = Path(self._folder.name, f"{number}{Path(path).suffix}")
                    copy.write_bytes(content)
                    self._worker.places[path] = str(copy)
        else:
            missing = [path for path, stamp in stamps.items() if stamp is not None and _stamp(path) != stamp]
            if missing:
                return [], False, missing
        self._rows = self._worker.rows(tasks)
        self._left = len(tasks)
        self._careful = careful
        return self.go_on()

    def go_on(self) -> tuple[list[list[Row]], bool, list[str]]:
        """Goes on for a slice of time."""
        until = time.monotonic() + _SLICE_S
        finished: list[list[Row]] = []
        while self._left:
            finished.append([self._named(row) for row in next(self._rows)])
            self._left -= 1
            if self._careful or time.monotonic() >= until:
                break
        if not self._left and self._folder is not None:
            self._folder.cleanup()
            self._folder = None
        return finished, not self._left, []

    def _named(self, row: Row) -> Row:
        """The row with files called by their own names, not by those of copies."""
        if not self._worker.places or not row.errors:
            return row
        errors = dict(row.errors)
        for path, copy in self._worker.places.items():
            errors = {metric: why.replace(copy, path) for metric, why in errors.items()}
        return replace(row, errors=errors)


def _here() -> dict[str, str]:
    """What must be equal everywhere, and the node's name."""
    return {
        "node": os.uname().nodename if hasattr(os, "uname") else "this node",
        "Python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "Semetric": version("semetric"),
    }


def _stamp(path: str) -> Stamp:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns


def _reason(error: Exception) -> str:
    """The first line of what Ray says."""
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
