"""`semetric metrics`: what can be scored."""

from __future__ import annotations

from semetric.cli import _console as shared
from semetric.cli._scores import interval

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
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("metric", style="bold")
    table.add_column("better")
    table.add_column("range")
    table.add_column("measures", overflow="fold")
    table.add_column("paper", overflow="fold", style="dim")
    for name, one in METRICS.items():
        table.add_row(
            name, "↑ higher" if one.higher_is_better else "↓ lower", interval(one.range), one.summary, one.paper
        )
    shared.show_table(table)
