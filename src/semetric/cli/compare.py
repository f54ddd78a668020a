"""`semetric compare`: two runs, pair by pair."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from semetric.cli import _console as shared
from semetric.cli._choices import words
from semetric.cli._names import log_names
from semetric.cli._scores import number
from semetric.cli._tables import Column, TerminalTable, show_tables
from semetric.errors import UsageError

if TYPE_CHECKING:
    from semetric.report.lab.differences import SystemDifference
    from semetric.report.lab.results import LabRun
    from semetric.runs.compare import Difference

__all__ = ["compare"]

_COLUMNS = ("n", "mean A", "mean B", "A − B", "95% interval", "A better", "B better", "ties", "sign test p")

_log = logging.getLogger(__name__)


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Two runs, as semetric score --out made them; or runs of the lab of one experiment, whose systems are "
            "compared."
        ),
    ],
    systems: Annotated[
        list[str] | None, typer.Option(help="Of the lab: the systems that are compared, with commas. Default: all.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Of the lab: the system that all others are compared with. Default: every two.")
    ] = None,
    by_level: Annotated[bool, typer.Option("--by-level", help="Of the lab: a row a level, too.")] = False,
    as_json: shared.JsonOption = False,
    force: Annotated[bool, typer.Option("--force", help="Compare different weights, profiles or settings.")] = False,
) -> None:
    """Compare two runs on the same references, or the systems of runs of the lab: paired differences A − B."""
    from semetric.results import open_run

    lab = [run for run in runs if "experiment" in open_run(run).record]
    if lab and len(lab) == len(runs):
        _compare_systems(runs, words(systems), against, by_level=by_level, as_json=as_json)
        return
    if lab:
        other = next(run for run in runs if run not in lab)
        raise UsageError(f"Expected runs of one kind; {lab[0]} is a run of the lab and {other} is none.")
    if systems or against or by_level:
        raise UsageError("Expected runs of the lab beside --systems, --against and --by-level; found none.")
    if len(runs) != 2:
        raise UsageError(f"Expected two runs to compare; found {len(runs)}. A run of the lab may stand alone.")
    run_a, run_b = runs
    from semetric.runs import compare as compare_runs

    comparison = compare_runs(run_a, run_b, force=force)
    for note in comparison.notes:
        _log.warning("the runs differ in %s", note)
    for side, metrics in (("A", comparison.metrics_only_a), ("B", comparison.metrics_only_b)):
        if metrics:
            _log.warning("metrics of %s alone: %s", side, ", ".join(metrics))
    log_names(f"rows of A that B has not: {len(comparison.only_a)}", comparison.only_a, "--json")
    log_names(f"rows of B that A has not: {len(comparison.only_b)}", comparison.only_b, "--json")
    for side, failed in (("A", comparison.failed_a), ("B", comparison.failed_b)):
        log_names(f"{len(failed)} of {comparison.pairs} pairs lack a score in {side}:", failed, "--json")
    log_names(
        f"rows that share a name with another and were left out: {len(comparison.repeated)}",
        comparison.repeated,
        "--json",
    )
    for name, difference in comparison.differences.items():
        if difference.left_out:
            _log.info("%s: %d pairs with an infinite score left out of the mean difference", name, difference.left_out)
    if as_json:
        shared.show_json(comparison.to_dict())
    else:
        show_tables(_table(comparison.differences))


def _compare_systems(
    runs: Sequence[Path], names: Sequence[str] | None, against: str | None, *, by_level: bool, as_json: bool
) -> None:
    """Compares the systems of runs of the lab."""
    from semetric.report.lab.differences import differences, system_pairs
    from semetric.report.lab.merge import read_lab_runs

    run = read_lab_runs(runs)
    if not run.finished:
        _log.warning("a run is not at its end: what is finished is compared")
    pairs = system_pairs(run, names, against)
    comparisons = differences(run, pairs, by_level=by_level or as_json)
    compared = {(comparison.a, comparison.b) for comparison in comparisons}
    for a, b in pairs:
        if (a, b) not in compared:
            left, right = run.systems[a].name, run.systems[b].name
            _log.warning("%s and %s have no %s in common", left, right, run.axis.label)
    if as_json:
        shared.show_json(
            {
                "runs": [str(path) for path in runs],
                "experiment": run.experiment,
                "axis": {"name": run.axis.name, "label": run.axis.label, "unit": run.axis.unit},
                "images": len(run.images),
                "differences": [comparison.to_dict(run) for comparison in comparisons],
            }
        )
    else:
        show_tables(_system_table(run, comparisons, by_level=by_level))


def _system_table(run: LabRun, comparisons: Sequence[SystemDifference], *, by_level: bool) -> TerminalTable:
    """A row a metric and two systems; with levels, one a level below it."""
    names = ("metric", "A", "B", *([run.axis.label] if by_level else []))
    table = TerminalTable([*(Column(name, "key") for name in names), Column("better", "word"), *map(Column, _COLUMNS)])
    before = None
    for comparison in comparisons:
        if before not in (None, comparison.metric):
            table.add_section()
        level = [] if not by_level else ["all" if comparison.level is None else f"{comparison.level:.4g}"]
        arrow = "↑" if comparison.difference.higher_is_better else "↓"
        before = comparison.metric
        keys = (
            run.metrics[comparison.metric].name,
            run.systems[comparison.a].name,
            run.systems[comparison.b].name,
            *level,
        )
        table.add_row(*keys, arrow, *_cells(comparison.difference))
    return table


def _table(differences: Mapping[str, Difference]) -> TerminalTable:
    table = TerminalTable([Column("metric", "key"), Column("better", "word"), *map(Column, _COLUMNS)])
    for name, difference in differences.items():
        table.add_row(name, "↑" if difference.higher_is_better else "↓", *_cells(difference))
    return table


def _cells(difference: Difference) -> list[str]:
    bounds = difference.interval_95
    return [
        str(difference.n),
        *("–" if value is None else number(value) for value in (difference.mean_a, difference.mean_b, difference.mean)),
        "–" if bounds is None else f"{number(bounds[0])} … {number(bounds[1])}",
        *(
            f"{wins} ({wins / difference.n:.0%})" if difference.n else "–"
            for wins in (difference.a_better, difference.b_better)
        ),
        str(difference.ties),
        "–" if difference.p is None else f"{difference.p:.3g}",
    ]
