"""Numba's compiler as the kernels use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

__all__ = ["compiled", "inlined"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(signature: str) -> Callable[[_Function], _Function]:
    """Compiles a function for one signature, without the interpreter's lock; loads the code where numba has kept it.

    Numba keeps it in NUMBA_CACHE_DIR, beside the source file or in the user's cache, and writes whole files. Where no
    such folder can be written, or what is there cannot be read, each process compiles for itself.

    Args:
        signature: result and arguments in numba's notation.
    """

    def compile_(function: _Function) -> _Function:
        options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
        try:
            return cast("_Function", njit(signature, cache=True, **options)(function))
        except Exception:  # unpickling a damaged file can raise nearly anything
            return cast("_Function", njit(signature, **options)(function))

    return compile_


def inlined(function: _Function) -> _Function:
    """Compiles a function as part of those that call it."""
    return cast("_Function", njit(error_model="numpy")(function))
