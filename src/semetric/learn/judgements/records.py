"""The records of a study: settings, items, annotators, answers."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from semetric.errors import UsageError
from semetric.settings import Settings, setting

__all__ = [
    "KINDS",
    "Annotator",
    "Answer",
    "Image",
    "Item",
    "Published",
    "Side",
    "StoredJudgement",
    "Study",
    "StudyKind",
    "StudySettings",
    "check_name",
    "is_printable",
    "normal_name",
]

StudyKind: TypeAlias = Literal["score", "choice", "same"]
Side: TypeAlias = Literal["a", "b", "reference"]
KINDS: tuple[StudyKind, ...] = ("score", "choice", "same")
_KNOWN = {"score": ("a", "b"), "choice": ("a", "b"), "same": ("same", "different")}
_NAME_CHARACTERS = 80
_OVERRIDES = "\u202d\u202e"


@dataclass(frozen=True, kw_only=True)
class StudySettings(Settings):
    """How a study hands out its items."""

    judgements_per_item: int | None = setting(
        None, "Judgements that complete an item. Default: every annotator judges every item.", low=1
    )
    items_per_annotator: int | None = setting(
        None, "Items that an annotator judges at most, attention checks not counted.", low=1
    )
    check_every: int = setting(
        10, "Items between two attention checks; 0 for none. Checks that are left come at the end.", low=0
    )
    lease_s: float = setting(900.0, "Seconds for which an item stays assigned to an annotator.", above=0)


@dataclass(frozen=True, kw_only=True)
class Study:
    """One question to annotators, and how its items are handed out.

    Attributes:
        id: its number in the file.
        name: unique in the file.
        kind: "score" (a score in [0, 1] for each candidate), "choice" (the closer candidate) or "same" (same or
            different).
        instructions: what the annotators read first; plain text, an empty line between paragraphs.
        image_root: the folder that image paths start from.
        settings: how items are handed out.
        created_utc: ISO 8601.
    """

    id: int
    name: str
    kind: StudyKind
    instructions: str
    image_root: str
    settings: StudySettings
    created_utc: str


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image file of a study.

    Attributes:
        id: its number in the file.
        path: relative to the study's image root, with forward slashes.
        sha256: of the file, in hex.
        media: such as "image/png".
    """

    id: int
    path: str
    sha256: str
    media: str


@dataclass(frozen=True, kw_only=True)
class Item:
    """A unit of judgement: a triplet, or for same/different studies a pair.

    Attributes:
        key: unique in its study.
        reference: path of the reference, relative to the image root.
        a: path of the first candidate, or of a pair's image.
        b: path of the second; None for a pair.
        split: train, val, test or empty.
        group: what it varies or where it comes from, or empty.
        known: for an attention check the right answer: the closer candidate "a" or "b"; "same" or "different".
        extra: other columns of the file it came from.
    """

    key: str
    reference: str
    a: str
    b: str | None = None
    split: str = ""
    group: str = ""
    known: str | None = None
    extra: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def check(self, kind: StudyKind) -> None:
        """Raises UsageError where it cannot belong to a study of that kind."""
        for name in ("key", "reference", "a", "split", "group"):
            if not isinstance(getattr(self, name), str):
                raise UsageError(f"Expected {name} of an item to be text; found {getattr(self, name)!r}.")
        if not self.key:
            raise UsageError(f"Expected a key for the item of reference {self.reference}; found none.")
        if (self.b is None) != (kind == "same"):
            wanted = "a pair (no b)" if kind == "same" else "a triplet (reference, a, b)"
            raise UsageError(f"Expected {wanted} for a {kind!r} study; item {self.key!r} has b = {self.b!r}.")
        if self.known is not None and self.known not in _KNOWN[kind]:
            right = " or ".join(map(repr, _KNOWN[kind]))
            raise UsageError(f"Expected the known answer of {self.key!r} to be {right}; found {self.known!r}.")


@dataclass(frozen=True, kw_only=True)
class Published:
    """An answer that came with a data set: votes counted already.

    Attributes:
        key: of the item.
        share: of the votes, in [0, 1], that chose b, or said "same".
        votes: how many; None where that is not known.
        source: where it comes from; one an item and source.
    """

    key: str
    share: float
    votes: int | None
    source: str


