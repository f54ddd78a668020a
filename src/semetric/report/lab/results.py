"""A run of the lab as arrays: lab.json and the rows, checked and in a fixed order. Draws nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.runs.record import check_depth
from semetric.runs.rows import read_table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["EXPERIMENTS", "Axis", "LabRun", "MetricInfo", "Rows", "SystemInfo", "read_lab_run"]

EXPERIMENTS = ("compression", "channel", "transform", "deformation", "edits", "levels")
_TEXTS = ("image", "system", "metric")
_NUMBERS = ("level", "rate_bpp", "uses_per_pixel", "value")
_COLUMNS = (*_TEXTS, *_NUMBERS, "failed", "note", "error")
_LISTS: dict[str, type] = {"systems": list, "metrics": dict, "images": list}

_Named = TypeVar("_Named", "SystemInfo", "MetricInfo")


@dataclass(frozen=True, kw_only=True)
class Axis:
    """What the systems' levels mean.

    Attributes:
        name: rate_bpp, snr_db, strength or level.
        label: in words.
        unit: empty where there is none, or where each system has its own.
    """

    name: str
    label: str
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class SystemInfo:
    """One system of the run.

    Attributes:
        name: as in the rows.
        label: as in a legend.
        unit: what it says of its own strengths; a codec's is of its quality, which is no level here.
        dimension: what an edit changes (colour, texture, layout, pose, content); empty elsewhere.
        record: all that the run says of it.
    """

    name: str
    label: str
    unit: str = ""
    dimension: str = ""
    record: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class MetricInfo:
    """One metric of the run.

    Attributes:
        name: as in the rows.
        higher_is_better: its direction.
        range: (lowest, highest); None where there is no bound.
        weights: role → "name.tag@digest".
    """

    name: str
    higher_is_better: bool
    range: tuple[float | None, float | None] = (None, None)
    weights: Mapping[str, str] = field(default_factory=dict)

    @property
    def arrow(self) -> str:
        """Which direction is better."""
        return "↑" if self.higher_is_better else "↓"


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """One row an image × system × level × metric, sorted by system, level, image, metric as the run lists them.

    Attributes:
        image, system, metric: (n,) int64 indices into the run's lists.
        level: (n,) what was asked for.
        rate_bpp, uses_per_pixel: (n,) NaN where there is no stream, or no channel.
        value: (n,) NaN where there is an error; may be infinite.
        failed: (n,) whether the decoder rejected what came.
        note, error: (n,) in words; empty where there is nothing to say.
    """

    image: NDArray[np.int64]
    system: NDArray[np.int64]
    metric: NDArray[np.int64]
    level: NDArray[np.float64]
    rate_bpp: NDArray[np.float64]
    uses_per_pixel: NDArray[np.float64]
    value: NDArray[np.float64]
    failed: NDArray[np.bool_]
    note: tuple[str, ...]
    error: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.value)


@dataclass(frozen=True, kw_only=True, eq=False)
class LabRun:
    """A run of the lab.

    Attributes:
        path: its folder.
        record: lab.json.
        experiment: one of EXPERIMENTS.
        axis: what levels mean.
        systems, metrics: in the order of lab.json.
        images: names, in the order of lab.json.
        rows: what is finished.
        finished: whether that is all.
    """

    path: Path
    record: Mapping[str, Any]
    experiment: str
    axis: Axis
    systems: tuple[SystemInfo, ...]
    metrics: tuple[MetricInfo, ...]
    images: tuple[str, ...]
    rows: Rows
    finished: bool

    def levels(self, system: int) -> NDArray[np.float64]:
        """(k,) the levels of one system, rising."""
        return np.unique(self.rows.level[self.rows.system == system])

    def unit(self, system: int) -> str:
        """The unit of its levels: the axis's, or of strengths the system's own."""
        return self.axis.unit or (self.systems[system].unit if self.axis.name == "strength" else "")


def read_lab_run(path: Path) -> LabRun:
    """Reads a run. Of one that is not at its end it takes the parts that are finished.

    Raises:
        UsageError: no run of the lab is there, nothing of it is finished, or its files do not fit together.
    """
    record = _record(path)
    experiment = record["experiment"]
    systems, metrics = _systems(record), _metrics(record)
    images = tuple(str(one["name"]) for one in record["images"])
    table, finished = _table(path)
    rows = _rows(table, path, images, systems, metrics)
    axis = record.get("axis") or {}
    name = str(axis.get("name") or "level")
    return LabRun(
        path=path,
        record=record,
        experiment=experiment,
        axis=Axis(name=name, label=str(axis.get("label") or name), unit=str(axis.get("unit") or "")),
        systems=systems,
        metrics=metrics,
        images=images,
        rows=rows,
        finished=finished,
    )


def _record(path: Path) -> dict[str, Any]:
    file = path / "lab.json"
    if not file.is_file():
        what = "there is no such folder" if not path.is_dir() else "it has no lab.json"
        raise UsageError(f"Expected a run of the lab in {path}; {what}. Name the folder that --out named.")
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        check_depth(record)
        if not isinstance(record, dict):
            raise ValueError("it holds no object")
        missing = [name for name in ("experiment", *_LISTS) if name not in record]
        if missing:
            raise ValueError(f"it lacks {', '.join(missing)}")
        if record["experiment"] not in EXPERIMENTS:
            raise ValueError(f"its experiment is {record['experiment']!r}, none of {', '.join(EXPERIMENTS)}")
        _check(record)
    except RecursionError:
        raise UsageError(
            f"Expected {file} to describe a run of the lab; it is nested too deeply. Run the experiment again."
        ) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"Expected {file} to describe a run of the lab; {error}. Run the experiment again.") from error
    return record


def _check(record: Mapping[str, Any]) -> None:
    """Raises ValueError where a part that is read has another form."""
    for name, kind in _LISTS.items():
        found: Any = record[name]
        fits = isinstance(found, kind)
        if not fits or not found:
            raise ValueError(f"its {name} are no {'list' if kind is list else 'object'} that holds any")
        entries: Iterable[tuple[Any, Any]] = found.items() if kind is dict else enumerate(found)
        for key, one in entries:
            if not isinstance(one, dict):
                raise ValueError(f"its {name}.{key} is no object")
            if kind is list and not isinstance(one.get("name"), str):
                raise ValueError(f"its {name}.{key} has no name")
    for name, one in record["metrics"].items():
        bounds = one.get("range") or ()
        if not isinstance(one.get("higher_is_better"), bool):
            raise ValueError(f"its metrics.{name} does not say whether higher is better")
        if not isinstance(bounds, list | tuple) or not all(b is None or isinstance(b, int | float) for b in bounds):
            raise ValueError(f"its metrics.{name}.range is no list of numbers")
    tables = {"axis": record.get("axis"), "left_out": record.get("left_out")}
    tables |= {f"metrics.{name}.weights": one.get("weights") for name, one in record["metrics"].items()}
    for name, inner in tables.items():
        if inner is not None and not isinstance(inner, dict):
            raise ValueError(f"its {name} is no object")


def _systems(record: Mapping[str, Any]) -> tuple[SystemInfo, ...]:
    return tuple(
        SystemInfo(
            name=str(one["name"]),
            label=str(one.get("label") or one["name"]),
            unit=str(one.get("unit") or ""),
            dimension=str(one.get("dimension") or ""),
            record=one,
        )
        for one in record["systems"]
    )


def _metrics(record: Mapping[str, Any]) -> tuple[MetricInfo, ...]:
    found = []
    for name, one in record["metrics"].items():
        low, high = (*(one.get("range") or ()), None, None)[:2]
        found.append(
            MetricInfo(
                name=str(name),
                higher_is_better=bool(one["higher_is_better"]),
                range=(low, high),
                weights={str(k): str(v) for k, v in (one.get("weights") or {}).items()},
            )
        )
    return tuple(found)


def _table(path: Path) -> tuple[pa.Table, bool]:
    """All rows, or those of the parts; and whether they are all."""
    import pyarrow as pa

    whole = path / "rows.parquet"
    files = [whole] if whole.is_file() else sorted((path / "parts").glob("*.parquet"))
    advice = "Start the experiment's command again: it goes on where it stopped."
    if not files:
        raise UsageError(f"Expected finished rows in {path}; it has neither rows.parquet nor parts. {advice}")
    tables = []
    for file in files:
        try:
            table = read_table(file)
        except (OSError, pa.ArrowException) as error:
            raise UsageError(f"Expected a Parquet file in {file}; it cannot be read: {error}. {advice}") from error
        missing = [name for name in _COLUMNS if name not in table.column_names]
        if missing:
            raise UsageError(f"Expected rows of the lab in {file}; the columns {', '.join(missing)} are missing.")
        try:
            tables.append(table.select(_COLUMNS).cast(_schema()))
        except pa.ArrowException as error:
            raise UsageError(f"Expected rows of the lab in {file}; its columns are of other kinds: {error}.") from error
    found = pa.concat_tables(tables)
    if not found.num_rows:
        raise UsageError(f"Expected finished rows in {path}; there are none. {advice}")
    return found, whole.is_file()


def _schema() -> pa.Schema:
    import pyarrow as pa

    kinds = dict.fromkeys(_COLUMNS, pa.string()) | dict.fromkeys(_NUMBERS, pa.float64()) | {"failed": pa.bool_()}
    return pa.schema(list(kinds.items()))


def _rows(
    table: pa.Table,
    path: Path,
    images: Sequence[str],
    systems: Sequence[SystemInfo],
    metrics: Sequence[MetricInfo],
) -> Rows:
    """The table in its order; of rows that two parts hold the later one."""
    known = (images, [one.name for one in systems], [one.name for one in metrics])
    index = {
        name: _places(table[name].to_pylist(), names, name, path) for name, names in zip(_TEXTS, known, strict=True)
    }
    numbers = {name: np.array([_number(v) for v in table[name].to_pylist()], np.float64) for name in _NUMBERS}
    if not np.isfinite(numbers["level"]).all():
        raise UsageError(f"Expected a finite level in every row of {path}; some have none.")
    n = table.num_rows
    order = np.lexsort((np.arange(n), index["metric"], index["image"], numbers["level"], index["system"]))
    keys = np.stack([index["system"], numbers["level"], index["image"], index["metric"]], 1)[order]  # (n, 4)
    last = np.ones(n, np.bool_)
    if n:
        last[:-1] = (keys[1:] != keys[:-1]).any(axis=1)
    order = order[last]
    texts = {name: [str(v or "") for v in table[name].to_pylist()] for name in ("note", "error")}
    failed = np.array([bool(v) for v in table["failed"].to_pylist()], np.bool_)
    return Rows(
        image=index["image"][order],
        system=index["system"][order],
        metric=index["metric"][order],
        level=numbers["level"][order],
        rate_bpp=numbers["rate_bpp"][order],
        uses_per_pixel=numbers["uses_per_pixel"][order],
        value=numbers["value"][order],
        failed=failed[order],
        note=tuple(texts["note"][i] for i in order),
        error=tuple(texts["error"][i] for i in order),
    )


def _places(found: Sequence[str], names: Sequence[str], what: str, path: Path) -> NDArray[np.int64]:
    places = {name: i for i, name in enumerate(names)}
    unknown = sorted({str(name) for name in found if name not in places})
    if unknown:
        raise UsageError(
            f"Expected every {what} in the rows of {path} to stand in its lab.json; {unknown[0]!r} does not. "
            "The files are of two runs."
        )
    return np.array([places[name] for name in found], np.int64)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
