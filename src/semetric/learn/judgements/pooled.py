"""Judgements of several people, and published ones, put together item by item."""

from __future__ import annotations

from dataclasses import dataclass

from semetric.errors import UsageError
from semetric.learn.judgements.records import Item, Study
from semetric.learn.judgements.store import JudgementStore
from semetric.learn.triplets import Choice, JudgedPair, ScoredTriplet, Triplet

__all__ = ["Pooled", "choices", "judged_pairs", "pool", "scored_triplets"]


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """An item and what people said of it together.

    Attributes:
        item: what was judged; no attention check.
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
    said: dict[str, list[tuple[float, float]]] = {}
    for judgement in store.judgements(study):
        answer = judgement.answer
        if answer.score_a is not None and answer.score_b is not None:
            said.setdefault(judgement.key, []).append((answer.score_a, answer.score_b))
        else:
            said.setdefault(judgement.key, []).append((float(answer.choice == "b" or answer.same is True), 0.0))
    published: dict[str, list[tuple[float, int | None]]] = {}
    for known in store.published(study):
        published.setdefault(known.key, []).append((known.share, known.votes))
    found = []
    for item in store.items(study):
        own = said.get(item.key, [])
        others = published.get(item.key, [])
        if item.known is not None or not (own or others):
            continue
        if study.kind == "score":
            if own:
                means = (sum(a for a, _ in own) / len(own), sum(b for _, b in own) / len(own))
                found.append(Pooled(item=item, share=None, votes=len(own), scores=means))
            continue
        found.append(_shared(item, [share for share, _ in own], others))
    return found


def choices(store: JudgementStore, study: Study) -> list[Choice]:
    """The choices of a study, with the paths of its image folder.

    Raises:
        UsageError: a study of another kind, or as `pool`.
    """
    _check(study, "choice")
    return [
        Choice(triplet=_triplet(store, study, found.item), share_b=found.share, votes=found.votes)
        for found in pool(store, study)
        if found.share is not None
    ]


def scored_triplets(store: JudgementStore, study: Study) -> list[ScoredTriplet]:
    """The mean scores of a study, with the paths of its image folder.

    Raises:
        UsageError: a study of another kind.
    """
    _check(study, "score")
    return [
        ScoredTriplet(triplet=_triplet(store, study, found.item), score_a=found.scores[0], score_b=found.scores[1])
        for found in pool(store, study)
        if found.scores is not None
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
            key=found.item.key,
            reference=str(root / found.item.reference),
            image=str(root / found.item.a),
            opinion=found.share,
            split=found.item.split,
            group=found.item.group,
        )
        for found in pool(store, study)
        if found.share is not None
    ]


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
