"""Triplets as a training takes them: images by number, which candidate is closer, what trains and what is held out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.learn.triplets import Choice

__all__ = ["Examples", "examples_of", "split_choices"]

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
        digest = hashlib.sha256("\n".join(self.paths).encode())
        digest.update(self.rows.tobytes())
        digest.update(self.share_b.tobytes())
        return digest.hexdigest()[:12]


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
