"""THINGS odd-one-out: of three objects, which belongs least (Hebart et al. 2020 and 2023, osf.io/f5rn6).

The release holds the judgements in two layouts, and this loader reads both.

1. `triplets_large_final_correctednc_correctedorder.csv`: a table, tabs between cells, whose columns
   image1, image2, image3 number objects from 1 and whose column choice says which of the three, 1 to
   3, was the odd one.
2. `trainset.txt`, `validationset.txt`, `testset1.txt` …: three numbers from 0 a line, the last the odd
   one. Objects are numbered here in the order of an early list; `sortindex` (one number from 0 a line)
   says which number each object of the final list had.

Files of the second form with names of one's own, such as train_90.txt and test_10.txt, count in the
final order unless a sortindex is given.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from semetric.errors import UsageError
from semetric.learn.datasets.base import Dataset, DatasetSpec, OddOneOut
from semetric.learn.datasets.files import Damaged, Files, Problems, find, sorted_names
from semetric.tables import read_text

__all__ = ["THINGS", "load_things"]

_TABLE = "triplets_large_final_correctednc_correctedorder.csv"
_EARLY = ("trainset", "validationset", "testset1", "testset2", "testset3")  # numbered in the early order
_SPLITS = {"train": ("trainset", "train_90"), "val": ("validationset",), "test": ("test_10", "testset1")}
_FOLDERS = ("", "triplet_dataset", "triplets", "data/triplet_dataset", "data")
_LISTS = ("unique_id.txt", "things_concepts.tsv", "concepts/things_concepts.tsv", "variables/unique_id.txt")
_IMAGES = ("images/{}.jpg", "images/{0}/{0}_01b.jpg", "images/{}.png")


def load_things(
    root: Path, split: str | None = None, *, file: str | None = None, sortindex: str | None = None
) -> Dataset:
    """Loads odd-one-out triplets and the image of each object.

    Objects are named by `unique_id.txt` (a line each) or by the column uniqueID of `things_concepts.tsv`; the image
    of an object is `images/<id>.jpg`, or `images/<id>/<id>_01b.jpg`, the one of the experiment.

    Args:
        root: the folder that holds all this.
        split: train, val (the validation set) or test; or the name of a file without its suffix. None loads the
            table of all judgements: 4.7 million, some 2 GB of memory.
        file: the file of triplets, relative to the root, rather than looking for it.
        sortindex: the file of the early order, relative to the root; by default `sortindex` or `sortindex.txt`
            where a file needs it, and "none" takes numbers as they are.

    Returns:
        Odd-one-out trials.

    Raises:
        UsageError: no such file, no list of objects, an early file without a sortindex, or no whole trial.
    """
    find(root, "THINGS")
    path = root / file if file is not None else _triplet_file(root, split)
    if file is not None and not path.is_file():
        raise UsageError(f"Expected a file of triplets; {path} is not there.")
    problems = Problems()
    names = _object_names(root)
    table = path.suffix == ".csv"
    order = None if table else _early_order(root, path, sortindex, len(names))
    files = Files(root)
    images: dict[int, str | Damaged] = {}
    items: list[OddOneOut] = []
    part = split if split in _SPLITS else ""
    for line, numbers, odd in _table(path, problems) if table else _lines(path, problems):
        try:
            if len(set(numbers)) != 3:
                raise Damaged(f"{numbers} are not three objects")
            shown = [_image(_final(number, order, len(names)), names, images, files) for number in numbers]
        except Damaged as why:
            problems.add(f"{path.name}, line {line}", why)
            continue
        key = f"{path.stem}/{line}"
        items.append(OddOneOut(key=key, images=(shown[0], shown[1], shown[2]), odd=odd, split=part or ""))
    return Dataset(
        name="things",
        root=str(root),
        kind="odd_one_out",
        items=problems.checked(items, "odd-one-out trials of THINGS", path),
        split=split,
        problems=problems,
    )


def _triplet_file(root: Path, split: str | None) -> Path:
    stems = (_TABLE.removesuffix(".csv"),) if split is None else _SPLITS.get(split, (split,))
    if split is not None and ("/" in split or "\\" in split):
        raise UsageError(f"Expected a split of THINGS: {', '.join(_SPLITS)}; found {split!r}.")
    suffixes = (".csv",) if split is None else (".txt", ".npy")
    names = [f"{folder}/{stem}{suffix}".lstrip("/") for stem in stems for folder in _FOLDERS for suffix in suffixes]
    for name in names:
        if (root / name).is_file():
            return root / name
    tables = sorted({name for folder in _FOLDERS for name in sorted_names(root / folder) if name.endswith(".txt")})
    raise UsageError(
        f"Expected {' or '.join(f'{stem}{suffixes[0]}' for stem in stems)} in {root} or its folder triplet_dataset; "
        f"found {', '.join(tables[:10]) or 'no text file'}. Name another with the option file."
    )


def _object_names(root: Path) -> list[str]:
    file = find(root, "the list of objects of THINGS", *_LISTS)
    text = read_text(file)
    if file.suffix == ".tsv":
        rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter="\t"))
        names = [row.get("uniqueID") or "" for row in rows]
        if not names or not all(names):
            raise UsageError(f"Expected a column uniqueID in each row of {file}; it is missing or empty.")
    else:
        names = [line.strip() for line in text.splitlines() if line.strip()]
    if not names:
        raise UsageError(f"Expected the names of objects in {file}; it is empty.")
    return names


def _early_order(root: Path, path: Path, given: str | None, objects: int) -> Mapping[int, int] | None:
    """Early number → final number; None where the file counts in the final order."""
    if given == "none":
        return None
    places = [given] if given is not None else ["sortindex", "sortindex.txt", "data/sortindex"]
    if given is None and path.stem not in _EARLY:
        return None
    file = next((root / name for name in places if (root / name).is_file()), None)
    if file is None:
        raise UsageError(
            f"Expected a file sortindex in {root}, since {path.name} of the release numbers objects in an early order; "
            "found none. Put it there, or pass sortindex='none' where the numbers are final."
        )
    try:
        old = [int(word) for word in read_text(file).split()]
    except ValueError as error:
        raise UsageError(f"Expected whole numbers in {file}; {error}.") from error
    if sorted(old) != list(range(objects)):
        raise UsageError(f"Expected each number from 0 to {objects - 1} once in {file}, one an object; it has others.")
    return {early: final for final, early in enumerate(old)}


def _table(path: Path, problems: Problems) -> Iterator[tuple[int, tuple[int, int, int], int]]:
    """Line, three numbers from 0, place of the odd one."""
    columns = ("image1", "image2", "image3", "choice")
    with _opened(path) as stream:
        first = stream.readline()
        header = [name.strip() for name in first.rstrip("\n").split(_delimiter(first))]
        missing = [name for name in columns if name not in header]
        if missing:
            raise UsageError(f"Expected the columns {', '.join(columns)} in {path}; {', '.join(missing)} is not there.")
        places = [header.index(name) for name in columns]
        delimiter = _delimiter(first)
        for line, text in enumerate(stream, 2):
            cells = text.rstrip("\n").split(delimiter)
            try:
                image1, image2, image3, choice = (int(cells[place]) for place in places)
                if choice not in (1, 2, 3):
                    raise Damaged(f"choice is {choice}, not 1, 2 or 3")
            except (IndexError, ValueError, Damaged) as why:
                if text.strip():
                    problems.add(f"{path.name}, line {line}", why)
                continue
            yield line, (image1 - 1, image2 - 1, image3 - 1), choice - 1


def _lines(path: Path, problems: Problems) -> Iterator[tuple[int, tuple[int, int, int], int]]:
    """Line, three numbers from 0, place of the odd one: always the last."""
    if path.suffix == ".npy":
        yield from _array(path)
        return
    with _opened(path) as stream:
        for line, text in enumerate(stream, 1):
            words = text.replace(",", " ").split()
            if not words:
                continue
            try:
                first, second, third = (int(float(word)) if float(word).is_integer() else None for word in words)
                if first is None or second is None or third is None:
                    raise ValueError("not whole")
            except (ValueError, OverflowError):
                problems.add(f"{path.name}, line {line}", f"{text.strip()[:60]!r} is not three whole numbers")
                continue
            yield line, (first, second, third), 2


def _array(path: Path) -> Iterator[tuple[int, tuple[int, int, int], int]]:
    import numpy as np

    try:
        with path.open("rb") as stream:
            values = np.lib.format.read_array(stream, allow_pickle=False)
    except Exception as error:  # of damaged headers numpy raises errors of many classes
        raise UsageError(f"Expected an array of triplets in {path}; {error}.") from error
    if values.ndim != 2 or values.shape[1] != 3 or values.dtype.kind not in "iuf" or (values != np.rint(values)).any():
        raise UsageError(f"Expected (N, 3) whole numbers in {path}; found {values.dtype} of shape {values.shape}.")
    for line, (first, second, third) in enumerate(values.astype(np.int64).tolist(), 1):
        yield line, (first, second, third), 2


def _opened(path: Path) -> io.TextIOWrapper:
    try:
        return path.open(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise UsageError(f"Expected a file of triplets; {path}: {error.strerror or error}.") from error


def _delimiter(header: str) -> str:
    return "\t" if "\t" in header else ","


def _final(number: int, order: Mapping[int, int] | None, objects: int) -> int:
    if not 0 <= number < objects:
        raise Damaged(f"object {number} is not among the {objects} of the list")
    return number if order is None else order[number]


def _image(number: int, names: list[str], images: dict[int, str | Damaged], files: Files) -> str:
    if number not in images:
        images[number] = Damaged(f"no image of {names[number]}")
        for form in _IMAGES:
            try:
                images[number] = files.path(form.format(names[number]))
                break
            except Damaged as why:
                if "leads out" in str(why):
                    images[number] = why
    image = images[number]
    if isinstance(image, Damaged):
        raise Damaged(*image.args)
    return image


THINGS = DatasetSpec(
    name="things",
    load=load_things,
    kind="odd_one_out",
    summary="objects, the odd one of three",
    paper="Hebart et al. 2020, 2023",
)
