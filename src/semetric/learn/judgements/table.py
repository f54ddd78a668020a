"""A study as one CSV table, a row a judgement: for spreadsheets and statistics, and to fill a study by hand."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from semetric.errors import UsageError
from semetric.learn.judgements.records import Answer, Item, Study, normal_name
from semetric.learn.judgements.store import JudgementStore
from semetric.results.export import csv_line
from semetric.tables import number_in, path_in, read_table

__all__ = ["import_csv", "plain_text", "table_text"]

_ITEM = ("key", "reference", "a", "b", "split", "group", "known")
_ANSWER = ("annotator", "choice", "score_a", "score_b", "same", "shown_left", "seconds", "time_utc", "uid")
_FORMULA = re.compile(r"^'*[=+\-@\t\r]")  # what spreadsheets run; such text goes behind an apostrophe


def table_text(store: JudgementStore, study: Study) -> str:
    """The table: every standing judgement, and a row without an annotator for each item that has none."""
    with store.view():
        return _table_text(store, study)


def _table_text(store: JudgementStore, study: Study) -> str:
    lines = [csv_line((*_ITEM, *_ANSWER))]
    answers: dict[str, list[list[Any]]] = {}
    for judgement in store.judgements(study):
        answer = judgement.answer
        same = None if answer.same is None else "same" if answer.same else "different"
        answers.setdefault(judgement.key, []).append(
            [
                _guarded(judgement.annotator),
                answer.choice,
                _number(answer.score_a),
                _number(answer.score_b),
                same,
                judgement.shown_left,
                _number(judgement.seconds),
                judgement.time_utc,
                _guarded(judgement.uid),
            ]
        )
    for item in store.items(study):
        own = [_guarded(value) for value in (item.key, item.reference, item.a, item.b, item.split, item.group)]
        for rest in answers.get(item.key, [[None] * len(_ANSWER)]):
            lines.append(csv_line([*own, item.known, *rest]))
    return b"".join(lines).decode()


def import_csv(
    store: JudgementStore,
    study: Study,
    path: str | os.PathLike[str],
    *,
    progress: Callable[[int], None] | None = None,
) -> tuple[int, int]:
    """Reads a table of items, and the judgements of rows that name an annotator; all or nothing.

    Columns reference and a must be there, b for triplets; key defaults to the row's number. Judgements without
    shown_left, seconds or a time are refused: they cannot be made up. A judgement without a uid gets one of its item,
    annotator and time, so that the same table twice is once. What a table has no column for, an item that is there
    keeps.

    Returns:
        How many items are new, and how many were there.

    Raises:
        UsageError: a row that is none, named by its line, or as `add_items` and `judge`.
        ImageError: images that are missing.
    """
    rows = read_table(path, ("reference", "a")).named()
    images = Path(study.image_root)
    items: dict[str, Item] = {}
    judged: list[tuple[int, str, dict[str, str]]] = []
    for line, raw in rows:
        row = {name: plain_text(value) for name, value in raw.items() if value}
        key = row.get("key", f"row {line}")
        item = Item(
            key=key,
            reference=path_in(images, row.get("reference", "")),
            a=path_in(images, row.get("a", "")),
            b=path_in(images, row["b"]) if "b" in row else None,
            split=row.get("split", ""),
            group=row.get("group", ""),
            known=row.get("known"),
            extra={} if (before := store.item(study, key)) is None else before.extra,
        )
        if items.setdefault(key, item) != item:
            raise UsageError(f"Expected one item of key {key!r} in {path}; line {line} has another one.")
        if "annotator" in row:
            judged.append((line, key, row))
    with store.transaction():
        counted = store.add_items(study, items.values(), progress=progress)
        for line, key, row in judged:
            try:
                store.judge(
                    study,
                    key,
                    store.annotator(study, row["annotator"]),
                    _answer(row),
                    shown_left=row["shown_left"],  # type: ignore[arg-type]  # checked there
                    seconds=number_in(row["seconds"]),
                    uid=row.get("uid") or _uid(study, key, row),
                    time_utc=row["time_utc"],
                    exact=True,
                )
            except (KeyError, ValueError) as error:
                what = f"no {error.args[0]}" if isinstance(error, KeyError) else str(error)
                raise UsageError(f"Expected line {line} of {path} to be a judgement; {what}") from error
    return counted


def _uid(study: Study, key: str, row: dict[str, str]) -> str:
    identity = json.dumps([study.name, key, normal_name(row["annotator"]), row["time_utc"]])
    return hashlib.sha256(identity.encode()).hexdigest()[:24]


def _answer(row: dict[str, str]) -> Answer:
    same = row.get("same")
    if same not in (None, "same", "different"):
        raise UsageError(f"Expected same or different in the column same; found {same!r}.")
    return Answer(
        choice=row.get("choice"),  # type: ignore[arg-type]  # checked there
        score_a=number_in(row["score_a"]) if "score_a" in row else None,
        score_b=number_in(row["score_b"]) if "score_b" in row else None,
        same=None if same is None else same == "same",
    )


def _number(value: float | None) -> str | None:
    return None if value is None else repr(value)


def _guarded(value: str | None) -> str | None:
    return f"'{value}" if value and _FORMULA.match(value) else value


def plain_text(value: str) -> str:
    """A cell without the apostrophe that an export puts before what a spreadsheet would run."""
    return value[1:] if value.startswith("'") and _FORMULA.match(value) else value
