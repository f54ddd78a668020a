"""Systems of one's own in a configuration: a command or function, a codec under any name, images made elsewhere.

Each is a table with a `name` and one key that says what it is: `run`, `codec`, `encode` (with `decode`) or `folders`. A
name among `codecs` is such a table, too: its options, or those of the codec of that name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from semetric.errors import UsageError
from semetric.lab.experiments.base import Axis, Context, Experiment, Sweep, check_levels

if TYPE_CHECKING:
    from semetric.lab.codecs import Codec
    from semetric.lab.systems import System

__all__ = [
    "MAX_RATE_BPP",
    "OpenExperiment",
    "check_options",
    "codec_sweeps",
    "codec_table",
    "levels_in",
    "named_codec",
    "sweep_of",
]

MAX_RATE_BPP = 24.0  # of the uncoded image

_POINTS = 6  # qualities of a codec whose own are not named
_COMMON = ("name", "label", "level", "levels", "tolerance")
_KEYS = {  # of tables of that kind; those of codecs are the codec's options
    "run": (*_COMMON, "run", "steps", "timeout_s", "uses_per_pixel", "unit", "codec"),
    "folders": (*_COMMON, "folders", "rates", "fit", "uses_per_pixel", "unit"),
}


@dataclass(frozen=True, kw_only=True)
class OpenExperiment(Experiment):
    """An experiment in which systems of one's own take part.

    Attributes:
        systems: each a table with `name` and `run` (a command line or a function), `codec`, `encode` and `decode`, or
            `folders`; or the text "NAME=RUN"; or the name of a table of `system_options`.
        system_options: the name of a system → its table, for systems that are named alone.
    """

    systems: tuple[Mapping[str, Any] | str, ...] = ()
    system_options: Mapping[str, Any] = field(default_factory=dict)

    def tables(self) -> list[dict[str, Any]]:
        """The systems as tables.

        Raises:
            UsageError: one has no name, or is no table.
        """
        return [_as_table(system, self.system_options) for system in self.systems]

    def own_sweeps(
        self, context: Context, levels: Sequence[float] | None, tolerance: float | None = None
    ) -> list[Sweep]:
        """The systems of one's own; arguments and errors as `sweep_of`."""
        axis = self.level_axis()
        return [sweep_of(table, context, axis, levels, tolerance=tolerance) for table in self.tables()]


def _as_table(system: Mapping[str, Any] | str, options: Mapping[str, Any]) -> dict[str, Any]:
    """A table; "NAME=RUN"; or a name of `options`, as a table."""
    if isinstance(system, str):
        before, _, after = (part.strip() for part in system.partition("="))
        if before and after:
            return {"name": before, "run": after}
        if system not in options:
            raise UsageError(
                f"Expected a system as a table, as 'NAME=COMMAND' or as 'NAME=module:function'; found {system!r}."
            )
        system = {"name": system, **_checked_table(system, options[system])}
    table = dict(_checked_table("a system", system))
    name = table.get("name")
    if not isinstance(name, str) or not name:
        raise UsageError(f"Expected a system with a name; found {table!r}.")
    if not isinstance(table.get("label", ""), str):
        raise UsageError(f"Expected the label of {name} to be text; found {table['label']!r}.")
    return table


def sweep_of(
    table: Mapping[str, Any],
    context: Context,
    axis: Axis,
    levels: Sequence[float] | None,
    *,
    tolerance: float | None = None,
) -> Sweep:
    """One system of one's own, with its levels.

    Args:
        table: of the system.
        context: the runtime and the images.
        axis: of the experiment.
        levels: the experiment's, for a system without levels of its own; None where each needs its own.
        tolerance: of a target rate, where the table has none.

    Raises:
        UsageError: an option that does not exist or does not fit.
        MissingExtraError: a codec's package is not here.
    """
    name = table["name"]
    kinds = [kind for kind in ("run", "folders", "codec", "encode") if kind in table]
    if table.get("codec") == "external" and len(kinds) == 2:  # codec = "external" says no more than the other key
        kinds.remove("codec")
    if len(kinds) != 1:
        raise UsageError(
            f"Expected the system {name} to have one of run, codec, encode and decode, or folders; found "
            f"{' and '.join(kinds) or 'none of them'}."
        )
    (kind,) = kinds
    rated = axis.name == "rate_bpp"
    level = table.get("level", "rate" if rated and kind != "folders" else "quality")
    if level not in ("rate", "quality"):
        raise UsageError(f"Expected the level of {name} to be rate or quality; found {level!r}.")
    if level == "rate" and not rated:
        raise UsageError(
            f"Expected levels of {name} in the unit of the experiment ({axis.label}); found level = 'rate'."
        )
    unknown = [key for key in table if key not in _KEYS.get(kind, table)]
    if unknown:
        raise UsageError(f"Expected options of the system {name} among {', '.join(_KEYS[kind])}; found {unknown[0]!r}.")
    own_levels = levels_in(table)
    if kind == "folders":
        from semetric.lab.experiments.folders import folder_sweep

        return folder_sweep(table, context, levels=own_levels, axis=axis)
    table = {**({} if tolerance is None else {"tolerance": tolerance}), **table}
    system = _run_system(table, level, axis) if kind == "run" else _codec_system(table, level, axis)
    shared_levels = tuple(levels) if levels is not None and (level == "rate" or not rated) else None
    chosen = own_levels or shared_levels or _qualities(system)
    if chosen is None:
        raise UsageError(f"Expected levels of the system {name}: the numbers that it is called with; none.")
    _check_levels(system, chosen, level)
    return Sweep(system=system, levels=chosen)


