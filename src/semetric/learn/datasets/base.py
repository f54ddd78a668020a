"""What every loader returns: items, problems, and what the data set's own rules leave out."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

import numpy as np

from semetric.errors import UsageError
from semetric.learn.datasets.panoptic import PanopticRecord
from semetric.learn.triplets import Choice, JudgedPair, ScoredTriplet, Triplet

__all__ = [
    "Damaged",
    "Dataset",
    "DatasetItem",
    "DatasetSpec",
    "ImagePair",
    "Kind",
    "OddOneOut",
    "Problems",
    "Unreadable",
    "choices_of",
    "group_of",
]

_NAMED = 200  # problems that are named; further ones are counted

Kind = Literal["choices", "pairs", "scores", "same", "odd_one_out", "panoptic", "unjudged"]
"""The kind of judgement: which candidate is closer, a rating, a score of each candidate, whether two images are the
same, which of three does not belong; or masks with relations; or none."""

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, kw_only=True, slots=True)
class OddOneOut:
    """Three images, and the one of them that an annotator chose as not belonging.

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
        """The trial as two triplets: to each of the other two images, the other one is closer than the odd one.

        Examples:
            >>> trial = OddOneOut(key="0", images=("cat.png", "dog.png", "car.png"), odd=2)
            >>> [(choice.triplet.reference, choice.triplet.a, choice.triplet.b) for choice in trial.choices()]
            [('cat.png', 'dog.png', 'car.png'), ('dog.png', 'cat.png', 'car.png')]
        """
        first, second = (image for place, image in enumerate(self.images) if place != self.odd)
        odd = self.images[self.odd]
        return (self._choice("0", first, second, odd), self._choice("1", second, first, odd))

    def _choice(self, name: str, reference: str, near: str, odd: str) -> Choice:
        triplet = Triplet(
            key=f"{self.key}/{name}", reference=reference, a=near, b=odd, split=self.split, group=self.group
        )
        return Choice(triplet=triplet, share_b=0.0, votes=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagePair:
    """An image and its reference, without a judgement.

    Attributes:
        key: unique within its data set.
        reference: path of the reference.
        image: path of the image.
        split: train, val, test or empty.
        group: where it comes from, or empty.
    """

    key: str
    reference: str
    image: str
    split: str = ""
    group: str = ""


DatasetItem: TypeAlias = Choice | ScoredTriplet | JudgedPair | OddOneOut | ImagePair | PanopticRecord
"""What a data set holds, all of one kind."""


class Damaged(Exception):
    """An entry that cannot be an item; the text says why. Loaders catch it and note it."""


class Unreadable(Damaged):
    """An entry whose file is missing or cannot be read."""


@dataclass(kw_only=True)
class Problems:
    """Entries that are missing or damaged, and therefore no items; loaders add to it.

    Attributes:
        count: number of entries.
        named: the first 200 of them, as "entry: reason".
        unreadable: whether the first one has a file that is missing or cannot be read.

    Examples:
        >>> problems = Problems()
        >>> with problems.of("data.csv, line 3"):
        ...     raise Damaged("its split is 'tset'")
        >>> problems.count, problems.named
        (1, ("data.csv, line 3: its split is 'tset'",))
    """

    count: int = 0
    named: tuple[str, ...] = ()
    unreadable: bool = False

    def __bool__(self) -> bool:
        return self.count > 0

    def add(self, entry: str, reason: object) -> None:
        """Notes an entry."""
        self.unreadable |= not self.count and isinstance(reason, Unreadable)
        self.count += 1
        if len(self.named) < _NAMED:
            self.named += (f"{entry}: {reason}".encode("utf-8", "backslashreplace").decode(),)

    @contextmanager
    def of(self, entry: str) -> Iterator[None]:
        """Notes the entry where the block raises `Damaged`."""
        try:
            yield
        except Damaged as reason:
            self.add(entry, reason)

    def checked(self, items: Iterable[ItemT], what: str, root: Path) -> tuple[ItemT, ...]:
        """The items of a data set.

        Raises:
            UsageError: there is none; names the first problem.
        """
        items = tuple(items)
        if items:
            return items
        first = f" The first problem: {self.named[0]}." if self.named else ""
        more = f" ({self.count} entries are missing or damaged.)" if self.count > 1 else ""
        raise UsageError(f"Expected {what} in {root}; found none that is whole.{first}{more}")


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set, or a split of one. No image was decoded.

    Attributes:
        name: as in the registry.
        root: the folder that it was loaded from.
        kind: what its items are.
        items: in the order of the data set's files.
        split: the split that was loaded; None for all.
        problems: entries that should be there and are not, or are damaged.
        left_out: reason → entries that the data set's own rules leave out.
        published_size: items of the published data set or split; None where that is not known.
        majority: whether a choice counts by its majority (NIGHTS) and not by its shares (BAPPS).
        classes: names behind numbers: thing, stuff and predicate classes.
    """

    name: str
    root: str
    kind: Kind
    items: tuple[DatasetItem, ...]
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
        return self.items  # type: ignore[return-value]  # each was checked

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
    choices: list[Choice] = []
    for item in dataset.items:
        if isinstance(item, Choice):
            choices.append(item)
        elif isinstance(item, OddOneOut):
            choices += item.choices()
        elif isinstance(item, ScoredTriplet):
            share = 0.5 if item.score_a == item.score_b else float(item.score_b > item.score_a)
            choices.append(Choice(triplet=item.triplet, share_b=share))
        else:
            raise UsageError(f"Expected a data set of triplets; {dataset.name} holds {type(item).__name__}.")
    return tuple(choices)


def group_of(item: DatasetItem) -> str:
    """The item's group, or empty."""
    return item.triplet.group if isinstance(item, Choice | ScoredTriplet) else item.group


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """A data set that can be loaded by name. A package adds its own by an entry point of "semetric.datasets".

    Attributes:
        name: as users write it.
        load: (root, split, **options) → data set.
        kind: of its judgements; None where that differs from one to the next.
        summary: its content, in a few words.
        paper: author and year of the paper that describes it.
    """

    name: str
    load: Callable[..., Dataset]
    kind: Kind | None
    summary: str
    paper: str

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the loader's options."""
        parameters = inspect.signature(self.load).parameters.values()
        return tuple(parameter.name for parameter in parameters if parameter.kind is inspect.Parameter.KEYWORD_ONLY)
