"""Scoring one pair with several metrics: the front door."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from semetric.cache import Store, default_store
from semetric.errors import NotScoredError, SemetricError, UsageError, did_you_mean
from semetric.image import MAX_PIXELS, ImageLike, read_image, resize_to
from semetric.image.names import shown
from semetric.metrics import registry
from semetric.models.runtime import Runtime
from semetric.profiles import CHOICES
from semetric.profiles import profile as named_profile
from semetric.weights import with_one_command

if TYPE_CHECKING:
    from semetric.metrics.base import Metric, Score

__all__ = ["Scores", "create", "number", "runtime", "score"]

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
        if metric not in self.scores:
            here = ", ".join(self.scores) or "none"
            raise NotScoredError(
                f"Expected a metric that was scored ({here}); found {metric!r}. Name it among the metrics to score."
                f"{did_you_mean(metric, self.scores)}"
            )
        return self.scores[metric].value

    def __str__(self) -> str:
        """A line a metric: name, value, direction; and what was not scored."""
        wide = max((len(name) for name in (*self.scores, *self.errors)), default=0)
        lines = [f"{self.reference} – {self.image} ({self.profile})"]
        for name, one in self.scores.items():
            lines.append(f"{name:{wide}}  {number(one.value):>9}  {'↑ higher' if one.higher_is_better else '↓ lower'}")
        lines += [f"{name:{wide}}  not scored: {error}" for name, error in self.errors.items()]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `semetric score --json`. A value that JSON lacks (∞) is null, with a note.

        Names whose bytes are no UTF-8 are escaped, as \\xff, so that the document is text whatever files are called.
        """
        return {
            "reference": shown(self.reference),
            "image": shown(self.image),
            "profile": shown(self.profile),
            "scores": {name: _plain(s) for name, s in self.scores.items()},
            "errors": {name: shown(str(e)) for name, e in self.errors.items()},
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


def number(value: float) -> str:
    """A score with four decimals, or as many digits where it is small; ∞ where it is infinite."""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value != 0 and abs(value) < 0.001:
        return f"{value:.2e}"
    return f"{value:.4f}"


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

    Raises:
        UsageError: no such profile, no such choice, or one that is neither a name nor a path.
    """
    for name, value in overrides.items():
        if value is not None and not isinstance(value, str | os.PathLike):
            raise UsageError(f"Expected {name} as a name or a path; found {value!r}, of type {type(value).__name__}.")
    for name in ("relations_weights", "dreamsim_weights", "calibration"):
        value = overrides.get(name)
        if value is not None and not os.path.exists(os.path.expanduser(value)):
            raise UsageError(f"Expected {name} as the path of a file or folder; nothing is at {os.fspath(value)}.")
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
    _check_options(options, [name])
    own = {k: v for k, v in options.items() if k in registry.spec(name).options}
    rest = {k: v for k, v in options.items() if k not in own}
    if shared is not None and rest:
        raise UsageError(f"A shared runtime has made its choices; found {', '.join(sorted(rest))} beside it.")
    return registry.create(name, shared or runtime(profile, device=device, store=store, **rest), **own)


def _check_options(options: Mapping[str, Any], metrics: Iterable[str]) -> None:
    """Raises UsageError, with the options that there are, where one is neither the metrics' nor a profile's."""
    own = dict.fromkeys(option for metric in metrics for option in registry.spec(metric).options)
    unknown = sorted(set(options) - {*own, *CHOICES})
    if unknown:
        of_metrics = f"options ({', '.join(own)}) and " if own else ""
        raise UsageError(
            f"Expected {of_metrics}choices of a profile ({', '.join(CHOICES)}); found {', '.join(unknown)}."
            f"{did_you_mean(unknown[0], (*own, *CHOICES))}"
        )


def score(
    reference: ImageLike,
    image: ImageLike,
    metrics: str | Sequence[str] | None = None,
    profile: str = "lite",
    *,
    device: str = "auto",
    resize: Literal["reference"] | None = None,
    store: StoreChoice = "default",
    shared: Runtime | None = None,
    background: str = "white",
    max_pixels: int = MAX_PIXELS,
    progress: Callable[[str, int, int], None] | None = None,
    **options: Any,
) -> Scores:
    """Scores one pair with several metrics.

    A metric that cannot score the pair (too small, weights missing) is an entry in `errors`; the
    others still score.

    Args:
        reference: path, PIL image, numpy (H, W, 3) uint8 or torch (3, H, W) float in [0, 1].
        image: likewise.
        metrics: a name or several; None takes every metric that the profile can score by default.
        profile: lite, standard or paper.
        device: auto, cpu or cuda.
        resize: "reference" brings the image to the reference's size first.
        store: where embeddings and scene graphs are cached; None caches in memory alone.
        shared: a runtime to use rather than making one.
        background: what transparent pixels are composited on.
        max_pixels: refuse larger images before decoding them.
        progress: called before each metric with its name, its number from 1, and how many there are.
        options: metrics' options (padding, variant) and the profile's single choices (sam, masks, objects, …).

    Raises:
        ImageError: one of the two cannot be read.
        UsageError: an unknown metric, profile or option.
    """
    asked = registry.names_of(metrics)
    if resize not in (None, "reference"):
        raise UsageError(f"Expected resize to be 'reference' or None; found {resize!r}.")
    _check_options(options, registry.METRICS)
    known = {option for spec in registry.METRICS.values() for option in spec.options}
    overrides = {k: v for k, v in options.items() if k not in known}
    if shared is not None and overrides:
        raise UsageError(f"A shared runtime has made its choices; found {', '.join(sorted(overrides))} beside it.")
    used = shared or runtime(profile, device=device, store=store, **overrides)
    names = asked if asked is not None else registry.default_metrics(used.profile)
    registry.check_options(used, options, overridden=bool(overrides))
    one = read_image(reference, background=background, max_pixels=max_pixels)
    two = read_image(image, background=background, max_pixels=max_pixels)
    if resize == "reference":
        two = resize_to(two, one.size)
    scores: dict[str, Score] = {}
    errors: dict[str, SemetricError] = {}
    for position, name in enumerate(names, start=1):
        if progress is not None:
            progress(name, position, len(names))
        try:
            own = {k: options[k] for k in registry.spec(name).options if k in options}
            scores[name] = registry.create(name, used, **own)(one, two)
        except SemetricError as error:
            if isinstance(error, UsageError):
                raise
            errors[name] = error
    return Scores(
        reference=one.name,
        image=two.name,
        profile=used.profile.name,
        scores=scores,
        errors=with_one_command(errors),
        notes={"reference": one.notes, "image": two.notes},
    )
