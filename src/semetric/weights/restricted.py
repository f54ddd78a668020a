"""Reading pickles that hold numpy arrays and nothing else.

A pickle is a program. This reader runs only those that build dictionaries, lists, tuples, numbers,
text and plain numeric arrays. The stream's instructions are first checked against a list; the
three numpy names that arrays need stand for inert records here, so that the stream never gets hold
of a real class or function; arrays are made afterwards, once shape, dtype and byte count agree.
"""

from __future__ import annotations

import os
import pickle
import pickletools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from semetric.errors import WeightsCorruptError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["load_arrays"]

_OPCODES = frozenset(
    {"PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "NONE", "NEWTRUE", "NEWFALSE"}
    | {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"}
    | {"SHORT_BINUNICODE", "BINUNICODE", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8"}
    | {"EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"}
    | {"APPEND", "APPENDS", "SETITEM", "SETITEMS"}
    | {"BINGET", "LONG_BINGET", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
    | {"GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD"}
)
_MAX_OPCODES = 200_000
_MAX_DEPTH = 32
_KINDS = frozenset("fiub")  # floats, integers, booleans


class _Inert:
    """What the stream gets instead of numpy's own objects: keeps what it is given."""

    __slots__ = ("arguments", "state")

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Array(_Inert):
    __slots__ = ()


class _Class(_Inert):
    __slots__ = ()


class _Dtype(_Inert):
    __slots__ = ()


_NAMES: Mapping[tuple[str, str], type[_Inert]] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Class,
    ("numpy", "dtype"): _Dtype,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _NAMES[module, name]
        except KeyError:
            raise WeightsCorruptError(
                f"Expected a pickle of numpy arrays; found a reference to {module}.{name}. It was not followed."
            ) from None


def load_arrays(file: str | os.PathLike[str], *, max_bytes: int = 1 << 30) -> dict[str, Any]:
    """Reads a pickle of nested dictionaries of arrays, without running any code that it names.

    Args:
        file: the pickle.
        max_bytes: the largest file to read.

    Returns:
        The nested dictionary; its leaves are arrays of numbers, numbers, text, bytes or None.

    Raises:
        WeightsCorruptError: anything else than such a pickle, or a file that is too large.
    """
    path = Path(file)
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > max_bytes:
                raise WeightsCorruptError(f"Expected at most {max_bytes} bytes; {path} has {size}.")
            _check_opcodes(stream, path)
            stream.seek(0)
            loaded = _Reader(stream).load()
            result = _Maker().made(loaded)
    except WeightsCorruptError:
        raise
    except Exception as error:  # the unpickler raises whatever a broken stream leads it to
        raise WeightsCorruptError(f"Expected a pickle of numpy arrays; {path} cannot be read ({error}).") from error
    if not isinstance(result, dict):
        raise WeightsCorruptError(f"Expected a dictionary in {path}; found {type(result).__name__}.")
    return result


def _check_opcodes(stream: BinaryIO, path: Path) -> None:
    """Raises unless the stream is short and uses listed instructions only."""
    for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if opcode.name not in _OPCODES:
            raise WeightsCorruptError(f"Expected a pickle of numpy arrays; {path} uses the instruction {opcode.name}.")
        if count > _MAX_OPCODES:
            raise WeightsCorruptError(f"Expected at most {_MAX_OPCODES} instructions in {path}; found more.")
        if opcode.name == "LONG_BINPUT" and (argument or 0) > _MAX_OPCODES:
            raise WeightsCorruptError(f"Expected at most {_MAX_OPCODES} memo places in {path}; found {argument}.")


class _Maker:
    """Turns inert records into arrays, within bounds: shared lists can stand for more items than fit anywhere."""

    def __init__(self) -> None:
        self._items = 0
        self._arrays: dict[int, NDArray[Any]] = {}

    def made(self, value: Any, depth: int = 0) -> Any:
        """The value with its records turned into arrays."""
        self._items += 1
        if depth > _MAX_DEPTH or self._items > _MAX_OPCODES:
            raise WeightsCorruptError(f"Expected at most {_MAX_DEPTH} levels and {_MAX_OPCODES} items; found more.")
        if isinstance(value, _Array):
            if id(value) not in self._arrays:
                self._arrays[id(value)] = _array(value)
            return self._arrays[id(value)]
        if isinstance(value, dict):
            return {_plain(k): self.made(v, depth + 1) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.made(item, depth + 1) for item in value)
        return _plain(value)


def _plain(value: Any) -> Any:
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value
    raise WeightsCorruptError(f"Expected numbers, text and arrays; found {type(value).__name__}.")


def _array(record: _Array) -> NDArray[Any]:
    """The array that numpy's own reader would make: state is (version, shape, dtype, fortran, bytes)."""
    import numpy as np

    match record.state:
        case (int(), tuple(shape), _Dtype() as described, bool(fortran), bytes(data)):
            pass
        case _:
            raise WeightsCorruptError("Expected an array as numpy pickles it; found another state.")
    dtype = np.dtype(_dtype_name(described))
    count = 1
    for side in shape:
        if type(side) is not int or side < 0:
            raise WeightsCorruptError(f"Expected a shape of whole numbers; found {shape!r}.")
        count *= side
    if count * dtype.itemsize != len(data):
        raise WeightsCorruptError(f"Expected {count * dtype.itemsize} bytes for {shape} {dtype}; found {len(data)}.")
    flat = np.frombuffer(data, dtype)
    return flat.reshape(shape, order="F" if fortran else "C").copy()


def _dtype_name(record: _Dtype) -> str:
    """ "<f4" and the like, from a dtype's arguments and state (version, byte order, …)."""
    match record.arguments, record.state:
        case (str(name), *_), (int(), str(order), None, None, *_) if (
            order in {"<", ">", "|"} and name[:1] in _KINDS and name[1:] in {"1", "2", "4", "8"}
        ):
            return order + name
        case _:
            raise WeightsCorruptError("Expected an array of plain numbers; found another dtype.")
