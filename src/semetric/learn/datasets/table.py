"""Judgements in a CSV table, such as the export of a study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from semetric.errors import UsageError
from semetric.learn.datasets.base import Dataset, DatasetSpec, Kind
from semetric.learn.datasets.files import Problems, choose_split
from semetric.learn.triplets import Choice, JudgedPair, ScoredTriplet, Triplet
from semetric.tables import number_in, path_in, read_table

__all__ = ["TABLE", "load_table"]

Judgement = Choice | ScoredTriplet | JudgedPair
_FORMS: tuple[tuple[Kind, tuple[str, ...], str], ...] = (  # kind, columns of images, column that tells it
    ("scores", ("reference", "a", "b"), "score_a"),
    ("choices", ("reference", "a", "b"), "share_b"),
    ("choices", ("reference", "a", "b"), "choice"),
    ("same", ("reference", "a"), "same"),
)


def load_table(root: Path, split: str | None = None, *, images: str | None = None) -> Dataset:
    """Loads a CSV table: a judgement a row, or where it has a column `annotator` the rows of one item together.

    Columns are `reference`, `a`, `b` and an answer: `share_b` (share of people who chose b, in [0, 1]), `choice` (a or
    b), or `score_a` and `score_b` (in [0, 1]). Pairs have `reference`, `a` and `same` (same or different). `key`,
    `split` and `group` are read where they are there. Rows with a `known` answer are attention checks and left out, as
    items without a judgement are.

    Args:
        root: the file.
        split: of the rows; None for all.
        images: the folder that paths start from; by default the file's own.

    Returns:
        Choices, scored triplets or judged pairs; `problems` names the rows whose images are missing.

    Raises:
        UsageError: no such file, columns or split, an answer that is none, or no judged item.
    """
    from semetric.learn.judgements.table import plain_text

    answered: dict[str, list[tuple[int, dict[str, str]]]] = {}
    kind: Kind | None = None
    for line, raw in read_table(root, ("reference", "a")).named():
        row = {name: plain_text(value).strip() for name, value in raw.items()}
        if row.get("known") or ("annotator" in row and not row["annotator"]):
            continue
        kind = kind or _kind(row, root)
        key = row.get("key") or (f"row {line}" if "annotator" not in row else " ".join(_shown(row)))
        if key in answered and "annotator" not in row:
            raise UsageError(f"Expected one row of the key {key!r} in {root}; line {line} has another one.")
        answered.setdefault(key, []).append((line, row))
    folder, problems = root.resolve().parent if images is None else Path(images), Problems()
    items: list[Judgement] = []
    splits: set[str] = set()
    for key, rows in answered.items():
        first = rows[0][1]
        splits.add(first.get("split", ""))
        if split not in (None, first.get("split", "")):
            continue
        paths = [str(folder / path_in(folder, path)) for path in _shown(first)]
        missing = [path for path in paths if not Path(path).is_file()]
        if missing:
            problems.add(f"line {rows[0][0]}", f"{', '.join(missing)} is no file")
            continue
        items.append(_item(key, paths, kind or "choices", rows, root))
    choose_split(split, sorted(splits), str(root))
    return Dataset(
        name=root.name,
        root=str(folder),
        kind=kind or "choices",
        items=problems.checked(items, "judged items", root),
        split=split,
        problems=problems,
    )


def _kind(row: dict[str, str], root: Path) -> Kind:
    """The kind of judgement, by the columns and, since a study's export has all of them, by the first answer."""
    fitting = [form for form in _FORMS if form[2] in row and all(name in row for name in form[1])]
    if not fitting:
        raise UsageError(
            f"Expected the columns reference, a, b and share_b, choice, or score_a and score_b in {root} (of pairs "
            f"reference, a and same); found {', '.join(row)}."
        )
    for kind, _, column in fitting:
        if row[column]:
            return kind
    return fitting[0][0]


def _shown(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row[name] for name in ("reference", "a", "b") if row.get(name))


def _item(
    key: str, paths: Sequence[str], kind: Kind, rows: Sequence[tuple[int, dict[str, str]]], root: Path
) -> Judgement:
    """The rows of an item together, a vote each."""
    first = rows[0][1]
    place: dict[str, Any] = {"key": key, "split": first.get("split", ""), "group": first.get("group", "")}
    if kind == "same":
        shares = [_word(row, "same", "different", "same", line, root) for line, row in rows]
        return JudgedPair(
            reference=paths[0], image=paths[1], opinion=sum(shares) / len(shares), votes=len(shares), **place
        )
    if len(paths) != 3:
        raise UsageError(f"Expected reference, a and b in line {rows[0][0]} of {root}; one of them is empty.")
    triplet = Triplet(reference=paths[0], a=paths[1], b=paths[2], **place)
    if kind == "scores":
        a, b = (
            sum(_number(row, name, line, root) for line, row in rows) / len(rows) for name in ("score_a", "score_b")
        )
        return ScoredTriplet(triplet=triplet, score_a=a, score_b=b)
    if first.get("share_b"):
        return Choice(triplet=triplet, share_b=sum(_number(row, "share_b", n, root) for n, row in rows) / len(rows))
    votes = [_word(row, "choice", "a", "b", line, root) for line, row in rows]
    return Choice(triplet=triplet, share_b=sum(votes) / len(votes), votes=len(votes))


def _number(row: dict[str, str], name: str, line: int, root: Path) -> float:
    text = row.get(name, "")
    try:
        value = number_in(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 1:
        raise UsageError(f"Expected {name} in line {line} of {root} in [0, 1]; found {text!r}.")
    return value


def _word(row: dict[str, str], name: str, no: str, yes: str, line: int, root: Path) -> float:
    """0 for the first word, 1 for the second."""
    text = row.get(name, "")
    if text not in (no, yes):
        raise UsageError(f"Expected {name} in line {line} of {root} to be {no} or {yes}; found {text!r}.")
    return float(text == yes)


TABLE = DatasetSpec(name="csv", load=load_table, kind=None, summary="a table of judgements of one's own", paper="–")
