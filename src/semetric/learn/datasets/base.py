"""What every loader returns: items, what could not be loaded, and what was left out by rule."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar

import numpy as np

from semetric.errors import UsageError
from semetric.learn.datasets.panoptic import PanopticRecord
from semetric.learn.triplets import Choice, JudgedPair, ScoredTriplet, Triplet

__all__ = ["NAMED", "Dataset", "ImagePair", "Item", "Kind", "OddOneOut", "Problems", "choices_of", "group_of"]

NAMED = 200  # problems that are named; further ones are counted

Kind = Literal["choices", "pairs", "scores", "same", "odd_one_out", "panoptic", "unjudged"]
"""What people said: which candidate is closer, a rating, a score of each candidate, whether two images are the same,
which of three does not belong; or masks with relations; or nothing."""

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, kw_only=True, slots=True)
class OddOneOut:
    """Three images of which somebody said which one does not belong.

    Attributes:
        key: unique within its data set.
        images: three paths.
        odd: which of them was chosen: 0, 1 or 2.
        split: train, val, test or empty.
        group: where it comes from, or empty.
    """

    key: str
    images: tuple[str, str, str]
    odd: int
    split: str = ""
    group: str = ""

    def __post_init__(self) -> None:
        if self.odd not in (0, 1, 2):
            raise UsageError(f"Expected the odd one of {self.key} to be 0, 1 or 2; found {self.odd!r}.")

    def choices(self) -> tuple[Choice, Choice]:
        """What it says of triplets: to each of the other two, the other is closer than the odd one."""
        one, two = (image for place, image in enumerate(self.images) if place != self.odd)
        odd = self.images[self.odd]
        return (self._choice("0", one, two, odd), self._choice("1", two, one, odd))

    def _choice(self, name: str, reference: str, near: str, odd: str) -> Choice:
        triplet = Triplet(
            key=f"{self.key}/{name}", reference=reference, a=near, b=odd, split=self.split, group=self.group
        )
        return Choice(triplet=triplet, share_b=0.0, votes=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagePair:
    """An image and its reference that nobody rated.

    Attributes:
        key: unique within its data set.
        reference: path.
        image: path.
        split: train, val, test or empty.
        group: where it comes from, or empty.
    """

    key: str
    reference: str
    image: str
    split: str = ""
    group: str = ""


Item: TypeAlias = Choice | ScoredTriplet | JudgedPair | OddOneOut | ImagePair | PanopticRecord
"""What a data set holds, all of one kind."""


@dataclass(frozen=True, kw_only=True)
class Problems:
    """Entries that are missing or damaged, and therefore no items.

    Attributes:
        count: how many.
        named: the first 200 of them, as "entry: why".
    """

    count: int = 0
    named: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.count > 0


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set, or a split of one. No image was decoded.

    Attributes:
        name: as in the registry.
        root: the folder that it was loaded from.
        kind: what its items are.
        items: in the order of the data set's files.
        split: the split that was asked for; None for all.
        problems: entries that should be there and are not, or are damaged.
        left_out: reason → entries that the data set's own rules leave out.
        published_size: items of the published data set or split; None where that is not known.
        majority: whether a choice counts by its majority (NIGHTS) and not by its shares (BAPPS).
        classes: names behind numbers: thing, stuff and predicate classes.
    """

    name: str
    root: str
    kind: Kind
    items: tuple[Item, ...]
    split: str | None = None
    problems: Problems = field(default_factory=Problems)
    left_out: Mapping[str, int] = field(default_factory=dict)
    published_size: int | None = None
    majority: bool = False
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.items)

    def of(self, kind: type[ItemT]) -> tuple[ItemT, ...]:
        """The items as what they are.

        Raises:
            UsageError: they are something else.
        """
        for item in self.items:
            if not isinstance(item, kind):
                raise UsageError(
                    f"Expected a data set of {kind.__name__}; {self.name} holds {type(item).__name__} ({self.kind})."
                )
        return self.items  # type: ignore[return-value]  # each was looked at

    def sample(self, size: int, rng: np.random.Generator) -> Dataset:
        """The data set with that many of its items, drawn without replacement, in their order.

        Args:
            size: at least 1; the whole data set where it has no more.
            rng: of the draw.

        Raises:
            UsageError: a size below 1.
        """
        if size < 1:
            raise UsageError(f"Expected at least 1 item; found {size}.")
        if size >= len(self.items):
            return self
        chosen = sorted(rng.choice(len(self.items), size, replace=False).tolist())
        return dataclasses.replace(self, items=tuple(self.items[i] for i in chosen), published_size=None)


def choices_of(dataset: Dataset) -> tuple[Choice, ...]:
    """The data set as forced choices, whatever judged triplets it holds.

    An odd-one-out trial is two choices; of a scored triplet the candidate with the higher score is
    chosen, and equal scores are half a choice each.

    Raises:
        UsageError: its items are no triplets.
    """
    found: list[Choice] = []
    for item in dataset.items:
        if isinstance(item, Choice):
            found.append(item)
        elif isinstance(item, OddOneOut):
            found += item.choices()
        elif isinstance(item, ScoredTriplet):
            share = 0.5 if item.score_a == item.score_b else float(item.score_b > item.score_a)
            found.append(Choice(triplet=item.triplet, share_b=share))
        else:
            raise UsageError(f"Expected a data set of triplets; {dataset.name} holds {type(item).__name__}.")
    return tuple(found)


def group_of(item: Item) -> str:
    """The item's group, or empty."""
    return item.triplet.group if isinstance(item, Choice | ScoredTriplet) else item.group
