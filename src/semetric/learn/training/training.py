"""Training of a DreamSim on triplets: resumable at any point."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from semetric.cache import Store
from semetric.learn.training.calibrate import Fitted, fit_calibration
from semetric.learn.training.config import TrainingConfig
from semetric.learn.training.examples import Examples, examples_of, split_choices
from semetric.learn.training.export import place_trunks, write_trained
from semetric.learn.training.trunks import TrunkSource, variant_of
from semetric.learn.triplets import Choice, JudgedPair, ScoredTriplet
from semetric.models.dreamsim.variants import Variant
from semetric.results.files import held, remove_temporary, write_whole

if TYPE_CHECKING:
    from semetric.learn.training._run import Run

__all__ = ["CHECKPOINT", "LOG", "Progress", "Training", "train"]

CHECKPOINT = "checkpoint.pt"
LOG = "log.csv"
BOARD = "tensorboard"

_SAVE_EVERY_S = 30.0  # what a kill may cost


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What the callback gets after every step.

    Attributes:
        step: how many are done.
        steps: of how many.
        loss: of this step's batch.
        held_out_2afc: of the latest evaluation; None before the first one, or without triplets held out.
        elapsed_s: since the first step, without the time between runs.
    """

    step: int
    steps: int
    loss: float
    held_out_2afc: float | None
    elapsed_s: float


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a training ended.

    Attributes:
        folder: of everything; `score --metric dreamsim --dreamsim-weights` takes it.
        variant: what the folder holds.
        log: the CSV file of evaluations.
        step: how many were done.
        triplets: trained on, held out, left out.
        untuned_2afc: on the triplets held out, of the trunks before training; None without any.
        held_out_2afc: of the network that was kept.
        stopped_early: whether patience ran out.
        calibration: the regressor and its fit; None where there were no scores.
    """

    folder: Path
    variant: Variant
    log: Path
    step: int
    triplets: tuple[int, int, int]
    untuned_2afc: float | None
    held_out_2afc: float | None
    stopped_early: bool
    calibration: Fitted | None


def train(
    choices: Sequence[Choice],
    trunks: Sequence[TrunkSource],
    out: Path,
    config: TrainingConfig | None = None,
    *,
    scored: Sequence[ScoredTriplet | JudgedPair] = (),
    patch: bool = False,
    device: str = "cpu",
    source: str = "",
    store: Store | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Training:
    """Trains, or goes on where an interrupted training stopped.

    The loss is the hinge loss of DreamSim. Order, dropout and initial weights follow from the seed and the step
    alone, so that on one device and number of threads an interrupted training ends where an uninterrupted one does.
    Evaluations write the checkpoint, and so does every half minute; on Ctrl-C the last one stays. What is kept is the
    network with the best accuracy on the triplets held out; without any, the last one.

    Args:
        choices: see `split_choices` for what trains and what is held out.
        trunks: from `trunk_sources`.
        out: the folder. A checkpoint that is there is resumed.
        config: None for the published one of that many trunks.
        scored: pairs or triplets with scores in [0, 1], for the calibration.
        patch: whether the mean of the patch tokens joins the class token.
        device: "cpu" or "cuda".
        source: what the choices are, for the description.
        store: keeps the features of frozen trunks, which every training of a head on the same images shares.
        progress: called after every step.

    Raises:
        UsageError: nothing to train on, a checkpoint of another training, or a training that diverges.
        MissingExtraError: LoRA without peft.
        ImageError: an image that cannot be read.
        WeightsCorruptError: a damaged checkpoint or trunk.
        StoreError: the results cannot be written, or another process trains there.
    """
    from semetric.learn.training._network import Trainee
    from semetric.learn.training._run import Run

    config = config or TrainingConfig.published(trunks=len(trunks))
    training, kept, left_out = split_choices(choices, config.held_out, config.seed)
    variant = variant_of([one.trunk for one in trunks], config.method, patch=patch)
    with held(out):
        remove_temporary(out)
        networks = [one.load() for one in trunks]
        records = place_trunks(out, trunks, networks)
        variant = replace(variant, trunks=records)
        examples, held_out = examples_of(training), examples_of(kept)
        identity = {
            "trunks": [trunk.identity for trunk in records],
            "features": list(variant.feature),
            "triplets": examples.digest,
            "held_out_triplets": held_out.digest,
        }
        run = Run(config, Trainee(networks, variant, config, device), examples, held_out, identity, device, store)
        if (out / CHECKPOINT).is_file():
            run.restore(out / CHECKPOINT)
        _go(run, out, progress)
        if run.best_state:
            run.trainee.load(run.best_state)
        fitted = _calibrated(run, scored, config.seed)
        untuned = run.history[0]["held_out_2afc"] if len(held_out) else None
        best = run.best if len(held_out) else None
        notes: dict[str, Any] = {
            "source": source,
            "config": config.to_dict(),
            "triplets": {"trained": len(examples), "held_out": len(held_out), "left_out": left_out},
            "digests": {"trained": examples.digest, "held_out": held_out.digest},
            "steps": run.step,
            "held_out_2afc": {"untuned": untuned, "trained": best},
        }
        if fitted is not None:
            notes["calibration"] = {"n": fitted.n, "mse": fitted.mse, "mse_of_mean": fitted.mse_of_mean}
        adapter_config = run.trainee.adapter_config() if config.method == "lora" else None
        calibration = None if fitted is None else fitted.calibration
        own = write_trained(out, variant, run.trainee.state(), adapter_config, notes, calibration)
    return Training(
        folder=out,
        variant=own,
        log=out / LOG,
        step=run.step,
        triplets=(len(examples), len(held_out), left_out),
        untuned_2afc=untuned,
        held_out_2afc=best,
        stopped_early=run.exhausted and run.step < run.steps,
        calibration=fitted,
    )


def _go(run: Run, out: Path, progress: Callable[[Progress], None] | None) -> None:
    before_s, began = run.elapsed_s, time.monotonic()
    saved = began
    board = _board(out, run)
    try:
        run.prepare()
        if not run.history:
            run.evaluate()
            _note(run, out, board)
        while run.step < run.steps and not run.exhausted:
            loss = run.advance()
            now = time.monotonic()
            run.elapsed_s = before_s + now - began
            if run.evaluates:
                run.evaluate()
                _note(run, out, board)
                saved = now
            elif now - saved >= _SAVE_EVERY_S:
                write_whole(out / CHECKPOINT, run.save)
                saved = now
            if progress is not None:
                latest = run.history[-1]["held_out_2afc"] if len(run.held) else None
                progress(
                    Progress(step=run.step, steps=run.steps, loss=loss, held_out_2afc=latest, elapsed_s=run.elapsed_s)
                )
    finally:
        if board is not None:
            board.close()


def _note(run: Run, out: Path, board: Any) -> None:
    write_whole(out / LOG, lambda stream: stream.write(run.log().encode()))
    write_whole(out / CHECKPOINT, run.save)
    if board is not None:
        row = run.history[-1]
        for name in ("loss", "train_2afc", "held_out_2afc"):
            board.add_scalar(name, row[name], int(row["step"]))
        board.flush()


def _board(out: Path, run: Run) -> Any:
    """TensorBoard's writer, where it is installed; evaluations after the checkpoint's step are written anew."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(out / BOARD), purge_step=run.step + 1 if run.step else None)


def _calibrated(run: Run, scored: Sequence[ScoredTriplet | JudgedPair], seed: int) -> Fitted | None:
    """The regressor fitted to every scored pair."""
    if not scored:
        return None
    pairs: list[tuple[str, str, float]] = []
    for item in scored:
        if isinstance(item, ScoredTriplet):
            reference = item.triplet.reference
            pairs += [(reference, item.triplet.a, item.score_a), (reference, item.triplet.b, item.score_b)]
        else:
            pairs.append((item.reference, item.image, item.opinion))
    places: dict[str, int] = {}
    rows = [[places.setdefault(one, len(places)), places.setdefault(two, len(places))] for one, two, _ in pairs]
    index = np.array([[one, two, two] for one, two in rows], np.int64)
    images = Examples(paths=tuple(places), rows=index, share_b=np.zeros(len(pairs)), groups=("",) * len(pairs))
    distance, _ = run.measure(images)
    return fit_calibration(1 - distance, [score for _, _, score in pairs], seed=seed)
