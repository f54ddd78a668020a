"""`semetric score`: two image files in, a table of scores out; two folders or a list of pairs, a folder of results."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from semetric.cli import _console as shared
from semetric.cli import _folders
from semetric.cli._choices import MetricsOption, accepts, taken, words
from semetric.cli._datasets import dataset_options
from semetric.cli._scores import exit_code, say_missing, say_notes, score_tables
from semetric.cli._tables import show_tables
from semetric.score_settings import Execution, ScoreSettings

if TYPE_CHECKING:
    from semetric.scoring import StoreChoice

__all__ = ["score"]

_log = logging.getLogger(__name__)


@accepts(dataset_options, Execution, ScoreSettings)
def score(
    reference: Annotated[str | None, typer.Argument(help="The image to compare with, or a folder of them.")] = None,
    image: Annotated[str | None, typer.Argument(help="The image to score, or a folder of them.")] = None,
    metric: MetricsOption = None,
    as_json: shared.JsonOption = False,
    save_plot: Annotated[Path | None, typer.Option(help="Write a picture of the matched objects and scores.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="SeSS's hyper-parameters from a TOML file, as learn tune writes it.")
    ] = None,
    fetch: shared.FetchOption = False,
    no_cache: shared.NoCacheOption = False,
    pairs: Annotated[Path | None, typer.Option(help="A CSV file with the columns reference and image.")] = None,
    out: Annotated[Path | None, typer.Option(help="The folder of results, for folders and --pairs; resumes.")] = None,
    batch: Annotated[int | None, typer.Option(help="Pairs scored together, for folders and --pairs.")] = None,
    workers: Annotated[int | None, typer.Option(help="Threads that decode, for folders and --pairs.")] = None,
    limit: Annotated[int | None, typer.Option(help="Score the first pairs alone, for folders and --pairs.")] = None,
    retry_failed: shared.RetryFailedOption = False,
    **choices: Any,
) -> None:
    """Score two images with every metric of a profile; or folders, the pairs of a list or a data set, into --out."""
    named_set = {name: choices.pop(name) for name in ("dataset", "root", "split", "option")}
    many = _folders.asked(
        reference,
        image,
        pairs,
        out,
        save_plot,
        named_set,
        batch=batch,
        workers=workers,
        limit=limit,
        retry_failed=retry_failed or None,
        jobs=choices["jobs"],
        ray=choices["ray"],
    )
    execution = Execution(fetch=fetch, **taken(Execution, choices))
    import semetric

    metrics = words(metric)
    options = taken(ScoreSettings, choices)
    if save_plot is not None:
        from semetric.report import check_output

        check_output(save_plot, shared.files_of(reference, image, config, *options.values()))  # before the work
    if config is not None:
        from semetric.metrics.sess_settings import read_sess_settings

        options["settings"] = read_sess_settings(config)
    store: StoreChoice = None if no_cache else "default"
    if many is not None:
        code = _folders.run(many, metrics, options, store=store, as_json=as_json, fetch=fetch, execution=execution)
        if code:
            raise typer.Exit(code)
        return
    if reference is None or image is None:
        raise typer.BadParameter(f"Missing argument '{'IMAGE' if reference else 'REFERENCE'}'.")
    with shared.downloads_if(fetch), shared.working("reading the images", shown=not fetch) as stage:

        def progress(name: str, position: int, count: int) -> None:
            stage(f"{name} (metric {position} of {count})")

        scores = semetric.score(reference, image, metrics, store=store, progress=progress, **options)
    if as_json:
        shared.show_json(scores.to_dict())
    else:
        show_tables(*score_tables(scores.scores, scores.errors))
        if config is not None and "sess" in scores.scores:
            _log.info("sess: tuned, with the settings of %s", config)
        say_notes(scores, reference, image)
    say_missing(scores.errors)
    if save_plot is not None and scores.scores:
        from semetric.report import save_plot as draw

        reading = ScoreSettings(**options).reading
        draw(scores, semetric.read_image(reference, **reading), semetric.read_image(image, **reading), save_plot)
    code = exit_code(scores.scores, scores.errors, requested=metrics or ())
    if code:
        raise typer.Exit(code)
