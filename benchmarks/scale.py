"""How far the runner scales: a stand-in scorer on more and more workers, the driver's rows a second, its memory.

    python -m benchmarks.scale [--ray] [--workers 2,8,32] [--unit-s 0.1] [--rows 100000]

A stand-in sleeps, so that many workers fit on few cores and what is measured is the runner: chunks out, rows back, the
database. Ideal is units × seconds ÷ workers, from the first row to the last.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semetric.results import Execution, Plan, Row, Task, execute

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Nothing", "Sleeps"]


@dataclass(frozen=True, kw_only=True)
class Sleeps:
    """A scorer that takes time and no processor."""

    seconds: float

    def worker(self) -> Sleeps:
        """Is one itself."""
        return self

    @property
    def places(self) -> dict[str, str]:
        """Reads no files."""
        return {}

    def rows(self, tasks: Iterable[Task]) -> Iterator[list[Row]]:
        """A row a unit."""
        for task in tasks:
            time.sleep(self.seconds * len(task.units))
            yield [Row(unit=unit, scores=[unit / 7, 1.0, 0.5, 0.25]) for unit in task.units]


class Nothing(Plan):
    """So many units of four metrics."""

    def __init__(self, units: int, seconds: float) -> None:
        self.units, self.metrics, self.asked = units, ("a", "b", "c", "d"), True
        self.recipe = Sleeps(seconds=seconds)
        self.record = {
            "kind": "nothing",
            "version": "0",
            "profile": {"name": "none"},
            "metrics": {name: {} for name in self.metrics},
            "fields": ["reference", "image"],
        }

    def stamp(self, unit: int) -> str:
        """As long as that of a pair."""
        return f"{unit % 97}:1790000000000000000 {unit}:1790000000000000000"

    def name(self, unit: int) -> str:
        """Its number."""
        return str(unit)

    def chunks(self, missing: Sequence[int], execution: Execution) -> Iterator[Sequence[Task]]:
        """Eight at a time, as of a reference with eight images."""
        for start in range(0, len(missing), 8):
            yield [Task(units=(unit,), items=(None,)) for unit in missing[start : start + 8]]

    def whole(self, row: Row) -> Row:
        """With names as long as those of files."""
        names = f"references/{row.unit // 8:07d}.png", f"images/system/{row.unit:08d}.png"
        return replace(row, fields=names, stamp=self.stamp(row.unit))

    def schema(self) -> pa.Schema:
        """Names and scores."""
        import pyarrow as pa

        texts = [(name, pa.string()) for name in ("reference", "image")]
        return pa.schema([*texts, *((name, pa.float64()) for name in self.metrics)])

    def table(self, rows: Sequence[Row]) -> pa.Table:
        """A line a unit."""
        import numpy as np
        import pyarrow as pa

        scores = np.stack([row.scores for row in rows])
        names = [[row.fields[i] for row in rows] for i in range(2)]
        return pa.table(dict(zip(self.schema().names, [*names, *scores.T], strict=True)), schema=self.schema())

    def summarise(self, rows: Iterable[Row]) -> Mapping[str, Any]:
        """How many there are."""
        return {"units": sum(1 for _ in rows), "failed": []}


def _spread(units: int, seconds: float, execution: Execution) -> tuple[float, float]:
    """(seconds from the first row to the last, peak memory in bytes)."""
    times: list[float] = []
    with tempfile.TemporaryDirectory() as folder:

        def note(count: int, workers: int) -> None:
            if count:
                times.append(time.monotonic())

        execute(Nothing(units, seconds), Path(folder, "run"), execution=execution, progress=note)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return times[-1] - times[0], peak


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ray", action="store_true", help="actors of a local cluster in the place of processes")
    parser.add_argument("--workers", default="2,8,32")
    parser.add_argument("--unit-s", type=float, default=0.1)
    parser.add_argument("--each", type=int, default=100, help="units a worker")
    parser.add_argument("--rows", type=int, default=100_000)
    given = parser.parse_args()
    if given.rows:
        for rows in (given.rows // 10, given.rows):
            taken, peak = _spread(rows, 0.0, Execution())
            print(f"driver alone, {rows} rows: {rows / taken:,.0f} rows a second, peak memory {peak / 2**20:.0f} MiB")
    for count in map(int, filter(None, given.workers.split(","))):
        units = count * given.each
        place = Execution(ray="local", ray_workers=count, ray_cpus=0.0) if given.ray else Execution(jobs=count)
        taken, peak = _spread(units, given.unit_s, place)
        ideal = units * given.unit_s / count
        print(f"{count} workers: {units / taken:.1f} units a second, {ideal / taken:.1%} of the ideal", flush=True)


if __name__ == "__main__":
    main()
