"""The state of a training of the relation head: its epochs, measurements and checkpoints."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from semetric.errors import UsageError, WeightsCorruptError
from semetric.learn.relation_head.config import RelationTraining
from semetric.learn.relation_head.evaluation import head_probabilities
from semetric.learn.relation_head.examples import Example
from semetric.learn.relation_head.loss import relation_loss
from semetric.learn.relation_head.recall import AT, hits
from semetric.models.relate_anything import RelateAnything, load_relate_anything
from semetric.scene.predicates import PREDICATES

__all__ = ["Run"]

Row = dict[str, float]


class Run:
    """Everything that changes while training.

    Args:
        config: of the training.
        examples: to learn from; those without relations are passed over.
        held_out: to measure recall on; may be none.
        start: a checkpoint of the config's size to begin with, or None for random weights.
        device: "cpu" or "cuda".

    Raises:
        UsageError: no relations at all.
    """

    def __init__(
        self,
        config: RelationTraining,
        examples: Sequence[Example],
        held_out: Sequence[Example],
        start: str | os.PathLike[str] | None,
        device: str,
    ) -> None:
        self.config, self.device, self.held_out = config, device, held_out
        self.examples = [one for one in examples if len(one.relations)]
        if not self.examples:
            raise UsageError("Expected images whose relations SAM's masks show; found none to train on.")
        self.data = _digest(self.examples, held_out, start)
        self.head = (
            (_new(config) if start is None else load_relate_anything(start).requires_grad_(True)).to(device).train()
        )
        self.optimiser = torch.optim.AdamW(
            self.head.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        after = [max(1, round(share * config.epochs)) for share in config.milestones]
        self.schedule = torch.optim.lr_scheduler.MultiStepLR(self.optimiser, after, gamma=config.gamma)
        self.epoch = 0
        self.elapsed_s = 0.0
        self.history: list[Row] = []

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return -(-len(self.examples) // self.config.batch)

    def step(self, number: int) -> float:
        """One step of the epoch in hand; returns its loss. What it draws follows from seed, epoch and number alone."""
        config = self.config
        order = np.random.default_rng([config.seed, 1, self.epoch]).permutation(len(self.examples))
        chosen = order[number * config.batch : (number + 1) * config.batch]
        seed = int(np.random.default_rng([config.seed, 2, self.epoch, number]).integers(2**62))
        draws = torch.Generator().manual_seed(seed)
        self.optimiser.zero_grad(set_to_none=True)
        total = 0.0
        for i in chosen:  # image by image: they differ in size, and one alone may fill a GPU
            loss = self._loss(self.examples[int(i)], draws) / len(chosen)
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.item())
        if not math.isfinite(total):
            raise UsageError(
                f"Expected a finite loss; found {total} in epoch {self.epoch + 1}. Use a lower learning rate than "
                f"{config.learning_rate:g}, in another folder."
            )
        torch.nn.utils.clip_grad_norm_(self.head.parameters(), config.clip_norm)
        self.optimiser.step()
        return total

    def _loss(self, example: Example, draws: torch.Generator) -> Tensor:
        tokens = torch.from_numpy(np.array(example.tokens))
        if self.config.token_dropout:
            kept = torch.rand(tokens.shape, generator=draws) >= self.config.token_dropout
            tokens = tokens * kept / (1 - self.config.token_dropout)
        targets, valid = _targets(example)
        if self.config.mask_dropout:
            chance = torch.rand(len(tokens), generator=draws)
            stay = (chance >= self.config.mask_dropout) | (chance >= chance.sort(descending=True).values[:2].min())
            tokens, targets, valid = tokens[stay], targets[:, stay][:, :, stay], valid[stay][:, stay]
        return relation_loss(self.head.logits(tokens.to(self.device)), targets.to(self.device), valid.to(self.device))

    def finish_epoch(self, losses: Sequence[float]) -> None:
        """Moves the learning rate on and, where it is time, measures recall."""
        rate = self.schedule.get_last_lr()[0]
        self.epoch += 1
        self.schedule.step()
        row: Row = {
            "epoch": float(self.epoch),
            "elapsed_s": round(self.elapsed_s, 1),
            "learning_rate": float(rate),
            "loss": sum(losses) / len(losses),
        }
        due = self.epoch % self.config.evaluate_every == 0 or self.epoch == self.config.epochs
        recalls = [math.nan] * len(AT)
        if self.held_out and due:
            self.head.eval()
            found = hits(self.held_out, [head_probabilities(self.head, one) for one in self.held_out])
            self.head.train()
            recalls = found.recalls().mean(axis=0).tolist()
        self.history.append(row | {f"recall_{limit}": value for limit, value in zip(AT, recalls, strict=True)})

    def curve(self) -> str:
        """The log as CSV; recall is empty where it was not measured."""
        lines = [",".join(self.history[0])]
        lines += [",".join("" if math.isnan(v) else f"{v:.6g}" for v in row.values()) for row in self.history]
        return "\n".join(lines) + "\n"

    def save(self, stream: Any) -> None:
        """Writes the checkpoint."""
        state = {
            "config": json.dumps(self.config.to_dict()),
            "data": self.data,
            "epoch": self.epoch,
            "elapsed_s": self.elapsed_s,
            "head": self.head.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": {"last_epoch": self.schedule.last_epoch, "rates": self.schedule.get_last_lr()},
            "history": self.history,
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        stream.write(buffer.getbuffer())

    def restore(self, path: Path) -> None:
        """Reads a checkpoint of an equal config on equal images.

        Raises:
            UsageError: of another training.
            WeightsCorruptError: it is damaged.
        """
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            config, data = json.loads(state["config"]), state["data"]
        except Exception as error:  # torch.load raises nearly anything on a damaged file
            raise WeightsCorruptError(
                f"Expected a checkpoint of a relation training at {path}; it cannot be read "
                f"({type(error).__name__}). Remove it to begin anew."
            ) from error
        expected = self.config.to_dict()
        differing = sorted(name for name in expected.keys() | config.keys() if expected.get(name) != config.get(name))
        if differing:
            raise UsageError(
                f"Expected the config of the training in {path.parent}, which differs in {', '.join(differing)}. "
                "Give the same options, or another folder."
            )
        if data != self.data:
            raise UsageError(
                f"Expected the images, masks and start of the training in {path.parent}; found others. Use another "
                "folder."
            )
        try:
            self.head.load_state_dict(state["head"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.schedule.last_epoch = int(state["schedule"]["last_epoch"])
            self.schedule._last_lr = [float(rate) for rate in state["schedule"]["rates"]]
            self.epoch, self.elapsed_s = int(state["epoch"]), float(state["elapsed_s"])
            self.history = [dict(row) for row in state["history"]]
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise WeightsCorruptError(
                f"Expected a whole checkpoint of a relation training at {path}; {error}. Remove it to begin anew."
            ) from error


def _targets(example: Example) -> tuple[Tensor, Tensor]:
    """(P, N, N) which relations hold, and (N, N) which pairs are taught: both ends a segment, not one and the same."""
    n = len(example.tokens)
    targets = torch.zeros(len(PREDICATES), n, n, dtype=torch.bool)
    subject, other, predicate = torch.from_numpy(example.relations).T
    targets[predicate, subject, other] = True
    matched = torch.zeros(n, dtype=torch.bool)
    matched[torch.from_numpy(example.matched)] = True
    return targets, matched[:, None] & matched[None] & ~torch.eye(n, dtype=torch.bool)


def _new(config: RelationTraining) -> RelateAnything:
    with torch.random.fork_rng(devices=[]):  # initial weights come from torch's global generator, which stays
        torch.manual_seed(config.seed)
        size = config.size
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


def _digest(examples: Sequence[Example], held_out: Sequence[Example], start: str | os.PathLike[str] | None) -> str:
    """Of everything that is learnt from or measured on."""
    digest = hashlib.sha256(b"" if start is None else Path(start).read_bytes())
    for part in (examples, held_out):
        digest.update(f"{len(part)}\n".encode())
        for one in part:
            digest.update(json.dumps([one.key, one.tokens.shape, one.relations.shape, one.annotated]).encode())
            for array in (one.tokens, one.matched, one.relations):
                digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
