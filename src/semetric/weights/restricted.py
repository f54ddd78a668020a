"""Reading pickles that hold numpy arrays and nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semetric.errors import WeightsCorruptError
from semetric.weights.pickles import Inert, build, unpickle

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["load_arrays"]

_KINDS = frozenset("fiub")  # floats, integers, booleans


class _Array(Inert):
    __slots__ = ()


class _Class(Inert):
    __slots__ = ()


class _Dtype(Inert):
    __slots__ = ()


_NAMES: Mapping[tuple[str, str], type[Inert]] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Class,
    ("numpy", "dtype"): _Dtype,
}


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

    def refuse(why: str) -> WeightsCorruptError:
        return WeightsCorruptError(f"Expected a pickle of numpy arrays in {path}; it {why}.")

    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > max_bytes:
                raise WeightsCorruptError(f"Expected at most {max_bytes} bytes; {path} has {size}.")
            loaded = unpickle(stream, lambda module, name: _NAMES.get((module, name)), refuse)
            result = build(loaded, _array, refuse)
    except WeightsCorruptError:
        raise
    except Exception as error:  # the unpickler raises whatever a broken stream leads it to
        raise WeightsCorruptError(f"Expected a pickle of numpy arrays; {path} cannot be read ({error}).") from error
    if not isinstance(result, dict):
        raise WeightsCorruptError(f"Expected a dictionary in {path}; found {type(result).__name__}.")
    return result


def _array(record: Inert) -> NDArray[Any]:
    """The array that numpy's own reader would make: state is (version, shape, dtype, fortran, bytes)."""
    import numpy as np

    match record, record.state:
        case _Array(), (int(), tuple(shape), _Dtype() as described, bool(fortran), bytes(data)):
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
