from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from semetric.learn.agreement.krippendorff import krippendorff_alpha
from semetric.learn.judgements import Answer, JudgementStore, Study
from semetric.learn.judgements.summary import agreement, summarise


def say(store: JudgementStore, study: Study, name: str, answers: dict[str, Answer], left: str = "a") -> None:
    for key, answer in answers.items():
        store.judge(study, key, store.annotator(study, name), answer, shown_left=left, seconds=2.0)  # type: ignore[arg-type]


def test_choices(store: JudgementStore, studied: Callable[..., Study]) -> None:
    study = studied(items=4, checks=2, judgements_per_item=2)
    a, b = Answer(choice="a"), Answer(choice="b")
    say(store, study, "Ada", {"i0": a, "i1": b, "i2": a, "i4": a, "i5": b})
    say(store, study, "Grace", {"i0": a, "i1": b, "i2": b}, left="b")
    undone, _ = store.judge(study, "i3", store.annotator(study, "Ada"), a, shown_left="a", seconds=99.0)
    store.retract(undone.uid)
    found = summarise(store, study)
    assert (found.items, found.checks, found.judgements, found.wanted, found.complete) == (4, 2, 6, 8, 3)
    assert found.units == 3
    assert found.alpha == krippendorff_alpha([[0, 1, 0], [0, 1, 1]])
    ada, grace = found.annotators
    assert (ada.judged, ada.undone, ada.checks, ada.checks_right, ada.seconds) == (3, 1, 2, 1, 2.0)
    assert (ada.left, grace.left) == (3 / 5, 2 / 3)
    assert grace.last_utc is not None


def test_scores_are_two_units_an_item_and_interval_data(store: JudgementStore, studied: Callable[..., Study]) -> None:
    study = studied("score", items=2)
    say(store, study, "Ada", {"i0": Answer(score_a=0.1, score_b=0.9), "i1": Answer(score_a=0.4, score_b=0.4)})
    say(store, study, "Grace", {"i0": Answer(score_a=0.2, score_b=0.7)})
    alpha, units = agreement(store, study)
    assert units == 2
    assert alpha == pytest.approx(krippendorff_alpha([[0.1, 0.9], [0.2, 0.7]], "interval"), abs=1e-12)  # order of sums
    assert summarise(store, study).annotators[0].left == 0.0  # the even scores count for neither side


def test_an_empty_study_is_summarised(store: JudgementStore, studied: Callable[..., Study]) -> None:
    found = summarise(store, studied("same"))
    assert math.isnan(found.alpha)
    assert (found.judgements, found.wanted, found.annotators) == (0, 0, ())
