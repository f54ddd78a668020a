"""Things by name: those of this package, and those that other packages add by an entry point."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from semetric.errors import SemetricError, UnknownNameError, UsageError, did_you_mean

__all__ = ["Registry", "create"]

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """Name → thing. A package adds its own by an entry point of `group`, which is imported when it is first named.

    In the pyproject.toml of that package:

        [project.entry-points."semetric.codecs"]
        toy = "toy_package.codec:ToyCodec"

    Args:
        noun: of one thing, for messages: "codec".
        group: of the entry points.
        own: those of this package; or what imports them, called when the first is named.

    Examples:
        >>> shapes = Registry("shape", "example.shapes", {"square": 4, "triangle": 3})
        >>> shapes["square"]
        4
        >>> shapes["sqare"]
        Traceback (most recent call last):
        semetric.errors.UnknownNameError: Expected a shape of square, triangle; found 'sqare'. Did you mean square?
    """

    def __init__(self, noun: str, group: str, own: Mapping[str, T] | Callable[[], Mapping[str, T]]) -> None:
        self.noun, self.group = noun, group
        self._given = own
        self._loaded: dict[str, T] = {}

    def __getitem__(self, name: str) -> T:
        """The thing of that name.

        Raises:
            UnknownNameError: there is none.
            UsageError: the package that adds it cannot be imported.
        """
        if name in self._own:
            return self._own[name]
        if name not in self._entries:
            raise UnknownNameError(
                f"Expected a {self.noun} of {', '.join(self)}; found {name!r}.{did_you_mean(name, self)}"
            )
        if name not in self._loaded:
            entry = self._entries[name]
            try:
                self._loaded[name] = entry.load()
            except Exception as error:  # importing a foreign package raises what it likes
                package = entry.dist.name if entry.dist else "?"
                raise UsageError(
                    f"Expected the {self.noun} {name!r} at {entry.value}, as the package {package} says; "
                    f"{type(error).__name__}: {error}. Mend or remove it."
                ) from error
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        yield from self._entries

    def __len__(self) -> int:
        return len(self._own) + len(self._entries)

    @cached_property
    def _own(self) -> dict[str, T]:
        return dict(self._given() if callable(self._given) else self._given)

    @cached_property
    def _entries(self) -> dict[str, EntryPoint]:
        entries: dict[str, EntryPoint] = {}
        for entry in sorted(entry_points(group=self.group), key=lambda entry: (entry.name, entry.value)):
            known = entries.get(entry.name)
            if entry.name in self._own or (known is not None and known.value != entry.value):
                raise UsageError(
                    f"Expected a new name for the {self.noun} at {entry.value}; there is a {self.noun} {entry.name!r} "
                    "already. Remove one of the packages."
                )
            entries[entry.name] = entry
        return entries


def create(registry: Registry[Callable[..., T]], name: str, /, **options: Any) -> T:
    """What a factory of a registry makes.

    Args:
        registry: of classes, or of functions with keyword arguments.
        name: of the factory.
        **options: its keyword arguments.

    Raises:
        UsageError: no such name or option, or a value that the factory does not take.
    """
    factory = registry[name]
    known = inspect.signature(factory).parameters
    unknown = sorted(set(options) - set(known))
    missing = sorted(k for k, p in known.items() if p.default is p.empty and k not in options)
    if unknown or missing:
        wrong = f"found {unknown[0]!r}" if unknown else f"{missing[0]!r} is missing"
        raise UsageError(f"Expected options of the {registry.noun} {name} among {', '.join(known) or 'none'}; {wrong}.")
    try:
        return factory(**options)
    except SemetricError:
        raise
    except (TypeError, ValueError) as error:  # a value of another kind
        raise UsageError(
            f"Expected options that the {registry.noun} {name} takes; found {options}: {error}."
        ) from error
