"""Training of the relation head on annotated images: resumable at any point."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from semetric.errors import UsageError
from semetric.learn.relation_head.checkpoint import pack, size_of
from semetric.learn.relation_head.config import RelationTraining
from semetric.learn.relation_head.evaluation import head_probabilities
from semetric.learn.relation_head.examples import Example
from semetric.learn.relation_head.loss import relation_loss
from semetric.learn.relation_head.recall import AT, hits
from semetric.models.relate_anything import RelateAnything, load_relate_anything
from semetric.results.files import held, write_whole
from semetric.scene.predicates import PREDICATES
from semetric.training import Trainer, TrainingProgress, seeded

__all__ = ["WEIGHTS", "RelationTrainer", "TrainedHead", "train"]

WEIGHTS = "relations.pth"


@dataclass(frozen=True, kw_only=True)
class TrainedHead:
    """Summary of a finished training.

    Attributes:
        weights: the head, for --relations-weights.
        curve: the CSV file of evaluations.
        epochs: number of finished epochs.
        images: how many were trained on and held out.
        loss: mean of the last epoch.
    """

    weights: Path
    curve: Path
    epochs: int
    images: tuple[int, int]
    loss: float


def train(
    examples: Sequence[Example],
    held_out: Sequence[Example],
    out: str | os.PathLike[str],
    config: RelationTraining | None = None,
    *,
    start: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    progress: Callable[[TrainingProgress], None] | None = None,
) -> TrainedHead:
    """Trains a head, or continues an interrupted training, as `semetric.training.Trainer` does.

    AdamW with MultiStepLR and clipped gradients on `loss.relation_loss`. Nothing is chosen on the held-out images: the
    last weights are the result.

    Args:
        examples: images to learn from; those without relations are passed over.
        held_out: images whose recall goes into the log; may be none.
        out: gets WEIGHTS (after every epoch), the log and CHECKPOINT. A checkpoint that is there is resumed.
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
    config = config or RelationTraining()
    if start is None:
        head = _new_head(config)
    else:
        head = load_relate_anything(start).requires_grad_(True)
        config = replace(config, size=size_of(head))
    folder = Path(out)
    with held(folder):
        trainer = RelationTrainer(config, head.to(device), examples, held_out, start, device)
        trainer.run(folder, progress)
    return TrainedHead(
        weights=folder / WEIGHTS,
        curve=folder / trainer.LOG,
        epochs=trainer.step // trainer.evaluate_every,
        images=(len(trainer.examples), len(held_out)),
        loss=trainer.history[-1]["loss"],
    )


