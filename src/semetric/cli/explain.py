"""`semetric explain`: two image files in, one page out that shows what the scores rest on."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from semetric.cli import _console as shared
from semetric.cli._choices import MetricsOption, accepts, taken, words
from semetric.cli._scores import exit_code, say_missing, say_notes, score_tables
from semetric.cli._tables import show_tables
from semetric.errors import UsageError
from semetric.score_settings import ScoreSettings

__all__ = ["explain"]


@accepts(ScoreSettings)
def explain(
    reference: Annotated[str, typer.Argument(help="The image to compare with.")],
    image: Annotated[str, typer.Argument(help="The image to explain.")],
    out: Annotated[Path, typer.Option(help="Write the page, .html, here.")],
    metric: MetricsOption = None,
    as_json: shared.JsonOption = False,
    fetch: shared.FetchOption = False,
    no_cache: shared.NoCacheOption = False,
    **choices: Any,
) -> None:
    """Show in one HTML page why two images score as they do."""
    for name in (reference, image):
        if os.path.isdir(name):
            raise UsageError(f"semetric explain compares two image files; {name} is a folder.")
    import semetric
    from semetric.results.files import check_place

    metrics = words(metric)
    options = taken(ScoreSettings, choices)
    check_place(out, "a page", shared.files_of(reference, image, *options.values()))
    with shared.downloads_if(fetch), shared.working("scoring, and writing the page", shown=not fetch):
        scores = semetric.explain(reference, image, out, metrics, store=None if no_cache else "default", **options)
    if as_json:
        shared.show_json(scores.to_dict())
    else:
        show_tables(*score_tables(scores.scores, scores.errors))
        say_notes(scores, reference, image)
    say_missing(scores.errors)
    logging.getLogger("semetric").info("wrote %s (%.1f MB)", out, out.stat().st_size / 1e6)
    code = exit_code(scores.scores, scores.errors, requested=metrics or ())
    if code:
        raise typer.Exit(code)
