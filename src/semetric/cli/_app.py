"""The typer application: the verbs, in the order in which help shows them."""

from __future__ import annotations

from typing import Annotated

import typer

from semetric import __version__
from semetric.cli import cache, compare, explain, graph, lab, learn, metrics, models, score, serve
from semetric.cli._console import log_to_stderr

__all__ = ["app"]

app = typer.Typer(
    name="semetric",
    help="Measures how much of an image's meaning survives.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"semetric {__version__}")
        raise typer.Exit


@app.callback()
def _start(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    log_to_stderr()


app.command("score")(score.score)
app.command("compare")(compare.compare)
app.command("explain")(explain.explain)
app.command("graph")(graph.graph)
app.add_typer(lab.app, name="lab")
app.add_typer(learn.app, name="learn")
app.command("serve")(serve.serve)
app.command("metrics")(metrics.metrics)
app.add_typer(models.app, name="models")
app.add_typer(cache.app, name="cache")
