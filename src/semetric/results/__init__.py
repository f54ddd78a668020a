"""Results: one folder a run, one database in it, one runner, whatever is scored."""

from __future__ import annotations

from semetric.results.database import Row
from semetric.results.run import Plan, Run, Started, execute, open_run
from semetric.results.runner import Recipe, Task, Worker
from semetric.score_settings import Execution

__all__ = [
    "Execution",
    "Plan",
    "Recipe",
    "Row",
    "Run",
    "Started",
    "Task",
    "Worker",
    "execute",
    "open_run",
]
