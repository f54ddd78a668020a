"""What every `semetric lab` experiment does: options joined, progress, the table, what failed."""

from __future__ import annotations

import logging
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from semetric.cli import _console as shared
from semetric.cli._choices import taken
from semetric.cli._lab_options import read_config, systems
from semetric.cli._names import log_names
from semetric.cli._progress import counter, say_interrupted
from semetric.cli._tables import Column, TerminalTable, show_tables
from semetric.errors import UsageError
from semetric.score_settings import Execution
from semetric.settings import fields_of

if TYPE_CHECKING:
    from semetric.lab.experiments import Experiment, ImageFile, RunSettings
    from semetric.results import Started

__all__ = ["run"]

_WHOLE = "summary.json"
_log = logging.getLogger(__name__)


def run(kind: type[Experiment], images: Sequence[str | ImageFile], options: Mapping[str, Any], **words: Any) -> None:
    """Runs an experiment.

    Args:
        kind: of the experiment.
        images: files and folders; or pairs.
        options: all options of its command.
        words: further fields of the experiment; None where one was not given.

    Raises:
        typer.Exit: with code 1, where units failed.
    """
    from semetric.lab.experiments import Context, run_experiment

    options = dict(options)
    execution = Execution(fetch=options["fetch"], **taken(Execution, options))
    experiment, settings = _configured(kind, options, words)
    if execution.fetch:
        runtime = settings.runtime(cached=False)
        with shared.downloads_if(True):
            settings.make_metrics(runtime)
            experiment.sweeps(Context(runtime=runtime, images=experiment.find(images), reading=settings.reading))
    out: Path = options["out"]
    for title, names in experiment.passed_over().items():
        log_names(f"{title}: {len(names)}", names, _WHOLE)
    broken: set[str] = set()
    with counter("units") as (begin, advance):

        def started(known: Started) -> None:
            broken.update(known.broken)
            _report(known)
            begin(known.units, known.done)

        try:
            done = run_experiment(
                experiment,
                images,
                out,
                settings,
                cached=not options["no_cache"],
                execution=execution,
                retry_failed=options["retry_failed"],
                limit=options["limit"],
                started=started,
                progress=advance,
            )
        except KeyboardInterrupt:
            say_interrupted(out, "units")
            raise
    if options["as_json"]:
        shared.show_json(done.summary)
    else:
        show_tables(_table(done.summary))
    _tell(done.summary, broken)
    _log.info("rows: %s", done.path / "scores.csv")
    if done.summary["failed"]:
        raise typer.Exit(1)


def _configured(
    kind: type[Experiment], options: dict[str, Any], words: Mapping[str, Any]
) -> tuple[Experiment, RunSettings]:
    """The experiment and the settings of a file and of flags, which win."""
    from semetric.lab.experiments import RunSettings

    merged = read_config(options["config"], kind.kind)
    merged |= taken(kind, options) | taken(RunSettings, options) | shared.given(**words)
    own_systems = systems(options["system"], options["system_levels"], merged.get("systems") or ())
    merged |= shared.given(systems=own_systems)
    fields, shared_fields = fields_of(kind), fields_of(RunSettings)
    unknown = [name for name in merged if name not in (*fields, *shared_fields)]
    if unknown:
        raise UsageError(
            f"Expected options among {', '.join((*fields, *shared_fields))}; {options['config']} has "
            f"{', '.join(map(repr, unknown))}."
        )
    experiment = kind.from_dict({name: merged[name] for name in fields if name in merged})
    return experiment, RunSettings.from_dict({name: merged[name] for name in shared_fields if name in merged})


def _report(known: Started) -> None:
    """Says what cannot be read, what is left out, and what was finished before."""
    log_names(
        f"images that cannot be read: {len(known.broken)}", [f"{n}: {w}" for n, w in known.broken.items()], _WHOLE
    )
    for name, why in known.left_out.items():
        _log.warning("%s is left out: %s", name, why)
    if known.done:
        _log.info("%d of %d units were finished before", known.done, known.units)


def _tell(summary: Mapping[str, Any], broken: Container[str] = ()) -> None:
    """Says what fell back and what failed, but for the units of broken images, which are named already."""
    if summary["fallbacks"]:
        _log.info(
            "%d of %d streams were rejected by their decoders; fallback images were scored",
            summary["fallbacks"],
            summary["units"],
        )
    failed = [
        f"{unit['image']}, {unit['system']} at {unit['level']:g}: {'; '.join(dict.fromkeys(unit['errors'].values()))}"
        for unit in summary["failed"]
        if unit["image"] not in broken
    ]
    log_names(f"{len(failed)} of {summary['units']} units failed:", failed, _WHOLE)


def _table(summary: Mapping[str, Any]) -> TerminalTable:
    """A row a system and level, a column a metric."""
    metrics = summary["metrics"]
    rates = any(point["rate_bpp"] is not None for point in summary["points"])
    target = "target " if summary["axis"]["name"] == "rate_bpp" else ""
    columns = [Column("system", "key"), Column(f"{target}{summary['axis']['label']}", repeated=True)]
    columns += [Column("bits per pixel")] if rates else []
    columns += [Column("fallbacks")]
    columns += [Column(f"{name} {'↑' if metric['higher_is_better'] else '↓'}") for name, metric in metrics.items()]
    table = TerminalTable(columns)
    before = None
    for point in summary["points"]:
        if before not in (None, point["system"]):
            table.add_section()
        shown = point["system"] if before != point["system"] else ""
        before = point["system"]
        table.add_row(
            shown,
            f"{point['level']:g}",
            *([f"{point['rate_bpp']:.3f}" if point["rate_bpp"] is not None else "–"] if rates else []),
            str(point["failed"]) if point["failed"] else "–",
            *(_number(point["metrics"][name]) for name in metrics),
        )
    return table


def _number(statistics: Mapping[str, Any]) -> str:
    """A mean; ∞ where all scores were infinite."""
    from semetric.cli._scores import number

    if statistics["mean"] is None:
        return "∞" if statistics["infinite"] else "–"
    return number(statistics["mean"])
