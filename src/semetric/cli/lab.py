"""`semetric lab`: a command for each experiment, made of its class; the report of a run, and DeepJSCC's training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from semetric.cli import _console as shared
from semetric.cli._help import App
from semetric.cli._progress import training_steps

__all__ = ["app"]


def _experiments() -> App:
    """The commands of the experiments, those of other packages included."""
    from semetric.cli._lab_verbs import verb_of
    from semetric.lab.experiments import EXPERIMENTS

    verbs = App(help="")
    for kind, experiment in EXPERIMENTS.items():
        verbs.verb(kind, experiment.example or f"semetric lab {kind} photos --out runs/{kind}")(verb_of(experiment))
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


@app.verb("train-deepjscc", "semetric lab train-deepjscc photos --out deepjscc --steps 2000")
def train_deepjscc(
    photos: Annotated[Path, typer.Argument(help="The folder of photos to train on.")],
    out: Annotated[Path, typer.Option(help="The folder of weights, checkpoint and learning curve; resumes.")],
    config: Annotated[Path | None, typer.Option(help="A TOML file of options of the training; flags win.")] = None,
    symbols: Annotated[int | None, typer.Option(help="Channel symbols per 8 × 8 pixels.")] = None,
    constellation: Annotated[str | None, typer.Option(help="Constellation of the symbols: none or 16qam.")] = None,
    fading: Annotated[str | None, typer.Option(help="Fading during the training: none or rayleigh.")] = None,
    snr_min_db: Annotated[float | None, typer.Option(help="The lowest SNR of the training.")] = None,
    snr_max_db: Annotated[float | None, typer.Option(help="The highest SNR of the training.")] = None,
    steps: Annotated[int | None, typer.Option(help="Number of training steps.")] = None,
    batch: Annotated[int | None, typer.Option(help="Patches per step.")] = None,
    patch: Annotated[int | None, typer.Option(help="Side of a patch in pixels, a multiple of 8.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all random numbers.")] = None,
    start: Annotated[Path | None, typer.Option(help="Weights to begin with, for fine-tuning.")] = None,
    device: shared.DeviceOption = "auto",
    as_json: shared.JsonOption = False,
) -> None:
    """Train a DeepJSCC network on a folder of photos."""
    from semetric.cli._lab_options import read_config
    from semetric.lab.deepjscc import DeepJsccTraining
    from semetric.lab.deepjscc.training import train
    from semetric.settings import from_values

    values = read_config(config, "train-deepjscc")
    network = shared.given(
        symbols=symbols, constellation=constellation, fading=fading, snr_min_db=snr_min_db, snr_max_db=snr_max_db
    )
    values |= shared.given(steps=steps, batch=batch, patch=patch, seed=seed)
    if network:
        values["network"] = {**values.get("network", {}), **network}
    chosen = from_values(DeepJsccTraining, values)
    with training_steps() as progress:
        done = train(photos, out, chosen, start=start, device=_device(device), progress=progress)
    if as_json:
        shared.show_json(
            {
                "weights": str(done.weights),
                "curve": str(done.curve),
                "step": done.step,
                "psnr_db": done.psnr_db,
                "stopped_early": done.stopped_early,
                "photos": list(done.photos),
                "config": chosen.to_dict(),
            }
        )
    else:
        typer.echo(f"{done.weights}: {done.psnr_db:.2f} dB held out, after {done.step} steps")


def _device(name: str) -> str:
    """cpu or cuda, where auto is asked for."""
    from semetric.models.runtime import Runtime

    return Runtime(device=name).device
