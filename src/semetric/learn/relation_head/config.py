"""What a training of the relation head is made of, as plain values."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from semetric.errors import UsageError

__all__ = ["HeadSize", "RelationTraining"]

HEADS = 12  # of attention, fixed by the checkpoint's layout


@dataclass(frozen=True, kw_only=True)
class HeadSize:
    """The shape of the head; the defaults are the published one's, 58 million parameters.

    Attributes:
        hidden: width of the encoder, a multiple of 12.
        intermediate: width inside its feed-forward blocks.
        layers: of the encoder.
        embedding: width of the subject and object embedding of a predicate.
    """

    hidden: int = 768
    intermediate: int = 3072
    layers: int = 2
    embedding: int = 512

    def __post_init__(self) -> None:
        for name in ("hidden", "intermediate", "layers", "embedding"):
            if getattr(self, name) < 1:
                raise UsageError(f"Expected {name} of at least 1; found {getattr(self, name)}.")
        if self.hidden % HEADS:
            raise UsageError(f"Expected a hidden width that {HEADS} heads divide; found {self.hidden}.")


@dataclass(frozen=True, kw_only=True)
class RelationTraining:
    """One training: saved with its checkpoint, which only an equal one can resume.

    Attributes:
        size: the shape of the head; that of `start` where a training begins with a checkpoint.
        epochs: passes over the images.
        batch: images a step; the loss is taken in each and averaged.
        learning_rate: of AdamW, until the first milestone.
        weight_decay: of AdamW.
        milestones: shares of all epochs after which the learning rate is multiplied by `gamma` (MultiStepLR).
        gamma: see milestones.
        clip_norm: gradients are scaled down to this norm.
        token_dropout: share of the numbers of the tokens that are set to 0 while training.
        mask_dropout: share of the masks of an image that are left out of a step, two of them never: the same relations
            in other company. For small sets; 0 leaves all in.
        evaluate_every: epochs between measurements of recall on the held-out images; the last epoch always is one.
        seed: of the initial weights, the order of images and the dropout.
    """

    size: HeadSize = field(default_factory=HeadSize)
    epochs: int = 12
    batch: int = 8
    learning_rate: float = 1e-4
    weight_decay: float = 0.05
    milestones: tuple[float, ...] = (2 / 3, 11 / 12)
    gamma: float = 0.1
    clip_norm: float = 1.0
    token_dropout: float = 0.1
    mask_dropout: float = 0.0
    evaluate_every: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "evaluate_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"Expected {name} of at least 1; found {getattr(self, name)}.")
        if self.seed < 0:
            raise UsageError(f"Expected a seed of at least 0; found {self.seed}.")
        for name in ("learning_rate", "gamma", "clip_norm"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UsageError(f"Expected {name} above 0; found {getattr(self, name)}.")
        for name in ("token_dropout", "mask_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"Expected {name} in [0, 1); found {getattr(self, name)}.")
        if not 0 <= self.weight_decay < float("inf"):
            raise UsageError(f"Expected weight_decay of at least 0; found {self.weight_decay}.")
        if list(self.milestones) != sorted(self.milestones) or not all(0 < share <= 1 for share in self.milestones):
            raise UsageError(f"Expected rising milestones in (0, 1]; found {self.milestones}.")

    def to_dict(self) -> dict[str, Any]:
        """Every field, as plain JSON values."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return values
