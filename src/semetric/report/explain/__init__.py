"""Why a pair's scores are what they are, as one HTML page that needs nothing beside itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from semetric.errors import UsageError
from semetric.image import MAX_PIXELS, ImageLike, Picture, read_image, resize_to
from semetric.metrics import registry
from semetric.report.explain.data import gather
from semetric.report.explain.maps import overlays
from semetric.report.explain.page import check_page, render, write_page
from semetric.scoring import Scores, StoreChoice, runtime, score

if TYPE_CHECKING:
    from semetric.models.runtime import Runtime

__all__ = ["check_page", "explain", "save_explanation"]


def explain(
    reference: ImageLike,
    image: ImageLike,
    out: str | os.PathLike[str],
    metrics: Sequence[str] | None = None,
    profile: str = "lite",
    *,
    device: str = "auto",
    resize: Literal["reference"] | None = None,
    store: StoreChoice = "default",
    shared: Runtime | None = None,
    background: str = "white",
    max_pixels: int = MAX_PIXELS,
    **options: Any,
) -> Scores:
    """Scores one pair as `semetric.score` does, and writes a page that shows what the scores rest on.

    Args:
        reference: path, PIL image, numpy (H, W, 3) uint8 or torch (3, H, W) float in [0, 1].
        image: likewise.
        out: the page, .html.
        metrics: names; None takes every metric that the profile can score by default.
        profile, device, resize, store, shared, background, max_pixels, options: as for `semetric.score`.

    Returns:
        The scores that the page shows.

    Raises:
        ImageError, UsageError: as `semetric.score`.
        UsageError: another suffix, or a file that is read.
        StoreError: the page cannot be written there.
    """
    check_page(out, [one for one in (reference, image, *options.values()) if isinstance(one, str | os.PathLike)])
    if resize not in (None, "reference"):
        raise UsageError(f"Expected resize to be 'reference' or None; found {resize!r}.")
    for name in metrics or ():
        registry.spec(name)  # an unknown one is said before anything is read
    if shared is None:
        own = {option for spec in registry.METRICS.values() for option in spec.options}
        choices = {name: options.pop(name) for name in set(options) - own}
        shared = runtime(profile, device=device, store=store, **choices)
    one = read_image(reference, background=background, max_pixels=max_pixels)
    two = read_image(image, background=background, max_pixels=max_pixels)
    if resize == "reference":
        two = resize_to(two, one.size)
    scores = score(one, two, metrics, shared=shared, **options)
    save_explanation(scores, one, two, out, shared=shared)
    return scores


def save_explanation(
    scores: Scores,
    reference: Picture,
    image: Picture,
    path: str | os.PathLike[str],
    *,
    shared: Runtime | None = None,
) -> None:
    """Writes the page of scores that exist already.

    It shows what there is: without SeSS no objects, without SAMScore and LPIPS no maps.

    Args:
        scores: of this pair; their artefacts hold graphs, matching and SAMScore's map.
        reference: the first image, as it was scored.
        image: the second.
        path: .html.
        shared: a runtime whose networks to use for LPIPS's map; None makes one.

    Raises:
        UsageError: another suffix, or the path is the file of one of the images.
        StoreError: the page cannot be written there.
    """
    check_page(path, [reference.name, image.name])
    maps = overlays(scores, reference, image, shared or runtime())
    write_page(render(gather(scores, reference, image, maps)), path)
