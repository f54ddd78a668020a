"""Assignment of items to annotators by leases, so that no item is judged too often, or twice by one annotator.

A lease has the uid that its judgement will have. A judgement that is sent twice is stored once; one that arrives after
its lease has expired is stored as well.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from semetric.errors import UsageError
from semetric.learn.judgements.records import Annotator, Answer, Side, StoredJudgement, Study
from semetric.learn.judgements.store import JudgementStore

__all__ = ["AnnotatorProgress", "Assigner", "Assignment"]

_SHUFFLED = 1 << 62  # the range of tallies.shuffle: abs(random() >> 1)


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """An item that an annotator holds.

    Attributes:
        uid: of the judgement to come.
        key: of the item.
        shown_left: which image is to stand at the left.
        reference, a, b: numbers of the images in the file; b is None for a pair.
    """

    uid: str
    key: str
    shown_left: Side
    reference: int
    a: int
    b: int | None


@dataclass(frozen=True, kw_only=True)
class AnnotatorProgress:
    """How far an annotator is.

    Attributes:
        done: judgements that stand, attention checks included.
        goal: how many there will be at most.
    """

    done: int
    goal: int


class Assigner:
    """Hands items out and takes answers, over one store.

    Items with the fewest judgements come first; among those the order is random for each annotator.

    Args:
        store: in which everything is kept, loans too: a restart forgets nothing.
        rng: of order and sides.
        clock: seconds; for tests.
    """

    def __init__(self, store: JudgementStore, rng: np.random.Generator, clock: Callable[[], float] = time.time) -> None:
        self.store = store
        self.rng = rng
        self.clock = clock

    def assign(self, study: Study, annotator: Annotator, count: int) -> list[Assignment]:
        """The annotator's leases, filled up to that many items; earlier ones come first.

        Fewer where nothing is left that this annotator may judge now.
        """
        now = self.clock()
        with self.store.transaction() as connection:
            connection.execute(  # what others have finished since the loan ran out, and what an import has judged
                "DELETE FROM leases WHERE annotator_id = ? AND (EXISTS (SELECT 1 FROM standing"
                " WHERE item_id = leases.item_id AND annotator_id = leases.annotator_id)"
                " OR NOT (until > ? AND until <= ?) AND ? <="
                " (SELECT standing FROM tallies WHERE item_id = leases.item_id AND NOT known))",
                (annotator.id, now, _latest(study, now), study.settings.judgements_per_item or _SHUFFLED),
            )
            connection.execute(
                "UPDATE leases SET until = ? WHERE annotator_id = ?", (now + study.settings.lease_s, annotator.id)
            )
            held = self._held(annotator)
            while len(held) < count:
                item = self._next(study, annotator, now, len(held))
                if item is None:
                    break
                self._lend(study, annotator, item, place=self._last(annotator) + 1, now=now)
                held = self._held(annotator)
        return held[:count]

    def answer(
        self, study: Study, annotator: Annotator, uid: str, answer: Answer, seconds: float
    ) -> tuple[StoredJudgement, bool]:
        """Takes an answer.

        Args:
            study, annotator: of the assignment.
            uid: of the assignment.
            answer: of the study's kind.
            seconds: as the browser measured them; at most those since the item was handed out are kept.

        Returns:
            The judgement as it is stored, and whether it is new: the first answer to a uid is kept.

        Raises:
            UsageError: this annotator holds no such assignment, or the answer is of another kind.
        """
        with self.store.transaction() as connection:
            before = self.store.judgement(uid)
            if before is not None and self._made(uid, annotator):
                return before, False
            lease = self.store.row(
                "SELECT i.key, l.shown_left, l.given FROM leases l JOIN items i ON i.id = l.item_id"
                " WHERE l.uid = ? AND l.annotator_id = ?",
                (uid, annotator.id),
            )
            if lease is None:
                raise UsageError(f"Expected an item that {annotator.name!r} holds; found {uid!r}. Load the page again.")
            key, shown_left, given = lease
            waited = self.clock() - given
            if waited >= 0:  # else the clock was put back, and says nothing
                seconds = min(seconds, waited)
            stored = self.store.judge(study, key, annotator, answer, shown_left=shown_left, seconds=seconds, uid=uid)
            connection.execute("DELETE FROM leases WHERE uid = ?", (uid,))
        return stored

    def undo(self, study: Study, annotator: Annotator, uid: str) -> StoredJudgement:
        """Retracts a judgement of this annotator and assigns its item again, in first place. Repeating changes nothing.

        Raises:
            UsageError: this annotator made no such judgement.
        """
        with self.store.transaction() as connection:
            before = self.store.judgement(uid)
            if before is None or not self._made(uid, annotator):
                raise UsageError(f"Expected a judgement of {annotator.name!r}; found {uid!r}.")
            if before.retracted_utc is not None:
                return before
            done = self.store.retract(uid)
            item = self.store.row("SELECT item_id FROM judgements WHERE uid = ?", (uid,))
            first = self.store.row("SELECT min(place) FROM leases WHERE annotator_id = ?", (annotator.id,))
            place = (first[0] if first and first[0] is not None else 1) - 1
            if item is not None:
                connection.execute("DELETE FROM leases WHERE item_id = ? AND annotator_id = ?", (*item, annotator.id))
                self._lend(study, annotator, item[0], place=place, now=self.clock(), shown_left=before.shown_left)
        return done

    def last(self, annotator: Annotator) -> str | None:
        """The uid of the annotator's latest judgement that stands: what an undo takes back."""
        row = self.store.row(
            "SELECT uid FROM standing WHERE annotator_id = ? ORDER BY id DESC LIMIT 1", (annotator.id,)
        )
        return None if row is None else str(row[0])

    def progress(self, study: Study, annotator: Annotator) -> AnnotatorProgress:
        """How far the annotator is."""
        done, checks = self._done(annotator)
        rows = self.store.rows("SELECT known, items FROM totals WHERE study_id = ?", (study.id,))
        counts = {int(known): int(items) for known, items in rows}
        limit = study.settings.items_per_annotator
        items = counts.get(0, 0) if limit is None else min(limit, counts.get(0, 0))
        every = study.settings.check_every
        expected = 0 if every == 0 else min(counts.get(1, 0), max(checks, -(-items // every)))
        return AnnotatorProgress(done=done, goal=max(done, items + expected))

    def _held(self, annotator: Annotator) -> list[Assignment]:
        rows = self.store.rows(
            "SELECT l.uid, i.key, l.shown_left, i.reference_id, i.a_id, i.b_id FROM leases l"
            " JOIN items i ON i.id = l.item_id WHERE l.annotator_id = ? ORDER BY l.place",
            (annotator.id,),
        )
        return [
            Assignment(uid=row[0], key=row[1], shown_left=row[2], reference=row[3], a=row[4], b=row[5]) for row in rows
        ]

    def _last(self, annotator: Annotator) -> int:
        row = self.store.row("SELECT max(place) FROM leases WHERE annotator_id = ?", (annotator.id,))
        return int(row[0]) if row and row[0] is not None else 0

    def _done(self, annotator: Annotator) -> tuple[int, int]:
        """Judgements that stand, and how many of them are attention checks."""
        rows = self.store.rows("SELECT known, standing FROM done WHERE annotator_id = ?", (annotator.id,))
        counts = {int(known): int(standing) for known, standing in rows}
        return sum(counts.values()), counts.get(1, 0)

    def _made(self, uid: str, annotator: Annotator) -> bool:
        """Whether the judgement is this annotator's; one of that name may judge in another study, too."""
        row = self.store.row("SELECT 1 FROM judgements WHERE uid = ? AND annotator_id = ?", (uid, annotator.id))
        return row is not None

    def _next(self, study: Study, annotator: Annotator, now: float, held: int) -> int | None:
        """The number of an item to lend: by turns an attention check, or another one."""
        done, checks = self._done(annotator)
        row = self.store.row(
            "SELECT coalesce(sum(t.known), 0) FROM leases l JOIN tallies t ON t.item_id = l.item_id"
            " WHERE l.annotator_id = ?",
            (annotator.id,),
        )
        checks += int(row[0]) if row else 0
        others = done + held - checks
        settings = study.settings
        if settings.check_every and others >= settings.check_every * (checks + 1):
            check = self._open(study, annotator, 1, None, now)
            if check is not None:
                return check
        if settings.items_per_annotator is not None and others >= settings.items_per_annotator:
            return None
        return self._open(study, annotator, 0, settings.judgements_per_item, now)

    def _open(self, study: Study, annotator: Annotator, known: int, enough: int | None, now: float) -> int | None:
        start = int(self.rng.integers(_SHUFFLED))
        level = -1
        while True:
            lowest = self.store.row(
                "SELECT min(standing) FROM tallies WHERE study_id = ? AND known = ? AND standing > ?",
                (study.id, known, level),
            )
            if lowest is None or lowest[0] is None or (enough is not None and lowest[0] >= enough):
                return None
            level = lowest[0]
            for order in (">=", "<"):
                row = self.store.row(
                    "SELECT t.item_id FROM tallies t WHERE t.study_id = :study AND t.known = :known"
                    f" AND t.standing = :level AND t.shuffle {order} :start"
                    " AND NOT EXISTS (SELECT 1 FROM standing WHERE item_id = t.item_id AND annotator_id = :who)"
                    " AND NOT EXISTS (SELECT 1 FROM leases WHERE item_id = t.item_id AND annotator_id = :who)"
                    " AND (:enough IS NULL OR :level + (SELECT count(*) FROM leases WHERE item_id = t.item_id"
                    "      AND until > :now AND until <= :latest) < :enough)"
                    " ORDER BY t.shuffle LIMIT 1",
                    {
                        "study": study.id,
                        "known": known,
                        "level": level,
                        "start": start,
                        "who": annotator.id,
                        "enough": enough,
                        "now": now,
                        "latest": _latest(study, now),
                    },
                )
                if row is not None:
                    return int(row[0])

    def _lend(
        self, study: Study, annotator: Annotator, item: int, *, place: int, now: float, shown_left: str | None = None
    ) -> None:
        sides = ("reference", "a") if study.kind == "same" else ("a", "b")
        self.store.connection.execute(
            "INSERT INTO leases (uid, item_id, annotator_id, shown_left, place, given, until)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                secrets.token_hex(12),
                item,
                annotator.id,
                shown_left or sides[int(self.rng.integers(2))],
                place,
                now,
                now + study.settings.lease_s,
            ),
        )


def _latest(study: Study, now: float) -> float:
    """Until when a loan can hold; one that holds longer was given before the clock was put back, and has run out."""
    return now + 2 * study.settings.lease_s
