"""The data sets by name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from semetric.errors import UsageError, did_you_mean
from semetric.learn.datasets.bapps import BAPPS, BAPPS_JND
from semetric.learn.datasets.base import Dataset
from semetric.learn.datasets.coco import COCO
from semetric.learn.datasets.cyclegan import CYCLEGAN
from semetric.learn.datasets.nights import NIGHTS
from semetric.learn.datasets.psg import PSG
from semetric.learn.datasets.quality import KADID, TID
from semetric.learn.datasets.study import STUDY
from semetric.learn.datasets.table import TABLE
from semetric.learn.datasets.things import THINGS
from semetric.plugins import Registry

__all__ = ["DATASETS", "load_dataset", "load_judgements"]

_TABLES = (".csv", ".tsv", ".txt")
_SPECS = (NIGHTS, BAPPS, BAPPS_JND, KADID, TID, THINGS, PSG, COCO, CYCLEGAN, STUDY, TABLE)

DATASETS = Registry("data set", "semetric.datasets", {spec.name: spec for spec in _SPECS})
"""Name → data set."""


def load_dataset(name: str, root: str | os.PathLike[str], split: str | None = None, **options: Any) -> Dataset:
    """Loads a data set, or a split of it, without decoding an image.

    Args:
        name: one of DATASETS.
        root: where it is: the folder that the data set unpacks to, or the one above it; for a study the file.
        split: train, val, test, … as the data set has them; None for all.
        options: those of the loader.

    Returns:
        Its whole items; `problems` names what is missing or damaged.

    Raises:
        UsageError: an unknown name, split or option; the folder is not laid out as the data set is; or nothing in it
            is whole.
    """
    spec = DATASETS[name]
    unknown = [option for option in options if option not in spec.options]
    if unknown:
        raise UsageError(
            f"Expected options of {name}: {', '.join(spec.options) or 'it has none'}; found {', '.join(unknown)}."
        )
    return spec.load(Path(root), split, **options)


def load_judgements(
    source: str, root: str | os.PathLike[str] | None = None, split: str | None = None, **options: Any
) -> Dataset:
    """Loads a data set by its name, or a file of judgements by its path: a study, its export, or a CSV table.

    Args:
        source: one of DATASETS, or a file.
        root: of a data set; None with a file.
        split: train, val, test, … as the data set has them; None for all.
        options: those of the loader.

    Raises:
        UsageError: neither a data set nor a file, a data set without root, or as `load_dataset`.
    """
    if source in DATASETS:
        if root is None:
            raise UsageError(f"Expected --root, the place of {source}; found none.")
        return load_dataset(source, root, split, **options)
    path = Path(source)
    if not path.is_file():
        raise UsageError(
            f"Expected a data set ({', '.join(DATASETS)}) or a file of judgements (a study, its export as JSONL, a CSV "
            f"table); found {source!r}, which is {'a folder' if path.is_dir() else 'not there'}."
            f"{did_you_mean(source, DATASETS)}"
        )
    if root is not None:
        raise UsageError(f"Expected --root with the name of a data set; found it with the file {source}.")
    return load_dataset("csv" if path.suffix.lower() in _TABLES else "study", path, split, **options)
