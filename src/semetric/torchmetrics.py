"""Every metric as a torchmetrics.Metric: the mean over all pairs seen, for validation loops and collections.

    from semetric.torchmetrics import SAMScore

    metric = SAMScore()
    metric.update(generated, real)  # (B, 3, H, W) in [0, 1] each
    metric.compute()                # a scalar: the mean over pairs

Needs the package torchmetrics (the extra `torchmetrics`). The sums are exact to float64, so that
neither batch size nor order nor the number of processes shows in the result.

The names of the states hold the metric and a digest of its options: a MetricCollection takes metrics of equal
states for one, and after a first batch without damage the sums of all distances are 0.
"""

from __future__ import annotations

import hashlib
import inspect
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from semetric.errors import ImageError, MissingExtraError
from semetric.image import read_image
from semetric.metrics import registry
from semetric.metrics.base import Metric
from semetric.scoring import create

try:
    import torchmetrics
except ImportError as error:
    raise MissingExtraError(
        "semetric.torchmetrics needs the package torchmetrics. Install it with: pip install 'semetric[torchmetrics]'."
    ) from error

_OF_TORCHMETRICS = frozenset(inspect.signature(torchmetrics.Metric.__init__).parameters) | {
    "compute_on_cpu",
    "dist_sync_on_step",
    "process_group",
    "dist_sync_fn",
    "distributed_available_fn",
    "sync_on_compute",
    "compute_with_cache",
}


class MeanScore(torchmetrics.Metric):
    """The mean of a metric over all pairs: each metric has a subclass with the name of its class.

    The mean of PSNR is one of dB, as papers report it, not the dB of the mean error; infinite with an identical pair.

    Args:
        exact: True gives the value of the 8-bit files that the tensors would be saved to, to the digit: values
            rounded to their 8-bit levels, Pillow's resize, on whichever device the networks are. False stays with
            tensors on their device (`Metric.values`), which is faster on a GPU, passes gradients through `forward`,
            and differs by the rounding of 8-bit pixels. Metrics without gradients are always exact.
        profile: lite, standard or paper.
        options: the metric's and the profile's single choices, as for semetric.create, and torchmetrics'
            own arguments (dist_sync_on_step, …).
    """

    name: ClassVar[str]
    full_state_update = False
    higher_is_better: bool | None
    is_differentiable: bool | None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.higher_is_better = registry.METRICS[cls.name].higher_is_better
        cls.is_differentiable = registry.METRICS[cls.name].differentiable

    def __init__(self, *, exact: bool = True, profile: str = "lite", **options: Any) -> None:
        super().__init__(**{k: v for k, v in options.items() if k in _OF_TORCHMETRICS})
        self.exact = exact or not self.is_differentiable
        self._profile = profile
        self._options = {k: v for k, v in options.items() if k not in _OF_TORCHMETRICS}
        self._scorers: dict[str, Metric] = {}
        self._scorer("cpu")  # names an unknown option now; loads nothing
        choices = repr((self.exact, profile, sorted(self._options.items(), key=lambda option: option[0])))
        own = f"{self.name}_{hashlib.sha256(choices.encode()).hexdigest()[:8]}"
        self._total, self._pairs = f"{own}_total", f"{own}_pairs"
        self.add_state(self._total, default=torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state(self._pairs, default=torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def _scorer(self, device: str) -> Metric:
        if device not in self._scorers:
            options = {"store": None, **self._options}
            self._scorers[device] = create(self.name, profile=self._profile, device=device, **options)
        return self._scorers[device]

    def update(self, preds: torch.Tensor, target: torch.Tensor) -> None:
        """Scores a batch of pairs.

        Args:
            preds: (B, 3, H, W) floats in [0, 1], the images.
            target: likewise, their references.

        Raises:
            ImageError: other shapes, not floats, not finite or outside [0, 1].
        """
        for x in (preds, target):
            if x.ndim != 4 or x.shape[1] != 3:
                raise ImageError(f"{self.name} expects tensors (B, 3, H, W); found {tuple(x.shape)}. One is x[None].")
        if len(preds) != len(target):
            raise ImageError(f"{self.name} expects as many images as references; found {len(preds)}, {len(target)}.")
        scorer = self._scorer(str(preds.device))
        total, pairs = getattr(self, self._total), getattr(self, self._pairs)
        if self.exact:
            references, images = ([read_image(x).to_uint8() for x in batch.detach()] for batch in (target, preds))
            scores = [score.value for score in scorer.batch(references, images)]
            values = torch.tensor(scores, dtype=torch.float64, device=total.device)
        else:
            values = scorer.values(target, preds).to(total.device, torch.float64)
        setattr(self, self._total, total + values.sum())
        setattr(self, self._pairs, pairs + len(values))

    def compute(self) -> torch.Tensor:
        """The mean over pairs, a float32 scalar; NaN before the first."""
        mean: torch.Tensor = getattr(self, self._total) / getattr(self, self._pairs)
        return mean.float()


_CLASSES = {kind.__name__: kind for kind in registry.subclasses(MeanScore, __name__)}
globals().update(_CLASSES)
__all__ = sorted(["MeanScore", *_CLASSES], key=lambda name: (not name.isupper(), name))


if TYPE_CHECKING:

    def __getattr__(name: str) -> type[MeanScore]: ...
