"""What an experiment is: systems, and the levels at which each image is sent through them."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from semetric.errors import UsageError
from semetric.lab.systems import System
from semetric.settings import Settings, setting

if TYPE_CHECKING:
    from semetric.lab.experiments.images import ImageFile
    from semetric.models.runtime import Runtime

__all__ = ["Axis", "Context", "Experiment", "Report", "Sweep", "check_levels"]


@dataclass(frozen=True, kw_only=True)
class Axis:
    """What a level is.

    Attributes:
        name: rate_bpp, snr_db, strength or level.
        label: as a figure's axis has it, without the unit.
        unit: in words; empty where there is none, or where each system has its own.
    """

    name: str
    label: str
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """One system over its operating points: a curve of a figure.

    Attributes:
        system: what images are sent through.
        levels: where, each once, in the order of the rows.
    """

    system: System
    levels: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: the system's own, and the levels."""
        return {**self.system.to_dict(), "levels": list(self.levels)}


@dataclass(frozen=True, kw_only=True)
class Context:
    """What systems may need beside their configuration.

    Attributes:
        runtime: that of the metrics, for systems with networks.
        images: those that will be sent.
        reading: how they are read, as `read_picture` takes it.
    """

    runtime: Runtime
    images: Sequence[ImageFile] = ()
    reading: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Report(Settings):
    """What `semetric lab report` shows of an experiment beside what every run has: curves, means, examples, errors."""

    tables: tuple[
        Literal["overall", "differences", "crossings", "failed", "transformations", "correlations", "sensitivity"], ...
    ] = setting(
        ("overall", "differences", "crossings"),
        "In their order. overall: means over all levels, a row a system. differences: paired, every two systems. "
        "crossings: where two systems change places. failed: failed decodes, also where none failed. transformations: "
        "a row a transformation, at its mild strength. correlations: of each metric with strength. sensitivity: the "
        "fall from the weakest to the strongest level.",
    )
    figures: tuple[Literal["beside-sess", "transformations", "correlations", "sensitivity"], ...] = setting(
        ("beside-sess",),
        "beside-sess: SeSS and each other metric on two axes. transformations: a panel a system, all metrics in it, in "
        "place of a figure a metric. correlations, sensitivity: as the tables.",
    )
    findings: Literal["compared", "extremes", "followed", "noticed"] = setting(
        "compared",
        "The sentence a metric. compared: which system is best. extremes: under which system a metric changes least "
        "and most. followed: which strength it follows. noticed: which system it notices most.",
    )
    scatter: bool = setting(False, "Whether single images stand behind the curves.")
    published: Mapping[str, Mapping[str, float]] = setting(
        dict, "System → metric → a mean of the paper, shown below the run's in the table transformations."
    )
    source: str = setting("", "Of `published`, in words.")


class Experiment(Settings, ABC):
    """The configuration of an experiment: a frozen dataclass, whose `setting` fields are the flags of its command.

    Its docstring, up to the attributes, is the help text of the command.

    Attributes:
        kind: its name, as the command has it.
        axis: what its levels are.
        title: the heading of its report.
        report: the tables and figures of its report.
        example: a command line, for its help.
        nested: whether all levels of a system draw from one generator an image, so that a stronger change is more of
            the same: the same noise, scaled. Else each level has its own.
        takes: what its command names: images; images, or pairs of a source and its translation; or originals and
            folders of images made of them.
    """

    kind: ClassVar[str]
    axis: ClassVar[Axis]
    title: ClassVar[str]
    report: ClassVar[Report] = Report()
    example: ClassVar[str] = ""
    nested: ClassVar[bool] = False
    takes: ClassVar[Literal["images", "pairs", "folders"]] = "images"

    @abstractmethod
    def sweeps(self, context: Context) -> tuple[Sweep, ...]:
        """The systems and their levels.

        Args:
            context: the runtime and the images.

        Raises:
            UsageError: a name or level that does not exist.
            MissingExtraError: a system needs a package that is not here.
        """

    def level_axis(self) -> Axis:
        """What its levels are, where the configuration says it."""
        return self.axis

    def passed_over(self) -> dict[str, list[str]]:
        """What was found and is not sent: in words, with the files. To be told to the user."""
        return {}

    def find(self, inputs: Sequence[str | os.PathLike[str] | ImageFile]) -> list[ImageFile]:
        """The images among files and folders.

        Raises:
            UsageError: there is none, or one is not there.
        """
        from semetric.lab.experiments.images import find_images

        return find_images(inputs)

    def analyse(self, columns: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
        """What the summary says beyond means, by key.

        Args:
            columns: of all rows: image, system, metric (object arrays), level, value (float64 arrays, NaN for none).
            metrics: name → what the record says of it.
        """
        del columns, metrics
        return {}


def check_levels(name: str, levels: Sequence[float], *, low: float = -math.inf, high: float = math.inf) -> None:
    """Raises UsageError where there is no level, one is outside low < level ≤ high, or one comes twice.

    Examples:
        >>> check_levels("rates", [0.5, 0.5], low=0.0)
        Traceback (most recent call last):
        semetric.errors.UsageError: Expected rates that differ; found 0.5, 0.5.
    """
    if not levels:
        raise UsageError(f"Expected at least one of {name}; found none.")
    for level in levels:
        if not (math.isfinite(level) and low < level <= high):
            bounds = f"above {low:g}" if math.isinf(high) else f"above {low:g} and up to {high:g}"
            raise UsageError(f"Expected {name} {'that are finite' if math.isinf(low) else bounds}; found {level:g}.")
    if len(set(levels)) < len(levels):
        raise UsageError(f"Expected {name} that differ; found {', '.join(f'{level:g}' for level in levels)}.")
