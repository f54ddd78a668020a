"""run.json: what shaped the numbers of a run, so that nothing else is ever added to it."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semetric.errors import StoreError, UsageError
from semetric.runs.files import write_json
from semetric.runs.pairing import Pairing

if TYPE_CHECKING:
    from semetric.metrics.base import Metric
    from semetric.profiles import Profile

__all__ = [
    "FORMAT",
    "check_depth",
    "describe_run",
    "differences",
    "flatten",
    "read_checked",
    "read_record",
    "read_summary",
    "write_record",
]

_log = logging.getLogger(__name__)

FORMAT = 1  # of a run's folder; raise it when its files change their meaning
_INFORMATION = ("source",)  # kept for the reader; where the files lie shapes no number
_DEEPEST = 16  # levels of a record; ours has seven
_PARTS: dict[str, type] = {
    "version": str,
    "profile": dict,
    "settings": dict,
    "metrics": dict,
    "pairs": dict,
    "source": dict,
}
_OF_METRIC: dict[str, type] = {"higher_is_better": bool, "range": list, "weights": dict, "options": dict}
_OF_PAIRS: dict[str, type] = {"number": int, "digest": str, "files": str}


def describe_run(
    pairing: Pairing,
    metrics: Mapping[str, Metric],
    options: Mapping[str, Mapping[str, Any]],
    *,
    profile: Profile,
    settings: Mapping[str, Any],
    files: str,
) -> dict[str, Any]:
    """The record of a run, as plain JSON values.

    Args:
        pairing: its pairs.
        metrics: name → metric.
        options: name → the metric's own options, where any were given.
        profile: the networks.
        settings: how images were read, and on which device.
        files: `Pairing.stamps`.
    """
    return {
        "format": FORMAT,
        "version": version("semetric"),
        "profile": dataclasses.asdict(profile),
        "settings": dict(settings),
        "metrics": {
            name: {
                "higher_is_better": metric.higher_is_better,
                "range": list(metric.range),
                "weights": dict(metric.weights),
                "options": {key: _plain(value) for key, value in options.get(name, {}).items()},
            }
            for name, metric in metrics.items()
        },
        "pairs": {"number": len(pairing.pairs), "digest": pairing.digest(), "files": files},
        "source": dict(pairing.source),
    }


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record of the run in that folder, or None where there is none.

    Raises:
        UsageError: the folder holds other files, or a record that is not ours.
        StoreError: it cannot be read.
    """
    return read_checked(folder / "run.json", "a run's record", FORMAT, _check)


def read_checked(path: Path, what: str, form: int, check: Callable[[Mapping[str, Any]], None]) -> dict[str, Any] | None:
    """A record in JSON, or None where there is none.

    Args:
        path: of the file.
        what: it is, for messages: "a run's record".
        form: the format that it must have.
        check: raises ValueError where a part is missing or damaged.

    Raises:
        UsageError: a record that is not ours.
        StoreError: it cannot be read.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"Expected to read {path}; {error.strerror or error}.") from error
    try:
        record = json.loads(text)
        check_depth(record)
        if not isinstance(record, dict) or record.get("format") != form:
            raise ValueError(f"its format is not {form}")
        check(record)
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise UsageError(f"Expected {what} in {path}; it is none: {why}. Choose another --out.") from error
    return record


def read_summary(path: Path, ours: Callable[[Any], bool], otherwise: str) -> dict[str, Any] | None:
    """The summary in a file; None where it is missing, or damaged, which is said.

    Args:
        path: of the file.
        ours: whether a document is a summary of the run.
        otherwise: what a damaged one leads to, for the message: "is damaged; the run is scored again".
    """
    try:
        summary: Any = json.loads(path.read_text(encoding="utf-8"))
        check_depth(summary)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        summary = None
    if not ours(summary):
        _log.warning("%s %s", path, otherwise)
        return None
    found: dict[str, Any] = summary
    return found


def check_depth(document: Any) -> None:
    """Raises ValueError where JSON values are nested deeper than any of ours, which recursion would not survive."""
    level = [document]
    for _ in range(_DEEPEST):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return
    raise ValueError("it is nested too deeply")


def _check(record: Mapping[str, Any]) -> None:
    """Raises ValueError where a record lacks a part that is read, or has it in another form."""
    _require(record, _PARTS, "")
    _require(record["profile"], {"name": str}, "profile.")
    _require(record["pairs"], _OF_PAIRS, "pairs.")
    if not record["metrics"]:
        raise ValueError("it has no metrics")
    for name, one in record["metrics"].items():
        if not isinstance(one, dict):
            raise ValueError(f"its metrics.{name} is no object")
        _require(one, _OF_METRIC, f"metrics.{name}.")


def _require(record: Mapping[str, Any], parts: Mapping[str, type], prefix: str) -> None:
    for name, kind in parts.items():
        if not isinstance(record.get(name), kind):
            raise ValueError(f"its {prefix}{name} is {'damaged' if name in record else 'missing'}")


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Writes run.json.

    Raises:
        StoreError: it cannot be written.
    """
    write_json(folder / "run.json", record)


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs between two records, in words, each as "what: old → new"."""
    found = []
    metrics = [list(record["metrics"]) for record in (old, new)]
    if metrics[0] != metrics[1]:
        found.append(f"metrics: {', '.join(metrics[0])} → {', '.join(metrics[1])}")
    flat = [flatten({k: v for k, v in record.items() if k not in _INFORMATION}) for record in (old, new)]
    names = dict.fromkeys([*flat[0], *flat[1]])
    for name in names:
        before, after = (one.get(name) for one in flat)
        if before == after or name == "pairs.scored":  # that is known at a run's end alone
            continue
        if name.startswith("metrics.") and not all(name.split(".")[1] in one for one in metrics):
            continue  # said above
        if name == "pairs.digest":
            if flat[0]["pairs.number"] == flat[1]["pairs.number"]:
                found.append("pairs: other files or cells in the list")
        elif name == "pairs.files":
            if flat[0]["pairs.digest"] == flat[1]["pairs.digest"]:
                found.append("files: some have another size or time of change")
        elif name == "profile.name":
            found.append(f"profile: {before} → {after}")
        elif not name.startswith("profile.") or flat[0]["profile.name"] == flat[1]["profile.name"]:
            found.append(f"{name}: {_word(before)} → {_word(after)}")
    return found


def flatten(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted names."""
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


def _word(value: Any) -> str:
    return "none" if value is None else str(value)
