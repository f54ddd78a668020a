from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from semetric.errors import UsageError
from semetric.learn.judgements import Annotator, Answer, JudgementStore, Study
from semetric.learn.judgements.assignment import Assigner

A = Answer(choice="a")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def assigner(store: JudgementStore, clock: Clock) -> Assigner:
    return Assigner(store, np.random.default_rng(0), clock)


def finish(assigner: Assigner, study: Study, person: Annotator, count: int = 1) -> list[str]:
    """Judges until nothing is left; the keys in their order."""
    keys = []
    while held := assigner.assign(study, person, count):
        stored, new = assigner.answer(study, person, held[0].uid, A, 0.0)
        assert new
        keys.append(stored.key)
    return keys


def test_everybody_judges_everything_once_in_an_order_of_their_own(
    assigner: Assigner, studied: Callable[..., Study]
) -> None:
    study = studied(items=12)
    orders = [finish(assigner, study, assigner.store.annotator(study, name)) for name in ("Ada", "Grace", "Mary")]
    assert all(sorted(order) == sorted(f"i{k}" for k in range(12)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3  # 1 in 12!² that they agree; and the generator is seeded


def test_sides_are_random_and_both_come(assigner: Assigner, studied: Callable[..., Study]) -> None:
    study = studied(items=25)
    held = assigner.assign(study, assigner.store.annotator(study, "Ada"), 25)
    assert set(Counter(one.shown_left for one in held)) == {"a", "b"}


@given(st.lists(st.integers(0, 2), min_size=40, max_size=60), st.integers(1, 3))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_item_gets_its_number_of_judgements_and_no_more(
    store: JudgementStore, studied: Callable[..., Study], order: list[int], wanted: int
) -> None:
    """Three annotators by turns in any order, each with two items in hand."""
    name = f"s{len(store.studies())}"
    study = studied(items=6, name=name, judgements_per_item=wanted)
    assigner = Assigner(store, np.random.default_rng(len(order)))
    people = [store.annotator(study, f"p{k}") for k in range(3)]
    for turn in [*order, *(k for _ in range(8) for k in range(3))]:
        held = assigner.assign(study, people[turn], 2)
        if held:
            assigner.answer(study, people[turn], held[0].uid, A, 1.0)
    counts = Counter(found.key for found in store.judgements(study))
    assert counts == {f"i{k}": wanted for k in range(6)}
    pairs = Counter((found.key, found.annotator) for found in store.judgements(study))
    assert max(pairs.values()) == 1


def test_a_closed_tab_gets_the_same_items_on_the_same_sides(
    assigner: Assigner, studied: Callable[..., Study], clock: Clock
) -> None:
    study = studied(items=5, lease_s=60)
    ada = assigner.store.annotator(study, "Ada")
    first = assigner.assign(study, ada, 3)
    clock.now += 3600
    assert assigner.assign(study, ada, 3) == first
    assert assigner.assign(study, ada, 2) == first[:2]


def test_an_item_that_nobody_answers_goes_to_somebody_else(
    assigner: Assigner, studied: Callable[..., Study], clock: Clock
) -> None:
    study = studied(items=1, judgements_per_item=1, lease_s=60)
    ada, grace = (assigner.store.annotator(study, name) for name in ("Ada", "Grace"))
    (held,) = assigner.assign(study, ada, 3)
    assert assigner.assign(study, grace, 3) == []
    clock.now += 61
    (lent,) = assigner.assign(study, grace, 3)
    assert lent.key == held.key
    assigner.answer(study, grace, lent.uid, A, 1.0)
    _, new = assigner.answer(study, ada, held.uid, A, 1.0)  # late, and kept: she did the work
    assert new


def test_after_its_time_a_finished_item_is_not_shown_again(
    assigner: Assigner, studied: Callable[..., Study], clock: Clock
) -> None:
    study = studied(items=1, judgements_per_item=1, lease_s=60)
    ada, grace = (assigner.store.annotator(study, name) for name in ("Ada", "Grace"))
    assigner.assign(study, ada, 1)
    clock.now += 61
    finish(assigner, study, grace)
    assert assigner.assign(study, ada, 1) == []


def test_an_answer_twice_is_one_judgement(assigner: Assigner, studied: Callable[..., Study]) -> None:
    study = studied()
    ada = assigner.store.annotator(study, "Ada")
    (held,) = assigner.assign(study, ada, 1)
    first, new = assigner.answer(study, ada, held.uid, A, 0.0)
    assert new
    assert assigner.answer(study, ada, held.uid, Answer(choice="b"), 5.0) == (first, False)


def test_nobody_answers_for_somebody_else(assigner: Assigner, studied: Callable[..., Study]) -> None:
    study = studied()
    ada, eve = (assigner.store.annotator(study, name) for name in ("Ada", "Eve"))
    (held,) = assigner.assign(study, ada, 1)
    for _ in range(2):
        with pytest.raises(UsageError, match="holds"):
            assigner.answer(study, eve, held.uid, A, 1.0)
        assigner.answer(study, ada, held.uid, A, 1.0)
    with pytest.raises(UsageError, match="a judgement of 'Eve'"):
        assigner.undo(study, eve, held.uid)


def test_seconds_are_at_most_those_since_the_item_was_lent(
    assigner: Assigner, studied: Callable[..., Study], clock: Clock
) -> None:
    study = studied()
    ada = assigner.store.annotator(study, "Ada")
    (held,) = assigner.assign(study, ada, 1)
    clock.now += 5
    stored, _ = assigner.answer(study, ada, held.uid, A, 1e9)
    assert stored.seconds == 5


def test_undo_brings_the_item_back_first_and_keeps_both_rows(assigner: Assigner, studied: Callable[..., Study]) -> None:
    study = studied()
    ada = assigner.store.annotator(study, "Ada")
    one, two = assigner.assign(study, ada, 2)
    assigner.answer(study, ada, one.uid, A, 1.0)
    assert assigner.last(ada) == one.uid
    for _ in range(2):  # a second undo of the same is the first
        assigner.undo(study, ada, one.uid)
    assert assigner.last(ada) is None
    again, then = assigner.assign(study, ada, 2)
    assert (again.key, again.shown_left, then) == (one.key, one.shown_left, two)
    assert again.uid != one.uid
    assigner.answer(study, ada, again.uid, Answer(choice="b"), 1.0)
    found = list(assigner.store.judgements(study, standing=False))
    assert [(row.answer.choice, row.retracted_utc is None) for row in found] == [("a", False), ("b", True)]


def test_checks_come_in_between_and_once(assigner: Assigner, studied: Callable[..., Study]) -> None:
    study = studied(items=9, checks=2, check_every=3)
    keys = finish(assigner, study, assigner.store.annotator(study, "Ada"), count=2)
    checks = [place for place, key in enumerate(keys) if key in ("i9", "i10")]
    assert checks == [3, 7]
    assert sorted(keys) == sorted(f"i{k}" for k in range(11))


def test_an_annotator_may_have_a_limit(assigner: Assigner, studied: Callable[..., Study]) -> None:
    study = studied(items=9, checks=1, check_every=2, items_per_annotator=4)
    ada = assigner.store.annotator(study, "Ada")
    assert assigner.progress(study, ada).goal == 5
    assert len(finish(assigner, study, ada, count=3)) == 5
    progress = assigner.progress(study, ada)
    assert (progress.done, progress.goal) == (5, 5)
