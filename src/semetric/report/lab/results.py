"""A run of the lab as arrays, in a fixed order. Draws nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.lab.experiments import EXPERIMENTS
from semetric.lab.experiments.summary import columns_of
from semetric.results import open_run

__all__ = ["Axis", "LabRun", "MetricInfo", "Rows", "SystemInfo", "read_lab_run"]


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
        record: what shaped its numbers.
        experiment: its kind.
        axis: what levels mean.
        systems, metrics: in the order of the record.
        images: names, in the order of the record.
        rows: what is finished.
        summary: its summary statistics; empty while it is not at its end.
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
    summary: Mapping[str, Any]
    finished: bool

    def levels(self, system: int) -> NDArray[np.float64]:
        """(k,) the levels of one system, rising."""
        return np.unique(self.rows.level[self.rows.system == system])

    def unit(self, system: int) -> str:
        """The unit of its levels: the axis's, or of strengths the system's own."""
        return self.axis.unit or (self.systems[system].unit if self.axis.name == "strength" else "")


def read_lab_run(path: Path) -> LabRun:
    """Reads a run, finished or not.

    Raises:
        UsageError: no experiment is there, or nothing of it is finished.
        StoreError: it is damaged.
    """
    run = open_run(path)
    record = run.record
    if record["kind"] not in EXPERIMENTS:
        raise UsageError(f"Expected the run of an experiment in {path}; it is of {record['kind']}.")
    columns = columns_of(run.units(), record)
    if not columns["value"].size:
        raise UsageError(
            f"Expected finished units in {path}; there are none. Start the experiment's command again: it goes on "
            "where it stopped."
        )
    images = tuple(image["name"] for image in record["images"])
    return LabRun(
        path=path,
        record=record,
        experiment=record["experiment"],
        axis=Axis(**record["axis"]),
        systems=tuple(
            SystemInfo(
                name=one["name"],
                label=one["label"],
                unit=one.get("unit", ""),
                dimension=one.get("dimension", ""),
                record=one,
            )
            for one in record["systems"]
        ),
        metrics=tuple(
            MetricInfo(
                name=name, higher_is_better=one["higher_is_better"], range=tuple(one["range"]), weights=one["weights"]
            )
            for name, one in record["metrics"].items()
        ),
        images=images,
        rows=_rows(columns, {"image": images, "system": _names(record), "metric": tuple(record["metrics"])}),
        summary=run.summary,
        finished=run.finished,
    )


def _names(record: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(one["name"] for one in record["systems"])


def _rows(columns: Mapping[str, Any], names: Mapping[str, tuple[str, ...]]) -> Rows:
    """Columns in the order of system, level, image, metric; names as places in the run's lists."""
    places = {}
    for which, known in names.items():
        place = {name: i for i, name in enumerate(known)}
        places[which] = np.array([place[name] for name in columns[which]], np.int64)
    order = np.lexsort((places["metric"], places["image"], columns["level"], places["system"]))
    return Rows(
        image=places["image"][order],
        system=places["system"][order],
        metric=places["metric"][order],
        level=columns["level"][order],
        rate_bpp=columns["rate_bpp"][order],
        uses_per_pixel=columns["uses_per_pixel"][order],
        value=columns["value"][order],
        failed=columns["failed"][order],
        note=tuple(columns["note"][order]),
        error=tuple(text or "" for text in columns["error"][order]),
    )
