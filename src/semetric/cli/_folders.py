"""What `semetric score` does with two folders or a list of pairs: progress, reports, a table of summaries."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from semetric.cli import _console as shared
from semetric.cli._datasets import pairing as dataset_pairing
from semetric.cli._names import grouped, log_names
from semetric.cli._progress import counter, say_interrupted
from semetric.cli._scores import number
from semetric.cli._tables import Column, TerminalTable, show_tables
from semetric.errors import UsageError

if TYPE_CHECKING:
    from semetric.results import Execution, Started
    from semetric.runs import Pair, Pairing
    from semetric.scoring import StoreChoice

__all__ = ["Task", "asked", "run"]

_WHOLE = "summary.json"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Task:
    """Many pairs to score: two folders, a CSV file, or a data set, as `_datasets.pairing` takes it."""

    references: str | None
    images: str | None
    pairs: Path | None
    dataset: Mapping[str, Any]
    out: Path
    tuning: Mapping[str, Any]


def asked(
    reference: str | None,
    image: str | None,
    pairs: Path | None,
    out: Path | None,
    save_plot: Path | None,
    dataset: Mapping[str, Any],
    **tuning: Any,
) -> Task | None:
    """What the words of the command line ask for; None where they name two files.

    Raises:
        UsageError: a combination that means nothing.
        typer.BadParameter: an argument is missing.
    """
    folders = [name for name in (reference, image) if name is not None and os.path.isdir(name)]
    set_ = shared.given(out=out, **tuning)
    if any(value for value in dataset.values()):
        if reference is not None or pairs is not None:
            beside = f"{reference}" if pairs is None else "--pairs"
            raise UsageError(
                f"Expected either --dataset or two images, two folders or --pairs; found {beside} as well."
            )
    elif pairs is not None:
        if reference is not None:
            raise UsageError(f"Expected either --pairs or two images or folders; found {reference} beside --pairs.")
    elif reference is None or image is None:
        raise typer.BadParameter(f"Missing argument '{'REFERENCE' if reference is None else 'IMAGE'}'.")
    elif not folders:
        if set_:
            raise UsageError(
                f"--{next(iter(set_)).replace('_', '-')} is for two folders or --pairs; {reference} is no folder."
            )
        return None
    elif len(folders) == 1:
        other = image if folders[0] == reference else reference
        beside = "a file" if os.path.exists(other) else "not there"
        raise UsageError(f"Expected two image files or two folders; {folders[0]} is a folder, {other} is {beside}.")
    if out is None:
        many = (
            f"--pairs {pairs} is a list"
            if pairs is not None
            else f"{reference} is a folder"
            if reference is not None
            else "a data set has many pairs"
        )
        raise UsageError(f"Expected --out DIR, a folder for the results, since {many}.")
    if save_plot is not None:
        raise UsageError("--save-plot draws one pair; found folders or --pairs. Score that pair by itself.")
    for name in ("out", "jobs", "ray"):  # asked for, and taken elsewhere
        set_.pop(name, None)
    return Task(references=reference, images=image, pairs=pairs, dataset=dataset, out=out, tuning=set_)


def run(
    task: Task,
    metrics: Sequence[str] | None,
    options: Mapping[str, Any],
    *,
    store: StoreChoice,
    as_json: bool,
    fetch: bool,
    execution: Execution,
) -> int:
    """Scores the pairs, says on stderr what went without a score, and prints the summary.

    Args:
        task: what the command line asks for.
        metrics: that it names; None for the profile's.
        options: fields of `ScoreSettings`.
        store: where embeddings and scene graphs are cached.
        as_json: print the summary as JSON instead of a table.
        fetch: download weights that are missing.
        execution: where pairs are scored.

    Returns:
        The exit code: 1 where some pairs failed, else 0.
    """
    from semetric.runs import fetch_weights, pair_folders, read_pairs, score_pairs

    from_dataset = dataset_pairing(**task.dataset)
    if from_dataset is not None:
        pairing = from_dataset
    elif task.pairs is not None:
        pairing = read_pairs(task.pairs)
    else:
        pairing = pair_folders(task.references or "", task.images or "")
    if fetch:
        with shared.downloads_if(fetch):
            fetch_weights(metrics, **options)
    with counter("pairs") as (begin, advance):

        def started(known: Started) -> None:
            _report(known, pairing)
            begin(known.units, known.done)

        try:
            done = score_pairs(
                pairing,
                task.out,
                metrics,
                store=store,
                started=started,
                progress=advance,
                execution=execution,
                **task.tuning,
                **options,
            )
        except KeyboardInterrupt:
            say_interrupted(task.out, "pairs")
            raise
    failed = done.summary["failed"]
    if as_json:
        shared.show_json(done.summary)
    else:
        show_tables(_table(done.summary["metrics"]))
    for name, statistics in done.summary["metrics"].items():
        if "note" in statistics:
            _log.info("%s: %s", name, statistics["note"])
    _say_unscored(done.summary)
    log_names(f"{len(failed)} of {done.summary['pairs']} pairs failed:", [_why(pair) for pair in failed], _WHOLE)
    _log.info("rows: %s", done.path / "scores.csv")
    return 1 if failed else 0


def _say_unscored(summary: Mapping[str, Any]) -> None:
    """Says which metrics lack more pairs than those that have failed as a whole, those for one reason together."""
    counts: dict[int, dict[str, str]] = {}
    for name, statistics in summary["metrics"].items():
        if statistics["failed"] > len(summary["failed"]):
            counts.setdefault(statistics["failed"], {})[name] = statistics["because"]
    for count, reasons in counts.items():
        for names, why in grouped(reasons).items():
            _log.warning("%s: %d of %d pairs not scored: %s", names, count, summary["pairs"], why)


def _report(known: Started, pairing: Pairing) -> None:
    """Says which files have no partner, and what was scored before."""
    if pairing.pairs and all(_is_one_file(pair) for pair in pairing.pairs):
        _log.warning("every image is its own reference: the two files of each pair are the same")
    log_names(f"references without an image: {len(pairing.unmatched_references)}", pairing.unmatched_references, _WHOLE)
    log_names(f"images without a reference: {len(pairing.unmatched_images)}", pairing.unmatched_images, _WHOLE)
    log_names(
        f"names that several files of one folder share, not scored: {len(pairing.ambiguous)}",
        [
            f"{name}: references {', '.join(references) or 'none'}; images {', '.join(images) or 'none'}"
            for name, (references, images) in pairing.ambiguous.items()
        ],
        _WHOLE,
    )
    log_names(f"files passed over, no images by their suffix: {len(pairing.not_images)}", pairing.not_images, _WHOLE)
    for names, why in grouped(known.left_out).items():
        _log.warning("%s left out: %s", f"{names} {'are' if ',' in names else 'is'}", why)
    if known.done:
        _log.info("%d of %d pairs were scored before", known.done, known.units)


def _is_one_file(pair: Pair) -> bool:
    """Whether reference and image of a pair are the same file."""
    try:
        return os.path.samefile(pair.reference_path, pair.image_path)
    except OSError:
        return False


def _why(failed: Mapping[str, Any]) -> str:
    reasons = "; ".join(f"{metrics}: {why}" for metrics, why in grouped(failed["errors"]).items())
    return f"{failed['reference']} – {failed['image']}: {reasons}"


def _table(metrics: Mapping[str, Any]) -> TerminalTable:
    numbers = ("n", "mean", "95% interval", "std", "min", "5%", "25%", "median", "75%", "95%", "max")
    table = TerminalTable([Column("metric", "key"), Column("better", "word"), *map(Column, numbers)])
    for name, statistics in metrics.items():
        bounds, quantiles = statistics["mean_interval_95"], statistics["quantiles"] or {}
        spread = [
            statistics["std"],
            statistics["min"],
            *(quantiles.get(q) for q in ("0.05", "0.25", "0.5", "0.75", "0.95")),
            statistics["max"],
        ]
        table.add_row(
            name,
            "↑" if statistics["higher_is_better"] else "↓",
            str(statistics["n"]),
            _number(statistics["mean"]),
            "–" if bounds is None else f"{_number(bounds[0])} … {_number(bounds[1])}",
            *(_number(value) for value in spread),
        )
    return table


def _number(value: float | None) -> str:
    return "–" if value is None else number(value)
