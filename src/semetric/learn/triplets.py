"""Judged items: two candidates against a reference, or one image against a reference."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from semetric.errors import UsageError

__all__ = ["Choice", "JudgedPair", "ScoredTriplet", "Triplet"]


@dataclass(frozen=True, kw_only=True)
class Triplet:
    """A reference and two candidates.

    Attributes:
        key: unique within its data set.
        reference: path of the reference.
        a: path of the first candidate ("left" in NIGHTS, "p0" in BAPPS).
        b: path of the second.
        split: train, val, test or empty.
        group: what the triplet varies or where it comes from (a dimension, a subset), or empty.
        extra: other columns of the file it comes from, by name; None for none.
    """

    key: str
    reference: str
    a: str
    b: str
    split: str = ""
    group: str = ""
    extra: Mapping[str, str] | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A triplet, and which candidate people chose as the closer one.

    Attributes:
        triplet: what was shown.
        share_b: share of people who chose b, in [0, 1].
        votes: how many people; None where that is not known.
    """

    triplet: Triplet
    share_b: float
    votes: int | None = None

    def __post_init__(self) -> None:
        _check_unit("the share that chose b", self.share_b)


@dataclass(frozen=True, kw_only=True)
class ScoredTriplet:
    """A triplet whose candidates people scored, as SeSS asks (arXiv 2406.03865, III-C).

    Attributes:
        triplet: what was shown.
        score_a: how alike a is to the reference, in [0, 1]; 1 is the same meaning.
        score_b: how alike b is to the reference, in [0, 1].
    """

    triplet: Triplet
    score_a: float
    score_b: float

    def __post_init__(self) -> None:
        _check_unit("the score of a", self.score_a)
        _check_unit("the score of b", self.score_b)


@dataclass(frozen=True, kw_only=True)
class JudgedPair:
    """An image that people rated against its reference.

    Attributes:
        key: unique within its data set.
        reference: path of the reference.
        image: path of the image.
        opinion: the mean opinion in the data set's own unit, higher being more alike; for same/different studies
            the share of people who said "same".
        split: train, val, test or empty.
        group: the kind of distortion or the subset, or empty.
        votes: how many people; None where that is not known.
    """

    key: str
    reference: str
    image: str
    opinion: float
    split: str = ""
    group: str = ""
    votes: int | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.opinion):
            raise UsageError(f"Expected a finite opinion of {self.key}; found {self.opinion!r}.")


def _check_unit(what: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise UsageError(f"Expected {what} in [0, 1]; found {value!r}.")
