"""What a study file holds to be judged: studies, images, items, and answers that came with data sets."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from semetric.errors import StoreError, UsageError
from semetric.learn.judgements.file import StudyFile, utc_now
from semetric.learn.judgements.images import MEDIA, check_path, fingerprint
from semetric.learn.judgements.records import (
    KINDS,
    Image,
    Item,
    Kind,
    Published,
    Settings,
    Study,
    check_name,
    normal_name,
)

__all__ = ["StudyContents"]

_ITEMS = """
SELECT i.key, r.path, a.path, b.path, i.split, i.category, i.known, i.extra FROM items i
JOIN images r ON r.id = i.reference_id JOIN images a ON a.id = i.a_id LEFT JOIN images b ON b.id = i.b_id
"""

_DIGEST = re.compile(r"[0-9a-f]{64}")


class StudyContents(StudyFile):
    """Studies and their items. Nothing here is changed once it is added."""

    def create_study(
        self,
        name: str,
        kind: Kind,
        image_root: str | os.PathLike[str],
        *,
        instructions: str = "",
        settings: Settings | None = None,
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
        chosen = settings or Settings()
        with self.transaction() as connection:
            if any(normal_name(study.name) == name for study in self.studies()):
                raise UsageError(f"Expected a new study's name; {self.path} has a study {name!r}. Choose another name.")
            connection.execute(
                "INSERT INTO studies (name, kind, instructions, image_root, settings, created_utc)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (name, kind, instructions, os.fspath(image_root), chosen.to_json(), created_utc or utc_now()),
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
                settings=Settings.from_values(json.loads(row[5])),
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
        found = self.studies()
        names = ", ".join(repr(study.name) for study in found) or "none"
        if name is None and len(found) != 1:
            raise UsageError(f"Expected the name of a study in {self.path}; it has {names}.")
        for study in found:
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
                        found = fingerprint(self.root(study), path)
                        known[path] = self.add_image(study, path, found.sha256, found.media)
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
            done = self.connection.execute(
                "INSERT INTO images (study_id, path, sha256, media) VALUES (?, ?, ?, ?)",
                (study.id, path, sha256, media),
            )
            return int(done.lastrowid or 0)
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
                        (item[0], answer.share, answer.votes, answer.source, utc_now()),
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


def _item(row: tuple[Any, ...]) -> Item:
    key, reference, a, b, split, group, known, extra = row
    return Item(key=key, reference=reference, a=a, b=b, split=split, group=group, known=known, extra=json.loads(extra))
