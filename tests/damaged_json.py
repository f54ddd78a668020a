"""JSON documents with one value that is wrong or missing."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

MISSING = "missing"
WRONG: tuple[Any, ...] = (None, 5, "x", [], {}, [[]], {"name": []}, MISSING)


def damaged(document: Any, *, entries: int | None = None) -> Iterator[tuple[str, Any]]:
    """(where, the document with one wrong value) for every value of it, and with that value missing.

    Args:
        document: objects and lists.
        entries: how many entries of a list are tried, where all are alike; None tries all.
    """
    for path in _places(document, (), entries):
        for wrong in WRONG:
            changed = copy.deepcopy(document)
            place = changed
            for key in path[:-1]:
                place = place[key]
            if wrong == MISSING:
                del place[path[-1]]
            else:
                place[path[-1]] = wrong
            yield f"{path} {wrong!r}", changed


def _places(value: Any, path: tuple[Any, ...], entries: int | None) -> Iterator[tuple[Any, ...]]:
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value[:entries]):
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from _places(inner, (*path, key), entries)
