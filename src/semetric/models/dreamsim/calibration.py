"""From a cosine to a score that people would give: a regressor 1 → 64 → 1.

Hidden units with ReLU, a sigmoid at the end. It is kept as JSON and computed without torch: it has 193 numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from semetric.errors import WeightsCorruptError
from semetric.models.dreamsim.files import StoredFile

__all__ = ["HIDDEN", "ScoreCurve", "read_calibration"]

HIDDEN = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoreCurve:
    """The regressor: sigmoid(w₂·ReLU(w₁ c + b₁) + b₂).

    Attributes:
        weight_1: (H,), of the hidden units.
        bias_1: (H,).
        weight_2: (H,), of the output.
        bias_2: a number.

    Example:
        >>> curve = ScoreCurve(weight_1=np.ones(1), bias_1=np.zeros(1), weight_2=np.ones(1), bias_2=-1.0)
        >>> curve(1.0)
        0.5
    """

    weight_1: NDArray[np.float64]
    bias_1: NDArray[np.float64]
    weight_2: NDArray[np.float64]
    bias_2: float

    def __call__(self, cosine: float) -> float:
        """The score in (0, 1) of one cosine."""
        return float(self.scores([cosine])[0])

    def scores(self, cosines: ArrayLike) -> NDArray[np.float64]:
        """(n,) cosines → (n,) scores in (0, 1)."""
        c = np.asarray(cosines, np.float64)
        hidden = np.maximum(c[:, None] * self.weight_1 + self.bias_1, 0.0)  # (n, H)
        logits = np.clip(hidden @ self.weight_2 + self.bias_2, -700, 700)  # exp stays finite
        return np.asarray(1.0 / (1.0 + np.exp(-logits)), np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "weight_1": self.weight_1.tolist(),
            "bias_1": self.bias_1.tolist(),
            "weight_2": self.weight_2.tolist(),
            "bias_2": self.bias_2,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ScoreCurve:
        """The reverse of `to_dict`.

        Raises:
            ValueError: other shapes than HIDDEN units, or numbers that are not finite.
        """
        arrays = {name: np.asarray(values[name], np.float64) for name in ("weight_1", "bias_1", "weight_2")}
        bias = float(values["bias_2"])
        if any(one.shape != (HIDDEN,) or not np.isfinite(one).all() for one in arrays.values()) or not np.isfinite(
            bias
        ):
            raise ValueError(f"Expected {HIDDEN} hidden units of finite numbers.")
        return cls(**arrays, bias_2=bias)


def read_calibration(file: StoredFile) -> ScoreCurve:
    """Reads a calibration.

    Raises:
        WeightsCorruptError: the file holds none.
    """
    try:
        with file.read() as stream:
            return ScoreCurve.from_dict(json.load(stream))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise WeightsCorruptError(
            f"Expected a calibration in {file}; it cannot be used ({type(error).__name__}: {error}). Train it again."
        ) from error
