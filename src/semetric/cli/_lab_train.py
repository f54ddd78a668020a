"""`semetric lab train-deepjscc`: a network from a folder of photos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from semetric.cli import _console as shared
from semetric.cli._choices import accepts, taken
from semetric.cli._lab_options import read_config
from semetric.cli._progress import training_steps
from semetric.lab.deepjscc import DeepJsccConfig, DeepJsccTraining

__all__ = ["train_deepjscc"]


@accepts(DeepJsccConfig, DeepJsccTraining)
def train_deepjscc(
    photos: Annotated[Path, typer.Argument(help="The folder of photos to train on.")],
    out: Annotated[Path, typer.Option(help="The folder of weights, checkpoint and learning curve; resumes.")],
    config: Annotated[Path | None, typer.Option(help="A TOML file of options of the training; flags win.")] = None,
    start: Annotated[Path | None, typer.Option(help="Weights to begin with, for fine-tuning.")] = None,
    device: shared.DeviceOption = "auto",
    as_json: shared.JsonOption = False,
    **options: Any,
) -> None:
    """Train a DeepJSCC network on a folder of photos."""
    from semetric.lab.deepjscc.training import train

    values = read_config(config, "train-deepjscc")
    network = values.get("network", {}) | taken(DeepJsccConfig, options)
    training = DeepJsccTraining.from_dict(values | taken(DeepJsccTraining, options) | {"network": network})
    with training_steps() as progress:
        trained = train(photos, out, training, start=start, device=device, progress=progress)
    if as_json:
        shared.show_json(
            {
                "weights": str(trained.weights),
                "curve": str(trained.curve),
                "step": trained.step,
                "psnr_db": trained.psnr_db,
                "stopped_early": trained.stopped_early,
                "photos": list(trained.photos),
                "config": training.to_dict(),
            }
        )
    else:
        typer.echo(f"{trained.weights}: {trained.psnr_db:.2f} dB held out, after {trained.step} steps")
