"""Systems of one's own in a configuration: a command or function, a codec under any name, images made elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from semetric.errors import UsageError
from semetric.lab.experiments.base import Axis, Context, Experiment, Sweep, check_levels

if TYPE_CHECKING:
    from semetric.lab.codecs import Codec
    from semetric.lab.systems import System

__all__ = [
    "MAX_RATE_BPP",
    "OpenExperiment",
    "SystemEntry",
    "check_options",
    "codec_entry",
    "entry_of",
    "levels_in",
    "named_codec",
    "sweep_of",
]

MAX_RATE_BPP = 24.0  # of the uncoded image

SystemEntry: TypeAlias = Mapping[str, Any] | str
"""A table with a name and one of run, codec, encode and decode, folders; or "NAME=RUN"."""

_POINTS = 6  # qualities of a codec whose own are not named
_RUN = ("run", "steps", "timeout_s", "uses_per_pixel", "unit")
_FOLDERS = ("folders", "rates", "fit", "uses_per_pixel", "unit")
_COMMON = ("name", "label", "level", "levels", "tolerance")


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

    def entries(self) -> list[dict[str, Any]]:
        """The systems as tables.

        Raises:
            UsageError: one has no name, or is no table.
        """
        return [entry_of(one, self.system_options) for one in self.systems]

    def own_sweeps(
        self, context: Context, levels: Sequence[float] | None, tolerance: float | None = None
    ) -> list[Sweep]:
        """The systems of one's own, with their levels.

        Args:
            context: the runtime and the images.
            levels: what a system runs at that has no levels of its own; None where each needs its own.
            tolerance: of a target rate, where a system has no own.

        Raises:
            UsageError: an option that does not exist or does not fit.
            MissingExtraError: a codec's package is not here.
        """
        axis = self.level_axis()
        return [sweep_of(entry, context, axis, levels, tolerance=tolerance) for entry in self.entries()]


def entry_of(given: SystemEntry, options: Mapping[str, Any]) -> dict[str, Any]:
    """A system as a table.

    Args:
        given: a table; "NAME=RUN"; or a name of `options`.
        options: name → table.

    Raises:
        UsageError: it has no name, or is no table.
    """
    if isinstance(given, str):
        curve, _, run = (part.strip() for part in given.partition("="))
        if curve and run:
            return {"name": curve, "run": run}
        if given not in options:
            raise UsageError(
                f"Expected a system as a table, as 'NAME=COMMAND' or as 'NAME=module:function'; found {given!r}."
            )
        given = {"name": given, **_table(given, options[given])}
    entry = dict(_table("a system", given))
    name = entry.get("name")
    if not isinstance(name, str) or not name:
        raise UsageError(f"Expected a system with a name; found {dict(given)!r}.")
    if not isinstance(entry.get("label", ""), str):
        raise UsageError(f"Expected the label of {name} to be text; found {entry['label']!r}.")
    return entry


def sweep_of(
    entry: Mapping[str, Any],
    context: Context,
    axis: Axis,
    levels: Sequence[float] | None,
    *,
    tolerance: float | None = None,
) -> Sweep:
    """One system of one's own, with its levels.

    Args:
        entry: its table.
        context: the runtime and the images.
        axis: of the experiment: what its levels are.
        levels: the experiment's, for a system without levels of its own; None where it has none for it.
        tolerance: of a target rate, where the table has none.

    Raises:
        UsageError: an option that does not exist or does not fit.
        MissingExtraError: a codec's package is not here.
    """
    kinds = [kind for kind in ("run", "folders", "codec", "encode") if kind in entry]
    if entry.get("codec") == "external" and len(kinds) == 2:  # codec = "external" says no more than the other key
        kinds.remove("codec")
    if len(kinds) != 1:
        raise UsageError(
            f"Expected the system {entry['name']} to have one of run, codec, encode and decode, or folders; found "
            f"{' and '.join(kinds) or 'none of them'}."
        )
    meaning = entry.get("level", "rate" if axis.name == "rate_bpp" and kinds != ["folders"] else "quality")
    if meaning not in ("rate", "quality"):
        raise UsageError(f"Expected the level of {entry['name']} to be rate or quality; found {meaning!r}.")
    if meaning == "rate" and axis.name != "rate_bpp":
        raise UsageError(
            f"Expected levels of {entry['name']} in the unit of the experiment ({axis.label}); found level = 'rate'."
        )
    table = {**({} if tolerance is None else {"tolerance": tolerance}), **entry}
    own = levels_in(entry)
    shared = tuple(levels) if levels is not None and (meaning == "rate" or axis.name != "rate_bpp") else None
    if kinds == ["folders"]:
        from semetric.lab.experiments.folders import folder_sweep

        _check_keys(table, (*_COMMON, *_FOLDERS))
        return folder_sweep(table, context, levels=own, axis=axis)
    build: Callable[[Mapping[str, Any], str, Axis], System] = _run_system if kinds == ["run"] else _codec_system
    system = build(table, meaning, axis)
    chosen = own or shared or _qualities(system)
    if chosen is None:
        raise UsageError(f"Expected levels of the system {entry['name']}: the numbers that it is called with; none.")
    _check(system, chosen, meaning)
    return Sweep(system=system, levels=chosen)


def _run_system(table: Mapping[str, Any], meaning: str, axis: Axis) -> System:
    from semetric.lab.codecs import ExternalSystem

    _check_keys(table, (*_COMMON, *_RUN, "codec"))
    if "steps" in table and meaning != "rate":
        raise UsageError(
            f"Expected steps of {table['name']} beside a target rate, which is met by search over them; here the level "
            "is handed over as it is. Leave steps out, and name levels."
        )
    options = {key: table[key] for key in ("name", "label", "tolerance", *_RUN) if key in table}
    return ExternalSystem(counts="uses" if axis.name == "snr_db" else "bytes", **options)


def _codec_system(table: Mapping[str, Any], meaning: str, axis: Axis) -> System:
    from semetric.lab.codecs import CodecSystem

    if axis.name == "snr_db":
        raise UsageError(
            f"Expected a codec among codecs, which send over a link; found {table['name']} among systems, which take "
            "the SNR themselves. Give it a run."
        )
    options = {key: value for key, value in table.items() if key not in ("name", "level", "levels", "tolerance")}
    shown = {"tolerance": table["tolerance"]} if "tolerance" in table else {}
    return CodecSystem(
        named_codec(table["name"], options),
        level="rate" if meaning == "rate" else "quality",
        **shown,
    )


def named_codec(name: str, options: Mapping[str, Any]) -> Codec:
    """A codec under a name, with its options.

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


