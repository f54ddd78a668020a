"""What the verbs that score one pair share: their tables, what they say of it, and their exit code."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from semetric.cli._names import grouped
from semetric.cli._tables import Column, TerminalTable
from semetric.errors import SemetricError, WeightsMissingError

if TYPE_CHECKING:
    from semetric.metrics.base import Score
    from semetric.scoring import Scores

__all__ = ["exit_code", "interval", "number", "say_missing", "say_notes", "score_tables"]

_log = logging.getLogger(__name__)


def score_tables(scores: Mapping[str, Score], errors: Mapping[str, SemetricError]) -> list[TerminalTable]:
    """A table of what was scored and one of what was not, each where there is anything to show.

    Metrics without weights are for `say_missing`.
    """
    tables = []
    if scores:
        table = TerminalTable(
            [
                Column("metric", "key"),
                Column("value"),
                Column("better", "word"),
                Column("range", "word"),
                Column("weights", "text", "dim"),
            ]
        )
        for name, score in scores.items():
            arrow = "↑ higher" if score.higher_is_better else "↓ lower"
            table.add_row(name, number(score.value), arrow, interval(score.range), _short(score.weights))
        tables.append(table)
    failed = {name: str(error) for name, error in errors.items() if not isinstance(error, WeightsMissingError)}
    if failed:
        table = TerminalTable([Column("not scored", "text", "bold"), Column("because", "text")])
        for names, why in grouped(failed).items():
            table.add_row(names, why)
        tables.append(table)
    return tables


def exit_code(scores: Mapping[str, Any], errors: Mapping[str, SemetricError], requested: Sequence[str]) -> int:
    """0 where all that was wanted was scored; else the first failure's own code.

    A metric that the user named is wanted; of the others it is enough that one was scored.
    """
    for name, error in errors.items():
        if name in requested or not scores:
            return error.exit_code
    return 0


def say_missing(errors: Mapping[str, SemetricError]) -> None:
    """Says which metrics lack weights, and the command that fetches them."""
    lacking = {name: str(error) for name, error in errors.items() if isinstance(error, WeightsMissingError)}
    for names, why in grouped(lacking).items():
        _log.warning("not scored: %s. %s", names, why)


def say_notes(scores: Scores, reference: str, image: str) -> None:
    """Says what reading the two files took."""
    for role, name in (("reference", reference), ("image", image)):
        if scores.notes.get(role):
            _log.info("%s: %s", name, "; ".join(scores.notes[role]))


def number(value: float) -> str:
    """A score with four decimals, or as many digits where it is small; ∞ where it is infinite."""
    from semetric.scoring import number as text

    return text(value)


def interval(bounds: tuple[float | None, float | None]) -> str:
    """A range in mathematical brackets: [0, 1], [0, ∞)."""
    low, high = bounds
    left = "(−∞" if low is None or math.isinf(low) else f"[{low:g}"
    right = "∞)" if high is None or math.isinf(high) else f"{high:g}]"
    return f"{left}, {right}"


def _short(weights: Mapping[str, str]) -> str:
    """The names of the networks, without digests, each once."""
    return ", ".join(dict.fromkeys(identity.split("@")[0] for identity in weights.values()))
