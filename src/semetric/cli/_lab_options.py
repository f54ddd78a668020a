"""The options that all experiments share, and the file that may hold them."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from semetric.cli import _console as shared
from semetric.cli._choices import metrics_option, table
from semetric.errors import UsageError

__all__ = ["Words", "named", "read_config", "run_options", "systems"]

Words: TypeAlias = list[str] | None


def run_options(
    out: Annotated[Path, typer.Option(help="The folder of results: new, empty, or one to go on with.")],
    metrics: Annotated[Words, metrics_option("psnr, ms_ssim, lpips, samscore, sess")] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="A TOML file of options, SeSS's table [sess] among them, or the run.json of an experiment; flags win."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Send the first images alone.")] = None,
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
    """The options of every experiment that are no settings. Never called: the signature is joined to each verb's."""


def named(option: str, words: Sequence[str] | None) -> dict[str, str]:
    """NAME=VALUE, an occurrence of the option each.

    Raises:
        UsageError: another form, or a name that comes twice.
    """
    values: dict[str, str] = {}
    for text in words or ():
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (equals and name and value):
            raise UsageError(f"Expected {option} NAME=…; found {text!r}.")
        if name in values:
            raise UsageError(f"Expected {option} with names that differ; found {name!r} twice.")
        values[name] = value
    return values


def systems(
    words: Sequence[str] | None, levels: Sequence[str] | None, configured: Sequence[Any] = ()
) -> list[dict[str, Any]] | None:
    """The systems of --system with the levels of --system-levels, for an experiment's `systems`.

    Args:
        given: occurrences of --system.
        levels: occurrences of --system-levels.
        known: systems that a file or folders name, which --system follows, and which --system-levels may mean.

    Raises:
        UsageError: another form, or levels of a system that does not take part.
    """
    if not words and not levels:
        return None
    tables = [dict(entry) if isinstance(entry, Mapping) else entry for entry in configured]
    tables += [{"name": name, "run": run} for name, run in named("--system", words).items()]
    for name, values in (table("--system-levels", levels) or {}).items():
        named_tables = [entry for entry in tables if isinstance(entry, dict) and entry.get("name") == name]
        if not named_tables:
            raise UsageError(f"Expected --system-levels of a system that takes part; found those of {name!r}.")
        named_tables[0]["levels"] = values
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
        document = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"Expected a file of options; {path}: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise UsageError(f"Expected TOML (or a run.json) in {path}; {why}.") from error
    if not isinstance(document, Mapping):
        raise UsageError(f"Expected a table of options in {path}; found {type(document).__name__}.")
    values = dict(document)
    experiment = values.pop("experiment", kind)
    if experiment != kind:
        raise UsageError(f"Expected options of the experiment {kind}; {path} is of {experiment}.")
    if path.suffix.lower() == ".json":
        config = values.get("config", values)
        if not isinstance(config, Mapping):
            raise UsageError(f"Expected a table of options in {path}; found {type(config).__name__}.")
        values = dict(config)
    return values
