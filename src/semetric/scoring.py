"""Scoring one pair with several metrics: the front door."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from semetric.cache import Store, default_store
from semetric.errors import NotScoredError, SemetricError, UsageError, did_you_mean
from semetric.image import ImageLike, Picture, read_image, resize_to
from semetric.image.names import shown
from semetric.metrics import registry
from semetric.models.runtime import Runtime
from semetric.profiles import profile as named_profile
from semetric.score_settings import Networks, ScoreSettings
from semetric.settings import fields_of
from semetric.weights import with_one_command

if TYPE_CHECKING:
    from semetric.metrics.base import Metric, Score

__all__ = [
    "Scores",
    "create",
    "number",
    "read_pair",
    "runtime",
    "runtime_of",
    "score",
    "score_pictures",
    "settings_of",
]

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
        for name, score in self.scores.items():
            arrow = "↑ higher" if score.higher_is_better else "↓ lower"
            lines.append(f"{name:{wide}}  {number(score.value):>9}  {arrow}")
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
    profile: str = "lite", *, device: str = "auto", store: StoreChoice = "default", **networks: str | None
) -> Runtime:
    """A runtime for several metrics to share.

    Args:
        profile: lite, standard or paper.
        device: auto, cpu or cuda.
        store: where embeddings and scene graphs are cached; None caches in memory alone.
        networks: further fields of `Networks`: single choices of the profile, such as sam="sam_vit_h".

    Raises:
        UsageError: no such profile, no such choice, or one that is neither a name nor a path.
    """
    settings = Networks.from_dict({"profile": profile, "device": device, **networks})
    return Runtime(
        named_profile(profile, variant=settings.variant, **settings.choices),
        device=settings.device,
        store=default_store() if store == "default" else store,
    )


def settings_of(profile: str, options: Mapping[str, Any]) -> ScoreSettings:
    """The settings that keyword arguments name; options of metrics from other packages are their `plugins`.

    Raises:
        UsageError: an option that does not exist, or a value that does not fit.
    """
    values = {"profile": profile, **options}
    unknown = set(values) - set(fields_of(ScoreSettings))
    if unknown:
        known = {option for kind in registry.METRICS.values() for option in kind.options}
        values["plugins"] = {name: values.pop(name) for name in unknown & known}
    return ScoreSettings.from_dict(values)


def runtime_of(settings: Networks, *, store: StoreChoice = "default", shared: Runtime | None = None) -> Runtime:
    """The runtime of the settings, or the shared one. The variant is an option of SeSS, and none of the runtime.

    Raises:
        UsageError: networks beside a shared runtime, or none of that name.
    """
    if shared is None:
        return runtime(settings.profile, device=settings.device, store=store, **settings.choices)
    if settings.choices:
        raise UsageError(
            f"A shared runtime has made its choices; found {', '.join(sorted(settings.choices))} beside it."
        )
    return shared


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
    settings = settings_of(profile, {"device": device, **options})
    takes = registry.METRICS[name].options
    foreign = [option for option in settings.metric_options if option not in takes]
    if foreign:
        raise UsageError(f"{name} takes the options {', '.join(takes) or 'none'}; found {', '.join(foreign)}.")
    return registry.create(name, runtime_of(settings, store=store, shared=shared), settings)


def score(
    reference: ImageLike,
    image: ImageLike,
    metrics: str | Sequence[str] | None = None,
    profile: str = "lite",
    *,
    device: str = "auto",
    store: StoreChoice = "default",
    shared: Runtime | None = None,
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
        store: where embeddings and scene graphs are cached; None caches in memory alone.
        shared: a runtime to use rather than making one.
        progress: called before each metric with its name, its number from 1, and how many there are.
        options: further fields of `ScoreSettings`: resize="reference" brings the image to the reference's size first,
            background, max_pixels, metrics' options (padding, variant), single choices of the profile (sam, masks, …).

    Raises:
        ImageError: one of the two cannot be read.
        UsageError: an unknown metric, profile or option.
    """
    names = registry.names_of(metrics)
    settings = settings_of(profile, {"device": device, **options})
    shared = runtime_of(settings, store=store, shared=shared)
    registry.check_options(shared, settings)
    return score_pictures(*read_pair(reference, image, settings), names, shared, settings, progress=progress)


def read_pair(reference: ImageLike, image: ImageLike, settings: ScoreSettings) -> tuple[Picture, Picture]:
    """Reads both images, and brings the second to the size of the first where the settings say so.

    Raises:
        ImageError: one of the two cannot be read.
    """
    pictures = read_image(reference, **settings.reading), read_image(image, **settings.reading)
    return pictures if settings.resize is None else (pictures[0], resize_to(pictures[1], pictures[0].size))


def score_pictures(
    reference: Picture,
    image: Picture,
    metrics: Sequence[str] | None,
    runtime: Runtime,
    settings: ScoreSettings,
    *,
    progress: Callable[[str, int, int], None] | None = None,
) -> Scores:
    """Scores a pair that is read already; see `score`.

    Raises:
        UsageError: an option that does not fit.
    """
    names = metrics if metrics is not None else registry.default_metrics(runtime.profile)
    scores: dict[str, Score] = {}
    errors: dict[str, SemetricError] = {}
    for position, name in enumerate(names, start=1):
        if progress is not None:
            progress(name, position, len(names))
        try:
            scores[name] = registry.create(name, runtime, settings)(reference, image)
        except UsageError:
            raise
        except SemetricError as error:
            errors[name] = error
    return Scores(
        reference=reference.name,
        image=image.name,
        profile=runtime.profile.name,
        scores=scores,
        errors=with_one_command(errors),
        notes={"reference": reference.notes, "image": image.notes},
    )
