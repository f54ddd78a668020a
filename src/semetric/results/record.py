"""The record of a run: what shaped its numbers, so that nothing else is ever added to it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from semetric.errors import UsageError

__all__ = ["differences", "digest", "flatten", "named", "plain"]


def plain(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record as JSON gives it back: tuples are lists, dataclasses objects.

    Raises:
        UsageError: it holds what JSON cannot.
    """
    try:
        document: dict[str, Any] = json.loads(json.dumps(record, allow_nan=False, default=_value))
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"Expected options of plain values, since the record of a run is JSON; {error}. "
            "A function is named as 'module:function'."
        ) from error
    return document


def differences(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    *,
    silent: Sequence[str] = (),
    words: Mapping[str, str] | None = None,
) -> list[str]:
    """What differs between two records, in words, each as "what: old → new".

    Args:
        old, new: records, as `plain` gives them.
        silent: keys that shape no number.
        words: flat name → what is said where it differs, in the place of two digests.
    """
    metrics = [list(record["metrics"]) for record in (old, new)]
    lines = []
    if metrics[0] != metrics[1]:
        lines.append(f"metrics: {', '.join(metrics[0])} → {', '.join(metrics[1])}")
    flat = [flatten(named({k: v for k, v in record.items() if k not in silent})) for record in (old, new)]
    for name in dict.fromkeys([*flat[0], *flat[1]]):
        before, after = (one.get(name) for one in flat)
        if before == after:
            continue
        if name.startswith("metrics.") and not all(name.split(".")[1] in one for one in metrics):
            continue  # said above
        if name.startswith("profile.") and name != "profile.name" and old["profile"]["name"] != new["profile"]["name"]:
            continue  # said by its name
        wording = (words or {}).get(name)
        shown = "profile" if name == "profile.name" else name
        lines.append(wording or f"{shown}: {_word(before)} → {_word(after)}")
    return lines


def named(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with lists of named objects as objects by name, so that each is compared with its own."""
    return {
        key: {one["name"]: one for one in value}
        if isinstance(value, list) and value and all(isinstance(one, Mapping) and "name" in one for one in value)
        else value
        for key, value in record.items()
    }


def flatten(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted names."""
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def digest(values: Any) -> str:
    """SHA-256, in hex, of JSON values."""
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def _value(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} {value!r} is none")


def _word(value: Any) -> str:
    return "none" if value is None else str(value)
