from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semetric.errors import ImageError, WeightsMissingError
from semetric.image import Picture
from semetric.metrics.base import Metric, Score
from semetric.models.runtime import Runtime
from semetric.runs import engine
from semetric.runs.engine import chunks, gains_from_batches, score_chunk
from semetric.runs.loading import Loaded


class Mean(Metric):
    """The image's mean level. A level of 13 is an ImageError, of 14 NaN, of 15 missing weights."""

    name = "mean"
    higher_is_better = True
    range = (0.0, None)

    def _score(self, reference: Picture, image: Picture) -> Score:
        level = float(image.pixels.mean())
        if level == 13:
            raise ImageError("thirteen")
        if level == 15:
            raise WeightsMissingError("fifteen")
        return self._make(math.nan if level == 14 else level)


class Batched(Mean):
    """The same, with a record of its batches."""

    name = "batched"

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.batches: list[int] = []

    def _score_batch(self, pairs: Sequence[tuple[Picture, Picture]]) -> list[Score]:
        self.batches.append(len(pairs))
        return super()._score_batch(pairs)


def picture(level: int, side: int = 2) -> Picture:
    return Picture(pixels=np.full((side, side, 3), level, np.uint8), name=f"{level}")


def loaded(index: int, level: int | None, side: int = 2) -> Loaded:
    image = ImageError("broken") if level is None else picture(level, side)
    return Loaded(index=index, reference=picture(0), image=image)


def test_metrics_that_batch_are_known() -> None:
    runtime = Runtime()
    assert [gains_from_batches(kind(runtime)) for kind in (Mean, Batched)] == [False, True]


@settings(deadline=None)  # the first call imports
@given(st.lists(st.none() | st.integers(10, 16).filter(lambda n: n != 15), min_size=1, max_size=8))
def test_one_bad_pair_spoils_no_other(levels: list[int | None]) -> None:
    runtime = Runtime()
    told: list[float] = []
    rows = score_chunk(
        [loaded(i, level) for i, level in enumerate(levels)],
        {"mean": Mean(runtime), "batched": Batched(runtime)},
        prepare=lambda reference, image: image,
        advance=told.append,
    )
    assert [row.index for row in rows] == list(range(len(levels)))
    assert sum(told) == pytest.approx(len(levels), rel=1e-12)  # halves are exact, their sum is
    for row, level in zip(rows, levels, strict=True):
        good = level not in (None, 13, 14)
        assert row.values == dict.fromkeys(["mean", "batched"], float(level) if good and level is not None else None)
        why = {None: "broken", 13: "thirteen"}.get(level, "NaN")
        assert all(why in text for text in row.errors.values())
        assert list(row.errors) == ([] if good else ["mean", "batched"])


def test_pairs_are_scored_together_where_that_helps() -> None:
    metric = Batched(Runtime())
    score_chunk(
        [loaded(i, 20) for i in range(5)], {"batched": metric}, prepare=lambda _, image: image, advance=lambda _: None
    )
    assert metric.batches == [5]


def test_sizes_are_a_matter_of_the_pair_and_can_be_prepared() -> None:
    metric = {"mean": Mean(Runtime())}
    pairs = [loaded(0, 20, side=3), loaded(1, 21)]
    rows = score_chunk(pairs, metric, prepare=lambda _, image: image, advance=lambda _: None)
    assert [row.values["mean"] for row in rows] == [None, 21.0]
    assert "equal sizes" in rows[0].errors["mean"]
    rows = score_chunk(pairs, metric, prepare=lambda reference, image: reference, advance=lambda _: None)
    assert [row.values["mean"] for row in rows] == [0.0, 0.0]


def test_missing_weights_are_no_pairs_fault() -> None:
    for kind in (Mean, Batched):
        with pytest.raises(WeightsMissingError):
            score_chunk(
                [loaded(0, 15), loaded(1, 16)],
                {"x": kind(Runtime())},
                prepare=lambda _, image: image,
                advance=lambda _: None,
            )


def test_two_broken_files_are_both_named() -> None:
    both = Loaded(index=0, reference=ImageError("one is bad."), image=ImageError("two is bad."))
    (row,) = score_chunk([both], {"mean": Mean(Runtime())}, prepare=lambda _, i: i, advance=lambda _: None)
    assert row.errors == {"mean": "one is bad. two is bad."}


@settings(deadline=None)  # the first call imports
@given(st.integers(1, 20), st.integers(1, 6), st.sets(st.integers(0, 19)))
def test_batches_end_at_multiples_of_their_size(number: int, size: int, done: set[int]) -> None:
    place = {index: index for index in range(number)}
    found = list(chunks([loaded(i, 20) for i in range(number) if i not in done], place, size))
    assert [one.index for batch in found for one in batch] == [i for i in range(number) if i not in done]
    assert all(len({one.index // size for one in batch}) == 1 for batch in found)
    assert len(found) == len({i // size for i in range(number) if i not in done})


@settings(deadline=None)  # the first call imports
@given(st.lists(st.integers(1, 4), min_size=1, max_size=12), st.integers(1, 5), st.data())
def test_a_run_that_goes_on_has_the_same_batches(sides: list[int], size: int, data: st.DataObject) -> None:
    """Where large images end a batch early, too, if what was finished are whole batches."""
    place = {index: index for index in range(len(sides))}
    pairs = [loaded(i, 20, side) for i, side in enumerate(sides)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "CHUNK_BYTES", 60)
        whole = [[one.index for one in batch] for batch in chunks(pairs, place, size)]
        count = data.draw(st.integers(0, len(whole)))
        done = {index for batch in whole[:count] for index in batch}
        rest = chunks([one for one in pairs if one.index not in done], place, size)
        assert [[one.index for one in batch] for batch in rest] == whole[count:]
    # the reference has 12 bytes, the image 3 side²
    assert all(len(batch) == 1 or sum(12 + 3 * sides[i] ** 2 for i in batch) <= 60 for batch in whole)
