"""Training of the relation head on annotated images: resumable after every epoch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from semetric.errors import ImageError
from semetric.learn.datasets import Dataset, PanopticRecord
from semetric.learn.relation_head.config import RelationTraining
from semetric.learn.relation_head.examples import Example, ExampleMaker, predicate_numbers
from semetric.results.files import held, write_whole

__all__ = ["CHECKPOINT", "CURVE", "WEIGHTS", "Prepared", "Progress", "Training", "prepare", "train"]

CHECKPOINT = "checkpoint.pt"
CURVE = "curve.csv"
WEIGHTS = "relations.pth"


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The images of a data set as the head sees them.

    Attributes:
        examples: in the data set's order.
        broken: "key: why" of images that cannot be read.
    """

    examples: tuple[Example, ...]
    broken: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What the callback gets after every step.

    Attributes:
        epoch: the one in hand, from 1.
        epochs: of how many.
        step: how many steps are done, over all epochs.
        steps: of how many.
        loss: of this step's images.
        elapsed_s: since the first step, without the time between runs.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    elapsed_s: float


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a training ended.

    Attributes:
        weights: the head, for --relations-weights.
        curve: the log.
        epochs: how many were done.
        images: (trained on, held out).
        loss: mean of the last epoch.
    """

    weights: Path
    curve: Path
    epochs: int
    images: tuple[int, int]
    loss: float


def prepare(
    dataset: Dataset,
    maker: ExampleMaker,
    *,
    keep_masks: bool = False,
    advance: Callable[[int], None] | None = None,
) -> Prepared:
    """Finds the masks of every image and matches them; what was found before comes from the runtime's cache.

    Args:
        dataset: of panoptic records, as `load_dataset("psg", …)` gives it.
        maker: makes the examples.
        keep_masks: whether the masks come along, for the spatial rules.
        advance: called with 1 after every image.

    Raises:
        UsageError: the data set holds something else, or predicates that the head does not have.
    """
    predicates = predicate_numbers(dataset)
    examples: list[Example] = []
    broken: list[str] = []
    for record in dataset.of(PanopticRecord):
        try:
            examples.append(maker(record, predicates, keep_masks=keep_masks))
        except ImageError as error:
            broken.append(f"{record.key}: {error}")
        if advance:
            advance(1)
    return Prepared(examples=tuple(examples), broken=tuple(broken))


def train(
    examples: Sequence[Example],
    held_out: Sequence[Example],
    out: str | os.PathLike[str],
    config: RelationTraining | None = None,
    *,
    start: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    progress: Callable[[Progress], None] | None = None,
) -> Training:
    """Trains a head, or goes on where an interrupted training stopped.

    AdamW with MultiStepLR and clipped gradients on `loss.relation_loss`. The order of images and the dropout follow
    from the seed, the epoch and the step alone, so that a training that was interrupted ends where another does, on a
    CPU with as many threads to the bit. Nothing is chosen on the held-out images: the last weights are the result.

    Args:
        examples: images to learn from.
        held_out: images whose recall goes into the log; may be none.
        out: gets WEIGHTS (after every epoch), CURVE and CHECKPOINT. A checkpoint that is there is resumed.
        config: None for the defaults.
        start: a checkpoint in the published layout to begin with, whose size counts in place of the config's.
        device: "cpu" or "cuda".
        progress: called after every step.

    Raises:
        UsageError: nothing to learn from, a checkpoint of another config or of other images, or a training that
            diverges.
        WeightsCorruptError: a checkpoint that is damaged.
        WeightsMissingError: no `start`.
        StoreError: the results cannot be written, or another process writes there.
    """
    from semetric.learn.relation_head._run import Run
    from semetric.learn.relation_head.checkpoint import pack, size_of
    from semetric.models.relate_anything import load_relate_anything

    config = config or RelationTraining()
    if start is not None:
        config = replace(config, size=size_of(load_relate_anything(start)))
    folder = Path(out)
    with held(folder):
        run = Run(config, examples, held_out, start, device)
        if (folder / CHECKPOINT).is_file():
            run.restore(folder / CHECKPOINT)
        before_s, began = run.elapsed_s, time.monotonic()
        while run.epoch < config.epochs:
            losses: list[float] = []
            for number in range(run.steps):
                losses.append(run.step(number))
                run.elapsed_s = before_s + time.monotonic() - began
                if progress:
                    progress(
                        Progress(
                            epoch=run.epoch + 1,
                            epochs=config.epochs,
                            step=run.epoch * run.steps + number + 1,
                            steps=config.epochs * run.steps,
                            loss=losses[-1],
                            elapsed_s=run.elapsed_s,
                        )
                    )
            run.finish_epoch(losses)
            write_whole(folder / WEIGHTS, lambda stream: stream.write(pack(run.head)))
            write_whole(folder / CURVE, lambda stream: stream.write(run.curve().encode()))
            write_whole(folder / CHECKPOINT, run.save)
        return Training(
            weights=folder / WEIGHTS,
            curve=folder / CURVE,
            epochs=run.epoch,
            images=(len(run.examples), len(held_out)),
            loss=run.history[-1]["loss"],
        )