def codec_entry(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """A name of `codecs` with its options, as a system's table."""
    own = dict(options.get(name, {}))
    if not {"codec", "encode", "run", "folders"} & set(own):
        own["codec"] = name
    return {"name": name, **own}


def check_options(names: Sequence[str], options: Mapping[str, Any]) -> None:
    """Raises UsageError where options are no table, or belong to a codec that is not used."""
    for name, own in options.items():
        if name not in names:
            raise UsageError(f"Expected codec_options of {', '.join(names)}; found options of {name!r}.")
        _table(f"codec_options.{name}", own)


def levels_in(entry: Mapping[str, Any]) -> tuple[float, ...] | None:
    """The levels that a table names."""
    given = entry.get("levels")
    if given is None:
        return None
    numbers = isinstance(given, list | tuple) and all(type(one) in (int, float) for one in given)
    if not numbers:
        raise UsageError(f"Expected levels of {entry['name']} as a list of numbers; found {given!r}.")
    levels = tuple(float(one) for one in given)
    check_levels(f"levels of {entry['name']}", levels)
    return levels


def _qualities(system: System) -> tuple[float, ...] | None:
    """Steps of a codec's scale, spread evenly; None of a system that is no codec at qualities."""
    from semetric.lab.codecs import CodecSystem

    if not isinstance(system, CodecSystem) or system.level != "quality":
        return None
    steps = system.codec.steps
    places = np.unique(np.linspace(0, len(steps) - 1, min(_POINTS, len(steps))).round().astype(int))
    return tuple(float(steps[place]) for place in places)


def _check(system: System, levels: Sequence[float], meaning: str) -> None:
    """Raises UsageError where a codec has no such rate or quality."""
    from semetric.lab.codecs import CodecSystem

    if meaning == "rate":
        check_levels(f"rates of {system.name}", levels, low=0.0, high=MAX_RATE_BPP)
    elif isinstance(system, CodecSystem):
        for level in levels:
            system.codec.check_quality(level)


def _check_keys(table: Mapping[str, Any], known: Sequence[str]) -> None:
    unknown = [key for key in table if key not in known]
    if unknown:
        raise UsageError(
            f"Expected options of the system {table['name']} among {', '.join(known)}; found {unknown[0]!r}."
        )


def _table(what: str, given: Any) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise UsageError(f"Expected {what} to be a table; found {given!r}.")
    return given
