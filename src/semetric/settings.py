"""Settings: one frozen record a topic, from which flags, tables of files, JSON and documentation follow.

    @dataclass(frozen=True, kw_only=True)
    class Training(Settings):
        steps: int = setting(6000, "Number of training steps.", low=1)
        fading: Literal["none", "rayleigh"] = setting("none", "Fading during the training.")

A record checks itself: types, choices of words and bounds of numbers are read from its fields. `from_dict` makes it of
plain values (a TOML table, JSON, flags), `to_dict` gives them back, and `cli._choices.accepts` makes its flags.
"""

from __future__ import annotations

import dataclasses
import math
import operator
import os
import sys
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from semetric.errors import UsageError, did_you_mean

__all__ = [
    "Rule",
    "Settings",
    "fields_of",
    "from_values",
    "hints_of",
    "rule_of",
    "setting",
    "to_values",
]

T = TypeVar("T")
SettingsT = TypeVar("SettingsT", bound="Settings")

_DEEPEST = 8  # levels of tables and lists in a file; those of Semetric have three
_INFINITE = (math.inf, -math.inf)
_HINTS: dict[type, dict[str, Any]] = {}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What a field means and which values it takes.

    Attributes:
        help: what it means, with its unit: the help text of its flag and its row in the documentation.
        low: the least number, included.
        high: the greatest number, included.
        above: a number that every value exceeds.
        below: a number that every value is less than.
        path: whether it names a file or folder, which must exist.
        words: values that a shell completes; those of a Literal need not be named again.
        metavar: what stands for the value in help texts; empty for the name of its type.
        flag: whether the command line has a flag for it.
    """

    help: str
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    path: bool = False
    words: tuple[str, ...] = ()
    metavar: str = ""
    flag: bool = True

    def check(self, name: str, value: Any) -> None:
        """Raises UsageError where a number is out of bounds, or a path leads nowhere."""
        if self.path and isinstance(value, str) and not os.path.exists(os.path.expanduser(value)):
            raise UsageError(f"Expected {name} as the path of a file or folder; nothing is at {value}.")
        if not isinstance(value, int | float):
            return
        low, high, above, below = self.low, self.high, self.above, self.below
        fits = (
            (low is None or value >= low)
            and (high is None or value <= high)
            and (above is None or value > above)
            and (below is None or value < below)
        )
        if not fits:
            bounds = (("at least", low), ("above", above), ("at most", high), ("below", below))
            wanted = " and ".join(f"{words} {bound:g}" for words, bound in bounds if bound is not None)
            raise UsageError(f"Expected {name} to be {wanted}; found {value}.")


def setting(default: Any, help: str, **rule: Any) -> Any:
    """A field of a `Settings` record.

    Args:
        default: its value where none is given; a mapping or a record is given as its class.
        help: what it means, with its unit.
        rule: further attributes of `Rule`.
    """
    metadata = {"rule": Rule(help=help, **rule)}
    if isinstance(default, type):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


def rule_of(declared: dataclasses.Field[Any]) -> Rule | None:
    """The rule of a field; None where it was not made by `setting`."""
    return declared.metadata.get("rule")


class Settings:
    """The base of records of settings, which are frozen keyword-only dataclasses of `setting` fields.

    Raises:
        UsageError: a value of another type, a word that is none of a field's choices, or a number out of bounds.
    """

    def __post_init__(self) -> None:
        hints = hints_of(type(self))
        for declared in dataclasses.fields(self):  # type: ignore[arg-type]  # the records are dataclasses
            rule = rule_of(declared)
            if rule is None:
                continue
            value = _fitting(declared.name, getattr(self, declared.name), hints[declared.name], choices=True)
            object.__setattr__(self, declared.name, value)
            for item in value if isinstance(value, tuple) else (value,):
                rule.check(declared.name, item)

    @classmethod
    def from_dict(cls: type[SettingsT], values: Mapping[str, Any]) -> SettingsT:
        """Makes the record of plain values.

        Raises:
            UsageError: a key that is no field, or a value that does not fit.
        """
        return from_values(cls, values)

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return to_values(self)

    def given(self) -> dict[str, Any]:
        """The fields that differ from their defaults."""
        every = dataclasses.fields(self)  # type: ignore[arg-type]
        return {f.name: getattr(self, f.name) for f in every if getattr(self, f.name) != f.default}


def fields_of(kind: type) -> tuple[str, ...]:
    """Names of a dataclass's fields, in their order."""
    return tuple(declared.name for declared in dataclasses.fields(kind))


def hints_of(kind: type) -> dict[str, Any]:
    """Types of a dataclass's fields by name; evaluated once a class, since every score makes records."""
    if kind not in _HINTS:
        _HINTS[kind] = typing.get_type_hints(kind)
    return _HINTS[kind]


def from_values(kind: type[T], values: Mapping[str, Any]) -> T:
    """Makes a frozen dataclass of plain values.

    Args:
        kind: its fields are str, int, float, bool, a tuple of them, a mapping, another dataclass, or one of them or
            None. A choice of words is taken as a str: the dataclass checks which.
        values: field → value; a list stands for a tuple.

    Raises:
        UsageError: a key that is no field, or a value of another kind.
    """
    names = fields_of(kind)
    unknown = [name for name in values if name not in names]
    if unknown:
        raise UsageError(
            f"Expected options among {', '.join(names)}; found {', '.join(map(repr, unknown))}."
            f"{did_you_mean(unknown[0], names)}"
        )
    hints = hints_of(kind)
    return kind(**{name: _fitting(name, value, hints[name]) for name, value in values.items()})


def to_values(config: Any) -> dict[str, Any]:
    """The fields of a dataclass as plain JSON values."""
    return {name: _plain(getattr(config, name)) for name in fields_of(type(config))}


def _plain(value: Any) -> Any:
    if isinstance(value, Settings):
        return value.to_dict()
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


def _fitting(name: str, value: Any, hint: Any, *, choices: bool = False) -> Any:
    """The value as its type has it: a tuple for a list, a float for an int, the text of a path.

    Args:
        name: the field, for the errors.
        value: what was given.
        hint: the field's type.
        choices: whether a word must be one of those that a Literal lists.
    """
    kinds = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    if value is None and type(None) in kinds:
        return None
    kinds = tuple(kind for kind in kinds if kind is not type(None))
    if len(kinds) > 1:  # text, or a table or a list
        kinds = (str,) if isinstance(value, str) and str in kinds else tuple(k for k in kinds if k is not str)
    kind = kinds[0]
    origin = typing.get_origin(kind)
    if kind is Any:
        return value
    if origin is Literal:
        words = typing.get_args(kind)
        if choices and value not in words:
            raise UsageError(
                f"Expected {name} among {', '.join(words)}; found {value!r}.{did_you_mean(str(value), words)}"
            )
        return _single(name, value, str)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if isinstance(value, kind):
            return value
        if not isinstance(value, Mapping):
            raise UsageError(f"Expected {name} to be a table; found {value!r}.")
        return from_values(kind, value)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise UsageError(f"Expected {name} to be a list; found {value!r}.")
        return tuple(_fitting(name, item, typing.get_args(kind)[0], choices=choices) for item in value)
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
    if kind is str and isinstance(value, os.PathLike):
        return os.fspath(value)
    if kind is int and hasattr(value, "__index__") and not isinstance(value, bool):
        return operator.index(value)
    if kind in (str, bool) and type(value) is kind:
        return value
    words = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    raise UsageError(f"Expected {name} to be {words.get(kind, kind)}; found {value!r}.")
