from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from semetric.runs.order import visiting_order
from semetric.runs.pairing import Pair

NUMBERS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 8)), max_size=40)


def pairs_of(numbers: list[tuple[int, int]]) -> list[Pair]:
    return [Pair(reference=f"{r}", image=f"{i}", reference_path=f"r{r}", image_path=f"i{i}") for r, i in numbers]


@given(NUMBERS)
def test_each_pair_comes_once(numbers: list[tuple[int, int]]) -> None:
    assert sorted(visiting_order(pairs_of(numbers))) == list(range(len(numbers)))


@given(NUMBERS)
def test_pairs_of_one_file_of_the_smaller_side_come_together(numbers: list[tuple[int, int]]) -> None:
    pairs = pairs_of(numbers)
    order = visiting_order(pairs)
    references, images = ({p.reference_path for p in pairs}, {p.image_path for p in pairs})
    side = "reference_path" if len(references) <= len(images) else "image_path"
    visited = [getattr(pairs[i], side) for i in order]
    changes = sum(a != b for a, b in itertools.pairwise(visited))
    assert changes == max(len(set(visited)) - 1, 0)


def test_pairs_without_shared_files_keep_their_order() -> None:
    assert visiting_order(pairs_of([(3, 1), (2, 2), (1, 0)])) == [0, 1, 2]


def test_every_other_group_is_visited_backwards() -> None:
    grid = [(r, i) for r in range(2) for i in range(3)]
    assert visiting_order(pairs_of(grid)) == [0, 1, 2, 5, 4, 3]
