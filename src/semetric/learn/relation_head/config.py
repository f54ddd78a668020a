"""The settings of a training of the relation head."""

from __future__ import annotations

from dataclasses import dataclass

from semetric.errors import UsageError
from semetric.settings import Settings, setting

__all__ = ["HeadSize", "RelationTraining"]

HEADS = 12  # of attention, fixed by the checkpoint's layout


@dataclass(frozen=True, kw_only=True)
class HeadSize(Settings):
    """The shape of the head; the defaults are the published one's, 58 million parameters."""

    hidden: int = setting(768, "Width of the head's encoder, a multiple of 12.", low=1)
    intermediate: int = setting(3072, "Width inside its feed-forward blocks.", low=1)
    layers: int = setting(2, "Number of its blocks.", low=1)
    embedding: int = setting(512, "Width of the subject and object embedding of a predicate.", low=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden % HEADS:
            raise UsageError(f"Expected a hidden width that {HEADS} heads divide; found {self.hidden}.")


@dataclass(frozen=True, kw_only=True)
class RelationTraining(Settings):
    """One training: saved with its checkpoint, which only an equal one can resume.

    The loss is taken in each image and averaged over a batch. Mask dropout leaves two masks of an image at least: the
    same relations in other company, for small sets. The last epoch always measures recall.
    """

    size: HeadSize = setting(HeadSize, "The shape of the head; that of `start` where there is one.", flag=False)
    epochs: int = setting(12, "Passes over the images.", low=1)
    batch: int = setting(8, "Images per step.", low=1)
    learning_rate: float = setting(1e-4, "Learning rate of AdamW, until the first milestone.", above=0)
    weight_decay: float = setting(0.05, "Weight decay of AdamW.", low=0, flag=False)
    milestones: tuple[float, ...] = setting(
        (2 / 3, 11 / 12),
        "Shares of all epochs after which the learning rate is multiplied by gamma, rising.",
        above=0,
        high=1,
        flag=False,
    )
    gamma: float = setting(0.1, "What milestones multiply the learning rate by.", above=0, flag=False)
    clip_norm: float = setting(1.0, "Gradients are scaled down to this norm.", above=0, flag=False)
    token_dropout: float = setting(
        0.1, "Share of the numbers of the tokens set to 0 while training.", low=0, below=1, flag=False
    )
    mask_dropout: float = setting(0.0, "Share of an image's masks left out of a step.", low=0, below=1, flag=False)
    evaluate_every: int = setting(1, "Epochs between measurements of recall.", low=1, flag=False)
    seed: int = setting(0, "Seed of all random numbers.", low=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if list(self.milestones) != sorted(self.milestones):
            raise UsageError(f"Expected rising milestones; found {self.milestones}.")
