"""How far the runner scales: a stand-in scorer on more and more workers, the driver's rows a second, its memory.

    python -m benchmarks.scale [--ray] [--workers 2,8,32,64] [--unit-s 0.1] [--rows 100000] [--rounds 3]

A stand-in sleeps, so that many workers fit on few cores and what is measured is the runner: chunks out, rows back, the
database. It is measured while all workers are at it: how long they take to start is a matter of the machine. Ideal is a
worker that is always within a unit. Real metrics are timed last: one worker of one thread and two, in turn.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import resource
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

_PAIRS = 400  # of real images: several chunks a worker
_SETTLE_S = 2.0  # before units are counted: chunks that began together end apart


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
            begin = time.monotonic()
            time.sleep(self.seconds)
            yield [Row(unit=unit, scores=[unit / 7, time.monotonic() - begin, 0.5, 0.25]) for unit in task.units]


class Nothing(Plan):
    """So many units of four metrics."""

    def __init__(self, units: int, seconds: float) -> None:
        self.units, self.metrics, self.asked = units, ("a", "seconds", "c", "d"), True
        self.spent = 0.0  # seconds that workers were within units
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
        self.spent += row.scores[1]
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


class _Enough(Exception):
    """Ends a run in the middle."""


def _share(seconds: float, window_s: float, execution: Execution, workers: int) -> float:
    """How much of their time workers are within units, once all of them are at it."""
    plan = Nothing(10**6, seconds)
    begin = math.inf

    def note(units: int, ready: int) -> None:
        nonlocal begin
        now = time.monotonic()
        if ready == workers and math.isinf(begin):
            begin = now + _SETTLE_S
        if now < begin:
            plan.spent = 0.0
        if now > begin + window_s:
            raise _Enough

    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(_Enough):
        execute(plan, Path(folder, "run"), execution=execution, progress=note)
    return plan.spent / workers / window_s


def _driver(rows: int) -> str:
    """How fast a driver is whose worker takes no time, exports included, and how its memory grows."""
    peaks: list[int] = []
    finished = 0

    def note(units: int, ready: int) -> None:
        nonlocal finished
        finished += units
        if finished in (rows // 10, rows):
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    begin, processor = time.monotonic(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        execute(Nothing(rows, 0.0), Path(folder, "run"), progress=note)
    wall, processor = time.monotonic() - begin, time.process_time() - processor
    return (
        f"{rows / wall:,.0f} rows a second, {rows / processor:,.0f} a second of processor time; "
        f"its peak memory grows by {peaks[1] / peaks[0] - 1:.1%} from a tenth of the rows to all of them"
    )


def _rate(folder: Path, jobs: int) -> float:
    """Pairs a second by SSIM and LPIPS, while all workers are at it and there is work for all."""
    import torch

    from semetric.runs import score_folders

    torch.set_num_threads(1)
    times: list[float] = []
    finished = 0

    def note(count: int, ready: int) -> None:
        nonlocal finished
        finished += count
        if count and ready in (0, jobs) and finished < 0.85 * _PAIRS:
            times.append(time.monotonic())

    with tempfile.TemporaryDirectory() as out:
        score_folders(
            folder / "references",
            folder / "images",
            Path(out, "run"),
            ["ssim", "lpips"],
            device="cpu",
            store=None,
            workers=1,
            execution=Execution(jobs=jobs),
            progress=note,
        )
    return (len(times) - 1) / (times[-1] - times[0])


def _make_pairs(folder: Path) -> None:
    """Noise of 128 × 128 px."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for name in ("references", "images"):
        (folder / name).mkdir()
        for i in range(_PAIRS):
            Image.fromarray(rng.integers(0, 256, (128, 128, 3), np.uint8)).save(folder / name / f"{i}.png")


def main() -> None:
    """Prints a line a measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ray", action="store_true", help="actors of a local cluster in the place of processes")
    parser.add_argument("--workers", default="2,8,32,64")
    parser.add_argument("--unit-s", type=float, default=0.1)
    parser.add_argument("--window-s", type=float, default=20.0, help="how long each number of workers is measured")
    parser.add_argument("--rows", type=int, default=100_000, help="of the driver alone; 0 leaves it out")
    parser.add_argument("--rounds", type=int, default=3, help="of real metrics; 0 leaves them out")
    given = parser.parse_args()
    if given.rows:
        print(f"driver alone, {given.rows} rows: {_driver(given.rows)}", flush=True)
    for workers in map(int, filter(None, given.workers.split(","))):
        place = Execution(ray="local", ray_workers=workers, ray_cpus=0.0) if given.ray else Execution(jobs=workers)
        share = _share(given.unit_s, given.window_s, place, workers)
        print(f"{workers} workers: {share:.1%} of the ideal", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        if given.rounds:
            _make_pairs(Path(folder))
        for _ in range(given.rounds):
            one, two = (_rate(Path(folder), jobs) for jobs in (1, 2))
            print(f"real metrics: two workers do {two / one:.2f} times the pairs of one", flush=True)


if __name__ == "__main__":
    main()
