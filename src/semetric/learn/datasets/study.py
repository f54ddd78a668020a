"""A study file of Semetric, or its export as lines of JSON."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from semetric.errors import UsageError
from semetric.learn.datasets.base import Dataset, DatasetSpec, Kind
from semetric.learn.datasets.files import Damaged, Files, Problems, choose_split
from semetric.learn.triplets import Choice, JudgedPair, ScoredTriplet

if TYPE_CHECKING:
    from semetric.learn.judgements import JudgementStore

__all__ = ["STUDY", "load_study"]

_LINES = (".json", ".jsonl", ".ndjson")
_KINDS: dict[str, Kind] = {"choice": "choices", "score": "scores", "same": "same"}


def load_study(root: Path, split: str | None = None, *, study: str | None = None, images: str | None = None) -> Dataset:
    """Loads the judgements of a study, pooled by item, without attention checks and retracted answers.

    Args:
        root: the study file, or its export with the suffix .jsonl.
        split: of the items; None for all.
        study: its name, where the file holds several.
        images: the folder of the images; by default the one that the study names.

    Returns:
        Choices, scored triplets, or for same-or-different studies judged pairs.

    Raises:
        UsageError: no such file, study or split, or no judged item.
        StoreError: the file is damaged or another program's.
    """
    if not root.is_file():
        state = "a folder" if root.is_dir() else "not there"
        raise UsageError(f"Expected a study file or its export; {root} is {state}.")
    from semetric.learn.judgements import JudgementStore

    if root.suffix.lower() not in _LINES:
        with JudgementStore(root) as store:
            return _dataset(store, root, split, study, images)
    from semetric.learn.judgements.jsonl import import_jsonl

    with (
        tempfile.TemporaryDirectory(prefix="semetric-") as folder,
        JudgementStore(Path(folder) / "study.db", create=True) as store,
    ):
        try:
            with root.open(encoding="utf-8-sig") as lines:
                import_jsonl(store, lines)
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"Expected a study's lines of JSON; {root}: {error}.") from error
        return _dataset(store, root, split, study, images)


def _dataset(store: JudgementStore, path: Path, split: str | None, name: str | None, images: str | None) -> Dataset:
    from semetric.learn.judgements.pooled import choices, judged_pairs, scored_triplets

    study = store.study(name)
    pooled: Sequence[Choice | ScoredTriplet | JudgedPair]
    if study.kind == "choice":
        pooled = choices(store, study)
    elif study.kind == "score":
        pooled = scored_triplets(store, study)
    else:
        pooled = judged_pairs(store, study)
    root = store.root(study)
    folder = Path(images) if images is not None else path.resolve().parent / study.image_root
    files, problems = Files(folder), Problems()
    items = []
    splits: set[str] = set()
    for item in pooled:
        shown = item if isinstance(item, JudgedPair) else item.triplet
        splits.add(shown.split)
        if split in (None, shown.split):
            with problems.of(shown.key):
                items.append(_placed(item, root, files))
    choose_split(split, sorted(splits), study.name)
    return Dataset(
        name=f"study {study.name}",
        root=str(files.root),
        kind=_KINDS[study.kind],
        items=problems.checked(items, f"judged items of the study {study.name}", path),
        split=split,
        problems=problems,
    )


def _placed(item: Choice | ScoredTriplet | JudgedPair, root: Path, files: Files) -> Choice | ScoredTriplet | JudgedPair:
    """The item with the paths of its files in the folder that holds them."""

    def place(path: str) -> str:
        return files.path(Path(path).relative_to(root).as_posix())

    try:
        if isinstance(item, JudgedPair):
            return dataclasses.replace(item, reference=place(item.reference), image=place(item.image))
        shown = item.triplet
        triplet = dataclasses.replace(shown, reference=place(shown.reference), a=place(shown.a), b=place(shown.b))
        return dataclasses.replace(item, triplet=triplet)
    except ValueError as error:
        raise Damaged(f"it lies outside of the study's images ({error})") from None


STUDY = DatasetSpec(
    name="study", load=load_study, kind=None, summary="a study file of one's own, or its export", paper="–"
)
