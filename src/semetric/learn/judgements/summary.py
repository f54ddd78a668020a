"""How a study stands: progress, annotators, attention checks, agreement."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

import numpy as np

from semetric.learn.agreement.krippendorff import krippendorff_alpha
from semetric.learn.judgements.records import Annotator, StoredJudgement, Study
from semetric.learn.judgements.store import JudgementStore

__all__ = ["AnnotatorSummary", "StudySummary", "agreement", "summarise"]


@dataclass(frozen=True, kw_only=True)
class AnnotatorSummary:
    """One annotator.

    Attributes:
        id: of the annotator.
        name: of the annotator.
        excluded_utc: since when their judgements do not count; None where they do.
        judged: judgements that stand, attention checks not counted.
        undone: judgements taken back.
        checks: attention checks answered.
        checks_right: how many of them as they should be.
        seconds: the median of the judgements that stand; None without any.
        left: share of choices, or of higher scores, that fell to the image at the left; None without any.
        last_utc: time of the latest judgement; None without any.
    """

    id: int
    name: str
    excluded_utc: str | None
    judged: int
    undone: int
    checks: int
    checks_right: int
    seconds: float | None
    left: float | None
    last_utc: str | None


@dataclass(frozen=True, kw_only=True)
class StudySummary:
    """One study.

    Attributes:
        study: which.
        items: to be judged, attention checks not counted.
        checks: attention checks.
        judgements: that stand, attention checks and excluded annotators not counted.
        wanted: judgements until all is done; with annotators that all judge everything, theirs so far.
        complete: items with all their judgements; where everybody judges everything, with at least one.
        alpha: Krippendorff's; NaN where it is not defined. Scores have one unit a candidate.
        units: items (for scores candidates) that two people or more judged.
        annotators: in the order in which they came.
    """

    study: Study
    items: int
    checks: int
    judgements: int
    wanted: int
    complete: int
    alpha: float
    units: int
    annotators: tuple[AnnotatorSummary, ...]


def summarise(store: JudgementStore, study: Study) -> StudySummary:
    """The study as it stands now, in one view of the file."""
    with store.view():
        return _summarise(store, study)


def agreement(store: JudgementStore, study: Study) -> tuple[float, int]:
    """Krippendorff's alpha of the standing judgements (nominal; interval for scores), and its number of units."""
    with store.view():
        checks = {item.key for item in store.items(study) if item.known is not None}
        return _agreement(study, [judgement for judgement in store.judgements(study) if judgement.key not in checks])


def _summarise(store: JudgementStore, study: Study) -> StudySummary:
    known = {item.key: item.known for item in store.items(study)}
    everything = list(store.judgements(study, standing=False))
    people = store.annotators(study)
    counted = {annotator.name for annotator in people if annotator.excluded_utc is None}
    standing = [
        judgement
        for judgement in everything
        if judgement.retracted_utc is None and known[judgement.key] is None and judgement.annotator in counted
    ]
    counts: dict[str, int] = {}
    for judgement in standing:
        counts[judgement.key] = counts.get(judgement.key, 0) + 1
    items = sum(answer is None for answer in known.values())
    each = study.settings.judgements_per_item
    limit = study.settings.items_per_annotator
    wanted = items * each if each is not None else len(counted) * min(items, limit or items)
    alpha, units = _agreement(study, standing)
    return StudySummary(
        study=study,
        items=items,
        checks=len(known) - items,
        judgements=len(standing),
        wanted=wanted,
        complete=sum(count >= (each or 1) for count in counts.values()),
        alpha=alpha,
        units=units,
        annotators=tuple(_annotator(annotator, everything, known) for annotator in people),
    )


def _annotator(
    annotator: Annotator, everything: list[StoredJudgement], known: dict[str, str | None]
) -> AnnotatorSummary:
    own = [judgement for judgement in everything if judgement.annotator == annotator.name]
    standing = [judgement for judgement in own if judgement.retracted_utc is None]
    checks = [judgement for judgement in standing if known[judgement.key] is not None]
    rights = [judgement.answer.agrees(right) for judgement in checks if (right := known[judgement.key]) is not None]
    sides = [side for judgement in standing if (side := _left(judgement)) is not None]
    return AnnotatorSummary(
        id=annotator.id,
        name=annotator.name,
        excluded_utc=annotator.excluded_utc,
        judged=len(standing) - len(checks),
        undone=len(own) - len(standing),
        checks=len(checks),
        checks_right=sum(rights),
        seconds=statistics.median(judgement.seconds for judgement in standing) if standing else None,
        left=sum(sides) / len(sides) if sides else None,
        last_utc=own[-1].time_utc if own else None,
    )


def _left(judgement: StoredJudgement) -> bool | None:
    """Whether the image at the left was preferred; None where neither was."""
    answer = judgement.answer
    if answer.choice is not None:
        return answer.choice == judgement.shown_left
    if answer.score_a is None or answer.score_b is None or answer.score_a == answer.score_b:
        return None
    return (answer.score_a > answer.score_b) == (judgement.shown_left == "a")


def _agreement(study: Study, standing: list[StoredJudgement]) -> tuple[float, int]:
    people = {name: row for row, name in enumerate(sorted({judgement.annotator for judgement in standing}))}
    keys = {key: column for column, key in enumerate(sorted({judgement.key for judgement in standing}))}
    each = 2 if study.kind == "score" else 1
    ratings = np.full((len(people), each * len(keys)), np.nan)
    for judgement in standing:
        answer = judgement.answer
        row, column = people[judgement.annotator], each * keys[judgement.key]
        if answer.score_a is not None and answer.score_b is not None:
            ratings[row, column : column + 2] = answer.score_a, answer.score_b
        else:
            ratings[row, column] = float(answer.choice == "b" or answer.same is True)
    units = int(((~np.isnan(ratings)).sum(axis=0) >= 2).sum())
    return krippendorff_alpha(ratings, "interval" if study.kind == "score" else "nominal"), units
