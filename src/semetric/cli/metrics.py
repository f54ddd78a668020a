"""`semetric metrics`: what can be scored."""

from __future__ import annotations

from semetric.cli import _console as shared
from semetric.cli._scores import interval
from semetric.cli._tables import Column, Table, show_tables

__all__ = ["metrics"]


def metrics(as_json: shared.JsonOption = False) -> None:
    """List the metrics: direction, range and what they compare."""
    from semetric.metrics.registry import METRICS

    if as_json:
        shared.show_json(
            {
                name: {
                    "higher_is_better": one.higher_is_better,
                    "range": list(one.range),
                    "measures": one.summary,
                    "paper": one.paper,
                }
                for name, one in METRICS.items()
            }
        )
        return
    table = Table(
        [
            Column("metric", "key"),
            Column("better", "word"),
            Column("range", "word"),
            Column("measures", "text"),
            Column("paper", "word", "dim"),
        ]
    )
    for name, one in METRICS.items():
        table.add_row(
            name, "↑ higher" if one.higher_is_better else "↓ lower", interval(one.range), one.summary, one.paper
        )
    show_tables(table)
