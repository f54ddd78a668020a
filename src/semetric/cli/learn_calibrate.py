"""`semetric learn calibrate`: what graded SeSS needs of an object encoder whose calibration does not ship."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from semetric.cli import _console as shared
from semetric.cli._choices import accepts, flags, taken
from semetric.cli._progress import counter
from semetric.errors import UsageError
from semetric.score_settings import Networks, SceneNetworks

__all__ = ["calibrate"]


@accepts(SceneNetworks, flags(Networks, "profile", "device"))
def calibrate(
    photos: Annotated[list[Path], typer.Argument(help="Photos or folders of photos, some twenty different scenes.")],
    out: Annotated[Path, typer.Option(help="The JSON file to write, for --calibration.")],
    fetch: shared.FetchOption = False,
    no_cache: shared.NoCacheOption = False,
    **choices: Any,
) -> None:
    """Fit the calibration of an object encoder on photos of your own."""
    from semetric.image import read_image
    from semetric.image.suffixes import SUFFIXES
    from semetric.learn.calibration import CHANGES_PER_PHOTO
    from semetric.learn.calibration import calibrate as fit
    from semetric.scene.build import GraphBuilder
    from semetric.scene.calibration import write_calibration
    from semetric.scoring import runtime

    files = [
        file
        for path in photos
        for file in (sorted(f for f in path.iterdir() if f.suffix.lower() in SUFFIXES) if path.is_dir() else [path])
    ]
    if not files:
        raise UsageError(f"Expected photos in {', '.join(map(str, photos))}; found none.")
    networks = runtime(store=None if no_cache else "default", **taken(Networks, choices))
    builder = GraphBuilder(networks, variant="graded")
    pictures = [(file.name, read_image(file).to_uint8()) for file in files]
    with shared.downloads_if(fetch), counter("images") as (begin, advance):
        begin(len(files) * (1 + CHANGES_PER_PHOTO), 0)
        calibration = fit(pictures, builder, advance=advance)
    write_calibration(calibration, out)
    typer.echo(
        f"{calibration.objects}: objects {calibration.midpoint:.3f} ± {calibration.scale:.3f}, whole images "
        f"{calibration.image_midpoint:.3f} ± {calibration.image_scale:.3f} → {out}"
    )