def codec_sweeps(
    codecs: Sequence[str],
    options: Mapping[str, Any],
    context: Context,
    axis: Axis,
    rates_bpp: Sequence[float],
    *,
    tolerance: float | None = None,
) -> list[Sweep]:
    """Codecs by name, at target rates or at qualities of their own; options as `codec_table`, else as `sweep_of`."""
    check_options(codecs, options)
    return [sweep_of(codec_table(name, options), context, axis, rates_bpp, tolerance=tolerance) for name in codecs]


def codec_table(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """A name of `codecs` with its options, as a system's table."""
    own = dict(options.get(name, {}))
    if not {"codec", "encode", "run", "folders"} & set(own):
        own["codec"] = name
    return {"name": name, **own}


def named_codec(name: str, options: Mapping[str, Any]) -> Codec:
    """A codec under a name.

    Args:
        name: of a codec, or of one's own where the options say which codec it is, or how it encodes and decodes.
        options: of the codec; `codec`, which it is; `label`, in the legend.

    Raises:
        UsageError: there is no such codec or option.
        MissingExtraError: its package is not here.
    """
    from semetric.lab.codecs import create_codec

    own = dict(options)
    kind = str(own.pop("codec", "external" if "encode" in own else name))
    label = own.pop("label", None)
    codec = create_codec(kind, **own)
    if kind != name:
        codec.name, codec.label = name, name
    if label is not None:
        codec.label = str(label)
    return codec


def check_options(names: Sequence[str], options: Mapping[str, Any]) -> None:
    """Raises UsageError where options are no table, or belong to a codec that takes no part."""
    for name, own in options.items():
        if name not in names:
            raise UsageError(f"Expected codec_options of {', '.join(names)}; found options of {name!r}.")
        _checked_table(f"codec_options.{name}", own)


def levels_in(table: Mapping[str, Any]) -> tuple[float, ...] | None:
    """The levels that a table names."""
    listed = table.get("levels")
    if listed is None:
        return None
    if not isinstance(listed, list | tuple) or not all(type(level) in (int, float) for level in listed):
        raise UsageError(f"Expected levels of {table['name']} as a list of numbers; found {listed!r}.")
    levels = tuple(map(float, listed))
    check_levels(f"levels of {table['name']}", levels)
    return levels


def _run_system(table: Mapping[str, Any], level: str, axis: Axis) -> System:
    from semetric.lab.codecs import ExternalSystem
    from semetric.lab.codecs.functions import load_function
    from semetric.lab.systems import System

    name, run = table["name"], table["run"]
    if "steps" in table and level != "rate":
        raise UsageError(
            f"Expected steps of {name} beside a target rate, which is met by search over them; here the level is "
            "handed over as it is. Leave steps out, and name levels."
        )
    target = run if isinstance(run, str) and "{" in run else load_function(run)
    if isinstance(target, type) and issubclass(target, System):
        system = target()
        system.name, system.label = name, table.get("label", name)
        return system
    options = {key: table[key] for key in _KEYS["run"] if key in table and key not in ("level", "levels", "codec")}
    return ExternalSystem(counts="uses" if axis.name == "snr_db" else "bytes", **options)


def _codec_system(table: Mapping[str, Any], level: str, axis: Axis) -> System:
    from semetric.lab.codecs import CodecSystem

    if axis.name == "snr_db":
        raise UsageError(
            f"Expected a codec among codecs, which send over a link; found {table['name']} among systems, which take "
            "the SNR themselves. Give it a run."
        )
    options = {key: value for key, value in table.items() if key not in ("name", "level", "levels", "tolerance")}
    tolerance = {"tolerance": table["tolerance"]} if "tolerance" in table else {}
    codec = named_codec(table["name"], options)
    return CodecSystem(codec, level="rate" if level == "rate" else "quality", **tolerance)


def _qualities(system: System) -> tuple[float, ...] | None:
    """Steps of a codec's scale, spread evenly; None of a system that is no codec at qualities."""
    from semetric.lab.codecs import CodecSystem

    if not isinstance(system, CodecSystem) or system.level != "quality":
        return None
    steps = system.codec.steps
    places = np.unique(np.linspace(0, len(steps) - 1, min(_POINTS, len(steps))).round().astype(int))
    return tuple(float(steps[place]) for place in places)


def _check_levels(system: System, levels: Sequence[float], level: str) -> None:
    """Raises UsageError where a codec has no such rate or quality."""
    from semetric.lab.codecs import CodecSystem

    if level == "rate":
        check_levels(f"rates of {system.name}", levels, low=0.0, high=MAX_RATE_BPP)
    elif isinstance(system, CodecSystem):
        for quality in levels:
            system.codec.check_quality(quality)


def _checked_table(what: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"Expected {what} to be a table; found {value!r}.")
    return value
