"""`semetric score`: two image files in, a table of scores out; two folders or a list of pairs, a folder of results."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from semetric.cli import _console as shared
from semetric.cli import _folders
from semetric.errors import SemetricError

if TYPE_CHECKING:
    from rich.table import Table

    from semetric.metrics.base import Score

__all__ = ["score"]


def score(
    reference: Annotated[str | None, typer.Argument(help="The image to compare with, or a folder of them.")] = None,
    image: Annotated[str | None, typer.Argument(help="The image to score, or a folder of them.")] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="Score this metric; repeat for more. Default: all of the profile.")
    ] = None,
    profile: shared.ProfileOption = "lite",
    device: shared.DeviceOption = "auto",
    as_json: shared.JsonOption = False,
    save_plot: Annotated[Path | None, typer.Option(help="Write a picture of the matched objects and scores.")] = None,
    resize: Annotated[
        str | None, typer.Option(help="'reference' resizes the image to the reference's size first.")
    ] = None,
    variant: Annotated[str | None, typer.Option(help="SeSS as in the paper, or as its demo: paper or demo.")] = None,
    padding: Annotated[str | None, typer.Option(help="SAMScore's padded cells: exclude or include.")] = None,
    sam: shared.SamOption = None,
    masks: shared.MasksOption = None,
    objects: shared.ObjectsOption = None,
    relations: shared.RelationsOption = None,
    relations_weights: shared.RelationsWeightsOption = None,
    predicates: shared.PredicatesOption = None,
    clip: shared.ClipOption = None,
    vit: shared.VitOption = None,
    dreamsim: shared.DreamsimOption = None,
    dreamsim_weights: shared.DreamsimWeightsOption = None,
    fetch: shared.FetchOption = False,
    no_cache: shared.NoCacheOption = False,
    max_pixels: shared.MaxPixelsOption = None,
    background: shared.BackgroundOption = None,
    pairs: Annotated[Path | None, typer.Option(help="A CSV file with the columns reference and image.")] = None,
    out: Annotated[Path | None, typer.Option(help="The folder of results, for folders and --pairs; resumes.")] = None,
    batch: Annotated[int | None, typer.Option(help="Pairs scored together, for folders and --pairs.")] = None,
    workers: Annotated[int | None, typer.Option(help="Threads that decode, for folders and --pairs.")] = None,
) -> None:
    """Score two images with every metric of a profile; or two folders, or the pairs of a list, into --out."""
    many = _folders.asked(reference, image, pairs, out, save_plot, batch=batch, workers=workers)
    import semetric

    if save_plot is not None:
        from semetric.report import check_output

        check_output(save_plot)  # before the work, not after it
    choices = shared.given(
        resize=resize,
        variant=variant,
        padding=padding,
        sam=sam,
        masks=masks,
        objects=objects,
        relations=relations,
        relations_weights=relations_weights,
        predicates=predicates,
        clip=clip,
        vit=vit,
        dreamsim=dreamsim,
        dreamsim_weights=dreamsim_weights,
        max_pixels=max_pixels,
        background=background,
    )
    if no_cache:
        choices["store"] = None
    if many is not None:
        code = _folders.run(many, metric or None, profile, device=device, as_json=as_json, fetch=fetch, **choices)
        if code:
            raise typer.Exit(code)
        return
    if reference is None or image is None:
        raise typer.BadParameter(f"Missing argument '{'IMAGE' if reference else 'REFERENCE'}'.")
    with shared.downloads_if(fetch):
        scores = semetric.score(reference, image, metric or None, profile, device=device, **choices)
    if as_json:
        shared.show_json(scores.to_dict())
    else:
        shared.show_table(*_tables(scores.scores, scores.errors))
    if save_plot is not None and scores.scores:
        from semetric.report import save_plot as draw

        reading = shared.given(max_pixels=max_pixels, background=background)
        draw(scores, semetric.read_image(reference, **reading), semetric.read_image(image, **reading), save_plot)
    code = exit_code(scores.scores, scores.errors, asked=metric or ())
    if code:
        raise typer.Exit(code)


def exit_code(
    scores: Mapping[str, Any], errors: Mapping[str, SemetricError], asked: list[str] | tuple[str, ...]
) -> int:
    """0 where all that was wanted was scored; else the first failure's own code.

    A metric that the user named is wanted; of the others it is enough that one was scored.
    """
    for name, error in errors.items():
        if name in asked or not scores:
            return error.exit_code
    return 0


def _tables(scores: Mapping[str, Score], errors: Mapping[str, SemetricError]) -> list[Table]:
    from rich import box
    from rich.table import Table

    tables = []
    if scores:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        table.add_column("metric", style="bold")
        table.add_column("value", justify="right")
        table.add_column("better")
        table.add_column("range")
        table.add_column("weights", style="dim")
        for name, one in scores.items():
            arrow = "↑ higher" if one.higher_is_better else "↓ lower"
            table.add_row(name, number(one.value), arrow, interval(one.range), _short(one.weights))
        tables.append(table)
    if errors:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        table.add_column("not scored", style="bold")
        table.add_column("because", overflow="fold")
        for name, error in errors.items():
            table.add_row(name, str(error))
        tables.append(table)
    return tables


def number(value: float) -> str:
    """A score with four decimals, or as many digits where it is small; ∞ where it is infinite."""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value != 0 and abs(value) < 0.001:
        return f"{value:.2e}"
    return f"{value:.4f}"


def interval(bounds: tuple[float | None, float | None]) -> str:
    """A range in mathematical brackets: [0, 1], [0, ∞)."""
    low, high = bounds
    left = "(−∞" if low is None or math.isinf(low) else f"[{low:g}"
    right = "∞)" if high is None or math.isinf(high) else f"{high:g}]"
    return f"{left}, {right}"


def _short(weights: Mapping[str, str]) -> str:
    """The names of the networks, without digests, each once."""
    return ", ".join(dict.fromkeys(identity.split("@")[0] for identity in weights.values()))
