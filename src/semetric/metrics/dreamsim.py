"""DreamSim: how far apart two images are to people who look at layout, pose and content together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from semetric.errors import ImageError, UsageError, WeightsCorruptError
from semetric.image import Picture
from semetric.metrics.base import Metric, Score
from semetric.models.dreamsim.calibration import ScoreCurve, read_calibration
from semetric.models.dreamsim.files import DreamSimFiles, find_files
from semetric.models.dreamsim.own import chosen_variant
from semetric.models.dreamsim.variants import VARIANTS, variant
from semetric.models.torch_state import clean_state

if TYPE_CHECKING:
    import torch

    from semetric.models.dreamsim.network import DreamSimNet
    from semetric.models.runtime import Arrays, Runtime

__all__ = ["DreamSim", "DreamSimUntuned", "dreamsim"]

_BATCH = 16  # images: more bring no speed on a CPU, and take memory
_DEFAULT_VARIANT = "ensemble"  # where the user brings weights and names no variant, as in the authors' package


def dreamsim(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The distance of embeddings: 1 − cosine.

    Fu et al., "DreamSim", arXiv 2306.09344, Section 4.

    Args:
        a: (B, D) embeddings of the references.
        b: (B, D) of the images.

    Returns:
        (B,) in [0, 2], 0 for embeddings of one direction; symmetric and differentiable.

    Raises:
        ImageError: other shapes, or not floats.
    """
    import torch.nn.functional as F

    if a.ndim != 2 or a.shape != b.shape or not a.is_floating_point() or not b.is_floating_point():
        raise ImageError(
            f"DreamSim expects two float tensors of embeddings (B, D); found {tuple(a.shape)} {a.dtype} and "
            f"{tuple(b.shape)} {b.dtype}. One image's is embedding[None]."
        )
    return (1 - F.cosine_similarity(a, b, dim=1)).clamp(0, 2)  # rounding leaves the range by 1e-7


