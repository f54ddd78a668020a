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
from semetric.results import Execution, Row, Task
from semetric.runs import scoring
from semetric.runs.loading import Loaded
from semetric.runs.pairing import Pair, Pairing
from semetric.runs.scoring import PairPlan, PairRecipe, PairWorker, gains_from_batches, score_batch


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


def loaded(level: int | None, side: int = 2) -> Loaded:
    image = ImageError("broken") if level is None else picture(level, side)
    return Loaded(reference=picture(0), image=image)


def scores(row: Row) -> list[float | None]:
    return [None if math.isnan(value) else value for value in row.scores]


def test_metrics_that_batch_are_known() -> None:
    runtime = Runtime()
    assert [gains_from_batches(kind(runtime)) for kind in (Mean, Batched)] == [False, True]


@settings(deadline=None)  # the first call imports
@given(st.lists(st.none() | st.integers(10, 16).filter(lambda n: n != 15), min_size=1, max_size=8))
def test_one_bad_pair_spoils_no_other(levels: list[int | None]) -> None:
    runtime = Runtime()
    metrics = {"mean": Mean(runtime), "batched": Batched(runtime)}
    rows = score_batch(range(9, 9 + len(levels)), [loaded(level) for level in levels], metrics)
    assert [row.unit for row in rows] == list(range(9, 9 + len(levels)))
    for row, level in zip(rows, levels, strict=True):
        good = level not in (None, 13, 14)
        assert scores(row) == [float(level) if good and level is not None else None] * 2
        why = {None: "broken", 13: "thirteen"}.get(level, "NaN")
        assert all(why in text for text in row.errors.values())
        assert list(row.errors) == ([] if good else ["mean", "batched"])


def test_pairs_are_scored_together_where_that_helps() -> None:
    metric = Batched(Runtime())
    score_batch(range(5), [loaded(20)] * 5, {"batched": metric})
    assert metric.batches == [5]


def test_sizes_are_a_matter_of_the_pair_and_can_be_brought_together() -> None:
    metric = {"mean": Mean(Runtime())}
    pairs = [loaded(20, side=3), loaded(21)]
    rows = score_batch((0, 1), pairs, metric)
    assert [scores(row) for row in rows] == [[None], [21.0]]
    assert "equal sizes" in rows[0].errors["mean"]
    assert [scores(row) for row in score_batch((0, 1), pairs, metric, resize=True)] == [[20.0], [21.0]]


def test_missing_weights_are_no_pairs_fault() -> None:
    for kind in (Mean, Batched):
        with pytest.raises(WeightsMissingError):
            score_batch((0, 1), [loaded(15), loaded(16)], {"x": kind(Runtime())})


def test_two_broken_files_are_both_named() -> None:
    both = Loaded(reference=ImageError("one is bad."), image=ImageError("two is bad."))
    (row,) = score_batch((0,), [both], {"mean": Mean(Runtime())})
    assert row.errors == {"mean": "one is bad. two is bad."}


def pair(number: int, reference: str | None = None) -> Pair:
    names = reference or f"r{number}", f"i{number}"
    return Pair(reference=names[0], image=names[1], reference_path=names[0], image_path=names[1])


@settings(deadline=None)  # the first call imports
@given(st.integers(1, 90), st.integers(1, 6), st.sets(st.integers(0, 89)), st.integers(1, 40))
def test_batches_end_at_multiples_of_their_size(number: int, size: int, done: set[int], references: int) -> None:
    pairing = Pairing(pairs=tuple(pair(i, f"r{i // references}") for i in range(number)), source={})
    plan = PairPlan(pairing, PairRecipe(metrics=("ssim",), batch=size, store=None))
    whole = [task.units for chunk in plan.chunks(range(number), Execution()) for task in chunk]
    assert sorted(unit for units in whole for unit in units) == list(range(number))
    assert all(len(units) == size for units in whole[:-1])
    missing = [i for i in range(number) if i not in done]
    chunks = list(plan.chunks(missing, Execution()))
    rest = [task.units for chunk in chunks for task in chunk]
    assert rest == [units for batch in whole if (units := tuple(i for i in batch if i not in done))]
    assert all(sum(len(task.units) for task in chunk) <= 2 * scoring.CHUNK_PAIRS + size for chunk in chunks)


@settings(deadline=None)  # the first call imports
@given(st.lists(st.integers(1, 4), min_size=1, max_size=12), st.integers(1, 5))
def test_large_images_are_scored_in_smaller_company(sides: list[int], size: int) -> None:
    """Which depends on their batch alone, so that a run that goes on has the same numbers."""
    pairs = tuple(pair(i, "r") for i in range(len(sides)))
    metric = Batched(Runtime())
    worker = PairWorker(PairRecipe(metrics=None), {"batched": metric})
    tasks = [
        Task(units=tuple(range(start, min(start + size, len(sides)))), items=pairs[start : start + size])
        for start in range(0, len(sides), size)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "CHUNK_BYTES", 90)
        patch.setattr(worker, "_read", lambda name: picture(20, 2 if name == "r" else sides[int(name[1:])]))
        patch.setattr(Batched, "equal_sizes", False)
        rows = list(worker.rows(tasks))
        together = list(metric.batches)
        metric.batches.clear()
        list(worker.rows(tasks[-1:]))
    assert [tuple(row.unit for row in each) for each in rows] == [task.units for task in tasks]
    assert metric.batches == together[len(together) - len(metric.batches) :]
    # the reference has 12 bytes, the image 3 side²
    expected = []
    for task in tasks:
        batch: list[int] = []
        for unit in task.units:
            if batch and sum(12 + 3 * sides[i] ** 2 for i in (*batch, unit)) > 90:
                expected.append(len(batch))
                batch = []
            batch.append(unit)
        expected.append(len(batch))
    assert together == expected