@dataclass(frozen=True, kw_only=True)
class Annotator:
    """A person who judges, in one study.

    Attributes:
        id: their number in the file.
        name: unique in the study.
        created_utc: ISO 8601.
        excluded_utc: since when their judgements do not count; None where they do.
        revocations: how often their links were revoked: a link holds while that number is the one it was made with.
    """

    id: int
    name: str
    created_utc: str
    excluded_utc: str | None = None
    revocations: int = 0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer: exactly one of a choice, two scores, and same or different.

    Attributes:
        choice: the closer candidate, "a" or "b".
        score_a, score_b: how alike the candidates are to the reference, in [0, 1].
        same: whether the images look the same.
    """

    choice: Literal["a", "b"] | None = None
    score_a: float | None = None
    score_b: float | None = None
    same: bool | None = None

    def __post_init__(self) -> None:
        if self.choice not in (None, "a", "b"):
            raise UsageError(f"Expected the choice 'a' or 'b'; found {self.choice!r}.")
        for name, value in (("score_a", self.score_a), ("score_b", self.score_b)):
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if value is not None and not (number and 0 <= value <= 1):
                raise UsageError(f"Expected {name} in [0, 1]; found {value!r}.")
        if self.same is not None and not isinstance(self.same, bool):
            raise UsageError(f"Expected same to be true or false; found {self.same!r}.")
        if (self.score_a is None) != (self.score_b is None):
            raise UsageError("Expected a score for each of a and b; found one of them.")
        if (self.choice is not None) + (self.score_a is not None) + (self.same is not None) != 1:
            raise UsageError("Expected one of a choice, two scores, and same or different; found none or several.")

    @property
    def kind(self) -> StudyKind:
        """The kind of study that it belongs to."""
        return "choice" if self.choice is not None else "score" if self.score_a is not None else "same"

    def agrees(self, known: str) -> bool:
        """Whether it is the known answer of an attention check; for scores the known candidate has the higher one."""
        if self.choice is not None:
            return self.choice == known
        if self.same is not None:
            return self.same == (known == "same")
        a, b = self.score_a or 0.0, self.score_b or 0.0
        return a > b if known == "a" else b > a


@dataclass(frozen=True, kw_only=True)
class StoredJudgement:
    """A stored judgement.

    Attributes:
        id: its number in the file, rising with time.
        uid: identifies it across files.
        key: of the item.
        annotator: name of the annotator.
        answer: of the study's kind.
        shown_left: which image stood at the left: "a" or "b", and "reference" or "a" for pairs.
        seconds: from showing the images to the answer.
        time_utc: ISO 8601.
        retracted_utc: when it was undone; None where it stands.
    """

    id: int
    uid: str
    key: str
    annotator: str
    answer: Answer
    shown_left: Side
    seconds: float
    time_utc: str
    retracted_utc: str | None = None


def normal_name(name: str) -> str:
    """The name composed (Unicode NFC) and without outer spaces: systems write one name in either form."""
    return unicodedata.normalize("NFC", name).strip()


def is_printable(character: str) -> bool:
    """Whether it may stand in one line of text: all but control characters, half surrogates, line breaks, and the two
    marks that turn the direction of letters around, with which one name can be shown as another.

    Python's `str.isprintable` refuses every space but U+0020 as well, and the joiners without which Persian names and
    many emoji cannot be written.
    """
    return unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp") and character not in _OVERRIDES


def check_name(what: str, name: str) -> str:
    """The name as it is stored: composed and without outer spaces.

    Spaces of every script are allowed, and so are joiners, marks of direction and characters for private use, which
    keyboards and file managers write.

    Raises:
        UsageError: it is empty, too long, nothing of it can be seen, or it holds control characters or line breaks.
    """
    normal = normal_name(name)
    refused = [c for c in normal if not is_printable(c)]
    if refused:
        codes = ", ".join(f"U+{ord(c):04X}" for c in dict.fromkeys(refused[:5]))
        raise UsageError(f"Expected {what} in one line of printable characters; found {codes}.")
    if len(normal) > _NAME_CHARACTERS:
        raise UsageError(f"Expected {what} of 1 to {_NAME_CHARACTERS} printable characters; found {len(normal)}.")
    if not any(unicodedata.category(c)[0] in "LNPS" or unicodedata.category(c) in ("Cn", "Co") for c in normal):
        raise UsageError(f"Expected {what} with a printable character that can be seen; found {name[:99]!r}.")
    return normal
