"""Triplets as a training takes them: images by number, which candidate is closer, what trains and what is held out."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.learn.triplets import Choice, Triplet
from semetric.tables import number_in, path_in, read_table

__all__ = ["COLUMNS", "Examples", "examples_of", "read_choices", "split_choices"]

COLUMNS = ("reference", "a", "b", "share_b")
_HELD_OUT = ("val", "valid", "validation")


@dataclass(frozen=True, kw_only=True, eq=False)
class Examples:
    """Choices over a list of images, each of which is held once.

    Attributes:
        paths: of the images.
        rows: (n, 3): reference, a and b as places in `paths`.
        share_b: (n,) share of people who chose b.
        groups: (n,) what each triplet varies, or empty.
    """

    paths: tuple[str, ...]
    rows: NDArray[np.int64]
    share_b: NDArray[np.float64]
    groups: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def digest(self) -> str:
        """Of the paths, rows and shares: an interrupted training goes on with equal ones alone."""
        found = hashlib.sha256("\n".join(self.paths).encode())
        found.update(self.rows.tobytes())
        found.update(self.share_b.tobytes())
        return found.hexdigest()[:12]


def examples_of(choices: Sequence[Choice]) -> Examples:
    """Numbers the images of choices, in the order in which they occur."""
    places: dict[str, int] = {}
    rows = np.array(
        [
            [places.setdefault(path, len(places)) for path in (c.triplet.reference, c.triplet.a, c.triplet.b)]
            for c in choices
        ],
        np.int64,
    ).reshape(len(choices), 3)
    return Examples(
        paths=tuple(places),
        rows=rows,
        share_b=np.array([c.share_b for c in choices], np.float64),
        groups=tuple(c.triplet.group for c in choices),
    )


def split_choices(
    choices: Sequence[Choice], share: float, seed: int
) -> tuple[tuple[Choice, ...], tuple[Choice, ...], int]:
    """What trains, what is held out, and how many choices neither can take.

    Where choices carry splits, "train" (or none) trains, "val" is held out, and every other split is left alone:
    a test set is for afterwards. Otherwise a share of the references is drawn; all triplets of a reference stay on
    one side. Draws (share_b = 0.5) have no side to train towards and are left out of both.

    Args:
        choices: at least one.
        share: of the references that is held out, in [0, 1).
        seed: of the draw.

    Raises:
        UsageError: nothing is left to train on.
    """
    decided = [c for c in choices if c.share_b != 0.5]
    held = [c for c in decided if c.triplet.split in _HELD_OUT]
    train = [c for c in decided if c.triplet.split in ("", "train")]
    if not held and share > 0 and train:
        references = sorted({c.triplet.reference for c in train})
        count = min(len(references) - 1, max(1, round(share * len(references))))
        drawn = np.random.default_rng([seed, 3]).permutation(len(references))[:count]
        chosen = {references[i] for i in drawn}
        held = [c for c in train if c.triplet.reference in chosen]
        train = [c for c in train if c.triplet.reference not in chosen]
    if not train:
        raise UsageError(
            f"Expected triplets to train on, with a side that people chose; found none among {len(choices)}. "
            "Draws (share_b 0.5) and the test split do not count."
        )
    return tuple(train), tuple(held), len(choices) - len(train) - len(held)


def read_choices(file: str | os.PathLike[str]) -> tuple[Choice, ...]:
    """Choices of a CSV file with the columns reference, a, b, share_b; split and group where it has them.

    Paths are relative to the file's folder.

    Raises:
        UsageError: no such file, a column or an image that is missing, or a share outside of 0..1; names the line.
    """
    path = Path(file)
    found = tuple(_choice(row, line, path) for line, row in read_table(path, COLUMNS).named())
    if not found:
        raise UsageError(f"Expected choices in {path}; found none below its header.")
    return found


def _choice(row: dict[str, str], line: int, file: Path) -> Choice:
    paths = {}
    for name in ("reference", "a", "b"):
        text = path_in(file.parent, row[name])
        path = file.parent / text
        if not text.strip() or not path.is_file():
            raise UsageError(f"Expected an image as {name} in line {line} of {file}; found {text!r}, which is no file.")
        paths[name] = str(path)
    try:
        share = number_in(row["share_b"])
    except ValueError:
        raise UsageError(f"Expected share_b in line {line} of {file} in [0, 1]; found {row['share_b']!r}.") from None
    triplet = Triplet(
        key=str(line), **paths, split=(row.get("split") or "").strip(), group=(row.get("group") or "").strip()
    )
    return Choice(triplet=triplet, share_b=share)