class DreamSim(Metric):
    """DreamSim on the variant and weights that the profile's `dreamsim` and `dreamsim_weights` name.

    Both images are squashed to 224 × 224, so sizes may differ and the aspect ratio is not seen. 0 for equal images,
    2 at most; the authors' demo shows 0.45 and 0.28. Symmetric up to rounding. `values` has gradients. Values of two
    variants do not compare: every result names its files. A folder of one's own training (`semetric learn train`) is
    named "… (own training)" in the details, with its trunks; and where it holds a calibration, `calibrated` there is
    the score in [0, 1] that the cosine stands for, 1 being alike.
    """

    name = "dreamsim"
    label = "DreamSim"
    summary = "layout, pose and content, as people judge"
    paper = "arXiv 2306.09344"
    place = 9
    networks = ("dreamsim", "dreamsim_weights")
    higher_is_better = False
    range = (0.0, 2.0)
    equal_sizes = False
    differentiable = True
    tuned: ClassVar[bool] = True

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        chosen = runtime.profile
        if chosen.dreamsim is None and chosen.dreamsim_weights is None:
            raise UsageError(
                f"{self.name} has no lite form: expected a variant of DreamSim ({', '.join(VARIANTS)}); the profile "
                f"{chosen.name} names none. Use --dreamsim {_DEFAULT_VARIANT} (dreamsim={_DEFAULT_VARIANT!r}) or "
                f"--profile standard, with {variant(_DEFAULT_VARIANT).archive} of github.com/ssundaram21/dreamsim, "
                f"release {variant(_DEFAULT_VARIANT).release}, named by --dreamsim-weights (dreamsim_weights)."
            )
        self.variant = chosen_variant(chosen.dreamsim, chosen.dreamsim_weights, _DEFAULT_VARIANT)

    @cached_property
    def _files(self) -> DreamSimFiles:
        return find_files(self.variant, self.runtime.profile.dreamsim_weights, tuned=self.tuned)

    @cached_property
    def _identities(self) -> dict[str, str]:
        """Reads every file once, so it is asked for as late as can be."""
        trunks = {t.name: f.identity() for t, f in zip(self.variant.trunks, self._files.trunks, strict=True)}
        for trunk, file in zip(self.variant.trunks, self._files.trunks, strict=True):
            if trunk.identity not in ("", trunks[trunk.name]):
                raise WeightsCorruptError(
                    f"Expected {trunk.identity}, on which DreamSim {self.variant.label} was trained, in {file}; found "
                    f"{trunks[trunk.name]}. Its adapter fits no other trunk: put that file back, or train again."
                )
        rest = {
            "adapter": self._files.adapter,
            "adapter_config": self._files.config,
            "head": self._files.head,
            "calibration": self._files.calibration,
        }
        return trunks | {role: file.identity() for role, file in rest.items() if file is not None}

    @property
    def weights(self) -> Mapping[str, str]:
        """Trunks, adapter and its settings, and an own training's head and calibration → "stem@digest" of the file."""
        return self._identities

    def _net(self) -> DreamSimNet:
        from semetric.models.dreamsim.network import load_dreamsim

        def load() -> DreamSimNet:
            return load_dreamsim(self.variant, self._files)

        name = f"{self.name} {self.variant.label} {sorted(self.weights.values())}"
        return cast("DreamSimNet", self.runtime.network(name, load))

    def embed(self, pictures: Sequence[Picture]) -> NDArray[np.float32]:
        """Embeddings, from the cache where they are known, the others computed in batches.

        Args:
            pictures: any number, of any sizes.

        Returns:
            (N, D) float32: the authors' `embed`, of length 1; for the patch variants its pooled tokens, whose length
            is not 1.

        Raises:
            WeightsMissingError: the variant's files are not on this machine.
            WeightsCorruptError: they are another network's.
        """
        if not pictures:
            return np.empty((0, self.variant.size), np.float32)
        products = self.runtime.products(pictures, self._recipe, self._compute, batch=_BATCH)
        return np.stack([product["embedding"] for product in products])

    @cached_property
    def _recipe(self) -> dict[str, Any]:
        return {"kind": "dreamsim_embedding", "variant": self.variant.label, "weights": dict(self.weights)}

    def _compute(self, pictures: Sequence[Picture]) -> list[Arrays]:
        from semetric.models.dreamsim.network import prepare

        with clean_state(inference=True):
            images = prepare([picture.to_uint8() for picture in pictures]).to(self.runtime.device)
            rows: NDArray[np.float32] = self._net().embed(images).float().cpu().numpy()
        if not np.isfinite(rows).all():
            raise WeightsCorruptError(
                f"Expected finite embeddings of DreamSim {self.variant.label}; its weights "
                f"({', '.join(self.weights.values())}) give others. Download them again."
            )
        return [{"embedding": row} for row in rows]

    def _score_batch(self, pairs: Sequence[tuple[Picture, Picture]]) -> list[Score]:
        rows = self.embed([picture for pair in pairs for picture in pair])
        details: dict[str, Any] = {"variant": self.variant.label, "tuned": self.tuned}
        if self.variant.own:
            details["trunks"] = [trunk.name for trunk in self.variant.trunks]
        found = []
        for a, b in zip(rows[::2], rows[1::2], strict=True):
            distance = _distance(a, b)
            more = {} if self._calibration is None else {"calibrated": self._calibration(1 - distance)}
            found.append(self._make(distance, details | more))
        return found

    @cached_property
    def _calibration(self) -> ScoreCurve | None:
        if not self.variant.calibration or self._files.calibration is None:
            return None
        return read_calibration(self._files.calibration)

    def _values(self, references: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        import torch

        from semetric.models.dreamsim.network import squash_tensor

        return dreamsim(*self._net().embed(squash_tensor(torch.cat([references, images]))).chunk(2))


class DreamSimUntuned(DreamSim):
    """The distance of the same trunks before people's judgments tuned them: what DreamSim's tuning adds is the rest.

    It has a name of its own, so that it is never taken for DreamSim.
    """

    name = "dreamsim_untuned"
    label = "DreamSim (untuned)"
    summary = "DreamSim's trunks before tuning"
    place = 10
    default = False
    tuned = False


def _distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """`dreamsim` of one pair of embeddings, without torch: what a pair from the cache costs."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    lengths = max(float(np.linalg.norm(x)), 1e-8) * max(float(np.linalg.norm(y)), 1e-8)  # as torch guards them
    return float(np.clip(1 - x @ y / lengths, 0, 2))
