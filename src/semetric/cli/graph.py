"""`semetric graph`: the scene graph of one image, as JSON and as a picture."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from semetric.cli import _console as shared
from semetric.cli._choices import accepts, flags, taken
from semetric.errors import UsageError
from semetric.score_settings import Networks, Reading, SceneNetworks

__all__ = ["graph"]


@accepts(SceneNetworks, flags(Networks, "profile", "device", "variant"), Reading)
def graph(
    image: Annotated[str, typer.Argument(help="The image.")],
    out: Annotated[Path | None, typer.Option(help="Write the graph, as JSON with COCO run-length masks, here.")] = None,
    png: Annotated[Path | None, typer.Option(help="Draw the graph over the image here.")] = None,
    as_json: shared.JsonOption = False,
    fetch: shared.FetchOption = False,
    no_cache: shared.NoCacheOption = False,
    **choices: Any,
) -> None:
    """Find an image's objects and their relations."""
    if out is None and png is None and not as_json:
        raise UsageError("Expected --out graph.json, --png graph.png or --json; found none of them.")
    if os.path.isdir(image):
        raise UsageError(f"semetric graph reads one image file; {image} is a folder.")
    import semetric
    from semetric.results import files
    from semetric.scene.build import GraphBuilder

    reading, networks = taken(Reading, choices), taken(Networks, choices)
    read = shared.files_of(image, *networks.values())  # outputs are looked at before the work, not after it
    if out is not None:
        files.check_place(out, "the graph", read)
    if png is not None:
        from semetric.report import check_output, save_graph

        check_output(png, read)
        if out is not None and os.path.realpath(out) == os.path.realpath(png):
            raise UsageError(f"Expected two files; --out and --png are both {png}.")
    picture = semetric.read_image(image, **reading)
    with shared.downloads_if(fetch), shared.working("finding objects and relations", shown=not fetch):
        runtime = semetric.runtime(store=None if no_cache else "default", **networks)
        scene_graph = GraphBuilder(runtime, variant=runtime.profile.variant)(picture)
    if out is not None:
        text = json.dumps(scene_graph.to_dict(), ensure_ascii=False, allow_nan=False) + "\n"
        files.write_whole(out, lambda stream: stream.write(text.encode()))
    if png is not None:
        save_graph(scene_graph, picture, png)
    if as_json:
        shared.show_json(scene_graph.to_dict())
