"""One bar for all long work: how much is done, how fast, how long it will take, how many workers are at it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from semetric.training import TrainingProgress

__all__ = ["Advance", "counter", "say_interrupted", "training_steps"]

_ESTIMATE_S = 60  # over which the rate is taken

_log = logging.getLogger(__name__)


class Advance(Protocol):
    """Takes how much was done since it was told last, and how many workers are at it; 0 where there are none."""

    def __call__(self, count: int, workers: int = 0) -> None:
        """Moves the bar."""


@contextmanager
def counter(what: str) -> Iterator[tuple[Callable[[int, int], None], Advance]]:
    """A bar on stderr where that is a terminal.

    Args:
        what: is counted: "pairs".

    Yields:
        begin(total, done) and advance(count, workers).
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Any) -> Text:
            speed = task.finished_speed or task.speed
            if not speed:
                return Text(f"– {what}/s")
            return Text(f"{speed:.1f} {what}/s" if speed >= 1 else f"{1 / speed:.1f} s/{what.removesuffix('s')}")

    class Done(MofNCompleteColumn):
        def render(self, task: Any) -> Text:
            return Text(f"{int(task.completed)}/{int(task.total or 0)} {what}")

    class Workers(ProgressColumn):
        def render(self, task: Any) -> Text:
            count = task.fields["workers"]
            return Text(f"{count} workers" if count > 1 else "1 worker" if count else "")

    console = Console(stderr=True)
    if not console.is_terminal:
        yield (lambda total, done: None), (lambda count, workers=0: None)
        return
    columns = BarColumn(), Done(), Rate(), TimeRemainingColumn(), Workers()
    bars = Progress(*columns, console=console, transient=True, speed_estimate_period=_ESTIMATE_S)
    task = bars.add_task("", total=None, visible=False, workers=0)

    def begin(total: int, done: int) -> None:
        bars.reset(task, total=total, completed=done, visible=True)

    def advance(count: int, workers: int = 0) -> None:
        bars.update(task, advance=count, workers=workers)

    with bars:
        yield begin, advance


@contextmanager
def training_steps() -> Iterator[Callable[[TrainingProgress], None]]:
    """A bar of the steps of a training, for its progress callback."""
    with counter("steps") as (begin, advance):
        shown = False

        def progress(now: TrainingProgress) -> None:
            nonlocal shown
            if shown:
                advance(1)
            else:
                begin(now.steps, now.step)
                shown = True

        yield progress


def say_interrupted(out: Path, what: str) -> None:
    """Says what is left of a run that was interrupted."""
    from semetric.results.run import finished_units

    done = finished_units(out)
    if done:
        _log.info("%d %s are finished and kept in %s; the same command goes on from there", done, what, out)
    else:
        _log.info("no %s were finished; the same command begins again", what)
