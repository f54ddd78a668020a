"""The store of judgements: one SQLite file of studies, their items, annotators and judgements."""

from __future__ import annotations

import json
import os
import re
import secrets
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from semetric.errors import StoreError, UsageError
from semetric.learn.judgements import schema
from semetric.learn.judgements.images import MEDIA, check_path, fingerprint
from semetric.learn.judgements.records import (
    KINDS,
    Annotator,
    Answer,
    Image,
    Item,
    Published,
    Side,
    StoredJudgement,
    Study,
    StudyKind,
    StudySettings,
    check_name,
    normal_name,
)

__all__ = ["JudgementStore"]

_BUSY_MS = 10_000
_UID_CHARACTERS = 64
_JUDGEMENTS = """
SELECT j.id, j.uid, i.key, n.name, j.choice, j.score_a, j.score_b, j.same, j.shown_left, j.seconds, j.time_utc,
    t.time_utc FROM judgements j JOIN items i ON i.id = j.item_id JOIN annotators n ON n.id = j.annotator_id
LEFT JOIN retractions t ON t.judgement_id = j.id
"""
_ITEMS = """
SELECT i.key, r.path, a.path, b.path, i.split, i.category, i.known, i.extra FROM items i
JOIN images r ON r.id = i.reference_id JOIN images a ON a.id = i.a_id LEFT JOIN images b ON b.id = i.b_id
"""

_DIGEST = re.compile(r"[0-9a-f]{64}")


