"""`semetric graph`: the scene graph of one image, as JSON and as a picture."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from semetric.cli import _console as shared
from semetric.errors import UsageError

__all__ = ["graph"]


def graph(
    image: Annotated[str, typer.Argument(help="The image.")],
    out: Annotated[Path | None, typer.Option(help="Write the graph, as JSON with COCO run-length masks, here.")] = None,
    png: Annotated[Path | None, typer.Option(help="Draw the graph over the image here.")] = None,
    profile: shared.ProfileOption = "lite",
    device: shared.DeviceOption = "auto",
    as_json: shared.JsonOption = False,
    sam: shared.SamOption = None,
    masks: shared.MasksOption = None,
    objects: shared.ObjectsOption = None,
    relations: shared.RelationsOption = None,
    relations_weights: shared.RelationsWeightsOption = None,
    fetch: shared.FetchOption = False,
    no_cache: shared.NoCacheOption = False,
    max_pixels: shared.MaxPixelsOption = None,
    background: shared.BackgroundOption = None,
) -> None:
    """Find an image's objects and their relations."""
    if out is None and png is None and not as_json:
        raise UsageError("Expected --out graph.json, --png graph.png or --json; found none of them.")
    if os.path.isdir(image):
        raise UsageError(f"semetric graph reads one image file; {image} is a folder.")
    import semetric
    from semetric.runs import files
    from semetric.scene.build import GraphBuilder

    choices = shared.given(
        sam=sam, masks=masks, objects=objects, relations=relations, relations_weights=relations_weights
    )
    read = shared.files_of(image, *choices.values())  # outputs are looked at before the work, not after it
    if out is not None:
        files.check_place(out, "the graph", read)
    if png is not None:
        from semetric.report import check_output, save_graph

        check_output(png, read)
        if out is not None and os.path.realpath(out) == os.path.realpath(png):
            raise UsageError(f"Expected two files; --out and --png are both {png}.")
    if no_cache:
        choices["store"] = None
    picture = semetric.read_image(image, **shared.given(max_pixels=max_pixels, background=background))
    with shared.downloads_if(fetch), shared.working("finding objects and relations", shown=not fetch):
        found = GraphBuilder(semetric.runtime(profile, device=device, **choices))(picture)
    if out is not None:
        text = json.dumps(found.to_dict(), ensure_ascii=False, allow_nan=False) + "\n"
        files.write_whole(out, lambda stream: stream.write(text.encode()))
    if png is not None:
        save_graph(found, picture, png)
    if as_json:
        shared.show_json(found.to_dict())
