"""The judgements of a study file, which are only ever added to."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from typing import Any

from semetric.errors import UsageError
from semetric.learn.judgements.contents import StudyContents
from semetric.learn.judgements.file import check_utc, utc_now
from semetric.learn.judgements.records import Annotator, Answer, Side, StoredJudgement, Study, check_name, normal_name

__all__ = ["JudgementStore"]

_UID_CHARACTERS = 64
_JUDGEMENTS = """
SELECT j.id, j.uid, i.key, n.name, j.choice, j.score_a, j.score_b, j.same, j.shown_left, j.seconds, j.time_utc,
    t.time_utc FROM judgements j JOIN items i ON i.id = j.item_id JOIN annotators n ON n.id = j.annotator_id
LEFT JOIN retractions t ON t.judgement_id = j.id
"""


class JudgementStore(StudyContents):
    """A study file with all that it can do: studies and items below, annotators and judgements here.

    Args:
        path: of the file.
        create: make it where it does not exist.

    Raises:
        StoreError: it does not exist, is damaged, is another program's, or a newer Semetric wrote it.
    """

    def annotator(self, study: Study, name: str, *, created_utc: str | None = None) -> Annotator:
        """The annotator of that name, made where there is none.

        Raises:
            UsageError: no printable name.
        """
        name = check_name("an annotator's name", name)
        with self.transaction() as connection:
            for annotator in self._annotators("n.study_id = ?", study.id):
                if normal_name(annotator.name) == name:
                    return annotator
            done = connection.execute(
                "INSERT INTO annotators (study_id, name, created_utc) VALUES (?, ?, ?)",
                (study.id, name, created_utc or utc_now()),
            )
            return self._annotators("n.id = ?", int(done.lastrowid or 0))[0]

    def annotators(self, study: Study) -> list[Annotator]:
        """All annotators, in the order in which they came."""
        return self._annotators("n.study_id = ?", study.id)

    def annotator_numbered(self, number: int) -> Annotator | None:
        """The annotator of that number in the file, as they stand now."""
        return next(iter(self._annotators("n.id = ?", number)), None)

    def exclude(self, annotator: Annotator, excluded: bool = True, *, time_utc: str | None = None) -> Annotator:
        """Has an annotator's judgements count no more, or again, by a row that says so. Twice is once.

        What was judged stays. It is left out of progress, agreement, data sets and exports but JSONL's, its items are
        handed out to others, and the annotator's links do not hold meanwhile.
        """
        with self.transaction() as connection:
            if (self._annotators("n.id = ?", annotator.id)[0].excluded_utc is not None) != excluded:
                when = utc_now() if time_utc is None else check_utc(time_utc)
                connection.execute(
                    "INSERT INTO exclusions (annotator_id, excluded, time_utc) VALUES (?, ?, ?)",
                    (annotator.id, excluded, when),
                )
                connection.execute("DELETE FROM leases WHERE annotator_id = ?", (annotator.id,))
        return self._annotators("n.id = ?", annotator.id)[0]

    def revoke(self, annotator: Annotator) -> Annotator:
        """Ends all links that the annotator has, and the sessions that began with them; new ones hold."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT INTO revocations (annotator_id, time_utc) VALUES (?, ?)", (annotator.id, utc_now())
            )
        return self._annotators("n.id = ?", annotator.id)[0]

    def _annotators(self, condition: str, value: int) -> list[Annotator]:
        rows = self.rows(
            "SELECT n.id, n.name, n.created_utc, e.time_utc,"
            " (SELECT count(*) FROM revocations WHERE annotator_id = n.id)"
            f" FROM annotators n LEFT JOIN excluded e ON e.annotator_id = n.id WHERE {condition} ORDER BY n.id",
            (value,),
        )
        return [
            Annotator(id=row[0], name=row[1], created_utc=row[2], excluded_utc=row[3], revocations=row[4])
            for row in rows
        ]

    def judge(
        self,
        study: Study,
        key: str,
        annotator: Annotator,
        answer: Answer,
        *,
        shown_left: Side,
        seconds: float,
        uid: str | None = None,
        time_utc: str | None = None,
    ) -> tuple[StoredJudgement, bool]:
        """Adds a judgement. A second one of the same uid is the first, whatever it says.

        Args:
            study: of the item and the annotator.
            key: of the item.
            annotator: who answered.
            answer: of the study's kind.
            shown_left: what stood at the left.
            seconds: from showing to the answer, at least 0.
            uid: the judgement's name in every file; None makes one.
            time_utc: for imports; None takes the time.

        Returns:
            The judgement as it is stored, and whether it is new.

        Raises:
            UsageError: another kind of answer, no such item, one that this annotator has judged and not undone, or
                the uid of a judgement in another study.
        """
        self._check_answer(study, answer, shown_left, seconds)
        uid = uid or secrets.token_hex(12)
        if len(uid) > _UID_CHARACTERS or not uid.isprintable():
            raise UsageError(f"Expected a uid of at most {_UID_CHARACTERS} printable characters; found {uid[:99]!r}.")
        when = utc_now() if time_utc is None else check_utc(time_utc)
        with self.transaction() as connection:
            before = self.judgement(uid)
            if before is not None:
                self._check_place(uid, study)
                return before, False
            row = self.row("SELECT id FROM items WHERE study_id = ? AND key = ?", (study.id, key))
            if row is None:
                raise UsageError(f"Expected an item of {study.name!r}; it has no item {key!r}.")
            both = (row[0], annotator.id)
            made, undone = self.row(
                "SELECT count(*), count(t.judgement_id) FROM judgements j LEFT JOIN retractions t"
                " ON t.judgement_id = j.id WHERE j.item_id = ? AND j.annotator_id = ?",
                both,
            ) or (0, 0)
            if made > undone:
                raise UsageError(
                    f"Expected one judgement of {key!r} by {annotator.name!r}; there is one. Undo it first."
                )
            done = connection.execute(
                "INSERT INTO judgements (uid, item_id, annotator_id, attempt, choice, score_a, score_b, same,"
                " shown_left, seconds, time_utc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    uid,
                    *both,
                    made + 1,
                    answer.choice,
                    None if answer.score_a is None else float(answer.score_a),
                    None if answer.score_b is None else float(answer.score_b),
                    None if answer.same is None else int(answer.same),
                    shown_left,
                    float(seconds),
                    when,
                ),
            )
        stored = StoredJudgement(
            id=int(done.lastrowid or 0),
            uid=uid,
            key=key,
            annotator=annotator.name,
            answer=answer,
            shown_left=shown_left,
            seconds=float(seconds),
            time_utc=when,
        )
        return stored, True

    def retract(self, uid: str, *, time_utc: str | None = None) -> StoredJudgement:
        """Undoes a judgement by a row that says so; the judgement stays. Twice is once.

        Raises:
            UsageError: no such judgement.
        """
        with self.transaction() as connection:
            before = self.judgement(uid)
            if before is None:
                raise UsageError(f"Expected the uid of a judgement in {self.path}; found {uid!r}.")
            if before.retracted_utc is None:
                when = utc_now() if time_utc is None else check_utc(time_utc)
                connection.execute("INSERT INTO retractions VALUES (?, ?)", (before.id, when))
        found = self.judgement(uid)
        return before if found is None else found

    def judgement(self, uid: str) -> StoredJudgement | None:
        """The judgement of that uid."""
        row = self.row(_JUDGEMENTS + " WHERE j.uid = ?", (uid,))
        return None if row is None else _judgement(row)

    def judgements(self, study: Study, *, standing: bool = True) -> Iterator[StoredJudgement]:
        """Judgements in the order in which they came: those that stand, of annotators who count, or all."""
        stands = (
            " AND t.judgement_id IS NULL AND j.annotator_id NOT IN (SELECT annotator_id FROM excluded)"
            if standing
            else ""
        )
        return map(_judgement, self.rows(_JUDGEMENTS + f" WHERE i.study_id = ?{stands} ORDER BY j.id", (study.id,)))

    def _check_place(self, uid: str, study: Study) -> None:
        row = self.row(
            "SELECT s.id, s.name FROM judgements j JOIN items i ON i.id = j.item_id JOIN studies s ON s.id = i.study_id"
            " WHERE j.uid = ?",
            (uid,),
        )
        if row is not None and row[0] != study.id:
            raise UsageError(
                f"Expected a new judgement of {study.name!r}; the study {row[1]!r} of {self.path} has the judgement "
                f"{uid!r} already. Read a copy of a study into a file of its own."
            )

    def _check_answer(self, study: Study, answer: Answer, shown_left: Side, seconds: float) -> None:
        if answer.kind != study.kind:
            raise UsageError(f"Expected a {study.kind!r} answer in {study.name!r}; found a {answer.kind!r} answer.")
        sides = ("reference", "a") if study.kind == "same" else ("a", "b")
        if shown_left not in sides:
            raise UsageError(
                f"Expected {' or '.join(sides)} at the left of a {study.kind!r} study; found {shown_left!r}."
            )
        if not 0 <= seconds <= sys.float_info.max:
            raise UsageError(f"Expected the seconds of a judgement to be at least 0; found {seconds!r}.")


def _judgement(row: tuple[Any, ...]) -> StoredJudgement:
    number, uid, key, annotator, choice, score_a, score_b, same, shown_left, seconds, time_utc, retracted = row
    answer = Answer(choice=choice, score_a=score_a, score_b=score_b, same=None if same is None else bool(same))
    return StoredJudgement(
        id=number,
        uid=uid,
        key=key,
        annotator=annotator,
        answer=answer,
        shown_left=shown_left,
        seconds=seconds,
        time_utc=time_utc,
        retracted_utc=retracted,
    )
