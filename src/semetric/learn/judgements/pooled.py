"""Studies and data sets: the judgements of a study pooled by item, and the items of a data set as a study."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from semetric.errors import ImageError, UsageError
from semetric.learn.judgements.records import Item, Published, Study
from semetric.learn.judgements.store import JudgementStore
from semetric.learn.triplets import Choice, JudgedPair, ScoredTriplet, Triplet

if TYPE_CHECKING:
    from semetric.learn.datasets import Dataset

__all__ = ["Pooled", "choices", "import_dataset", "judged_pairs", "pool", "scored_triplets"]


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """An item and its pooled judgements.

    Attributes:
        item: the judged one; no attention check.
        share: of the votes, in [0, 1], that chose b, or said "same"; None for scores.
        votes: how many; None where a data set does not say.
        scores: the means of a's and b's scores; None but for scores.
    """

    item: Item
    share: float | None
    votes: int | None
    scores: tuple[float, float] | None


def pool(store: JudgementStore, study: Study) -> list[Pooled]:
    """Every item that was judged, in the order in which they were added.

    Standing judgements and published answers count alike, a vote each.

    Raises:
        UsageError: an item with judgements and with a published answer of an unknown number of votes.
    """
    with store.view():
        return _pool(store, study)


def _pool(store: JudgementStore, study: Study) -> list[Pooled]:
    answers: dict[str, list[tuple[float, float]]] = {}
    for judgement in store.judgements(study):
        answer = judgement.answer
        if answer.score_a is not None and answer.score_b is not None:
            answers.setdefault(judgement.key, []).append((answer.score_a, answer.score_b))
        else:
            answers.setdefault(judgement.key, []).append((float(answer.choice == "b" or answer.same is True), 0.0))
    published: dict[str, list[tuple[float, int | None]]] = {}
    for entry in store.published(study):
        published.setdefault(entry.key, []).append((entry.share, entry.votes))
    pooled = []
    for item in store.items(study):
        own = answers.get(item.key, [])
        others = published.get(item.key, [])
        if item.known is not None or not (own or others):
            continue
        if study.kind == "score":
            if own:
                means = (sum(a for a, _ in own) / len(own), sum(b for _, b in own) / len(own))
                pooled.append(Pooled(item=item, share=None, votes=len(own), scores=means))
            continue
        pooled.append(_shared(item, [share for share, _ in own], others))
    return pooled


def choices(store: JudgementStore, study: Study) -> list[Choice]:
    """The choices of a study, with the paths of its image folder.

    Raises:
        UsageError: a study of another kind, or as `pool`.
    """
    _check(study, "choice")
    return [
        Choice(triplet=_triplet(store, study, pooled.item), share_b=pooled.share, votes=pooled.votes)
        for pooled in pool(store, study)
        if pooled.share is not None
    ]


def scored_triplets(store: JudgementStore, study: Study) -> list[ScoredTriplet]:
    """The mean scores of a study, with the paths of its image folder.

    Raises:
        UsageError: a study of another kind.
    """
    _check(study, "score")
    return [
        ScoredTriplet(triplet=_triplet(store, study, pooled.item), score_a=pooled.scores[0], score_b=pooled.scores[1])
        for pooled in pool(store, study)
        if pooled.scores is not None
    ]


def judged_pairs(store: JudgementStore, study: Study) -> list[JudgedPair]:
    """The pairs of a same/different study with the share of people who said "same".

    Raises:
        UsageError: a study of another kind, or as `pool`.
    """
    _check(study, "same")
    root = store.root(study)
    return [
        JudgedPair(
            key=pooled.item.key,
            reference=str(root / pooled.item.reference),
            image=str(root / pooled.item.a),
            opinion=pooled.share,
            split=pooled.item.split,
            group=pooled.item.group,
            votes=pooled.votes,
        )
        for pooled in pool(store, study)
        if pooled.share is not None
    ]


def import_dataset(
    store: JudgementStore,
    study: Study,
    dataset: Dataset,
    source: str,
    *,
    progress: Callable[[int], None] | None = None,
) -> tuple[int, int]:
    """Adds the items of a data set to a study, and its judgements as published answers; all or nothing.

    Args:
        store: of the study.
        study: of kind "choice" for choices, "same" for same-or-different judgements. Its image folder holds the images.
        dataset: without damaged entries.
        source: the name under which published answers are stored; the same again is no second one.
        progress: as for `add_items`.

    Returns:
        How many items are new, and how many were there.

    Raises:
        UsageError: a study of another kind, damaged entries, or as `add_items` and `add_published`.
        ImageError: images or judgements that are missing or cannot be read.
    """
    kinds = {"choices": "choice", "same": "same"}
    if kinds.get(dataset.kind) != study.kind:
        raise UsageError(
            f"Expected a {kinds.get(dataset.kind, 'choice')!r} study for {dataset.name}; {study.name!r} is a "
            f"{study.kind!r} study."
        )
    if dataset.problems:
        raise (ImageError if dataset.problems.unreadable else UsageError)(
            f"Expected {dataset.name} without damaged entries to import; found {dataset.problems.count}, the first: "
            f"{dataset.problems.named[0]}."
        )
    root = store.root(study)

    def inside(path: str) -> str:
        return Path(path).relative_to(root).as_posix()

    items: list[Item] = []
    answers: list[Published] = []
    shown: Triplet | JudgedPair
    images: tuple[str, ...]
    entries: Sequence[Choice | JudgedPair] = dataset.of(Choice) if study.kind == "choice" else dataset.of(JudgedPair)
    for entry in entries:
        if isinstance(entry, Choice):
            shown, share, images = entry.triplet, entry.share_b, (entry.triplet.a, entry.triplet.b)
        else:
            shown, share, images = entry, entry.opinion, (entry.image,)
        items.append(
            Item(
                key=shown.key,
                reference=inside(shown.reference),
                a=inside(images[0]),
                b=inside(images[1]) if len(images) > 1 else None,
                split=shown.split,
                group=shown.group,
                extra=(shown.extra if isinstance(shown, Triplet) else None) or {},
            )
        )
        answers.append(Published(key=shown.key, share=share, votes=entry.votes, source=source))
    with store.transaction():
        counts = store.add_items(study, items, progress=progress)
        store.add_published(study, answers)
    return counts


def _shared(item: Item, own: list[float], others: list[tuple[float, int | None]]) -> Pooled:
    if len(own) == 0 and len(others) == 1:  # as it was published, to the last bit
        return Pooled(item=item, share=others[0][0], votes=others[0][1], scores=None)
    total, votes = sum(own), len(own)
    for share, count in others:
        if count is None:
            raise UsageError(
                f"Expected the number of votes behind the published answer about {item.key!r}, to count it together "
                "with other judgements; it is not known. Import it again with the number of votes, into a new study."
            )
        total += share * count
        votes += count
    return Pooled(item=item, share=min(1.0, total / votes), votes=votes, scores=None)


def _triplet(store: JudgementStore, study: Study, item: Item) -> Triplet:
    root = store.root(study)
    return Triplet(
        key=item.key,
        reference=str(root / item.reference),
        a=str(root / item.a),
        b=str(root / (item.b or item.a)),
        split=item.split,
        group=item.group,
    )


def _check(study: Study, kind: str) -> None:
    if study.kind != kind:
        raise UsageError(f"Expected a {kind!r} study; {study.name!r} is a {study.kind!r} study.")
