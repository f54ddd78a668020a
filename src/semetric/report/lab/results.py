"""A run of the lab as arrays, in a fixed order. Draws nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.lab.experiments import Axis, Report
from semetric.lab.experiments.summary import columns_of, summarise
from semetric.results import open_run

__all__ = ["LabRun", "MetricInfo", "Pictures", "Rows", "SystemInfo", "read_lab_run", "sorted_rows"]


@dataclass(frozen=True, kw_only=True)
class SystemInfo:
    """One system of the run.

    Attributes:
        name: as in the rows.
        label: as in a legend.
        unit: what it says of its own strengths; a codec's is of its quality, which is no level here.
        dimension: what an edit changes (colour, texture, layout, pose, content); empty elsewhere.
        record: all that the run says of it.
        pictures: where its received pictures are, a run each.
    """

    name: str
    label: str
    unit: str = ""
    dimension: str = ""
    record: Mapping[str, Any] = field(default_factory=dict, repr=False)
    pictures: tuple[Pictures, ...] = field(default=(), repr=False)

    @property
    def at_qualities(self) -> bool:
        """Whether its levels are qualities of its own, also where the axis is a rate."""
        return self.record.get("level") == "quality"


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Where a run keeps what a system made of its first images.

    Attributes:
        root: the folder "examples" of the run.
        system: the system's folder below that of an image.
        folders: name of an image → its folder below the root.
    """

    root: Path
    system: str
    folders: Mapping[str, str]


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
        rate_bpp, size_bytes, uses_per_pixel: (n,) NaN where there is no stream, or no channel.
        value: (n,) NaN where there is an error; may be infinite.
        failed: (n,) whether the decoder rejected what came.
        note, error: (n,) in words; empty where there is nothing to say.
    """

    image: NDArray[np.int64]
    system: NDArray[np.int64]
    metric: NDArray[np.int64]
    level: NDArray[np.float64]
    rate_bpp: NDArray[np.float64]
    size_bytes: NDArray[np.float64]
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
        record: what shaped its numbers.
        experiment: its kind.
        title: the heading of its report.
        report: what its report shows.
        axis: what levels mean.
        systems, metrics: in the order of the record.
        images: names, in the order of the record.
        rows: what is finished.
        summary: the summary statistics of the rows.
        finished: whether that is all.
    """

    path: Path
    record: Mapping[str, Any]
    experiment: str
    title: str
    report: Report
    axis: Axis
    systems: tuple[SystemInfo, ...]
    metrics: tuple[MetricInfo, ...]
    images: tuple[str, ...]
    rows: Rows
    summary: Mapping[str, Any]
    finished: bool

    def levels(self, system: int) -> NDArray[np.float64]:
        """(k,) the levels of one system, rising."""
        return np.unique(self.rows.level[self.rows.system == system])

    def unit(self, system: int) -> str:
        """The unit of its levels: the axis's, or of strengths the system's own; empty of qualities."""
        info = self.systems[system]
        if self.axis.name == "rate_bpp" and info.at_qualities:
            return ""
        return self.axis.unit or (info.unit if self.axis.name == "strength" else "")


def read_lab_run(path: Path) -> LabRun:
    """Reads a run, finished or not.

    Raises:
        UsageError: no experiment is there, or nothing of it is finished.
        StoreError: it is damaged.
    """
    run = open_run(path)
    record = run.record
    if "experiment" not in record:
        raise UsageError(f"Expected the run of an experiment in {path}; it is of {record['kind']}.")
    columns = columns_of(run.units(), record)
    if not columns["value"].size:
        raise UsageError(
            f"Expected finished units in {path}; there are none. Start the experiment's command again: it goes on "
            "where it stopped."
        )
    images = tuple(image["name"] for image in record["images"])
    folders = {image["name"]: str(image.get("example") or "") for image in record["images"]}
    return LabRun(
        path=path,
        record=record,
        experiment=record["experiment"],
        title=record["title"],
        report=Report(**record["report"]),
        axis=Axis(**record["axis"]),
        systems=tuple(
            SystemInfo(
                name=entry["name"],
                label=entry["label"],
                unit=entry.get("unit", ""),
                dimension=entry.get("dimension", ""),
                record=entry,
                pictures=(Pictures(root=path / "examples", system=entry["name"], folders=folders),),
            )
            for entry in record["systems"]
        ),
        metrics=tuple(
            MetricInfo(
                name=name,
                higher_is_better=entry["higher_is_better"],
                range=tuple(entry["range"]),
                weights=entry["weights"],
            )
            for name, entry in record["metrics"].items()
        ),
        images=images,
        rows=_rows(columns, {"image": images, "system": _names(record), "metric": tuple(record["metrics"])}),
        summary=run.summary or summarise(columns, record, asked=False),
        finished=run.finished,
    )


def _names(record: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(system["name"] for system in record["systems"])


def _rows(columns: Mapping[str, Any], names: Mapping[str, tuple[str, ...]]) -> Rows:
    """Columns in the order of system, level, image, metric; names as places in the run's lists."""
    places = {}
    for which, known in names.items():
        place = {name: i for i, name in enumerate(known)}
        places[which] = np.array([place[name] for name in columns[which]], np.int64)
    return sorted_rows(
        Rows(
            image=places["image"],
            system=places["system"],
            metric=places["metric"],
            level=columns["level"],
            rate_bpp=columns["rate_bpp"],
            size_bytes=columns["size_bytes"],
            uses_per_pixel=columns["uses_per_pixel"],
            value=columns["value"],
            failed=columns["failed"],
            note=tuple(columns["note"]),
            error=tuple(text or "" for text in columns["error"]),
        )
    )


def columns(run: LabRun) -> dict[str, Any]:
    """The rows as `summarise` takes them."""
    rows = run.rows
    named = {
        "image": run.images,
        "system": [info.name for info in run.systems],
        "metric": [info.name for info in run.metrics],
    }
    return {
        **{name: np.array(names, object)[getattr(rows, name)] for name, names in named.items()},
        **{name: getattr(rows, name) for name in ("level", "rate_bpp", "size_bytes", "uses_per_pixel", "value")},
        "failed": rows.failed,
        "error": np.array([text or None for text in rows.error], object),
    }


def sorted_rows(rows: Rows) -> Rows:
    """The rows in their order; of those for one image, system, level and metric the last."""
    n = len(rows)
    order = np.lexsort((np.arange(n), rows.metric, rows.image, rows.level, rows.system))
    keys = np.stack([rows.system, rows.level, rows.image, rows.metric], 1)[order]  # (n, 4)
    last = np.ones(n, np.bool_)
    if n:
        last[:-1] = (keys[1:] != keys[:-1]).any(axis=1)
    order = order[last]
    parts: dict[str, Any] = {}
    for one in fields(Rows):
        column = getattr(rows, one.name)
        parts[one.name] = tuple(column[i] for i in order) if isinstance(column, tuple) else column[order]
    return Rows(**parts)
