"""The settings of a training of DreamSim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from semetric.settings import Settings, setting

__all__ = ["DreamSimTraining", "Method", "Precision"]

Method: TypeAlias = Literal["lora", "mlp"]
Precision: TypeAlias = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True, kw_only=True)
class DreamSimTraining(Settings):
    """One training: saved with its checkpoint, which only an equal one can resume.

    The defaults are those published for a single trunk with LoRA (Fu et al., "DreamSim", arXiv 2306.09344, and the
    authors' package); `published` has those of ensembles and of MLP heads. "lora" tunes the query-key-value matrices of
    every block; "mlp" trains a head behind frozen trunks. LoRA's product is scaled by alpha / rank.

    Examples:
        >>> DreamSimTraining.published("mlp", seed=1).batch
        512
    """

    method: Method = setting("lora", "lora, or mlp for a head behind frozen trunks.")
    rank: int = setting(16, "Rank of LoRA's matrices.", low=1)
    alpha: float = setting(32.0, "Scale α of LoRA; of ensembles 8.", above=0)
    dropout: float = setting(0.2, "Dropout on LoRA's input; of ensembles 0.3.", low=0, below=1)
    hidden: int = setting(512, "Units of the head.", low=1)
    margin: float = setting(0.05, "Margin of the hinge loss, in units of the distance.", above=0)
    learning_rate: float = setting(3e-4, "Learning rate of Adam.", above=0)
    beta_1: float = setting(0.5, "Decay of Adam's mean of gradients.", low=0, below=1, flag=False)
    beta_2: float = setting(0.999, "Decay of Adam's mean of squared gradients.", low=0, below=1, flag=False)
    weight_decay: float = setting(0.0, "Weight decay of Adam.", low=0, flag=False)
    batch: int = setting(32, "Triplets per step; of ensembles 16, of heads 512.", low=1)
    epochs: int = setting(8, "Epochs, unless it stops early; of ensembles 6, of heads 20.", low=1)
    held_out: float = setting(0.1, "Share of the references held out, where the data has no val split.", low=0, below=1)
    evaluate_every: int = setting(0, "Steps between evaluations; 0 for once an epoch.", low=0)
    patience: int = setting(0, "Evaluations without improvement before training stops; 0 for never.", low=0)
    precision: Precision = setting(
        "auto", "Precision: auto (bfloat16 or float16 on a CUDA device), float32, bfloat16 or float16."
    )
    gather: bool = setting(False, "Batches of few references: faster where triplets share images.")
    seed: int = setting(0, "Seed of all random numbers.", low=0)

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
