"""JSON from outside, looked at before it is used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from semetric.errors import UsageError
from semetric.learn.datasets._files import Damaged

__all__ = ["field", "read_json", "whole"]


def read_json(path: Path) -> Any:
    """A JSON file.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return json.load(stream)
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"Expected a JSON file; {path}: {error}.") from error


def field(entry: Any, name: str) -> Any:
    """A field of an object.

    Raises:
        Damaged: it is missing, or there is no object.
    """
    if not isinstance(entry, dict) or entry.get(name) is None:
        raise Damaged(f"{name!r} is missing")
    return entry[name]


def whole(value: Any, what: str) -> int:
    """A whole number from 0.

    Raises:
        Damaged: it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1 or value < 0:
        raise Damaged(f"{what} is {value!r} and no whole number from 0")
    return int(value)
