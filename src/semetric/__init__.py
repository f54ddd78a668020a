"""Semetric measures how much of an image's meaning survives.

Names are imported when they are first used, so that `import semetric` costs nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own would be an import, before the program can catch Ctrl-C

if TYPE_CHECKING:
    from typing import Any

    from semetric.errors import ImageError, SemetricError, UsageError, WeightsError
    from semetric.image import Picture, read_image
    from semetric.metrics.base import Metric, Score
    from semetric.report.explain import explain
    from semetric.results import Run
    from semetric.runs import score_folders, score_pairs
    from semetric.scoring import Scores, create, runtime, score

__version__ = "0.1.0"

__all__ = [
    "ImageError",
    "Metric",
    "Picture",
    "Run",
    "Score",
    "Scores",
    "SemetricError",
    "UsageError",
    "WeightsError",
    "create",
    "explain",
    "read_image",
    "runtime",
    "score",
    "score_folders",
    "score_pairs",
]

_HOMES = {
    "ImageError": "errors",
    "Metric": "metrics.base",
    "Picture": "image",
    "Run": "results",
    "Score": "metrics.base",
    "Scores": "scoring",
    "SemetricError": "errors",
    "UsageError": "errors",
    "WeightsError": "errors",
    "create": "scoring",
    "explain": "report.explain",
    "read_image": "image",
    "runtime": "scoring",
    "score": "scoring",
    "score_folders": "runs",
    "score_pairs": "runs",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'semetric' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"semetric.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
