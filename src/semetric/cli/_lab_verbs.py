"""The command of an experiment, made of its class: arguments by what it takes, flags by its settings."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from semetric.cli._choices import accepts, flags
from semetric.cli._datasets import dataset_options
from semetric.cli._lab import run
from semetric.cli._lab_folders import folder_systems, sources_of
from semetric.cli._lab_options import run_options
from semetric.lab.experiments import Experiment, RunSettings
from semetric.score_settings import Execution
from semetric.settings import fields_of

__all__ = ["verb_of"]

_SETTINGS = flags(RunSettings, *(name for name in fields_of(RunSettings) if name not in ("metrics", "sess")))


def verb_of(experiment: type[Experiment]) -> Callable[..., None]:
    """The function behind `semetric lab KIND`."""
    make, own = {"images": (_of_images, ()), "pairs": (_of_pairs, (dataset_options,)), "folders": (_of_folders, ())}[
        experiment.takes
    ]
    verb = make(experiment)
    text = inspect.cleandoc(experiment.__doc__ or experiment.title)
    text = text.partition("Attributes:")[0].partition("Examples:")[0]
    verb.__doc__ = "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
    return accepts(experiment, *own, run_options, Execution, _SETTINGS)(verb)


def _of_images(experiment: type[Experiment]) -> Callable[..., None]:
    def verb(
        images: Annotated[list[str], typer.Argument(help="Image files, and folders of them.")], **options: Any
    ) -> None:
        run(experiment, images, options)

    return verb


def _of_pairs(experiment: type[Experiment]) -> Callable[..., None]:
    def verb(
        images: Annotated[
            list[str] | None, typer.Argument(help="Image files, and folders of them; or the folder of sources.")
        ] = None,
        translated: Annotated[
            str | None,
            typer.Option(
                help="A folder of translations of the sources, by name: they are sent, and scored against the sources."
            ),
        ] = None,
        pairs: Annotated[
            Path | None, typer.Option(help="A CSV file of such pairs: reference (the source), image (the translation).")
        ] = None,
        **options: Any,
    ) -> None:
        named_set = {name: options.pop(name) for name in ("dataset", "root", "split", "option")}
        run(experiment, sources_of(images, translated, pairs, **named_set), options)

    return verb


def _of_folders(experiment: type[Experiment]) -> Callable[..., None]:
    def verb(
        originals: Annotated[str, typer.Argument(help="The folder of originals.")],
        folders: Annotated[
            list[str],
            typer.Argument(
                help="A folder a level; images pair with originals by name. NAME=DIR,DIR, or NAME=PATTERN, for a "
                "system of that name; repeat for more."
            ),
        ],
        levels: Annotated[
            list[str] | None,
            typer.Option(help="A level a folder, or NAME=1,2,3. Default: the number in its name, else 1, 2, 3, …."),
        ] = None,
        rates: Annotated[
            list[str] | None,
            typer.Option(
                help="What the images took: 'files' where they are the streams, a CSV file with the columns image, "
                "size_bytes or rate_bpp, level and system, or NAME=DIR,DIR of streams; NAME=… for one system."
            ),
        ] = None,
        **options: Any,
    ) -> None:
        run(experiment, [], options, originals=originals, **folder_systems(folders, levels, rates))

    return verb
