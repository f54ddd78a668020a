"""What the verbs share: where output goes, and the options that mean the same everywhere."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from semetric.cli import _streams

__all__ = [
    "DeviceOption",
    "FetchOption",
    "JsonOption",
    "NoCacheOption",
    "ProfileOption",
    "RetryFailedOption",
    "download_display",
    "downloads_if",
    "files_of",
    "given",
    "log_to_stderr",
    "show_json",
    "working",
]

JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
ProfileOption: TypeAlias = Annotated[
    str,
    typer.Option(help="Which weights: lite, standard or paper.", autocompletion=lambda: ["lite", "standard", "paper"]),
]
DeviceOption: TypeAlias = Annotated[
    str, typer.Option(help="Device: auto, cpu or cuda.", autocompletion=lambda: ["auto", "cpu", "cuda"])
]
RetryFailedOption: TypeAlias = Annotated[
    bool, typer.Option("--retry-failed", help="Do again what failed, once its files are repaired.")
]
FetchOption: TypeAlias = Annotated[bool, typer.Option("--fetch", help="Download weights that are missing.")]
NoCacheOption: TypeAlias = Annotated[bool, typer.Option("--no-cache", help="Neither read nor write cached results.")]


def given(**options: Any) -> dict[str, Any]:
    """The options that the user set, so that defaults live in the library alone."""
    return {name: value for name, value in options.items() if value is not None}


def files_of(*words: Any) -> list[str]:
    """Those of a command's arguments and options that are files, which its outputs must not replace."""
    return [str(word) for word in words if isinstance(word, str | Path) and os.path.isfile(word)]


def log_to_stderr() -> None:
    """Sends the library's log to stderr, one plain line a message."""
    logger = logging.getLogger("semetric")
    if any(isinstance(handler, _StderrHandler) for handler in logger.handlers):
        return
    handler = _StderrHandler()
    handler.setFormatter(logging.Formatter("semetric: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


@contextmanager
def download_display() -> Iterator[tuple[Callable[[str], None], Callable[[int, int], None]]]:
    """Says on stderr what is downloaded, and draws how far it is: the two callbacks of `weights.fetch`."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeElapsedColumn

    console = Console(stderr=True)
    with Progress(BarColumn(), DownloadColumn(), TimeElapsedColumn(), console=console, transient=True) as bars:
        task = bars.add_task("", total=None, visible=False)

        def announce(text: str) -> None:
            bars.reset(task, total=None, visible=False)
            console.print(text, highlight=False, markup=False, soft_wrap=True)

        def progress(done: int, total: int) -> None:
            bars.update(task, completed=min(done, total), total=total if done else None, visible=True)

        yield announce, progress


@contextmanager
def downloads_if(wanted: bool) -> Iterator[None]:
    """Lets missing weights be fetched, and shows it, if the user asked for that with --fetch."""
    if not wanted:
        yield
        return
    from semetric.weights import downloads

    with download_display() as (announce, progress), downloads(announce, progress):
        yield


@contextmanager
def working(text: str, *, shown: bool = True) -> Iterator[Callable[[str], None]]:
    """Shows on stderr what is being done and for how long, where that is a terminal; nothing elsewhere.

    ::

        with shared.working("reading the images") as stage:
            stage("sess (metric 9 of 9)")

    Args:
        text: what is done first.
        shown: False shows nothing, for work inside which something else draws (`download_display`).

    Yields:
        Takes what is done next.
    """
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not shown or not console.is_terminal:
        yield lambda _: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task(text, total=None)
        yield lambda words: bars.update(task, description=words)


def show_json(document: Any) -> None:
    """Prints one JSON document to stdout.

    JSON has no infinity: a score that is infinite (PSNR of identical images) or undefined becomes
    null, with "note": "infinite", "minus infinite" or "not a number" beside it. Bytes of file names that are no UTF-8
    are escaped, as \\xff; where stdout is not UTF-8, the document is in ASCII.
    """
    plain = not _streams.takes_unicode()
    sys.stdout.write(json.dumps(_finite(document), indent=2, ensure_ascii=plain, allow_nan=False) + "\n")


class _StderrHandler(logging.Handler):
    """Writes to the stderr of the moment, which tests and progress bars exchange."""

    def emit(self, record: logging.LogRecord) -> None:
        _streams.say(self.format(record))


def _text(value: str) -> str:
    if value.isascii():
        return value
    from semetric.image.names import shown

    return shown(value)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        plain = {_text(str(name)): _finite(item) for name, item in value.items()}
        score = value.get("value")
        if isinstance(score, float) and not math.isfinite(score):
            plain["note"] = "not a number" if math.isnan(score) else "infinite" if score > 0 else "minus infinite"
        return plain
    if isinstance(value, Sequence):
        return [_finite(item) for item in value]
    return value
