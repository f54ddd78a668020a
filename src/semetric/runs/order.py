"""The order in which pairs are scored."""

from __future__ import annotations

from collections.abc import Sequence

from semetric.runs.pairing import Pair

__all__ = ["visiting_order"]


def visiting_order(pairs: Sequence[Pair]) -> list[int]:
    """The order in which to score, so that pairs that share an image come close together.

    Pairs are grouped by the side with fewer different files, groups come in the order of their first
    pair, and every other group is visited backwards, so that what one group ended with is at hand
    when the next one begins.

    Returns:
        Each index of the pairs once.
    """
    first: dict[str, int] = {}
    for pair in pairs:
        for path in (pair.reference_path, pair.image_path):
            first.setdefault(path, len(first))
    by_reference = len({p.reference_path for p in pairs}) <= len({p.image_path for p in pairs})
    groups: dict[str, list[int]] = {}
    for index, pair in enumerate(pairs):
        groups.setdefault(pair.reference_path if by_reference else pair.image_path, []).append(index)
    order: list[int] = []
    for number, members in enumerate(groups.values()):
        other = [first[pairs[i].image_path if by_reference else pairs[i].reference_path] for i in members]
        ranked = [i for _, i in sorted(zip(other, members, strict=True))]
        order += ranked[::-1] if number % 2 and len(ranked) > 1 else ranked
    return order
