"""`semetric compare`: two runs, pair by pair."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from semetric.cli import _console as shared
from semetric.cli._names import log_names
from semetric.cli._scores import number
from semetric.cli._tables import Column, Table, show_tables

if TYPE_CHECKING:
    from semetric.runs.compare import Difference

__all__ = ["compare"]

_log = logging.getLogger(__name__)


def compare(
    run_a: Annotated[Path, typer.Argument(help="The folder of a run, as semetric score --out made it.")],
    run_b: Annotated[Path, typer.Argument(help="The folder of another run.")],
    as_json: shared.JsonOption = False,
    force: Annotated[bool, typer.Option("--force", help="Compare different weights, profiles or settings.")] = False,
) -> None:
    """Compare two runs on the same references: paired differences A − B, intervals, sign test."""
    from semetric.runs import compare as compare_runs

    found = compare_runs(run_a, run_b, force=force)
    for note in found.notes:
        _log.warning("the runs differ in %s", note)
    for side, metrics in (("A", found.metrics_only_a), ("B", found.metrics_only_b)):
        if metrics:
            _log.warning("metrics of %s alone: %s", side, ", ".join(metrics))
    log_names(f"rows of A that B has not: {len(found.only_a)}", found.only_a, "--json")
    log_names(f"rows of B that A has not: {len(found.only_b)}", found.only_b, "--json")
    for side, failed in (("A", found.failed_a), ("B", found.failed_b)):
        log_names(f"{len(failed)} of {found.pairs} pairs lack a score in {side}:", failed, "--json")
    log_names(f"rows that share a name with another and were left out: {len(found.repeated)}", found.repeated, "--json")
    for name, one in found.differences.items():
        if one.left_out:
            _log.info("%s: %d pairs with an infinite score left out of the mean difference", name, one.left_out)
    if as_json:
        shared.show_json(found.to_dict())
    else:
        show_tables(_table(found.differences))


def _table(differences: Mapping[str, Difference]) -> Table:
    numbers = ("n", "mean A", "mean B", "A − B", "95% interval", "A better", "B better", "ties", "sign test p")
    table = Table([Column("metric", "key"), Column("better", "word"), *map(Column, numbers)])
    for name, one in differences.items():
        bounds = one.interval_95
        table.add_row(
            name,
            "↑" if one.higher_is_better else "↓",
            str(one.n),
            *("–" if value is None else number(value) for value in (one.mean_a, one.mean_b, one.mean)),
            "–" if bounds is None else f"{number(bounds[0])} … {number(bounds[1])}",
            *(f"{wins} ({wins / one.n:.0%})" if one.n else "–" for wins in (one.a_better, one.b_better)),
            str(one.ties),
            "–" if one.p is None else f"{one.p:.3g}",
        )
    return table
