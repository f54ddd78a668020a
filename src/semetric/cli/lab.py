"""`semetric lab`: a command for each experiment, made of its class; training; and the report of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from semetric.cli import _console as shared
from semetric.cli._help import App

__all__ = ["app"]


def _experiments() -> App:
    """The commands of the experiments, those of other packages included, and of training."""
    from semetric.cli._lab_train import train_deepjscc
    from semetric.cli._lab_verbs import verb_of
    from semetric.lab.experiments import EXPERIMENTS

    verbs = App(help="")
    for kind, experiment in EXPERIMENTS.items():
        verbs.verb(kind, experiment.example or f"semetric lab {kind} photos --out runs/{kind}")(verb_of(experiment))
    verbs.verb("train-deepjscc", "semetric lab train-deepjscc photos --out deepjscc --steps 2000")(train_deepjscc)
    return verbs


app = App(help="Experiments: images through codecs, channels, transformations and edits.", verbs=_experiments)


@app.verb("report", "semetric lab report runs/codecs")
def report(
    runs: Annotated[
        list[Path], typer.Argument(help="The folder of an experiment; several of one kind make one report.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Where the report goes. Default: report, or report-merged, inside the first run."),
    ] = None,
    as_json: shared.JsonOption = False,
) -> None:
    """Write the report of a run, or of several together: a page, figures as PDF and PNG, tables as CSV and LaTeX."""
    from semetric.report.lab import write_report

    page = write_report(runs, out)
    if as_json:
        shared.show_json({"page": str(page)})
    else:
        typer.echo(str(page))
