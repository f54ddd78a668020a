"""Data sets on the command line: the options that name one, loading it, and its pairs."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from semetric.cli._names import log_names
from semetric.errors import UsageError

if TYPE_CHECKING:
    from semetric.learn.datasets import Dataset, DatasetSpec
    from semetric.runs.pairing import Pairing

__all__ = ["dataset_options", "load", "pairing"]

_log = logging.getLogger(__name__)


def dataset_options(
    dataset: Annotated[
        str | None, typer.Option(help="The pairs of a data set: cyclegan, nights, kadid10k, …; needs --root.")
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Where the data set is: its folder, or the study's file.")] = None,
    split: Annotated[str | None, typer.Option(help="train, val or test, where the data set has them.")] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE for the data set's loader, e.g. subset=cnn; repeat for more.")
    ] = None,
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
    name: str,
    root: Path,
    split: str | None = None,
    option: Sequence[str] | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Dataset:
    """The data set, and on stderr what is missing in it."""
    from semetric.learn.datasets import DATASETS, load_dataset

    spec = DATASETS.get(name)
    loaded = load_dataset(name, root, split, **_options(spec, option or ()) if spec is not None else {})
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


def _options(spec: DatasetSpec, given: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE, an occurrence each; numbers where the loader's default is one."""
    defaults = {one.name: one.default for one in inspect.signature(spec.load).parameters.values()}
    found: dict[str, Any] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise UsageError(f"Expected --option NAME=VALUE; found {one!r}.")
        found[name] = value
        if isinstance(defaults.get(name), int):
            try:
                found[name] = int(value)
            except ValueError:
                raise UsageError(f"Expected a whole number for --option {name}; found {value!r}.") from None
    return found
