"""The long table of an experiment: one row an image × system × level × metric."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from semetric.errors import UsageError
from semetric.lab.systems import Received
from semetric.runs.pairing import shown

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LongTable", "Outcome", "Unit"]

_INDEX = "index"


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """One image at one operating point of one system: what is finished or not.

    Attributes:
        image: its name.
        system: its name.
        level: the operating point.
    """

    image: str
    system: str
    level: float


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one unit, without its pixels.

    Attributes:
        index: the unit's place.
        size_bytes: of the stream; None without one.
        rate_bpp: its bits per pixel; likewise.
        uses_per_pixel: channel symbols per pixel; None without a channel.
        failed: whether the pixels are the fallback of a decoder that rejected the stream.
        note: of the system.
        details: of the system, as JSON text.
        values: metric → score, possibly infinite; None where there is none.
        errors: metric → why there is none.
    """

    index: int
    size_bytes: int | None = None
    rate_bpp: float | None = None
    uses_per_pixel: float | None = None
    failed: bool = False
    note: str = ""
    details: str = "{}"
    values: Mapping[str, float | None] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, index: int, received: Received, values: Mapping[str, float | None], errors: Mapping[str, str]
    ) -> Outcome:
        """The outcome of a unit whose image arrived."""
        return cls(
            index=index,
            size_bytes=received.size_bytes,
            rate_bpp=received.rate_bpp,
            uses_per_pixel=received.uses_per_pixel,
            failed=received.failed,
            note=shown(received.note),
            details=json.dumps(dict(received.details), ensure_ascii=False, sort_keys=True),
            values=values,
            errors=errors,
        )

    @classmethod
    def lost(cls, index: int, metrics: Sequence[str], why: str) -> Outcome:
        """The outcome of a unit that nothing arrived of, so that no metric has a score."""
        return cls(index=index, values=dict.fromkeys(metrics), errors=dict.fromkeys(metrics, shown(why)))


@dataclass(frozen=True, kw_only=True)
class LongTable:
    """The columns of an experiment's results.

    Attributes:
        units: all of them, in the order of the rows.
        metrics: names, in the order of the rows of a unit.
    """

    units: tuple[Unit, ...]
    metrics: tuple[str, ...]

    def schema(self) -> pa.Schema:
        """The columns of a part: those of the results after the unit's index."""
        import pyarrow as pa

        return pa.schema(
            [
                (_INDEX, pa.int64()),
                ("image", pa.string()),
                ("system", pa.string()),
                ("level", pa.float64()),
                ("rate_bpp", pa.float64()),
                ("size_bytes", pa.int64()),
                ("uses_per_pixel", pa.float64()),
                ("failed", pa.bool_()),
                ("note", pa.string()),
                ("details", pa.string()),
                ("metric", pa.string()),
                ("value", pa.float64()),
                ("error", pa.string()),
            ]
        )

    def holds(self, found: pa.Table) -> bool:
        """Whether a table has the rows of all units, as `merge` gives them."""
        schema = self.schema()
        if not found.schema.equals(schema.remove(schema.get_field_index(_INDEX))):
            return False
        if found.num_rows != len(self.units) * len(self.metrics):
            return False
        here = zip(*(found[name].to_pylist() for name in ("image", "system", "level", "metric")), strict=True)
        due = ((unit.image, unit.system, unit.level, name) for unit in self.units for name in self.metrics)
        return all(one == other for one, other in zip(here, due, strict=True))

    def table(self, rows: Sequence[Outcome]) -> pa.Table:
        """Outcomes as a part, a line a metric."""
        import pyarrow as pa

        lines: list[dict[str, Any]] = []
        for row in rows:
            unit = self.units[row.index]
            for metric in self.metrics:
                lines.append(
                    {
                        _INDEX: row.index,
                        "image": unit.image,
                        "system": unit.system,
                        "level": unit.level,
                        "rate_bpp": row.rate_bpp,
                        "size_bytes": row.size_bytes,
                        "uses_per_pixel": row.uses_per_pixel,
                        "failed": row.failed,
                        "note": row.note,
                        "details": row.details,
                        "metric": metric,
                        "value": row.values.get(metric),
                        "error": row.errors.get(metric),
                    }
                )
        return pa.Table.from_pylist(lines, schema=self.schema())

    def merge(self, parts: Sequence[pa.Table]) -> pa.Table:
        """All rows in the order of the units, without the index. A unit that two parts hold is taken once.

        Raises:
            UsageError: a unit is missing.
        """
        import numpy as np
        import pyarrow as pa

        table = pa.concat_tables([self.schema().empty_table(), *parts])
        index = table[_INDEX].to_numpy()
        starts = np.flatnonzero(np.diff(index, prepend=-1))  # a unit's lines stand together
        _, first = np.unique(index[starts], return_index=True)
        if len(first) != len(self.units):
            raise UsageError(f"Expected {len(self.units)} finished units; found {len(first)}.")
        lines = (starts[first][:, None] + np.arange(len(self.metrics))).ravel()
        return table.take(pa.array(lines)).drop_columns([_INDEX]).combine_chunks()
