"""Training of a DeepJSCC network on a folder of photos: resumable at any point."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from semetric.lab.deepjscc.training_config import TrainingConfig
from semetric.results.files import check_place, held, write_whole

if TYPE_CHECKING:
    from semetric.lab.deepjscc._run import Run

__all__ = ["CHECKPOINT", "CURVE", "WEIGHTS", "Progress", "Training", "TrainingConfig", "train"]

CHECKPOINT = "checkpoint.pt"
CURVE = "curve.csv"
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What the callback gets after every step.

    Attributes:
        step: how many are done.
        steps: of how many.
        loss: of this step's batch: mean of ln(MSE + 1e-4).
        psnr_db: held-out, mean over photos and SNRs, of the latest evaluation; None before the first.
        elapsed_s: since the first step, without the time between runs.
    """

    step: int
    steps: int
    loss: float
    psnr_db: float | None
    elapsed_s: float


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a training ended.

    Attributes:
        weights: the file of the best evaluation.
        curve: the file of the learning curve.
        step: how many were done.
        psnr_db: held-out, of the best evaluation.
        stopped_early: whether patience ran out.
        photos: (trained on, held out).
        digest: of the photos, see PhotoSet.
    """

    weights: Path
    curve: Path
    step: int
    psnr_db: float
    stopped_early: bool
    photos: tuple[int, int]
    digest: str


def train(
    images_folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    config: TrainingConfig | None = None,
    *,
    start: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    progress: Callable[[Progress], None] | None = None,
) -> Training:
    """Trains a network, or goes on where an interrupted training stopped.

    The loss is the mean over the batch of ln(MSE + 1e-4), that is, of the PSNR, so that low SNRs and busy patches,
    whose errors are a hundred times those of others, do not rule it. Every step's patches, SNRs and noise follow
    from the seed and the step alone: an interrupted training ends where an uninterrupted one does. Each evaluation
    writes the checkpoint; on Ctrl-C the last one stays.

    Args:
        images_folder: the photos.
        out: gets CHECKPOINT, CURVE and WEIGHTS. A checkpoint that is there is resumed.
        config: None for the defaults.
        start: a weights file to begin with, of the same symbols, width and blocks; for fine-tuning.
        device: "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:N".
        progress: called after every step.

    Raises:
        UsageError: no photos, a checkpoint of another config or of other photos, a `start` that would be replaced,
            or a training that diverges.
        WeightsCorruptError: a checkpoint that is damaged.
        WeightsMissingError: no `start`.
        StoreError: the results cannot be written, or another process trains into the folder.
    """
    from semetric.lab.deepjscc._run import Run
    from semetric.lab.deepjscc.patches import PhotoSet
    from semetric.models.runtime import Runtime

    config = config or TrainingConfig()
    photos = PhotoSet(
        images_folder,
        patch=config.patch,
        longest_sides=config.longest_sides,
        validation_share=config.validation_share,
        seed=config.seed,
    )
    folder = Path(out)
    used = Runtime(device=device).device
    with held(folder):
        check_place(folder / WEIGHTS, "the weights", [] if start is None else [start])
        run = Run(config, photos, start, used)
        if (folder / CHECKPOINT).is_file():
            run.restore(folder / CHECKPOINT)
        _advance(run, folder, progress)
    return Training(
        weights=folder / WEIGHTS,
        curve=folder / CURVE,
        step=run.step,
        psnr_db=run.best_db,
        stopped_early=run.exhausted and run.step < config.steps,
        photos=(len(photos.training) // len(config.longest_sides), len(photos.validation)),
        digest=photos.digest,
    )


def _advance(run: Run, folder: Path, progress: Callable[[Progress], None] | None) -> None:
    """The steps that are left, with their evaluations and files."""
    config = run.config
    before_s, began = run.elapsed_s, time.monotonic()
    while run.step < config.steps and not run.exhausted:
        loss = run.advance()
        run.elapsed_s = before_s + time.monotonic() - began
        if run.step % config.evaluate_every == 0 or run.step == config.steps:
            if run.evaluate():
                write_whole(folder / WEIGHTS, lambda stream: stream.write(run.packed()))
            write_whole(folder / CURVE, lambda stream: stream.write(run.curve().encode()))
            write_whole(folder / CHECKPOINT, run.save)
        if progress:
            latest = run.history[-1]["psnr_db"] if run.history else None
            progress(Progress(step=run.step, steps=config.steps, loss=loss, psnr_db=latest, elapsed_s=run.elapsed_s))
