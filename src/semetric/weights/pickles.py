"""Reading pickles without running anything that they name.

A pickle is a program. This reader takes only those that build dictionaries, lists, tuples, numbers and text. The
instructions are first checked against a list; a name of a class or function is answered by an inert record, which
keeps the arguments, so that the stream never gets hold of a real one. The reader of a format turns records into
arrays or tensors afterwards, once shapes and byte counts agree.
"""

from __future__ import annotations

import pickle
import pickletools
from collections.abc import Callable
from typing import IO, Any, TypeAlias

from semetric.errors import WeightsCorruptError

__all__ = ["Inert", "Refusal", "build", "unpickle"]

Refusal: TypeAlias = Callable[[str], WeightsCorruptError]
"""Makes the error from words that go after "it", without a full stop: "holds NaN or infinity as conv1.weight"."""

_OPCODES = frozenset(
    {"PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "NONE", "NEWTRUE", "NEWFALSE"}
    | {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"}
    | {"SHORT_BINSTRING", "SHORT_BINUNICODE", "BINUNICODE", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8"}
    | {"EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"}
    | {"APPEND", "APPENDS", "SETITEM", "SETITEMS"}
    | {"BINGET", "LONG_BINGET", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
    | {"GLOBAL", "STACK_GLOBAL", "REDUCE", "NEWOBJ", "BUILD", "BINPERSID"}
)
_MAX_OPCODES = 200_000  # a checkpoint of 600 tensors takes 25,000
_MAX_DEPTH = 32


class Inert:
    """What a stream gets in place of the object that it asks for: keeps arguments and state, and does nothing.

    Attributes:
        arguments: of the call.
        state: what the stream sets afterwards; None without.
    """

    __slots__ = ("arguments", "state")
    arguments: tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any) -> Inert:
        """Keeps the arguments: pickles make objects with and without a call of __init__."""
        record = super().__new__(cls)
        record.arguments, record.state = arguments, None
        return record

    def __setstate__(self, state: Any) -> None:
        self.state = state


def unpickle(
    stream: IO[bytes],
    resolve: Callable[[str, str], Any],
    refuse: Refusal,
    *,
    persistent: Callable[[Any], Any] | None = None,
) -> Any:
    """Reads one pickle and leaves the stream behind it.

    Args:
        stream: seekable, at the pickle's start.
        resolve: from a module and a name in it to what the stream gets: a subclass of `Inert`, another class that
            is harmless to make from anything, or text; None for a name that is not allowed.
        refuse: makes the error.
        persistent: makes objects from what the stream holds in place of them; None refuses such streams.

    Returns:
        Plain values and records; for `build`.

    Raises:
        WeightsCorruptError: what `refuse` makes of forbidden instructions and names.
        Exception: nearly any, where the stream is damaged.
    """

    class Reader(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            resolved = resolve(module, name)
            if resolved is None:
                raise refuse(
                    f"holds more than tensors ({module}.{name}), and what is more is never run: "
                    "save the state_dict() alone"
                )
            return resolved

    if persistent is not None:
        Reader.persistent_load = staticmethod(persistent)  # type: ignore[method-assign, assignment]
    start = stream.tell()
    _check_opcodes(stream, refuse)
    end = stream.tell()
    stream.seek(start)
    value = Reader(stream).load()
    stream.seek(end)
    return value


def _check_opcodes(stream: IO[bytes], refuse: Refusal) -> None:
    """Raises unless the pickle is short and uses listed instructions only."""
    for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if opcode.name not in _OPCODES:
            raise refuse(f"uses the pickle instruction {opcode.name}, which none of numbers needs")
        if count > _MAX_OPCODES:
            raise refuse(f"has more than {_MAX_OPCODES} pickle instructions")
        if opcode.name == "LONG_BINPUT" and (argument or 0) > _MAX_OPCODES:
            raise refuse(f"names the memo place {argument}, beyond {_MAX_OPCODES}")


def build(value: Any, make: Callable[[Inert], Any], refuse: Refusal) -> Any:
    """Turns the records in a value into what they stand for, each once.

    Args:
        value: from `unpickle`.
        make: what a record stands for.
        refuse: makes the error.

    Returns:
        The value with dictionaries, lists and tuples copied. Bounded: shared lists can stand for more items than fit
        anywhere.

    Raises:
        WeightsCorruptError: what `refuse` makes, beyond 32 levels or 200,000 items, or of other values than plain
            ones and records.
    """
    items = 0
    objects: dict[int, Any] = {}

    def plain(item: Any) -> Any:
        if item is None or type(item) in (bool, int, float, str, bytes):
            return item
        raise refuse(f"holds a {type(item).__name__} where numbers, text or tensors belong")

    def built(item: Any, depth: int) -> Any:
        nonlocal items
        items += 1
        if depth > _MAX_DEPTH or items > _MAX_OPCODES:
            raise refuse(f"has more than {_MAX_DEPTH} levels or {_MAX_OPCODES} items")
        if isinstance(item, Inert):
            if id(item) not in objects:
                objects[id(item)] = make(item)
            return objects[id(item)]
        if isinstance(item, dict):
            return {plain(k): built(v, depth + 1) for k, v in item.items()}
        if isinstance(item, list | tuple):
            return type(item)(built(element, depth + 1) for element in item)
        return plain(item)

    return built(value, 0)
