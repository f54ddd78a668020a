"""A run without images: a stand-in scorer, in a module of its own, so that workers find it."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from semetric.errors import UsageError
from semetric.results import Execution, Plan, Row, Task


@dataclass(frozen=True, kw_only=True)
class StandIn:
    """Takes time, and fails as it is told."""

    seconds: float = 0.0
    log: str = ""
    kills: frozenset[int] = frozenset()  # units that end the process,
    once: str = ""  # as long as this file is there
    grows: frozenset[int] = frozenset()  # units that take memory until something ends the process, if `once` is there
    wrong: frozenset[int] = frozenset()
    files: bool = False
    dies_early: bool = False

    def worker(self) -> StandIn:
        if self.dies_early:
            os.kill(os.getpid(), signal.SIGKILL)
        return self

    @property
    def places(self) -> dict[str, str]:
        return {}

    def rows(self, tasks: Iterable[Task]) -> Iterator[list[Row]]:
        for task in tasks:
            rows = []
            for unit, item in zip(task.units, task.items, strict=True):
                if self.log:
                    with Path(self.log).open("a") as stream:
                        stream.write(f"{unit}\n")
                if unit in self.kills and (not self.once or Path(self.once).exists()):
                    Path(self.once or os.devnull).unlink() if self.once else None
                    os.kill(os.getpid(), signal.SIGKILL)
                if unit in self.grows and Path(self.once).exists():
                    Path(self.once).unlink()
                    self.grow()
                if unit in self.wrong:
                    raise UsageError(f"no unit {unit}.")
                time.sleep(self.seconds)
                rows.append(score(unit, item, files=self.files))
            yield rows

    def grow(self) -> None:
        """Takes 4 GiB at most, 64 MiB at a time."""
        hoard = []
        for _ in range(64):
            hoard.append(b"\1" * (1 << 26))
            time.sleep(0.05)
        time.sleep(30)


def score(unit: int, item: str, *, files: bool = False) -> Row:
    errors = {"b": f"no {item}"} if unit % 10 == 7 else {}
    values = [unit / 7, math.nan if errors else math.inf if unit % 10 == 3 else 1.0 / (1 + unit)]
    return Row(unit=unit, scores=values, errors=errors, files={f"files/{unit}.txt": item.encode()} if files else {})


class Units(Plan):
    """So many units of two metrics."""

    def __init__(
        self,
        units: int = 50,
        *,
        size: int = 1,
        chunk: int = 8,
        stamps: Mapping[int, str] | None = None,
        record: Mapping[str, Any] | None = None,
        asked: bool = True,
        kill: int | None = None,
        wrong_unit: int | None = None,
        **stand_in: Any,
    ) -> None:
        if kill is not None:
            stand_in["kills"] = frozenset({kill})
        if wrong_unit is not None:
            stand_in["wrong"] = frozenset({wrong_unit})
        self.units = units
        self.metrics = ("a", "b")
        self.asked = asked
        self.recipe = StandIn(**stand_in)
        self.size, self.chunk, self.stamps = size, chunk, dict(stamps or {})
        self.record = {
            "kind": "units",
            "version": "1",
            "profile": {"name": "none"},
            "metrics": {name: {"higher_is_better": True} for name in self.metrics},
            "fields": ["name"],
            "number": units,
            **(record or {}),
        }

    def stamp(self, unit: int) -> str:
        return self.stamps.get(unit, "0")

    def name(self, unit: int) -> str:
        return f"u{unit}"

    def chunks(self, missing: Sequence[int], execution: Execution) -> Iterator[Sequence[Task]]:
        groups: dict[int, list[int]] = {}
        for unit in missing:
            groups.setdefault(unit // self.size, []).append(unit)
        tasks = [Task(units=tuple(group), items=tuple(map(self.name, group))) for group in groups.values()]
        for start in range(0, len(tasks), self.chunk):
            yield tasks[start : start + self.chunk]

    def whole(self, row: Row) -> Row:
        return Row(
            unit=row.unit,
            scores=row.scores,
            errors=row.errors,
            fields=[self.name(row.unit)],
            stamp=self.stamp(row.unit),
        )

    def schema(self) -> pa.Schema:
        return pa.schema([("name", pa.string()), ("a", pa.float64()), ("b", pa.float64()), ("error", pa.string())])

    def table(self, rows: Sequence[Row]) -> pa.Table:
        return pa.table(
            {
                "name": [row.fields[0] for row in rows],
                "a": pa.array([row.scores[0] for row in rows], from_pandas=True),
                "b": pa.array([row.scores[1] for row in rows], from_pandas=True),
                "error": [json.dumps(dict(row.errors)) if row.errors else None for row in rows],
            },
            schema=self.schema(),
        )

    def summarise(self, rows: Iterable[Row]) -> Mapping[str, Any]:
        every = list(rows)
        failed = [row.fields[0] for row in every if row.errors and self.failed(row)]
        scores = [float(row.scores[0]) for row in every]
        return {"units": len(every), "failed": failed, "largest": max(s for s in scores if not math.isnan(s))}
