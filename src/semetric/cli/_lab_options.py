"""The options that all experiments share, and the file that may hold them."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from semetric.cli import _console as shared
from semetric.cli._choices import accepts, metrics_option, table
from semetric.errors import UsageError
from semetric.score_settings import Execution, MetricSettings, Reading

__all__ = [
    "ImagesArgument",
    "Words",
    "named",
    "read_config",
    "systems",
    "with_run_options",
]

ImagesArgument: TypeAlias = Annotated[list[str], typer.Argument(help="Image files, and folders of them.")]
Words: TypeAlias = list[str] | None


def _run_options(
    out: Annotated[Path, typer.Option(help="The folder of results: new, empty, or one to go on with.")],
    metrics: Annotated[Words, metrics_option("psnr, ms_ssim, lpips, samscore, sess")] = None,
    config: Annotated[
        Path | None, typer.Option(help="A TOML file of options, or the run.json of an experiment; flags win.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all random numbers; default 0.")] = None,
    limit: Annotated[int | None, typer.Option(help="Send the first images alone.")] = None,
    examples: Annotated[
        int | None, typer.Option(help="Images whose received pictures are kept, from the first; default 3.")
    ] = None,
    resize_longest: Annotated[
        int | None, typer.Option(help="Shrink images whose longer side is above this many px before sending them.")
    ] = None,
    system: Annotated[
        list[str] | None,
        typer.Option(
            help="A system of your own: NAME=COMMAND with {input}, {output} and perhaps {level}, {stream}, {uses}, "
            "{seed}; or NAME=module:function; repeat for more."
        ),
    ] = None,
    system_levels: Annotated[
        list[str] | None, typer.Option(help="NAME=1,2,3: the levels of a system of your own; repeat for more.")
    ] = None,
    as_json: shared.JsonOption = False,
    fetch: shared.FetchOption = False,
    no_cache: shared.NoCacheOption = False,
    retry_failed: shared.RetryFailedOption = False,
) -> None:
    """Never called: its signature is joined to that of each experiment."""


def with_run_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Adds the shared options to a verb whose last parameter, **options, takes them."""
    return accepts(_run_options, Execution, MetricSettings, Reading)(verb)


def named(option: str, given: Sequence[str] | None) -> dict[str, str]:
    """NAME=VALUE, an occurrence of the option each.

    Raises:
        UsageError: another form, or a name that comes twice.
    """
    values: dict[str, str] = {}
    for one in given or ():
        name, equals, value = (part.strip() for part in one.partition("="))
        if not (equals and name and value):
            raise UsageError(f"Expected {option} NAME=…; found {one!r}.")
        if name in values:
            raise UsageError(f"Expected {option} with names that differ; found {name!r} twice.")
        values[name] = value
    return values


def systems(
    given: Sequence[str] | None, levels: Sequence[str] | None, known: Sequence[Any] = ()
) -> list[dict[str, Any]] | None:
    """The systems of --system with the levels of --system-levels, for an experiment's `systems`.

    Args:
        given: occurrences of --system.
        levels: occurrences of --system-levels.
        known: systems that a file or folders name, which --system follows, and which --system-levels may mean.

    Raises:
        UsageError: another form, or levels of a system that does not take part.
    """
    if not given and not levels:
        return None
    tables = [dict(one) if isinstance(one, Mapping) else one for one in known]
    tables += [{"name": name, "run": run} for name, run in named("--system", given).items()]
    for name, values in (table("--system-levels", levels) or {}).items():
        own = [one for one in tables if isinstance(one, dict) and one.get("name") == name]
        if not own:
            raise UsageError(f"Expected --system-levels of a system that takes part; found those of {name!r}.")
        own[0]["levels"] = values
    return tables


def read_config(path: Path | None, kind: str) -> dict[str, Any]:
    """The options of a file: TOML, or the run.json of an experiment, whose configuration is taken.

    Args:
        path: the file; None holds nothing.
        kind: the experiment that is run, against the file's own "experiment" where it has one.

    Raises:
        UsageError: the file cannot be read, or is of another experiment.
    """
    if path is None:
        return {}
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"Expected a file of options; {path}: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise UsageError(f"Expected TOML (or a run.json) in {path}; {why}.") from error
    if not isinstance(found, Mapping):
        raise UsageError(f"Expected a table of options in {path}; found {type(found).__name__}.")
    values = dict(found)
    made_for = values.pop("experiment", kind)
    if made_for != kind:
        raise UsageError(f"Expected options of the experiment {kind}; {path} is of {made_for}.")
    if path.suffix.lower() == ".json":
        config = values.get("config", values)
        if not isinstance(config, Mapping):
            raise UsageError(f"Expected a table of options in {path}; found {type(config).__name__}.")
        values = dict(config)
    return values
