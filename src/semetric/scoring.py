"""Scoring one pair with several metrics: the front door."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from semetric.cache import Store, default_store
from semetric.errors import SemetricError, UsageError
from semetric.image import MAX_PIXELS, ImageLike, read_image, resize_to
from semetric.metrics import registry
from semetric.models.runtime import Runtime
from semetric.profiles import profile as named_profile

if TYPE_CHECKING:
    from semetric.metrics.base import Metric, Score

__all__ = ["Scores", "create", "runtime", "score"]

StoreChoice = Store | Literal["default"] | None


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Every metric's verdict on one pair.

    Attributes:
        reference: name of the reference.
        image: name of the image.
        profile: name of the profile, with its overrides.
        scores: metric → Score.
        errors: metric → why it gave none.
        notes: what reading the two images took, in words.
    """

    reference: str
    image: str
    profile: str
    scores: Mapping[str, Score]
    errors: Mapping[str, SemetricError] = field(default_factory=dict)
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __getitem__(self, metric: str) -> float:
        if metric in self.errors:
            raise self.errors[metric]
        return self.scores[metric].value

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `semetric score --json`. A value that JSON lacks (∞) is null, with a note."""
        return {
            "reference": self.reference,
            "image": self.image,
            "profile": self.profile,
            "scores": {name: _plain(s) for name, s in self.scores.items()},
            "errors": {name: str(e) for name, e in self.errors.items()},
            "notes": {role: list(notes) for role, notes in self.notes.items() if notes},
        }


def _plain(score: Score) -> dict[str, Any]:
    finite = math.isfinite(score.value)
    return {
        "value": score.value if finite else None,
        **({} if finite else {"note": "infinite: the images are identical"}),
        "higher_is_better": score.higher_is_better,
        "range": list(score.range),
        "weights": dict(score.weights),
        "details": dict(score.details),
    }


def runtime(
    profile: str = "lite",
    *,
    device: str = "auto",
    store: StoreChoice = "default",
    **overrides: str | None,
) -> Runtime:
    """A runtime for several metrics to share.

    Args:
        profile: lite, standard or paper.
        device: auto, cpu or cuda.
        store: where embeddings and scene graphs are cached; None caches in memory alone.
        overrides: single choices of the profile, such as sam="sam_vit_h".
    """
    chosen = default_store() if store == "default" else store
    return Runtime(named_profile(profile, **overrides), device=device, store=chosen)


def create(
    name: str,
    *,
    profile: str = "lite",
    device: str = "auto",
    store: StoreChoice = "default",
    shared: Runtime | None = None,
    **options: Any,
) -> Metric:
    """Makes a metric by name.

    Args:
        name: see `semetric metrics`.
        profile: lite, standard or paper.
        device: auto, cpu or cuda.
        store: where embeddings and scene graphs are cached; None caches in memory alone.
        shared: a runtime that other metrics use too; then profile, device and store are its own.
        options: the metric's own (padding, variant, …) and the profile's single choices (sam, objects, …).

    Raises:
        UsageError: an unknown name or option.
    """
    own = {k: v for k, v in options.items() if k in registry.spec(name).options}
    rest = {k: v for k, v in options.items() if k not in own}
    if shared is not None and rest:
        raise UsageError(f"A shared runtime has made its choices; found {', '.join(sorted(rest))} beside it.")
    return registry.create(name, shared or runtime(profile, device=device, store=store, **rest), **own)


def score(
    reference: ImageLike,
    image: ImageLike,
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
    """Scores one pair with several metrics.

    A metric that cannot score the pair (too small, weights missing) is an entry in `errors`; the
    others still score.

    Args:
        reference: path, PIL image, numpy (H, W, 3) uint8 or torch (3, H, W) float in [0, 1].
        image: likewise.
        metrics: names; None takes every metric that the profile can score by default.
        profile: lite, standard or paper.
        device: auto, cpu or cuda.
        resize: "reference" brings the image to the reference's size first.
        store: where embeddings and scene graphs are cached; None caches in memory alone.
        shared: a runtime to use rather than making one.
        background: what transparent pixels are composited on.
        max_pixels: refuse larger images before decoding them.
        options: metrics' options (padding, variant) and the profile's single choices (sam, masks, objects, …).

    Raises:
        ImageError: one of the two cannot be read.
        UsageError: an unknown metric, profile or option.
    """
    asked = None if metrics is None else [registry.spec(name) for name in metrics]
    if resize not in (None, "reference"):
        raise UsageError(f"Expected resize to be 'reference' or None; found {resize!r}.")
    known = {option for spec in registry.METRICS.values() for option in spec.options}
    overrides = {k: v for k, v in options.items() if k not in known}
    if shared is not None and overrides:
        raise UsageError(f"A shared runtime has made its choices; found {', '.join(sorted(overrides))} beside it.")
    used = shared or runtime(profile, device=device, store=store, **overrides)
    specs = asked if asked is not None else [registry.spec(name) for name in registry.default_metrics(used.profile)]
    one = read_image(reference, background=background, max_pixels=max_pixels)
    two = read_image(image, background=background, max_pixels=max_pixels)
    if resize == "reference":
        two = resize_to(two, one.size)
    scores: dict[str, Score] = {}
    errors: dict[str, SemetricError] = {}
    for spec in specs:
        try:
            metric = registry.create(spec.name, used, **{k: options[k] for k in spec.options if k in options})
            scores[spec.name] = metric(one, two)
        except SemetricError as error:
            if isinstance(error, UsageError) and metrics is not None:
                raise  # a metric that was asked for by name, with a choice that it does not have
            errors[spec.name] = error
    return Scores(
        reference=one.name,
        image=two.name,
        profile=used.profile.name,
        scores=scores,
        errors=errors,
        notes={"reference": one.notes, "image": two.notes},
    )
