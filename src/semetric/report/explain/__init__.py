"""Why a pair's scores are what they are, as one HTML page that needs nothing beside itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from semetric.image import ImageLike, Picture
from semetric.metrics import registry
from semetric.report.explain.data import gather
from semetric.report.explain.maps import overlays
from semetric.report.explain.page import check_page, render, write_page
from semetric.scoring import Scores, StoreChoice, read_pair, runtime, runtime_of, score_pictures, settings_of

if TYPE_CHECKING:
    from semetric.models.runtime import Runtime

__all__ = ["check_page", "explain", "save_explanation"]


def explain(
    reference: ImageLike,
    image: ImageLike,
    out: str | os.PathLike[str],
    metrics: str | Sequence[str] | None = None,
    profile: str = "lite",
    *,
    device: str = "auto",
    store: StoreChoice = "default",
    shared: Runtime | None = None,
    **options: Any,
) -> Scores:
    """Scores one pair as `semetric.score` does, and writes a page that shows what the scores rest on.

    Args:
        reference: path, PIL image, numpy (H, W, 3) uint8 or torch (3, H, W) float in [0, 1].
        image: likewise.
        out: the page, .html.
        metrics: a name or several; None takes every metric that the profile can score by default.
        profile, device, store, shared, options: as for `semetric.score`.

    Returns:
        The scores that the page shows.

    Raises:
        ImageError, UsageError: as `semetric.score`.
        UsageError: another suffix, or a file that is read.
        StoreError: the page cannot be written there.
    """
    check_page(out, [path for path in (reference, image, *options.values()) if isinstance(path, str | os.PathLike)])
    names = registry.names_of(metrics)
    settings = settings_of(profile, {"device": device, **options})
    shared = runtime_of(settings, store=store, shared=shared)
    registry.check_options(shared, settings)
    pictures = read_pair(reference, image, settings)
    scores = score_pictures(*pictures, names, shared, settings)
    save_explanation(scores, *pictures, out, shared=shared)
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
