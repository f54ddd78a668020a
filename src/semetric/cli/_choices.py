"""Flags that follow from records of settings, and options that several verbs take.

A verb decorated with `accepts(Networks, Reading)` ends in **choices, which holds those options by name, None where they
were not given; `taken` makes the values of a record of them.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, fields
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

import typer

from semetric.errors import UsageError
from semetric.settings import Settings, hints_of, rule_of

__all__ = [
    "MetricsOption",
    "accepts",
    "choice",
    "flags",
    "metrics_option",
    "numbers",
    "table",
    "taken",
    "with_ray_address",
    "words",
]


def _metrics(incomplete: str) -> list[str]:
    """Metrics that complete what was typed, after the last comma."""
    from semetric.metrics.registry import METRICS

    before, comma, begun = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in METRICS if name.startswith(begun)]


def metrics_option(default: str) -> Any:
    """The option that names metrics: repeated, or with commas between names, under both spellings."""
    return typer.Option(
        "--metric",
        "--metrics",
        metavar="<name,...>",
        autocompletion=_metrics,
        help=f"Score these metrics: repeat, or put commas between them. Default: {default}.",
    )


MetricsOption: TypeAlias = Annotated[list[str] | None, metrics_option("all of the profile")]

FromRecord: TypeAlias = type[Settings] | list[inspect.Parameter]

_UNIONS = (Union, UnionType)
_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def flags(kind: type[Settings], *names: str) -> list[inspect.Parameter]:
    """The flags of a record's fields, None where they are not given, so that defaults live in the record alone.

    A tuple is a flag that is repeated or has commas between values, a mapping one of NAME=1,2,3, and `--no-x` is there
    where x is true by default.

    Args:
        kind: the record.
        names: fields; none takes all that have a flag.
    """
    hints, parameters = hints_of(kind), []
    for declared in _flagged(kind, names):
        rule = declared.metadata["rule"]
        form, choices = _form(hints[declared.name])
        completed = rule.words or choices
        option = typer.Option(
            *([f"--{declared.name.replace('_', '-')}"] if form is bool and not declared.default else []),
            help=_help(rule.help, declared.default),
            metavar=rule.metavar or None,
            autocompletion=_completion(completed) if completed else None,
        )
        annotation = Annotated[form | None, option]  # type: ignore[valid-type]
        parameters.append(inspect.Parameter(declared.name, _KEYWORD, default=None, annotation=annotation))
    return parameters


def _flagged(kind: Any, names: Sequence[str]) -> list[Field[Any]]:
    """The fields of a record that have a flag: the named ones, or all."""
    rules = [(declared, rule_of(declared)) for declared in fields(kind) if not names or declared.name in names]
    return [declared for declared, rule in rules if rule is not None and rule.flag]


def _completion(words: Sequence[str]) -> Callable[[], list[str]]:
    return lambda: list(words)


def _form(hint: Any) -> tuple[Any, tuple[str, ...]]:
    """The type of a field's flag, and the words that it takes where these are few."""
    kinds = [part for part in get_args(hint) if part is not NoneType] if get_origin(hint) in _UNIONS else [hint]
    literal = next((part for part in kinds if get_origin(part) is Literal), None)
    if literal is not None:
        return str, get_args(literal)
    form = str if str in kinds else kinds[0]
    return form if get_origin(form) is None else list[str], ()


def _help(text: str, default: Any) -> str:
    """The help text of a field, with its default."""
    if default is None or default is MISSING or default is False or default is True or "Default:" in text:
        return text
    shown = ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in _listed(default)) or "none"
    return f"{text} Default: {shown}."


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, tuple) else (value,)


def taken(kind: type[Settings], options: dict[str, Any], *names: str) -> dict[str, Any]:
    """Takes the values of a record's flags out of a verb's **options: those that were given, as plain values.

    Args:
        kind: the record.
        options: all options of a verb; what is taken is removed.
        names: fields; none takes all.

    Raises:
        UsageError: a list that does not hold what the field wants.
    """
    hints = hints_of(kind)
    values: dict[str, Any] = {}
    for declared in _flagged(kind, names):
        name = declared.name
        value = options.pop(name, None)
        if value is None or value == []:
            continue
        values[name] = _plain(f"--{name.replace('_', '-')}", value, hints[name]) if isinstance(value, list) else value
    return values


def _plain(option: str, value: list[str], hint: Any) -> Any:
    """What the occurrences of an option that holds a list or a table stand for."""
    kind = next(part for part in (hint, *get_args(hint)) if get_origin(part) not in (None, *_UNIONS))
    if get_origin(kind) is not tuple:
        return table(option, value)
    form = get_args(kind)[0]
    if form is str:
        return choice(value)
    values = numbers(option, value) or []
    return [int(number) for number in values] if form is int and all(map(float.is_integer, values)) else values


def with_ray_address(words: Sequence[str]) -> list[str]:
    """The words of a command, with an address after a --ray that stands alone, which typer cannot leave out."""
    complete: list[str] = []
    for place, word in enumerate(words):
        complete.append(word)
        following = words[place + 1] if place + 1 < len(words) else ""
        if word == "--ray" and not (following in ("auto", "local") or re.fullmatch(r"(ray://)?[\w.-]+:\d+", following)):
            complete.append("default")
    return complete


def words(given: Sequence[str] | None) -> list[str] | None:
    """What stands between commas, over all occurrences of an option; None where it was not given."""
    if not given:
        return None
    return [word.strip() for part in given for word in part.split(",") if word.strip()]


def choice(given: Sequence[str] | None) -> list[str] | None:
    """As `words`; "none" alone chooses nothing."""
    chosen = words(given)
    return [] if chosen == ["none"] else chosen


def numbers(option: str, given: Sequence[str] | None) -> list[float] | None:
    """As `choice`, as numbers.

    Raises:
        UsageError: one is no number.
    """
    words = choice(given)
    if words is None:
        return None
    try:
        return [float(word) for word in words]
    except ValueError:
        raise UsageError(
            f"Expected numbers with commas between them for {option}; found {','.join(words)!r}."
        ) from None


def table(option: str, given: Sequence[str] | None) -> dict[str, list[float]] | None:
    """NAME=1,2,3, an occurrence of the option each.

    Raises:
        UsageError: another form.
    """
    if not given:
        return None
    values: dict[str, list[float]] = {}
    for text in given:
        name, equals, listed = (part.strip() for part in text.partition("="))
        if not equals:
            raise UsageError(f"Expected {option} NAME=NUMBER,NUMBER; found {text!r}.")
        values[name] = [*values.get(name, []), *(numbers(option, [listed]) or [])]
    return values


def accepts(*sources: FromRecord | Callable[..., None]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Adds parameters to a verb whose last one, **choices, takes them.

    Args:
        sources: records, whose fields become flags; a part of a record's (see `flags`); functions with that signature.
    """

    def join(verb: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(verb, eval_str=True).parameters.values()
        parameters = [p for p in own if p.kind is not inspect.Parameter.VAR_KEYWORD]
        for source in sources:
            if isinstance(source, list):
                parameters += source
            elif isinstance(source, type):
                parameters += flags(source)
            else:
                parameters += inspect.signature(source, eval_str=True).parameters.values()
        every = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]

        def joined(**given: Any) -> None:
            verb(**given)

        joined.__name__, joined.__doc__ = verb.__name__, verb.__doc__
        joined.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]  # what typer reads
        joined.__annotations__ = {p.name: p.annotation for p in every}
        return joined

    return join
