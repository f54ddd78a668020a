"""The settings of a training of DreamSim."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from semetric.errors import UsageError

__all__ = ["METHODS", "PRECISIONS", "DreamSimTraining", "Method", "Precision"]

Method: TypeAlias = Literal["lora", "mlp"]
Precision: TypeAlias = Literal["auto", "float32", "bfloat16", "float16"]

METHODS: tuple[Method, ...] = ("lora", "mlp")
PRECISIONS: tuple[Precision, ...] = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True, kw_only=True)
class DreamSimTraining:
    """One training: saved with its checkpoint, which only an equal one can resume.

    The defaults are those published for a single trunk with LoRA (Fu et al., "DreamSim", arXiv 2306.09344, and the
    authors' package); `published` has those of ensembles and of MLP heads.

    Attributes:
        method: "lora" tunes the query-key-value matrices of every block; "mlp" trains a head behind frozen trunks.
        rank: of LoRA's matrices, r.
        alpha: of LoRA; its product is scaled by alpha / rank.
        dropout: on LoRA's input.
        hidden: units of the MLP head.
        margin: of the hinge loss, in units of the distance.
        learning_rate: of Adam.
        beta_1: of Adam.
        beta_2: of Adam.
        weight_decay: of Adam.
        batch: triplets a step.
        epochs: passes over the triplets, unless it stops early.
        held_out: share of the references that is kept from training, where the data set has no split of its own.
        evaluate_every: steps between evaluations on the triplets held out; 0 for one at the end of each epoch.
        patience: evaluations without a better one after which it stops; 0 for never.
        precision: of the trunks' arithmetic. "auto" is bfloat16 or float16 on a CUDA device that has it, and float32
            on a processor.
        gather: whether a batch's triplets come from few references, so that images which they share pass the trunks
            once; otherwise triplets are shuffled alone, as published.
        seed: of the initial weights, the split, the order and the dropout.
    """

    method: Method = "lora"
    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.2
    hidden: int = 512
    margin: float = 0.05
    learning_rate: float = 3e-4
    beta_1: float = 0.5
    beta_2: float = 0.999
    weight_decay: float = 0.0
    batch: int = 32
    epochs: int = 8
    held_out: float = 0.1
    evaluate_every: int = 0
    patience: int = 0
    precision: Precision = "auto"
    gather: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name, choices in (("method", METHODS), ("precision", PRECISIONS)):
            if getattr(self, name) not in choices:
                raise UsageError(f"Expected {name} among {', '.join(choices)}; found {getattr(self, name)!r}.")
        for name in ("rank", "hidden", "batch", "epochs"):
            if getattr(self, name) < 1:
                raise UsageError(f"Expected {name} of at least 1; found {getattr(self, name)}.")
        for name in ("evaluate_every", "patience", "seed"):
            if getattr(self, name) < 0:
                raise UsageError(f"Expected {name} of at least 0; found {getattr(self, name)}.")
        for name in ("alpha", "margin", "learning_rate"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UsageError(f"Expected {name} above 0; found {getattr(self, name)}.")
        for name in ("dropout", "beta_1", "beta_2", "held_out"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"Expected {name} from 0 to below 1; found {getattr(self, name)}.")
        if self.weight_decay < 0:
            raise UsageError(f"Expected a weight_decay of at least 0; found {self.weight_decay}.")

    @classmethod
    def published(cls, method: Method = "lora", *, trunks: int = 1, **changes: Any) -> DreamSimTraining:
        """The published hyper-parameters, with changes.

        Args:
            method: "lora" or "mlp".
            trunks: how many; above 1 it is an ensemble.
            changes: fields and their values.
        """
        if method == "mlp":
            values: dict[str, Any] = {"batch": 512, "epochs": 20}
        elif trunks > 1:
            values = {"alpha": 8.0, "dropout": 0.3, "batch": 16, "epochs": 6}
        else:
            values = {}
        return cls(**{"method": method, **values, **changes})

    def to_dict(self) -> dict[str, Any]:
        """Every field, as plain JSON values."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return values
