"""A study as lines of JSON: everything but loans and the secret, so that it can be read back, and merged."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any

from semetric.errors import SemetricError, UsageError
from semetric.learn.judgements.records import (
    Annotator,
    Answer,
    Item,
    Published,
    Study,
    StudySettings,
    normal_name,
)
from semetric.learn.judgements.store import JudgementStore

__all__ = ["import_jsonl", "study_lines"]

_FORMAT = 1
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)  # of records of other form


def study_lines(store: JudgementStore, study: Study) -> Iterator[str]:
    """The lines of a study, each with its newline: the study first, then images, items, annotators, judgements.

    They show the study at one moment, whoever judges meanwhile.
    """
    with store.view():
        yield from _lines(store, study)


def _lines(store: JudgementStore, study: Study) -> Iterator[str]:
    yield _line(
        "study",
        format=_FORMAT,
        name=study.name,
        kind=study.kind,
        instructions=study.instructions,
        image_root=study.image_root,
        settings=study.settings.to_dict(),
        created_utc=study.created_utc,
    )
    for image in store.images(study):
        yield _line("image", path=image.path, sha256=image.sha256, media=image.media)
    for item in store.items(study):
        yield _line(
            "item", **{entry.name: getattr(item, entry.name) for entry in fields(item)} | {"extra": dict(item.extra)}
        )
    for answer in store.published(study):
        yield _line("published", **asdict(answer))
    for annotator in store.annotators(study):
        yield _line(
            "annotator",
            name=annotator.name,
            created_utc=annotator.created_utc,
            excluded_utc=annotator.excluded_utc,
        )
    for judgement in store.judgements(study, standing=False):
        yield _line(
            "judgement",
            uid=judgement.uid,
            key=judgement.key,
            annotator=judgement.annotator,
            **{name: value for name, value in asdict(judgement.answer).items() if value is not None},
            shown_left=judgement.shown_left,
            seconds=judgement.seconds,
            time_utc=judgement.time_utc,
            retracted_utc=judgement.retracted_utc,
        )


def import_jsonl(
    store: JudgementStore, lines: Iterable[str], *, name: str | None = None, image_root: str | None = None
) -> Study:
    """Reads a study back, all or nothing. Into a study that exists it adds what is new there.

    Images are taken at their recorded digests and not read.

    Args:
        store: which takes it.
        lines: as `study_lines` gives them.
        name: of the study; None takes the recorded one.
        image_root: the folder of a new study's images; None takes the recorded one.

    Raises:
        UsageError: a line that is no record, named by its number; a study of another kind; or what `judge`,
            `add_items` and `add_published` refuse.
        StoreError: another image of the same path.
    """
    reader: _Reader | None = None
    with store.transaction():
        for number, text in enumerate(lines, start=1):
            if not text.strip():
                continue
            try:
                record = json.loads(text)
                kind = record.pop("record")
                if reader is None:
                    reader = _Reader(store, _study(store, kind, record, name, image_root))
                else:
                    reader.add(kind, record)
            except SemetricError as error:
                raise type(error)(f"Line {number}: {error}") from error
            except (*_DAMAGE, sqlite3.IntegrityError, sqlite3.ProgrammingError) as error:
                raise UsageError(
                    f"Expected line {number} to be a record of a study, as `semetric learn study export` writes them; "
                    f"found {text[:80]!r} ({error})."
                ) from error
        if reader is None:
            raise UsageError("Expected lines of JSON, a study first; found none.")
    return reader.study


class _Reader:
    """Takes the records after the first, each looked at once."""

    def __init__(self, store: JudgementStore, study: Study) -> None:
        self.store = store
        self.study = study
        self.images = {image.path: image.id for image in store.images(study)}
        self.annotators = {annotator.name: annotator for annotator in store.annotators(study)}
        self.take: Mapping[str, Callable[[dict[str, Any]], None]] = {
            "image": self._image,
            "item": self._item,
            "published": self._published,
            "annotator": self._annotator,
            "judgement": self._judgement,
        }

    def add(self, kind: str, record: dict[str, Any]) -> None:
        """Adds one record."""
        if kind not in self.take:
            raise UsageError(f"Expected a record of {', '.join(self.take)}; found {kind!r}.")
        self.take[kind](record)

    def _image(self, record: dict[str, Any]) -> None:
        self.images[record["path"]] = self.store.add_image(
            self.study, record["path"], record["sha256"], record["media"]
        )

    def _item(self, record: dict[str, Any]) -> None:
        self.store.add_known_item(self.study, Item(**record), self.images)

    def _published(self, record: dict[str, Any]) -> None:
        self.store.add_published(self.study, [Published(**record)])

    def _annotator(self, record: dict[str, Any]) -> None:
        annotator = self.store.annotator(self.study, record["name"], created_utc=record["created_utc"])
        if record.get("excluded_utc") is not None:
            annotator = self.store.exclude(annotator, time_utc=record["excluded_utc"])
        self.annotators[record["name"]] = annotator

    def _judgement(self, record: dict[str, Any]) -> None:
        answer = Answer(**{name: record[name] for name in ("choice", "score_a", "score_b", "same") if name in record})
        annotator: Annotator = self.annotators[record["annotator"]]
        stored, _ = self.store.judge(
            self.study,
            record["key"],
            annotator,
            answer,
            shown_left=record["shown_left"],
            seconds=record["seconds"],
            uid=record["uid"],
            time_utc=record["time_utc"],
            exact=True,
        )
        if record.get("retracted_utc") is not None and stored.retracted_utc is None:
            self.store.retract(stored.uid, time_utc=record["retracted_utc"])


def _study(
    store: JudgementStore, kind: str, record: Mapping[str, Any], name: str | None, image_root: str | None
) -> Study:
    if kind != "study" or record["format"] != _FORMAT:
        raise UsageError(
            f"Expected a study of format {_FORMAT} in the first record; found {kind!r} of {record.get('format')!r}."
        )
    wanted = name or record["name"]
    for study in store.studies():
        if normal_name(study.name) == normal_name(wanted):
            if study.kind != record["kind"]:
                raise UsageError(f"Expected a {study.kind!r} study for {wanted!r}; the file has {record['kind']!r}.")
            return study
    return store.create_study(
        wanted,
        record["kind"],
        image_root or record["image_root"],
        instructions=record["instructions"],
        settings=StudySettings.from_dict(record["settings"]),
        created_utc=record["created_utc"],
    )


def _line(record: str, **values: Any) -> str:
    return json.dumps({"record": record, **values}, ensure_ascii=False, allow_nan=False) + "\n"
