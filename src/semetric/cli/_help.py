"""Help: options in panels that are alike on every verb, an example a verb, no types of flags."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from itertools import groupby
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

__all__ = ["PANELS", "App"]

_Verb = TypeVar("_Verb", bound=Callable[..., Any])

PANELS = {
    "Data set": ("dataset", "root", "split", "option"),
    "Systems of your own": ("system", "system_levels"),
    "Metrics": ("metric", "metrics", "profile", "variant", "padding", "calibration"),
    "Networks": (
        "sam",
        "masks",
        "objects",
        "relations",
        "relations_weights",
        "predicates",
        "clip",
        "vit",
        "dreamsim",
        "dreamsim_weights",
        "device",
        "fetch",
    ),
    "Reading images": ("resize", "resize_longest", "max_pixels", "background", "workers"),
    "Run": (
        "config",
        "seed",
        "limit",
        "batch",
        "jobs",
        "ray",
        "ray_workers",
        "ray_cpus",
        "ray_gpus",
        "examples",
        "retry_failed",
        "resamples",
        "no_cache",
    ),
    "Output": ("out", "as_json", "latex", "save_plot", "png", "plots"),
}
_PANEL_OF = {option: panel for panel, options in PANELS.items() for option in options}
_WHOLE = 500  # characters; no first sentence of a help text is longer
_SECTIONS = ("Arguments", "Options", *PANELS)


class App(typer.Typer):
    """A typer application whose help shows what belongs to a verb alone first, then the panels in their order.

    Help is plain text: importing what typer draws boxes with takes longer than everything else that help needs.
    """

    def __init__(self, *, help: str, verbs: Callable[[], typer.Typer] | None = None, **settings: Any) -> None:
        """Makes an application without verbs.

        Args:
            help: what its verbs do.
            verbs: makes the first of its verbs when one is named, where importing what they are made of takes long.
            settings: as typer takes them.
        """
        group = _Group if verbs is None else type("_LazyGroup", (_LazyGroup,), {"make": staticmethod(verbs)})
        super().__init__(help=help, cls=group, no_args_is_help=True, rich_markup_mode=None, **settings)

    def verb(self, name: str, *examples: str) -> Callable[[_Verb], _Verb]:
        """Registers a function as a verb, with command lines that its help shows."""
        return self.command(name, cls=_Command, epilog="\n".join(examples))


class _Command(TyperCommand):
    def get_params(self, ctx: Any) -> list[Any]:
        return _arranged(super().get_params(ctx))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _write_options(self.get_params(ctx), ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        examples = (self.epilog or "").splitlines()
        if examples:
            with formatter.section("Examples" if len(examples) > 1 else "Example"):
                formatter.write("".join(f"  {example}\n" for example in examples))  # to be copied: not wrapped


class _Group(TyperGroup):
    def get_params(self, ctx: Any) -> list[Any]:
        return _arranged(super().get_params(ctx))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _write_options(self.get_params(ctx), ctx, formatter)
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(_WHOLE)) for name, command in self.commands.items()])


class _LazyGroup(_Group):
    """The verbs of the application that `make` gives, made when one is named, and behind them its own."""

    make: Callable[[], typer.Typer]

    @cached_property
    def _lazy(self) -> dict[str, Any]:
        return dict(typer.main.get_group(self.make()).commands)

    @property  # type: ignore[override]  # an attribute of typer's groups
    def commands(self) -> dict[str, Any]:
        return {**self._lazy, **self._own}

    @commands.setter
    def commands(self, own: dict[str, Any]) -> None:
        self._own = own


def _arranged(parameters: list[Any]) -> list[Any]:
    """Arguments as they are, options by their panels; flags show no type."""
    for option in parameters:
        if isinstance(option, TyperOption) and option.metavar is None and (option.is_flag or option.multiple):
            option.metavar = "" if option.is_flag else "<str>..."
    return sorted(parameters, key=_place)


def _place(parameter: Any) -> int:
    """Which of the sections shows a parameter."""
    if not isinstance(parameter, TyperOption):
        return 0
    return _SECTIONS.index(_PANEL_OF.get(parameter.name or "", "Options"))


def _write_options(parameters: list[Any], ctx: Any, formatter: Any) -> None:
    for place, section in groupby(parameters, _place):
        records = [record for parameter in section if (record := parameter.get_help_record(ctx)) is not None]
        with formatter.section(_SECTIONS[place]):
            formatter.write_dl(records)
