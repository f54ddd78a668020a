"""Data sets and judgements on the command line: the options that name them, loading them, and their pairs."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from semetric.cli import _console as shared
from semetric.cli._names import log_names
from semetric.errors import UsageError

if TYPE_CHECKING:
    from semetric.learn.datasets import Dataset
    from semetric.runs.pairing import Pairing

__all__ = [
    "ImagesOption",
    "LimitOption",
    "LoaderOption",
    "RootOption",
    "SourceArgument",
    "SplitOption",
    "StudyOption",
    "dataset_options",
    "load",
    "pairing",
]

_log = logging.getLogger(__name__)


SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="JUDGEMENTS",
        help="A file of judgements (a study, its export as JSONL, a CSV table), or with --root a data set: nights, "
        "bapps, things; for evaluate also bapps_jnd, kadid10k, tid2013.",
    ),
]
RootOption = Annotated[Path | None, typer.Option(help="Where the data set is: its folder.")]
SplitOption = Annotated[str | None, typer.Option(help="train, val or test, where the judgements have them.")]
LimitOption = Annotated[int | None, typer.Option(help="Number of items, drawn with the seed.")]
StudyOption = Annotated[str | None, typer.Option(help="The study's name, where the file holds several.")]
ImagesOption = Annotated[
    str | None, typer.Option(help="The folder that a study's or a table's image paths start from.")
]
LoaderOption = Annotated[
    list[str] | None, typer.Option(help="NAME=VALUE for the data set's loader, e.g. subset=cnn; repeat for more.")
]


def dataset_options(
    dataset: Annotated[
        str | None, typer.Option(help="The pairs of a data set: cyclegan, nights, kadid10k, …; needs --root.")
    ] = None,
    root: RootOption = None,
    split: SplitOption = None,
    option: LoaderOption = None,
) -> None:
    """Which data set."""


def pairing(
    dataset: str | None, root: Path | None, split: str | None = None, option: Sequence[str] | None = None
) -> Pairing | None:
    """The pairs of the data set that the options name, and on stderr what is missing in it; None where none is named.

    Raises:
        UsageError: a data set without its root, options of no data set, or a data set of single images.
    """
    if dataset is None:
        lone = next((name for name, value in (("--root", root), ("--split", split), ("--option", option)) if value), "")
        if lone:
            raise UsageError(f"Expected --dataset NAME beside {lone}; found none.")
        return None
    if root is None:
        raise UsageError(f"Expected --root, the folder of {dataset}, beside --dataset; found none.")
    from semetric.learn.datasets import dataset_pairing

    return dataset_pairing(load(dataset, root, split, option))


def load(
    source: str,
    root: Path | None,
    split: str | None = None,
    option: Sequence[str] | None = None,
    *,
    study: str | None = None,
    images: str | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Dataset:
    """The judgements, and on stderr what is missing in them."""
    from semetric.learn.datasets import load_judgements

    named = shared.given(study=study, images=images)
    loaded = load_judgements(source, root, split, **_options(source, option or ()), **named)
    problems = loaded.problems
    log_names(f"{loaded.name}: missing or damaged, and left out: {problems.count}", problems.named, "--json")
    for why, count in loaded.left_out.items():
        _log.info("%s: %d entries left out: %s", loaded.name, count, why)
    whole = loaded.published_size
    if whole is not None and whole != len(loaded):
        _log.warning("%s: %d items; the published data set has %d", loaded.name, len(loaded), whole)
    if limit is None:
        return loaded
    import numpy as np

    chosen = loaded.sample(limit, np.random.default_rng(seed))
    _log.info("%s: %d of %d items drawn", loaded.name, len(chosen), len(loaded))
    return chosen


def _options(source: str, assignments: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE, an occurrence each; numbers where the loader's default is one."""
    from semetric.learn.datasets import DATASETS

    spec = DATASETS.get(source)
    parameters = {} if spec is None else inspect.signature(spec.load).parameters
    options: dict[str, Any] = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"Expected --option NAME=VALUE; found {text!r}.")
        options[name] = value
        if name in parameters and isinstance(parameters[name].default, int):
            try:
                options[name] = int(value)
            except ValueError:
                raise UsageError(f"Expected a whole number for --option {name}; found {value!r}.") from None
    return options
