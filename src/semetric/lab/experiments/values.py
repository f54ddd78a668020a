"""Configurations from plain values: a file's table, or flags. Unknown keys and wrong kinds of values are named."""

from __future__ import annotations

import dataclasses
import math
import os
import sys
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from semetric.errors import UsageError

__all__ = ["fields_of", "from_values", "to_values"]

T = TypeVar("T")

_DEEPEST = 8  # levels of a table; ours have three
_INFINITE = (math.inf, -math.inf)


def fields_of(kind: type) -> tuple[str, ...]:
    """Names of a dataclass's fields, in their order."""
    return tuple(field.name for field in dataclasses.fields(kind))


def from_values(kind: type[T], values: Mapping[str, Any]) -> T:
    """Makes a frozen dataclass of plain values.

    Args:
        kind: its fields are str, int, float, bool, a tuple of them, a mapping, another dataclass, or one of them or
            None. A choice of words is taken as a str: the dataclass checks which.
        values: field → value; a list stands for a tuple.

    Raises:
        UsageError: a key that is no field, or a value of another kind.
    """
    unknown = [name for name in values if name not in fields_of(kind)]
    if unknown:
        raise UsageError(f"Expected options among {', '.join(fields_of(kind))}; found {', '.join(map(repr, unknown))}.")
    hints = typing.get_type_hints(kind)
    return kind(**{name: _fitting(name, value, hints[name]) for name, value in values.items()})


def to_values(config: Any) -> dict[str, Any]:
    """The fields of a dataclass as plain JSON values."""
    return {name: _plain(getattr(config, name)) for name in fields_of(type(config))}


def _plain(value: Any) -> Any:
    if callable(value):
        return _function_name(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def _function_name(function: Any) -> str:
    """ "module:function", by which it can be imported again; of a script its file's path in place of the module.

    Raises:
        UsageError: a lambda or an inner function, which another of that name could not be told from.
    """
    module, name = function.__module__, getattr(function, "__qualname__", type(function).__qualname__)
    if "<" in name:
        raise UsageError(
            f"Expected an experiment of plain values, since its record is JSON; found the function {name}. "
            "A function is named as 'module:function' or 'file.py:function', or stands at the top of a module."
        )
    file = getattr(sys.modules.get(module), "__file__", None) if module == "__main__" else None
    return f"{module if file is None else os.path.abspath(file)}:{name}"


def _fitting(name: str, value: Any, hint: Any) -> Any:
    kinds = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    if value is None and type(None) in kinds:
        return None
    kinds = tuple(kind for kind in kinds if kind is not type(None))
    if len(kinds) > 1:  # text, or a table
        kinds = (str,) if isinstance(value, str) and str in kinds else tuple(k for k in kinds if k is not str)
    kind = kinds[0]
    origin = typing.get_origin(kind)
    if origin is typing.Literal:
        return _single(name, value, str)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, Mapping):
            raise UsageError(f"Expected {name} to be a table; found {value!r}.")
        return from_values(kind, value)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise UsageError(f"Expected {name} to be a list; found {value!r}.")
        return tuple(_fitting(name, item, typing.get_args(kind)[0]) for item in value)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise UsageError(f"Expected {name} to be a table; found {value!r}.")
        _check_plain(name, value)
        return dict(value)
    return _single(name, value, kind)


def _check_plain(name: str, value: Any, depth: int = 0) -> None:
    """Raises UsageError where a table holds what a record, which is JSON, cannot."""
    if depth > _DEEPEST:
        raise UsageError(f"Expected {name} with at most {_DEEPEST} levels of tables and lists; found more.")
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check_plain(f"{name}.{key}", item, depth + 1)
    elif isinstance(value, list | tuple | range):
        for item in value:
            _check_plain(name, item, depth + 1)
    elif not (value is None or isinstance(value, str | int | float)) or value != value or value in _INFINITE:
        raise UsageError(
            f"Expected {name} to be text, a finite number, true or false, or a list of them; found {value!r}."
        )


def _single(name: str, value: Any, kind: Any) -> Any:
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise UsageError(f"Expected {name} to be finite; found {value!r}.")
        return float(value)
    if kind in (str, int, bool) and type(value) is kind:
        return value
    words = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    raise UsageError(f"Expected {name} to be {words.get(kind, kind)}; found {value!r}.")
