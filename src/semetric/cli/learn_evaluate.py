"""`semetric learn evaluate`: how far metrics and people agree on a data set, as a table for a paper."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from semetric.cli import _console as shared
from semetric.cli import _datasets
from semetric.cli._choices import MetricsOption, accepts, taken, words
from semetric.cli._names import grouped, log_names
from semetric.cli._progress import counter
from semetric.cli._tables import Column, TerminalTable, show_tables, table_of
from semetric.errors import UsageError
from semetric.score_settings import Execution, ScoreSettings

if TYPE_CHECKING:
    from semetric.results import Started

__all__ = ["evaluate"]

_log = logging.getLogger(__name__)


@accepts(Execution, ScoreSettings)
def evaluate(
    source: _datasets.SourceArgument,
    root: _datasets.RootOption = None,
    metrics: MetricsOption = None,
    split: _datasets.SplitOption = None,
    study: _datasets.StudyOption = None,
    images: _datasets.ImagesOption = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder of scores and tables; resumes. Default: one in the cache.")
    ] = None,
    limit: _datasets.LimitOption = None,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap and of --limit.")] = 0,
    resamples: Annotated[int | None, typer.Option(help="Resamples of the bootstrap; default 2000.")] = None,
    logistic: Annotated[int, typer.Option(help="Parameters of the logistic curve fitted before PLCC: 4 or 5.")] = 4,
    option: _datasets.LoaderOption = None,
    as_json: shared.JsonOption = False,
    latex: Annotated[bool, typer.Option("--latex", help="Print the table as LaTeX and nothing else.")] = False,
    fetch: shared.FetchOption = False,
    no_cache: shared.NoCacheOption = False,
    batch: Annotated[int | None, typer.Option(help="Pairs scored together.")] = None,
    workers: Annotated[int | None, typer.Option(help="Threads that decode images.")] = None,
    retry_failed: shared.RetryFailedOption = False,
    **choices: Any,
) -> None:
    """Measure how metrics agree with people: two-alternative forced choice (2AFC), SRCC, KRCC, PLCC, JND AP."""
    if as_json and latex:
        raise UsageError("Expected --json or --latex; found both.")
    if logistic not in (4, 5):
        raise UsageError(f"Expected --logistic 4 or 5; found {logistic}.")
    loaded = _datasets.load(
        source, root, split=split, study=study, images=images, option=option, limit=limit, seed=seed
    )
    execution = Execution(fetch=fetch, **taken(Execution, choices))
    settings = taken(ScoreSettings, choices)
    from semetric.learn.agreement.evaluation import AGREEMENT
    from semetric.learn.agreement.evaluation import evaluate as run
    from semetric.learn.agreement.table import agreement_table, write_tables
    from semetric.results.tables import to_latex

    chosen = words(metrics)
    if fetch:
        from semetric.runs import fetch_weights

        with shared.downloads_if(True):
            fetch_weights(chosen, **settings)
    with counter("pairs") as (begin, advance):

        def started(known: Started) -> None:
            _report(known)
            begin(known.units, known.done)

        done = run(
            loaded,
            chosen,
            out,
            form=4 if logistic == 4 else 5,
            seed=seed,
            started=started,
            progress=advance,
            execution=execution,
            retry_failed=retry_failed,
            store=None if no_cache else "default",
            **shared.given(resamples=resamples, batch=batch, workers=workers),
            **settings,
        )
    write_tables(done.summary, done.run.path)
    if as_json:
        shared.show_json(done.summary)
    elif latex:
        typer.echo(to_latex(agreement_table(done.summary)), nl=False)
    else:
        show_tables(*_tables(done.summary))
        _explain(done.summary)
    _tell(done.summary, done.run.summary["failed"], done.run.path)
    place = done.run.path
    _log.info("scores: %s; agreement: %s, agreement.csv, agreement.tex", place / "scores.csv", place / AGREEMENT)
    if done.summary["failed_pairs"]:
        raise typer.Exit(1)


def _report(known: Started) -> None:
    for names, why in grouped(known.left_out).items():
        _log.warning("%s left out: %s", f"{names} {'are' if ',' in names else 'is'}", why)
    if known.done:
        _log.info("%d of %d pairs were scored before", known.done, known.units)


def _tell(summary: Mapping[str, Any], failed: Sequence[Mapping[str, Any]], run: Path) -> None:
    """Says what is missing from the numbers."""
    named = [
        f"{pair['reference']} – {pair['image']}: {'; '.join(dict.fromkeys(pair['errors'].values()))}" for pair in failed
    ]
    log_names(f"{len(failed)} of {summary['pairs']} pairs failed:", named, str(run / "summary.json"))
    for metric, result in summary["metrics"].items():
        if result["missing"]:
            _log.warning("%s: %d of %d items have no score", metric, result["missing"], summary["dataset"]["items"])
        for measure, entry in result["measures"].items():
            if entry["left_out"]:
                _log.info("%s, %s: %d infinite scores left out", metric, measure, entry["left_out"])
            if entry["note"]:
                _log.warning("%s, %s: %s", metric, measure, entry["note"])


def _tables(summary: Mapping[str, Any]) -> list[TerminalTable]:
    """Across metrics; differences between them; by group."""
    from semetric.formatting import number
    from semetric.learn.agreement.table import NAMES, agreement_table

    measures, groups = summary["measures"], summary["groups"]
    tables = [table_of(agreement_table(summary))]
    best = summary["best"][measures[0]]
    if best is not None and summary["differences"]:
        tables.append(_against(best["metric"], summary))
    if groups:
        inside = _empty(f"{NAMES[measures[0]]} by group", "n", *summary["metrics"])
        for group in groups:
            entries = [entry["groups"][group][measures[0]] for entry in summary["metrics"].values()]
            most = max(entry["n"] for entry in entries)
            inside.add_row(group or "(none)", str(most), *(number(entry["value"]) for entry in entries))
        tables.append(inside)
    return tables


def _against(best: str, summary: Mapping[str, Any]) -> TerminalTable:
    """The best metric of the first measure against each other one."""
    from semetric.learn.agreement.table import NAMES, mean_of

    measures = summary["measures"]
    table = _empty(f"{best} −", "n", *(NAMES[name] for name in measures))
    for other in (metric for metric in summary["metrics"] if metric != best):
        cells, n = [], 0
        for name in measures:
            for pair in summary["differences"]:
                if pair["measure"] == name and {pair["a"], pair["b"]} == {best, other}:
                    n = pair["n"]
                    cells.append(
                        str(mean_of(_turned(pair) if pair["a"] == other else pair | {"value": pair["difference"]}))
                    )
        table.add_row(other, str(n), *cells)
    return table


def _turned(pair: Mapping[str, Any]) -> dict[str, Any]:
    """The difference the other way round."""
    bounds = pair["interval_95"]
    return {
        "value": None if pair["difference"] is None else -pair["difference"],
        "interval_95": None if bounds is None else [-bounds[1], -bounds[0]],
    }


def _explain(summary: Mapping[str, Any]) -> None:
    """What stands below the tables: how to read them, and figures of methods that were not scored."""
    from semetric.formatting import number
    from semetric.learn.agreement.table import NAMES, agreement_table

    typer.echo()
    table = agreement_table(summary)
    typer.echo(f"{table.title}. {table.note}")
    others = [row for row in summary["published"] if row["metric"] not in summary["metrics"]]
    if others:
        shown = ", ".join(f"{row['method']} {number(row['value'])}" for row in others)
        sources = "; ".join(dict.fromkeys(row["source"] for row in others))
        typer.echo(f"Published, not measured here ({NAMES[others[0]['measure']]}, {sources}): {shown}.")


def _empty(*names: str) -> TerminalTable:
    return TerminalTable([Column(names[0], "key"), *map(Column, names[1:])])
