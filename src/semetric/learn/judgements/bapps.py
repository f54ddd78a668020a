"""BAPPS's folders (Zhang et al. 2018, arXiv 1801.03924): 2afc/<split>/<subset>/{ref,p0,p1,judge}, jnd/….

A judgement file holds the share of people who chose p1, or said "same". The paper's Table 2 has two votes a
training triplet, five a validation triplet, three a pair.
"""

from __future__ import annotations

import glob
import io
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from semetric.errors import ImageError, UsageError
from semetric.learn.judgements.images import locate
from semetric.learn.judgements.pooled import pool
from semetric.learn.judgements.records import Item, Published, Study
from semetric.learn.judgements.store import JudgementStore
from semetric.results.files import named_errors

__all__ = ["export_bapps", "import_bapps"]

_SOURCE = "bapps"
_VOTES = {"2afc/train": 2, "2afc/val": 5, "jnd/val": 3}
_FOLDERS = {"choice": ("2afc", "judge", ("ref", "p0", "p1")), "same": ("jnd", "same", ("p0", "p1"))}
_MOST_BYTES = 4096  # of a judgement: one number and a header of 128 bytes
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".avif")
_PLAIN = re.compile(r"[\w-]+")


def import_bapps(
    store: JudgementStore, study: Study, *, progress: Callable[[int], None] | None = None
) -> tuple[int, int]:
    """Reads the folders below the study's image root: 2afc into a choice study, jnd into a same/different study.

    p0 becomes a and p1 becomes b; of a pair p0 is the reference. Splits and subsets come from the folders' names.

    Returns:
        How many items are new, and how many were there.

    Raises:
        UsageError: a study of scores, no such folders, a judgement that is no share, or as `add_items`.
        ImageError: images or judgements that are missing.
    """
    top, judge, _ = _layout(study)
    root = store.root(study)
    items: list[Item] = []
    answers: list[Published] = []
    for folder in sorted(path for path in (root / top).glob("*/*") if path.is_dir()):
        split, subset = folder.parent.name, folder.name
        for stem in sorted(_stems(study, folder, judge)):
            file = folder / judge / f"{stem}.npy"
            key = f"{split}/{subset}/{stem}"
            images = [path.relative_to(root).as_posix() for path in _images(study, folder, stem)]
            names = ("reference", "a", "b") if study.kind == "choice" else ("reference", "a")
            items.append(Item(key=key, split=split, group=subset, **dict(zip(names, images, strict=True))))  # type: ignore[arg-type]
            share = _share(file)
            votes = _VOTES.get(f"{top}/{split}")
            if votes is not None and abs(share * votes - round(share * votes)) > 1e-4:  # float32 thirds and fifths
                votes = None
            answers.append(Published(key=key, share=share, votes=votes, source=_SOURCE))
    if not items:
        raise UsageError(f"Expected BAPPS's folders {top}/<split>/<subset>/{judge}/*.npy below {root}; found none.")
    with store.transaction():
        counted = store.add_items(study, items, progress=progress)
        store.add_published(study, answers)
    return counted


def export_bapps(store: JudgementStore, study: Study, folder: str | os.PathLike[str]) -> int:
    """Writes a new folder in BAPPS's layout, images copied; it appears whole or not at all.

    An item without a split goes to val, one without a group to the subset named "study".

    Returns:
        How many items it has: those that were judged.

    Raises:
        UsageError: a study of scores, or a folder that exists.
        ImageError: an image that is missing.
        StoreError: it cannot be written.
    """
    top, judge, names = _layout(study)
    out = Path(folder)
    if out.exists():
        raise UsageError(f"Expected a new folder; {out} exists. Name another.")
    found = pool(store, study)
    with named_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        with named_errors(out):
            taken: set[Path] = set()
            for number, one in enumerate(found):
                item = one.item
                subset = building / top / _part(item.split, "val") / _part(item.group, "study")
                stem = item.key.rpartition("/")[2]
                if not _PLAIN.fullmatch(stem) or subset / stem in taken:
                    stem = f"item_{number:06d}"
                taken.add(subset / stem)
                for name, path in zip(names, (item.reference, item.a, item.b), strict=False):
                    if path is not None:
                        _copy(locate(store.root(study), path), subset / name / f"{stem}{Path(path).suffix.lower()}")
                (subset / judge).mkdir(parents=True, exist_ok=True)
                np.save(subset / judge / f"{stem}.npy", np.array([one.share], np.float32))
            building.chmod(0o755)
            os.replace(building, out)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    return len(found)


def _layout(study: Study) -> tuple[str, str, tuple[str, ...]]:
    if study.kind not in _FOLDERS:
        raise UsageError(
            f"Expected a study of kind choice or same, as BAPPS has them; {study.name!r} is a {study.kind!r} study."
        )
    return _FOLDERS[study.kind]


def _images(study: Study, folder: Path, stem: str) -> Iterator[Path]:
    for name in _FOLDERS[study.kind][2]:
        files = sorted((folder / name).glob(f"{glob.escape(stem)}.*"))
        if not files:
            raise ImageError(f"Expected the image {stem} in {folder / name}; it is missing.")
        yield files[0]


def _stems(study: Study, folder: Path, judge: str) -> set[str]:
    """Of every image and judgement, so that none of either goes missing in silence."""
    found = {file.stem for file in (folder / judge).glob("*.npy")}
    for name in _FOLDERS[study.kind][2]:
        found |= {file.stem for file in (folder / name).glob("[!.]*.*") if file.suffix.lower() in _SUFFIXES}
    return found


def _share(file: Path) -> float:
    try:
        with file.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ValueError("it is too large for one number")
        values = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
        share = float(np.asarray(values, np.float64).reshape(-1)[0])
    except Exception as error:  # of damaged headers numpy raises errors of many classes
        raise ImageError(f"Expected a number in {file}; {error}.") from error
    if values.size != 1 or not 0 <= share <= 1:
        raise UsageError(f"Expected one share in [0, 1] in {file}; found {values!r}.")
    return share


def _part(name: str, default: str) -> str:
    return re.sub(r"[^\w-]", "_", name) or default


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source, target)
    except FileNotFoundError as error:
        raise ImageError(f"Expected the image {source}; it is missing.") from error
