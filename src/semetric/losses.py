"""Metrics as losses: a torch.nn.Module each, lower is better, with gradients to the images.

    from semetric.losses import LPIPS

    loss = LPIPS()
    loss(images, references).backward()  # (B, 3, H, W) in [0, 1] each

A metric of which higher is better becomes 1 − value, or −value where it has no highest value (PSNR). SeSS has no
gradient, and no loss.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from semetric.errors import UsageError, WeightsCorruptError, did_you_mean
from semetric.metrics.base import Metric
from semetric.metrics.registry import subclasses
from semetric.scoring import create

Reduction = Literal["mean", "sum", "none"]
_REDUCTIONS = ("mean", "sum", "none")


class Loss(nn.Module):
    """A metric as a loss: each metric with gradients has a subclass with the name of its class.

    It computes on the device of its inputs, as `Metric.values` does: in float32, whatever autocast is on. Its networks
    are frozen, load with the first call, and are no parameters of the module: an optimiser, `apply`, `train` and
    `requires_grad_` of the model that holds the loss do not reach them, and `.to()` has nothing to convert. Its state
    is the identity of the weights, so that a checkpoint says what was trained on, and refuses other weights.

    Args:
        reduction: "mean" or "sum" over the batch, or "none" for a value a pair.
        profile: lite, standard or paper.
        options: the metric's and the profile's single choices, as for semetric.create.

    Raises:
        UsageError: no such reduction, profile or option.
    """

    name: ClassVar[str]

    def __init__(self, *, reduction: Reduction = "mean", profile: str = "lite", **options: Any) -> None:
        super().__init__()
        if reduction not in _REDUCTIONS:
            raise UsageError(
                f"Expected reduction to be one of {', '.join(_REDUCTIONS)}; found {reduction!r}."
                f"{did_you_mean(str(reduction), _REDUCTIONS)}"
            )
        self.reduction = reduction
        self._choices = {"profile": profile, "store": None, **options}
        self._metrics: dict[str, Metric] = {}  # device → metric
        self._metric("cpu")  # names an unknown option now; loads nothing

    def _metric(self, device: str) -> Metric:
        if device not in self._metrics:
            self._metrics[device] = create(self.name, device=device, **self._choices)
        return self._metrics[device]

    def forward(self, images: Tensor, references: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            images: (B, 3, H, W) in [0, 1], of float16, bfloat16, float32 or float64.
            references: likewise, of the same shape and on the same device.

        Returns:
            A scalar, or (B,) with reduction "none", at least float32.

        Raises:
            ImageError: other shapes, not floats, not finite or outside [0, 1].
            WeightsMissingError: a network is not on this machine; names the command that fetches it.
        """
        metric = self._metric(str(images.device) if images.device.type == "cuda" else "cpu")
        values = metric.values(references, images)
        if metric.higher_is_better:
            values = (metric.range[1] or 0.0) - values
        return values if self.reduction == "none" else values.mean() if self.reduction == "mean" else values.sum()

    def extra_repr(self) -> str:
        """What `print` shows."""
        return f"{self.name}, reduction={self.reduction!r}"

    def _identity(self) -> str:
        return json.dumps({"metric": self.name, "weights": dict(self._metric("cpu").weights)}, sort_keys=True)

    def get_extra_state(self) -> Tensor:
        """For `state_dict`: the metric, and role → "name.tag@digest" of every network behind it.

        As the bytes of JSON in a uint8 tensor, since what averages or stores state dicts expects tensors alone.
        """
        return torch.tensor(list(self._identity().encode()), dtype=torch.uint8, device="cpu")

    def set_extra_state(self, state: Tensor) -> None:
        """For `load_state_dict`.

        Raises:
            WeightsCorruptError: the state of a loss with other weights.
        """
        saved = bytes(state.cpu().tolist()).decode(errors="replace")
        if saved != self._identity():
            raise WeightsCorruptError(
                f"Expected the state of a loss of {self._identity()}; found {saved}. "
                "Make the loss with the profile and options that it was saved with."
            )


_CLASSES = {kind.__name__: kind for kind in subclasses(Loss, __name__, differentiable=True)}
globals().update(_CLASSES)
__all__ = sorted(["Loss", *_CLASSES], key=lambda name: (not name.isupper(), name))


if TYPE_CHECKING:

    def __getattr__(name: str) -> type[Loss]: ...
