"""The pairs of images that a data set's items hold, each once, ready to be scored."""

from __future__ import annotations

import os
from collections.abc import Sequence

from semetric.errors import UsageError
from semetric.learn.datasets.base import Dataset, DatasetItem, ImagePair, OddOneOut, group_of
from semetric.learn.triplets import Choice, JudgedPair, ScoredTriplet
from semetric.runs.pairing import Pair, Pairing, shown

__all__ = ["dataset_pairing", "pairing_of", "pairs_of"]


def pairs_of(item: DatasetItem) -> list[tuple[str, str]]:
    """(reference, image) paths of one item.

    A triplet has reference–a and reference–b; three images of which one is odd have the pairs that leave out the
    first, the second and the third.

    Raises:
        UsageError: an item of one image.
    """
    if isinstance(item, Choice | ScoredTriplet):
        triplet = item.triplet
        return [(triplet.reference, triplet.a), (triplet.reference, triplet.b)]
    if isinstance(item, JudgedPair | ImagePair):
        return [(item.reference, item.image)]
    if isinstance(item, OddOneOut):
        first, second, third = item.images
        return [(second, third), (first, third), (first, second)]
    raise UsageError("Expected a data set of pairs or triplets; found one of single images with masks.")


def dataset_pairing(dataset: Dataset) -> Pairing:
    """Every pair of a data set, each once, with the group that it comes from as a further column.

    Raises:
        UsageError: its items are single images.
    """
    groups: dict[tuple[str, str], str] = {}
    for item in dataset.items:
        for pair in pairs_of(item):
            groups.setdefault(pair, group_of(item))
    return pairing_of(dataset, list(groups), groups=list(groups.values()))


def pairing_of(dataset: Dataset, pairs: Sequence[tuple[str, str]], *, groups: Sequence[str] | None = None) -> Pairing:
    """Pairs of paths under names relative to the data set's folder.

    Args:
        dataset: where they come from.
        pairs: (reference, image) paths.
        groups: of each pair, for a further column; None for no such column.
    """
    root = os.path.abspath(dataset.root)

    def named(path: str) -> str:
        whole = os.path.abspath(path)
        inside = whole.startswith(root + os.sep)
        return shown((whole[len(root) + 1 :] if inside else whole).replace(os.sep, "/"))

    extras = [()] * len(pairs) if groups is None else [(group,) for group in groups]
    return Pairing(
        pairs=tuple(
            Pair(reference=named(path), image=named(other), reference_path=path, image_path=other, extra=extra)
            for (path, other), extra in zip(pairs, extras, strict=True)
        ),
        source={"pairs": shown(f"{dataset.name} {dataset.split or 'all'} in {root}")},
        columns=() if groups is None else ("group",),
    )
