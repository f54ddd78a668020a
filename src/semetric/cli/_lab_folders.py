"""Folders on the lab's command line: systems made elsewhere, NAME=DIR,DIR, and pairs of sources and translations."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from semetric.cli._choices import numbers
from semetric.cli._datasets import pairing as dataset_pairing
from semetric.cli._lab_options import named
from semetric.errors import UsageError

if TYPE_CHECKING:
    from semetric.lab.experiments import ImageFile

__all__ = ["folder_systems", "sources_of"]


def folder_systems(folders: Sequence[str], levels: Sequence[str] | None, rates: Sequence[str] | None) -> dict[str, Any]:
    """The fields `folders`, `levels`, `rates` and `systems` of the experiment; None where nothing is given.

    Args:
        folders: DIR, or NAME=DIR,DIR, where a DIR may be a pattern such as "lsci/q*".
        levels: numbers, or NAME=1,2,3.
        rates: a source, or NAME=SOURCE.

    Raises:
        UsageError: a pattern without a folder, levels or rates of a name without folders, or two sources without one.
    """
    plain = [word for word in folders if not _is_named(word)]
    tables: dict[str, dict[str, Any]] = {}
    for word in folders:
        if _is_named(word):
            name, _, value = word.partition("=")
            own = tables.setdefault(name.strip(), {"name": name.strip(), "folders": []})
            own["folders"] += [folder for pattern in value.split(",") for folder in _expanded(pattern.strip())]
    for option, given in (("--levels", levels), ("--rates", rates)):
        for name, value in named(option, [word for word in given or () if _is_named(word)]).items():
            if name not in tables:
                raise UsageError(f"Expected {option} of {', '.join(tables) or 'named folders'}; found {name!r}.")
            tables[name][option[2:]] = numbers(option, [value]) if option == "--levels" else _sources(value)
    shared_rates = [word for word in rates or () if not _is_named(word)]
    if len(shared_rates) > 1:
        raise UsageError(f"Expected one --rates for all systems, or NAME=…; found {' and '.join(shared_rates)}.")
    return {
        "folders": plain or None,
        "levels": numbers("--levels", [word for word in levels or () if not _is_named(word)] or None),
        "rates": shared_rates[0] if shared_rates else None,
        "systems": list(tables.values()) or None,
    }


def sources_of(
    images: Sequence[str] | None, translated: str | None, pairs: Path | None, **dataset: Any
) -> Sequence[str | ImageFile]:
    """The images as they were named, or pairs of a source and its translation.

    Args:
        images: files and folders; beside `translated` the folder of sources.
        translated: a folder of translations.
        pairs: a CSV file of pairs.
        dataset: the options of a data set.

    Raises:
        UsageError: more than one of them, or none.
    """
    from semetric.cli._names import log_names
    from semetric.lab.experiments import pair_images
    from semetric.runs.pairing import pair_folders, read_pairs

    from_dataset = dataset_pairing(**dataset)
    given = {"--pairs": pairs, "--dataset": from_dataset, "images": images}
    named_sources = [name for name, value in given.items() if value]
    if translated is not None:
        if named_sources != ["images"] or len(images or ()) != 1:
            raise UsageError(f"Expected one folder of sources beside --translated; found {images or 'none'}.")
        pairing = pair_folders((images or [""])[0], translated)
        for side, alone in (("sources", pairing.unmatched_references), ("translations", pairing.unmatched_images)):
            log_names(f"{side} without a partner: {len(alone)}", alone, "--json")
    elif not named_sources:
        raise typer.BadParameter("Missing argument 'IMAGES...'.")
    elif len(named_sources) > 1:
        raise UsageError(f"Expected either images or pairs; found {' and '.join(named_sources)}.")
    elif images:
        return images
    else:
        pairing = read_pairs(pairs) if pairs is not None else from_dataset  # type: ignore[assignment]  # one is there
    return pair_images(pairing)


def _is_named(word: str) -> bool:
    """Whether it is NAME=…, and no path that has an equals sign."""
    return "=" in word and not os.path.exists(word)


def _sources(value: str) -> str | list[str]:
    """A word or file, or the folders of streams."""
    folders = [folder for pattern in value.split(",") for folder in _expanded(pattern.strip())]
    return folders[0] if len(folders) == 1 else folders


def _expanded(pattern: str) -> list[str]:
    """The folders that a pattern names, in the order of the numbers in their names; a plain name as it is."""
    from semetric.lab.experiments.stream_costs import levels_of

    if not glob.has_magic(pattern) or os.path.exists(pattern):
        return [pattern]
    folders = sorted(path for path in glob.glob(pattern) if os.path.isdir(path))
    if not folders:
        raise UsageError(f"Expected folders that fit {pattern!r}; there is none.")
    numbers_of = dict(zip(folders, levels_of(folders), strict=True))
    return sorted(folders, key=lambda path: numbers_of[path])
