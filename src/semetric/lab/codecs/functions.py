"""Python functions by name: "module:function" or "file.py:function"."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from typing import Any

from semetric.errors import UsageError

__all__ = ["function_name", "load_function"]


def load_function(function: str | Callable[..., Any]) -> Callable[..., Any]:
    """The function itself, imported if it is named.

    Args:
        function: "module:function", "path/to/file.py:function" or a callable.

    Raises:
        UsageError: nothing of that name, or nothing that can be called.

    Examples:
        >>> load_function("math:sqrt")(4.0)
        2.0
    """
    target: Any = function
    if isinstance(function, str):
        module, colon, path = function.rpartition(":")  # a drive's letter has a colon, too
        if not (module and colon and path):
            raise UsageError(f"Expected a function as 'module:function' or 'file.py:function'; found {function!r}.")
        try:
            target = _file_module(module) if module.endswith(".py") else importlib.import_module(module)
            for part in path.split("."):
                target = getattr(target, part)
        except (ImportError, AttributeError, OSError, SyntaxError) as error:
            raise UsageError(
                f"Expected a function at {function!r}: {error}. Check the name, and that its folder is on PYTHONPATH "
                "or the file is named."
            ) from error
    if not callable(target):
        raise UsageError(f"Expected a function; {function!r} cannot be called.")
    return target  # type: ignore[no-any-return]


def function_name(function: str | Callable[..., Any]) -> str:
    """The name of a function in records: "module:function", or the text that named it."""
    if isinstance(function, str):
        return function
    return f"{function.__module__}:{getattr(function, '__qualname__', type(function).__qualname__)}"


def _file_module(file: str) -> Any:
    """The module that a Python file holds, loaded once; modules beside it can be imported by it, as by a script."""
    path = os.path.realpath(file)
    name = "semetric_file_" + hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    folder = os.path.dirname(path)
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        sys.path.remove(folder)
    return module