class RelationTrainer(Trainer):
    """What a step on images computes, and the recall on those held out.

    Args:
        config: the settings.
        head: on the device.
        examples: to learn from; those without relations are passed over.
        held_out: to measure recall on; may be none.
        start: the file that the head came from, or None for random weights.
        device: "cpu" or "cuda".

    Raises:
        UsageError: no relations at all.
    """

    config: RelationTraining
    network: RelateAnything

    def __init__(
        self,
        config: RelationTraining,
        head: RelateAnything,
        examples: Sequence[Example],
        held_out: Sequence[Example],
        start: str | os.PathLike[str] | None,
        device: str,
    ) -> None:
        self.held_out = held_out
        self.examples = [example for example in examples if len(example.relations)]
        if not self.examples:
            raise UsageError("Expected images whose relations SAM's masks show; found none to train on.")
        epoch = -(-len(self.examples) // config.batch)
        super().__init__(
            config,
            {
                "images": _digest(self.examples),
                "held-out images": _digest(held_out),
                "start": None if start is None else hashlib.sha256(Path(start).read_bytes()).hexdigest(),
            },
            head,
            torch.optim.AdamW(head.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay),
            steps=config.epochs * epoch,
            steps_per_epoch=epoch,
            evaluate_every=epoch,
            device=device,
        )
        self.CLIP_NORM = config.clip_norm

    def learning_rate(self) -> float:
        """Falls by `gamma` at each milestone."""
        epoch, rate = self.step // self.evaluate_every, self.config.learning_rate
        for share in self.config.milestones:
            rate *= self.config.gamma if epoch >= max(1, round(share * self.config.epochs)) else 1.0
        return rate

    def losses(self) -> Iterator[Tensor]:
        """The mean loss of a batch, image by image: they differ in size, and one alone may fill a GPU."""
        config = self.config
        epoch, number = divmod(self.step, self.evaluate_every)
        order = np.random.default_rng([config.seed, 1, epoch]).permutation(len(self.examples))
        chosen = order[number * config.batch : (number + 1) * config.batch]
        generator = torch.Generator().manual_seed(self.seed_of(epoch, number))
        for i in chosen:
            yield self._loss(self.examples[int(i)], generator) / len(chosen)

    def _loss(self, example: Example, generator: torch.Generator) -> Tensor:
        tokens = torch.from_numpy(np.array(example.tokens))
        if self.config.token_dropout:
            chosen = torch.rand(tokens.shape, generator=generator) >= self.config.token_dropout
            tokens = tokens * chosen / (1 - self.config.token_dropout)
        targets, valid = _targets(example)
        if self.config.mask_dropout:
            chance = torch.rand(len(tokens), generator=generator)
            stay = (chance >= self.config.mask_dropout) | (chance >= chance.sort(descending=True).values[:2].min())
            tokens, targets, valid = tokens[stay], targets[:, stay][:, :, stay], valid[stay][:, stay]
        logits = self.network.logits(tokens.to(self.device))
        return relation_loss(logits, targets.to(self.device), valid.to(self.device))

    def evaluate(self) -> dict[str, float]:
        """Recall on the held-out images, in the epochs that measure it."""
        epoch = self.step // self.evaluate_every
        if not self.held_out or (epoch % self.config.evaluate_every and epoch != self.config.epochs):
            return {}
        counts = hits(self.held_out, [head_probabilities(self.network, example) for example in self.held_out])
        return dict(zip([f"recall_{limit}" for limit in AT], counts.recalls().mean(axis=0).tolist(), strict=True))

    def on_best(self, folder: Path) -> None:
        """Writes the head, after every epoch."""
        write_whole(folder / WEIGHTS, lambda stream: stream.write(pack(self.network)))


def _targets(example: Example) -> tuple[Tensor, Tensor]:
    """(P, N, N) which relations hold, and (N, N) which pairs are taught: both ends a segment, not one and the same."""
    n = len(example.tokens)
    targets = torch.zeros(len(PREDICATES), n, n, dtype=torch.bool)
    subject, other, predicate = torch.from_numpy(example.relations).T
    targets[predicate, subject, other] = True
    matched = torch.zeros(n, dtype=torch.bool)
    matched[torch.from_numpy(example.matched)] = True
    return targets, matched[:, None] & matched[None] & ~torch.eye(n, dtype=torch.bool)


def _new_head(config: RelationTraining) -> RelateAnything:
    size = config.size
    with seeded(config.seed):
        head = RelateAnything(
            hidden=size.hidden,
            intermediate=size.intermediate,
            layers=size.layers,
            embedding=size.embedding,
            positions=2,  # position 1 alone is used; the published table has 512
        )
        for table in (head.model.embeddings.position_embeddings, head.model.embeddings.token_type_embeddings):
            torch.nn.init.normal_(table.weight, std=0.02)  # type: ignore[arg-type,union-attr]  # BERT's
    return head


def _digest(examples: Sequence[Example]) -> str:
    """SHA-256, in hex, of all that is learnt from or measured on."""
    digest = hashlib.sha256()
    for example in examples:
        shapes = [example.key, example.tokens.shape, example.relations.shape, example.annotated]
        digest.update(json.dumps(shapes).encode())
        for array in (example.tokens, example.matched, example.relations):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
