"""The data sets by name."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from semetric.errors import UsageError, did_you_mean
from semetric.learn.datasets.bapps import load_bapps, load_bapps_jnd
from semetric.learn.datasets.base import Dataset, Kind
from semetric.learn.datasets.coco import load_coco
from semetric.learn.datasets.cyclegan import load_cyclegan
from semetric.learn.datasets.nights import load_nights
from semetric.learn.datasets.psg import load_psg
from semetric.learn.datasets.quality import load_kadid, load_tid
from semetric.learn.datasets.study import load_study
from semetric.learn.datasets.table import load_table
from semetric.learn.datasets.things import load_things

__all__ = ["DATASETS", "DatasetSpec", "load_dataset", "load_judgements"]

_TABLES = (".csv", ".tsv", ".txt")


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """A data set that can be loaded.

    Attributes:
        name: as users write it.
        load: (root, split, **options) → data set.
        kind: what its items are; None where that differs from one to the next.
        summary: what it holds, in a few words.
        paper: where it is described.
    """

    name: str
    load: Callable[..., Dataset]
    kind: Kind | None
    summary: str
    paper: str

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the loader's options."""
        parameters = inspect.signature(self.load).parameters.values()
        return tuple(one.name for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY)


_SPECS = (
    DatasetSpec(
        name="nights",
        load=load_nights,
        kind="choices",
        summary="synthetic triplets, chosen unanimously",
        paper="Fu et al. 2023",
    ),
    DatasetSpec(
        name="bapps",
        load=load_bapps,
        kind="choices",
        summary="distorted patches, two alternatives",
        paper="Zhang et al. 2018",
    ),
    DatasetSpec(
        name="bapps_jnd",
        load=load_bapps_jnd,
        kind="same",
        summary="distorted patches, same or different",
        paper="Zhang et al. 2018",
    ),
    DatasetSpec(
        name="kadid10k",
        load=load_kadid,
        kind="pairs",
        summary="81 photos, 25 distortions at 5 levels, rated",
        paper="Lin, Hosu, Saupe 2019",
    ),
    DatasetSpec(
        name="tid2013",
        load=load_tid,
        kind="pairs",
        summary="25 photos, 24 distortions at 5 levels, rated",
        paper="Ponomarenko et al. 2015",
    ),
    DatasetSpec(
        name="things",
        load=load_things,
        kind="odd_one_out",
        summary="objects, the odd one of three",
        paper="Hebart et al. 2020, 2023",
    ),
    DatasetSpec(
        name="psg",
        load=load_psg,
        kind="panoptic",
        summary="photos with masks and relations",
        paper="Yang et al. 2022",
    ),
    DatasetSpec(
        name="coco",
        load=load_coco,
        kind="panoptic",
        summary="photos with panoptic masks",
        paper="Kirillov et al. 2019",
    ),
    DatasetSpec(
        name="cyclegan",
        load=load_cyclegan,
        kind="unjudged",
        summary="photos and their translations",
        paper="Zhu et al. 2017",
    ),
    DatasetSpec(
        name="study",
        load=load_study,
        kind=None,
        summary="a study file of one's own, or its export",
        paper="–",
    ),
    DatasetSpec(
        name="csv",
        load=load_table,
        kind=None,
        summary="a table of judgements of one's own",
        paper="–",
    ),
)

DATASETS: Mapping[str, DatasetSpec] = MappingProxyType({spec.name: spec for spec in _SPECS})
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
    spec = DATASETS.get(name)
    if spec is None:
        raise UsageError(f"Expected a data set: {', '.join(DATASETS)}; found {name!r}.{did_you_mean(name, DATASETS)}")
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
        split: as `load_dataset`.
        options: likewise.

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
