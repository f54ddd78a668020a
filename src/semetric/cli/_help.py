"""Help: options in panels that are alike on every verb, an example a verb, no types of flags."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
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
_PLACE: dict[str | None, int] = {None: 0, **{panel: place for place, panel in enumerate(PANELS, start=1)}}


class App(typer.Typer):
    """A typer application whose help shows what belongs to a verb alone first, then the panels in their order."""

    def __init__(self, *, help: str, verbs: Callable[[], typer.Typer] | None = None, **settings: Any) -> None:
        """Makes an application without verbs.

        Args:
            help: what its verbs do.
            verbs: makes the first of its verbs when one is named, where importing what they are made of takes long.
            settings: as typer takes them.
        """
        group = _Group if verbs is None else type("_LazyGroup", (_LazyGroup,), {"make": staticmethod(verbs)})
        super().__init__(help=help, cls=group, no_args_is_help=True, **settings)

    def verb(self, name: str, *examples: str) -> Callable[[_Verb], _Verb]:
        """Registers a function as a verb.

        Args:
            name: the verb.
            examples: command lines, without brackets, which rich would take for markup.
        """
        shown = "\n".join(["[bold]Examples[/bold]" if len(examples) > 1 else "[bold]Example[/bold]", *examples])
        return self.command(name, cls=_Command, epilog=shown)


class _Command(TyperCommand):
    def get_params(self, ctx: Any) -> list[Any]:
        return _arranged(super().get_params(ctx))


class _Group(TyperGroup):
    def get_params(self, ctx: Any) -> list[Any]:
        return _arranged(super().get_params(ctx))


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
    for parameter in parameters:
        if isinstance(parameter, TyperOption):
            parameter.rich_help_panel = _PANEL_OF.get(parameter.name or "")
            if parameter.metavar is None and (parameter.is_flag or parameter.multiple):
                parameter.metavar = "" if parameter.is_flag else "<str>..."
    return sorted(parameters, key=lambda parameter: _PLACE[getattr(parameter, "rich_help_panel", None)])
