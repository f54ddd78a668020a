"""`semetric metrics`: what can be scored."""

from __future__ import annotations

from semetric.cli import _console as shared
from semetric.cli._scores import interval
from semetric.cli._tables import Column, TerminalTable, show_tables

__all__ = ["metrics"]


def metrics(as_json: shared.JsonOption = False) -> None:
    """List the metrics: direction, range and what they compare."""
    from semetric.metrics.registry import METRICS

    if as_json:
        shared.show_json(
            {
                name: {
                    "higher_is_better": kind.higher_is_better,
                    "range": list(kind.range),
                    "measures": kind.summary,
                    "paper": kind.paper,
                }
                for name, kind in METRICS.items()
            }
        )
        return
    table = TerminalTable(
        [
            Column("metric", "key"),
            Column("better", "word"),
            Column("range", "word"),
            Column("measures", "text"),
            Column("paper", "word", "dim"),
        ]
    )
    for name, kind in METRICS.items():
        table.add_row(
            name, "↑ higher" if kind.higher_is_better else "↓ lower", interval(kind.range), kind.summary, kind.paper
        )
    show_tables(table)
