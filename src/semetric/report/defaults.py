"""matplotlib as it is shipped, whatever the user's files, notebook or program have set.

So a picture is the same everywhere. `semetric.report` imports this before anything else that imports matplotlib.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any

from semetric.errors import UsageError

__all__ = ["defaults"]

_drawing = threading.RLock()  # matplotlib's settings are the process's


def _imported() -> ModuleType:
    """matplotlib, imported without MPLBACKEND, which may name a backend that is not installed here, as notebooks do."""
    if "matplotlib" in sys.modules:
        return sys.modules["matplotlib"]
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    except (OSError, UnicodeError) as error:
        raise UsageError(
            f"Expected a settings file of matplotlib that can be read (matplotlibrc in this folder, in MATPLOTLIBRC or "
            f"in matplotlib's own folder); found one that cannot ({error}). Mend or remove it."
        ) from error
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend:
        with suppress(ValueError):
            matplotlib.rcParams["backend"] = backend  # for the caller's own plots, as matplotlib would have it
    return matplotlib


_matplotlib = _imported()


@contextmanager
def defaults(settings: Mapping[str, Any] | None = None) -> Iterator[None]:
    """For the time of the block, matplotlib's own settings with those given; threads wait for each other.

    Args:
        settings: what differs from matplotlib's defaults, by the names of rcParams.
    """
    with _drawing, _matplotlib.rc_context():
        _matplotlib.rcdefaults()
        _matplotlib.rcParams.update({"svg.hashsalt": "semetric", **(settings or {})})  # the same figure, the same ids
        yield
