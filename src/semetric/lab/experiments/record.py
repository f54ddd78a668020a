"""lab.json: what shaped the numbers of an experiment, so that nothing else is ever added to it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semetric.errors import UsageError
from semetric.lab.experiments.base import Arm, Experiment
from semetric.lab.experiments.images import ImageFile, Known
from semetric.lab.experiments.settings import RunSettings
from semetric.runs.files import TEMPORARY, named_errors, remove_temporary, write_json
from semetric.runs.pairing import shown
from semetric.runs.record import flatten, read_checked

if TYPE_CHECKING:
    from semetric.metrics.base import Metric
    from semetric.profiles import Profile

__all__ = ["FORMAT", "RECORD", "check_folder", "describe", "differences", "enter", "read_lab_record"]

RECORD = "lab.json"
FORMAT = 1  # of a run's folder; raise it when its files change their meaning
_INFORMATION = ("source", "sent", "left_out")  # kept for the reader; where the files lie shapes no number
_SHOWN = 6
_PARTS: dict[str, type] = {"experiment": str, "systems": list, "images": list}


def describe(
    experiment: Experiment,
    arms: Sequence[Arm],
    settings: RunSettings,
    metrics: Mapping[str, Metric],
    images: Sequence[Known],
    files: Sequence[ImageFile],
    *,
    profile: Profile,
    left_out: Mapping[str, str],
) -> dict[str, Any]:
    """The record of a run, as plain JSON values: see docs/lab/README.md for its keys.

    Raises:
        UsageError: the configuration holds what JSON cannot.
    """
    from semetric.runs.choice import own_options

    made: dict[str, Any] = {
        "format": FORMAT,
        "version": version("semetric"),
        "experiment": experiment.kind,
        "title": experiment.title,
        "config": {**experiment.to_dict(), **settings.to_dict(), "metrics": list(metrics)},
        "asked": settings.metrics is not None,
        "axis": experiment.level_axis().to_dict(),
        "systems": [arm.to_dict() for arm in arms],
        "metrics": {
            name: {
                "higher_is_better": metric.higher_is_better,
                "range": list(metric.range),
                "weights": dict(metric.weights),
                "options": own_options(name, settings.options),
            }
            for name, metric in metrics.items()
        },
        "profile": dataclasses.asdict(profile),
        "images": [image.to_dict() for image in images],
        "seed": settings.seed,
        "source": [shown(file.path) for file in files],
        "sent": [shown(file.sent) for file in files if file.sent is not None],
        "left_out": dict(left_out),
    }
    try:
        plain: dict[str, Any] = json.loads(json.dumps(made, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"Expected an experiment of plain values, since its record is JSON; {error}. "
            "A function is named as 'module:function'."
        ) from error
    return plain


def read_lab_record(folder: Path) -> dict[str, Any] | None:
    """The record of the experiment in that folder, or None where there is none.

    Raises:
        UsageError: a record that is not ours.
        StoreError: it cannot be read.
    """
    return read_checked(folder / RECORD, "an experiment's record", FORMAT, _check)


def _check(record: Mapping[str, Any]) -> None:
    """Raises ValueError where a part that is compared is missing, or has another form."""
    for name, kind in _PARTS.items():
        if not isinstance(record.get(name), kind):
            raise ValueError(f"its {name} is {'damaged' if name in record else 'missing'}")
    for name in ("systems", "images"):
        if not all(isinstance(one, dict) and isinstance(one.get("name"), str) for one in record[name]):
            raise ValueError(f"its {name} are damaged")
    if not all({"digest", "error"} <= set(image) for image in record["images"]):
        raise ValueError("its images are damaged")


def check_folder(folder: Path, images: Sequence[ImageFile]) -> None:
    """Whether a run may begin or go on there; looks, and touches nothing.

    Raises:
        UsageError: it is a file, a folder of other files, or lies among the images.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"Expected --out to be a folder; {folder} is a file. Choose another --out.")
    if folder.is_dir() and not (folder / RECORD).exists():
        with named_errors(folder):
            others = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
        if others:
            raise UsageError(
                f"Expected --out to be a new or empty folder, or one with an experiment; {folder} holds {others[0]}"
                f"{' and more' if len(others) > 1 else ''}. Choose another --out."
            )
    own = Path(os.path.realpath(folder))
    for root in dict.fromkeys(image.root for image in images):
        if root is not None and own.is_relative_to(os.path.realpath(root)):
            raise UsageError(
                f"Expected --out outside of the folders of images; {folder} is in {root}, where the pictures "
                "that the run keeps would be sent as well. Choose another --out."
            )


def enter(folder: Path, record: Mapping[str, Any]) -> None:
    """Begins a run, or makes sure that the one in the folder is this one.

    Raises:
        UsageError: it is another.
        StoreError: the folder cannot be written.
    """
    old = read_lab_record(folder)
    if old is None:
        with named_errors(folder):
            for left in folder.glob(f".{RECORD}.*{TEMPORARY}"):  # other hidden files may be somebody else's
                left.unlink(missing_ok=True)
        write_json(folder / RECORD, record)
        return
    with named_errors(folder):
        remove_temporary(folder)
    changed = differences(old, record)
    if not changed:
        return
    if any(folder.glob("parts/part-*.parquet")) or (folder / "rows.parquet").exists():
        more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        raise UsageError(
            f"{folder} holds a run that differs from this one in {'; '.join(changed[:_SHOWN])}{more}. "
            "Choose another --out."
        )
    write_json(folder / RECORD, record)  # nothing was finished under the old one


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs between two records, in words, each as "what: old → new"."""
    if old["experiment"] != new["experiment"]:
        return [f"experiment: {old['experiment']} → {new['experiment']}"]
    before, after = _comparable(old), _comparable(new)
    found = []
    for name in dict.fromkeys([*before, *after]):
        one, two = before.get(name), after.get(name)
        if one == two:
            continue
        if name in ("images", "pixels"):
            found.append("images: other names" if name == "images" else "files: some images have other pixels")
        else:
            found.append(f"{name}: {_word(one)} → {_word(two)}")
    return found


def _comparable(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record as one flat mapping, long lists as digests."""
    lists = {name: record[name] for name in ("images", "systems")}
    rest = {k: v for k, v in record.items() if k not in (*_INFORMATION, *lists, "seed", "format", "title")}
    flat = flatten(rest) | flatten({"systems": {one["name"]: one for one in lists["systems"]}})
    names = [image["name"] for image in lists["images"]]
    return {
        **flat,
        "number of images": len(names),
        "images": _digest(names),
        "pixels": _digest(
            [[image["digest"], image["error"] is None, image.get("sent_digest")] for image in lists["images"]]
        ),
    }


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def _word(value: Any) -> str:
    return "none" if value is None else str(value)