class JudgementStore:
    """An open study file: studies, items, annotators and judgements.

    Rows are added and never changed: the file's own triggers refuse it. What was answered is on the disk when the
    method that adds it has returned (write-ahead log, synchronous=FULL). One store serves one thread at a time;
    several processes and threads, each with its own, share a file.

    Args:
        path: of the file.
        create: make it where it does not exist.
        schema_version: for tests of older files.

    Raises:
        StoreError: it does not exist, is damaged, is another program's, or a newer Semetric wrote it.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, create: bool = False, schema_version: int = schema.VERSION
    ) -> None:
        self.path = Path(path)
        if not create and not self.path.is_file():
            raise StoreError(f"Expected a study file; there is no {self.path}. Make one: semetric learn study create.")
        if create and not self.path.exists():
            _make(self.path)
        with self._named():
            self.connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            with self._named():
                self.connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
                self.connection.execute("PRAGMA foreign_keys = ON")
                self.connection.execute("PRAGMA recursive_triggers = ON")  # so that REPLACE asks them, too
                self.connection.execute("PRAGMA synchronous = FULL")
                schema.upgrade(self.connection, self.path, to=schema_version)
                self.connection.execute("PRAGMA journal_mode = WAL")
        except BaseException:
            self.connection.close()
            raise

    def close(self) -> None:
        """Closes the file."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; inside another transaction, all or nothing of this part.

        Raises:
            StoreError: the disk is full, the file is locked for more than ten seconds, or may not be written.
        """
        inner = self.connection.in_transaction
        with self._named():
            self.connection.execute("SAVEPOINT part" if inner else "BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("RELEASE part" if inner else "COMMIT")
            except BaseException:
                if self.connection.in_transaction:  # a full disk has ended it already
                    if inner:
                        self.connection.execute("ROLLBACK TO part")
                    self.connection.execute("RELEASE part" if inner else "ROLLBACK")
                raise

    @contextmanager
    def view(self) -> Iterator[None]:
        """A consistent read transaction: what others add meanwhile is not seen."""
        if self.connection.in_transaction:
            yield
            return
        with self._named():
            self.connection.execute("BEGIN")
        try:
            yield
        finally:
            if self.connection.in_transaction:
                with self._named():
                    self.connection.execute("COMMIT")

    def rows(self, query: str, values: Mapping[str, Any] | tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query, all read here, so that damage further into the file is named, too.

        Raises:
            StoreError: the file is locked or damaged.
        """
        with self._named():
            return self.connection.execute(query, values).fetchall()

    def row(self, query: str, values: Mapping[str, Any] | tuple[Any, ...] = ()) -> tuple[Any, ...] | None:
        """The first row of a query; None where there is none."""
        with self._named():
            row: tuple[Any, ...] | None = self.connection.execute(query, values).fetchone()
        return row

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"Expected to read and write the study file {self.path}; SQLite says: {error}.") from error

    # Studies and their items: nothing is changed once it is added.

    def create_study(
        self,
        name: str,
        kind: StudyKind,
        image_root: str | os.PathLike[str],
        *,
        instructions: str = "",
        settings: StudySettings | None = None,
        created_utc: str | None = None,
    ) -> Study:
        """A new study.

        Args:
            name: unique in the file.
            kind: "score", "choice" or "same".
            image_root: the folder that image paths start from; a relative one starts from the file's folder.
            instructions: plain text for the annotators.
            settings: how items are handed out.
            created_utc: for imports; None takes the time.

        Raises:
            UsageError: a kind that does not exist, or a name that is taken or no name.
        """
        name = check_name("a study's name", name)
        if kind not in KINDS:
            raise UsageError(f"Expected a study of kind {', '.join(KINDS)}; found {kind!r}.")
        with self.transaction() as connection:
            if any(normal_name(study.name) == name for study in self.studies()):
                raise UsageError(f"Expected a new study's name; {self.path} has a study {name!r}. Choose another name.")
            connection.execute(
                "INSERT INTO studies (name, kind, instructions, image_root, settings, created_utc)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    name,
                    kind,
                    instructions,
                    os.fspath(image_root),
                    json.dumps((settings or StudySettings()).to_dict()),
                    _utc(created_utc),
                ),
            )
        return self.study(name)

    def studies(self) -> list[Study]:
        """All studies, the oldest first."""
        return [
            Study(
                id=row[0],
                name=row[1],
                kind=row[2],
                instructions=row[3],
                image_root=row[4],
                settings=StudySettings.from_dict(json.loads(row[5])),
                created_utc=row[6],
            )
            for row in self.rows(
                "SELECT id, name, kind, instructions, image_root, settings, created_utc FROM studies ORDER BY id"
            )
        ]

    def study(self, name: str | None = None) -> Study:
        """One study; without a name the file's only one.

        Raises:
            UsageError: no such study, or several where none is named.
        """
        studies = self.studies()
        names = ", ".join(repr(study.name) for study in studies) or "none"
        if name is None and len(studies) != 1:
            raise UsageError(f"Expected the name of a study in {self.path}; it has {names}.")
        for study in studies:
            if name is None or normal_name(study.name) == normal_name(name):
                return study
        raise UsageError(f"Expected the name of a study in {self.path}, which has {names}; found {name!r}.")

    def root(self, study: Study) -> Path:
        """The study's image folder."""
        return self.path.resolve().parent / study.image_root

    def add_items(
        self, study: Study, items: Iterable[Item], *, progress: Callable[[int], None] | None = None
    ) -> tuple[int, int]:
        """Adds items and reads their images, each file once; all or nothing.

        Args:
            study: which takes them.
            items: triplets, or pairs for a same/different study.
            progress: called with the number of items so far.

        Returns:
            How many are new, and how many were there already, exactly the same.

        Raises:
            UsageError: an item of another kind, a path out of the root, or another item of the same key.
            ImageError: an image that is missing or that browsers do not show.
            StoreError: an image that has changed since it was added.
        """
        new = 0
        old = 0
        known: dict[str, int] = {}
        with self.transaction():
            for item in items:
                item.check(study.kind)
                for path in (item.reference, item.a, item.b):
                    if path is not None and path not in known:
                        file = fingerprint(self.root(study), path)
                        known[path] = self.add_image(study, path, file.sha256, file.media)
                if self.add_known_item(study, item, known):
                    new += 1
                else:
                    old += 1
                if progress is not None:
                    progress(new + old)
        return new, old

    def add_known_item(self, study: Study, item: Item, images: Mapping[str, int]) -> bool:
        """Adds an item whose images are in the file; whether it is new: the same again is no second one.

        Args:
            study: which takes it.
            item: a triplet, or a pair for a same/different study.
            images: the numbers of images by path.

        Raises:
            UsageError: of another kind, an image that is not there, or another item of the same key.
        """
        item.check(study.kind)
        paths = [path for path in (item.reference, item.a, item.b) if path is not None]
        absent = [path for path in paths if path not in images]
        if absent:
            raise UsageError(f"Expected the images of item {item.key!r} before it; {', '.join(absent)} is missing.")
        before = self.item(study, item.key)
        if before == item:
            return False
        if before is not None:
            raise UsageError(
                f"Expected a new item, or the same again; {study.name!r} has another item {item.key!r}. "
                "Items are never changed: choose another key."
            )
        ids = [None if path is None else images[path] for path in (item.reference, item.a, item.b)]
        with self.transaction() as connection:
            connection.execute(
                "INSERT INTO items (study_id, key, reference_id, a_id, b_id, split, category, known, extra)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (study.id, item.key, *ids, item.split, item.group, item.known, json.dumps(dict(item.extra))),
            )
        return True

    def add_image(self, study: Study, path: str, sha256: str, media: str) -> int:
        """Adds an image whose digest is known, without reading it; the same again is no second one.

        Raises:
            UsageError: a path out of the root, a digest that is none, or a type that no browser shows.
            StoreError: the study has this path with another digest.
        """
        row = self.row("SELECT id, sha256 FROM images WHERE study_id = ? AND path = ?", (study.id, check_path(path)))
        if row is None:
            if not _DIGEST.fullmatch(sha256) or media not in MEDIA:
                raise UsageError(
                    f"Expected a SHA-256 digest in hex and a type of {', '.join(MEDIA)} for the image {path}; found "
                    f"{sha256[:80]!r} and {media!r}."
                )
            cursor = self.connection.execute(
                "INSERT INTO images (study_id, path, sha256, media) VALUES (?, ?, ?, ?)",
                (study.id, path, sha256, media),
            )
            return int(cursor.lastrowid or 0)
        if row[1] != sha256:
            raise StoreError(
                f"Expected the image {path} as it was added to {study.name!r} (SHA-256 {row[1][:12]}…); it has "
                f"changed ({sha256[:12]}…). Bring the old file back, or make a new study."
            )
        return int(row[0])

    def item(self, study: Study, key: str) -> Item | None:
        """The item of that key."""
        row = self.row(_ITEMS + " WHERE i.study_id = ? AND i.key = ?", (study.id, key))
        return None if row is None else _item(row)

    def items(self, study: Study) -> Iterator[Item]:
        """All items, in the order in which they were added."""
        return map(_item, self.rows(_ITEMS + " WHERE i.study_id = ? ORDER BY i.id", (study.id,)))

    def images(self, study: Study) -> Iterator[Image]:
        """All images, in the order in which they were added."""
        rows = self.rows("SELECT id, path, sha256, media FROM images WHERE study_id = ? ORDER BY id", (study.id,))
        return (Image(id=row[0], path=row[1], sha256=row[2], media=row[3]) for row in rows)

    def add_published(self, study: Study, answers: Iterable[Published]) -> int:
        """Adds answers that came with a data set; the same again is no second one. Returns how many are new.

        Raises:
            UsageError: an item that the study does not have, a share outside [0, 1], or another answer of that source.
        """
        new = 0
        with self.transaction() as connection:
            for answer in answers:
                if not (0 <= answer.share <= 1 and (answer.votes is None or answer.votes > 0)):
                    raise UsageError(f"Expected a share in [0, 1] of votes above 0; found {answer!r}.")
                item = self.row("SELECT id FROM items WHERE study_id = ? AND key = ?", (study.id, answer.key))
                if item is None:
                    raise UsageError(f"Expected answers about items of {study.name!r}; it has no item {answer.key!r}.")
                before = self.row(
                    "SELECT share, votes FROM published WHERE item_id = ? AND source = ?", (item[0], answer.source)
                )
                if before is None:
                    connection.execute(
                        "INSERT INTO published (item_id, share, votes, source, time_utc) VALUES (?, ?, ?, ?, ?)",
                        (item[0], answer.share, answer.votes, answer.source, _utc()),
                    )
                    new += 1
                elif before != (answer.share, answer.votes):
                    raise UsageError(
                        f"Expected the same answer again from {answer.source!r} about {answer.key!r}: share "
                        f"{before[0]} of {before[1]} votes; found {answer.share} of {answer.votes}."
                    )
        return new

    def published(self, study: Study) -> Iterator[Published]:
        """The answers that came with data sets."""
        rows = self.rows(
            "SELECT i.key, p.share, p.votes, p.source FROM published p JOIN items i ON i.id = p.item_id"
            " WHERE i.study_id = ? ORDER BY p.id",
            (study.id,),
        )
        return (Published(key=row[0], share=row[1], votes=row[2], source=row[3]) for row in rows)

    # Annotators and their judgements.

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
            cursor = connection.execute(
                "INSERT INTO annotators (study_id, name, created_utc) VALUES (?, ?, ?)",
                (study.id, name, _utc(created_utc)),
            )
            return self._annotators("n.id = ?", int(cursor.lastrowid or 0))[0]

    def annotators(self, study: Study) -> list[Annotator]:
        """All annotators, in the order in which they came."""
        return self._annotators("n.study_id = ?", study.id)

    def annotator_numbered(self, number: int) -> Annotator | None:
        """The annotator of that number in the file, as they stand now."""
        return next(iter(self._annotators("n.id = ?", number)), None)

    def exclude(self, annotator: Annotator, excluded: bool = True, *, time_utc: str | None = None) -> Annotator:
        """Excludes an annotator's judgements from all counts, or includes them again. Repeating it changes nothing.

        The judgements stay in the file. They are left out of progress, agreement, data sets and exports but JSONL's,
        their items are assigned to others, and the annotator's links are invalid meanwhile.
        """
        with self.transaction() as connection:
            if (self._annotators("n.id = ?", annotator.id)[0].excluded_utc is not None) != excluded:
                when = _utc(time_utc)
                connection.execute(
                    "INSERT INTO exclusions (annotator_id, excluded, time_utc) VALUES (?, ?, ?)",
                    (annotator.id, excluded, when),
                )
                connection.execute("DELETE FROM leases WHERE annotator_id = ?", (annotator.id,))
        return self._annotators("n.id = ?", annotator.id)[0]

    def revoke(self, annotator: Annotator) -> Annotator:
        """Invalidates all links of the annotator and the sessions that began with them; new links are valid."""
        with self.transaction() as connection:
            connection.execute("INSERT INTO revocations (annotator_id, time_utc) VALUES (?, ?)", (annotator.id, _utc()))
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
        exact: bool = False,
    ) -> tuple[StoredJudgement, bool]:
        """Adds a judgement. A second one of the same uid is the first.

        Args:
            study: of the item and the annotator.
            key: of the item.
            annotator: who answered.
            answer: of the study's kind.
            shown_left: what stood at the left.
            seconds: from showing to the answer, at least 0.
            uid: the judgement's name in every file; None makes one.
            time_utc: for imports; None takes the time.
            exact: refuse a second one of the same uid that differs from the first, as imports do.

        Returns:
            The judgement as it is stored, and whether it is new.

        Raises:
            UsageError: another kind of answer, no such item, one that this annotator has judged and not undone, or
                the uid of another judgement.
        """
        self._check_answer(study, answer, shown_left, seconds)
        uid = uid or secrets.token_hex(12)
        if len(uid) > _UID_CHARACTERS or not uid.isprintable():
            raise UsageError(f"Expected a uid of at most {_UID_CHARACTERS} printable characters; found {uid[:99]!r}.")
        when = _utc(time_utc)
        with self.transaction() as connection:
            before = self.judgement(uid)
            if before is not None:
                self._check_place(uid, study)
                first = (before.key, before.annotator, before.answer, before.shown_left, before.seconds)
                if exact and (*first, before.time_utc) != (key, annotator.name, answer, shown_left, seconds, when):
                    raise UsageError(f"Expected the judgement as it is stored; the file has another judgement {uid!r}.")
                return before, False
            row = self.row("SELECT id FROM items WHERE study_id = ? AND key = ?", (study.id, key))
            if row is None:
                raise UsageError(f"Expected an item of {study.name!r}; it has no item {key!r}.")
            both = (row[0], annotator.id)
            attempts, retracted = self.row(
                "SELECT count(*), count(t.judgement_id) FROM judgements j LEFT JOIN retractions t"
                " ON t.judgement_id = j.id WHERE j.item_id = ? AND j.annotator_id = ?",
                both,
            ) or (0, 0)
            if attempts > retracted:
                raise UsageError(
                    f"Expected one judgement of {key!r} by {annotator.name!r}; there is one. Undo it first."
                )
            cursor = connection.execute(
                "INSERT INTO judgements (uid, item_id, annotator_id, attempt, choice, score_a, score_b, same,"
                " shown_left, seconds, time_utc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    uid,
                    *both,
                    attempts + 1,
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
            id=int(cursor.lastrowid or 0),
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
        """Retracts a judgement; its row stays. Repeating it changes nothing.

        Raises:
            UsageError: no such judgement.
        """
        with self.transaction() as connection:
            before = self.judgement(uid)
            if before is None:
                raise UsageError(f"Expected the uid of a judgement in {self.path}; found {uid!r}.")
            if before.retracted_utc is None:
                when = _utc(time_utc)
                connection.execute("INSERT INTO retractions VALUES (?, ?)", (before.id, when))
        return self.judgement(uid) or before

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


def _item(row: tuple[Any, ...]) -> Item:
    key, reference, a, b, split, group, known, extra = row
    return Item(key=key, reference=reference, a=a, b=b, split=split, group=group, known=known, extra=json.loads(extra))


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


def _make(path: Path) -> None:
    """An empty file for its owner alone: whoever reads the secret in it can make links to the server."""
    try:
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise StoreError(f"Expected to make the study file {path}; {error.strerror or error}.") from error


def _utc(text: str | None = None) -> str:
    """A time of an import, checked to be ISO 8601 in UTC; None takes the present time, with milliseconds."""
    if text is None:
        return datetime.now(UTC).isoformat(timespec="milliseconds")
    try:
        offset = datetime.fromisoformat(text).utcoffset()
    except (TypeError, ValueError):
        raise UsageError(f"Expected a time such as 2026-01-31T12:00:00+00:00; found {str(text)[:80]!r}.") from None
    if offset:
        raise UsageError(f"Expected a time in UTC (+00:00); found {text!r}.")
    return text
