"""Paths, tables and JSON that come from outside: nothing leaves the root, and what is damaged is named."""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from semetric.errors import UsageError
from semetric.learn.datasets.base import Damaged, Problems, Unreadable
from semetric.tables import read_table

__all__ = [
    "Damaged",
    "Files",
    "Problems",
    "Unreadable",
    "choose_split",
    "field",
    "find",
    "number",
    "read_json",
    "read_rows",
    "sorted_names",
    "whole",
]

_DRIVE = re.compile(r"^[A-Za-z]:")


class Files:
    """The files under a root. Each is looked at once, however many entries name it.

    Args:
        root: the folder that no entry may leave.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._known: dict[str, str | Damaged] = {}
        self._folders: dict[str, dict[str, list[str]]] = {}

    def path(self, name: str) -> str:
        """Where the file of that relative path is.

        Links inside the root are the user's own and are followed; the name itself may not lead out.

        Raises:
            Damaged: it leads out of the root, is missing, empty or no file.
        """
        if name not in self._known:
            try:
                self._known[name] = _checked(self.root, name)
            except Damaged as reason:
                self._known[name] = reason
        path = self._known[name]
        if isinstance(path, Damaged):
            raise type(path)(*path.args)
        return path

    def any_case(self, folder: str, name: str) -> str:
        """The path of a file whose name may be written in other case.

        Raises:
            Damaged: no such file, or several and none in the case asked for.
        """
        if "/" in name or "\\" in name or name in ("", ".", ".."):
            raise Damaged(f"{name!r} is no file name")
        if folder not in self._folders:
            listed: dict[str, list[str]] = {}
            for file in sorted_names(self.root / folder):
                listed.setdefault(file.lower(), []).append(file)
            self._folders[folder] = listed
        same = self._folders[folder].get(name.lower(), [])
        if not same:
            raise Unreadable(f"{folder}/{name} is missing")
        if len(same) > 1 and name not in same:
            raise Damaged(f"{folder} holds {' and '.join(same)}: which is meant?")
        return self.path(f"{folder}/{name if name in same else same[0]}")


def _checked(root: Path, name: str) -> str:
    slashed = name.replace("\\", "/")
    normal = posixpath.normpath(slashed) if slashed else ""
    if not normal or normal == "." or "\0" in name:
        raise Damaged(f"{name!r} is no path")
    if normal.startswith(("/", "../")) or _DRIVE.match(normal) or normal == "..":
        raise Damaged(f"{name!r} leads out of the data set's folder")
    path = os.path.join(root, posixpath.normpath(name))
    try:
        size = os.stat(path).st_size if os.path.isfile(path) else None
    except (OSError, ValueError) as error:
        raise Unreadable(f"{name} cannot be read ({error})") from None
    if size is None:
        raise Unreadable(f"{name} is missing")
    if size == 0:
        raise Unreadable(f"{name} is empty")
    return path


def find(root: Path, what: str, *names: str) -> Path:
    """The first of several places under a root that exists; the root itself where none is named.

    Args:
        root: the folder that the user named.
        what: the name of the data set, for the message.
        names: relative paths.

    Raises:
        UsageError: none exists.
    """
    if not root.is_dir():
        state = "a file" if root.exists() else "not there"
        raise UsageError(f"Expected the folder of {what}; {root} is {state}.")
    for name in names or ("",):
        if (root / name).exists():
            return root / name
    raise UsageError(f"Expected {what} in {root}: {' or '.join(names)}; found none of them.")


def sorted_names(folder: Path) -> list[str]:
    """The names in a folder, hidden ones left out; none where it is no folder."""
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError:
        return []


def read_rows(path: Path, columns: Sequence[str], problems: Problems) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a table with a header.

    Args:
        path: the file.
        columns: those that must be there.
        problems: rows with too few or too many cells are added to it.

    Yields:
        The line number, and name → cell, without spaces around it.

    Raises:
        UsageError: the file cannot be read, or its header lacks a column.
    """
    table = read_table(path, columns, uneven=lambda line, reason: problems.add(f"{path.name}, line {line}", reason))
    for line, row in table.named():
        yield line, {name: cell.strip() for name, cell in row.items()}


def number(text: str, what: str, low: float, high: float) -> float:
    """A finite number within bounds.

    Raises:
        Damaged: it is something else.
    """
    try:
        value = float(text)
    except ValueError:
        raise Damaged(f"{what} is {text!r} and no number") from None
    if not low <= value <= high:
        raise Damaged(f"{what} is {text}, outside [{low:g}, {high:g}]")
    return value


def choose_split(split: str | None, known: Sequence[str], what: str) -> tuple[str, ...]:
    """The splits to load: all, or the one that was named.

    Raises:
        UsageError: there is no such split.
    """
    if split is None:
        return tuple(known)
    if split not in known:
        raise UsageError(f"Expected a split of {what}: {', '.join(known) or 'it has none'}; found {split!r}.")
    return (split,)


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
