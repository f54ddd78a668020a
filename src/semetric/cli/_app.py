"""The typer application: the verbs, in the order in which help shows them."""

from __future__ import annotations

from typing import Annotated

import typer

from semetric import __version__
from semetric.cli import cache, compare, explain, graph, lab, learn, metrics, models, score, serve
from semetric.cli._console import log_to_stderr
from semetric.cli._help import App

__all__ = ["app"]

app = App(
    name="semetric",
    help="Measures how much of an image's meaning survives.",
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


app.verb(
    "score",
    "semetric score reference.png image.jpg --metric lpips,sess",
    "semetric score originals received --out runs/received",
)(score.score)
app.verb("compare", "semetric compare runs/jpeg runs/webp")(compare.compare)
app.verb("explain", "semetric explain reference.png image.jpg --out report.html")(explain.explain)
app.verb("graph", "semetric graph image.png --out graph.json --png graph.png")(graph.graph)
app.add_typer(lab.app, name="lab")
app.add_typer(learn.app, name="learn")
app.verb("serve", "semetric serve --study study.sqlite")(serve.serve)
app.verb("metrics", "semetric metrics --json")(metrics.metrics)
app.add_typer(models.app, name="models")
app.add_typer(cache.app, name="cache")
