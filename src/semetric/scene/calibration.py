"""Calibrations: from which cosine on two embeddings of an encoder show the same thing.

Cosines of different encoders cannot be compared: those of one lie at .9 for any two photos, those of another at .1. A
calibration turns a cosine into the probability that two crops show the same thing (Platt 1999). That of the profile
lite ships with the package; `semetric learn calibrate` makes one for any other encoder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.models.dense import DenseEncoder
from semetric.models.encoders import ObjectEncoder

__all__ = ["Calibration", "calibration_of", "fit", "read_calibration", "write_calibration"]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The calibration of one object encoder.

    Attributes:
        objects: the encoder's name.
        weights: "name.tag@digest" of its networks.
        settings: what else shapes its embeddings.
        midpoint: cosine at which two objects are the same as likely as not.
        scale: how fast that probability rises with the cosine.
        image_midpoint: cosine at which two whole images show the same as likely as not.
        image_scale: how fast that probability rises with the cosine.
        recipe: how it was made: photos, changes, numbers of pairs.
    """

    objects: str
    weights: tuple[str, ...]
    settings: Mapping[str, Any]
    midpoint: float
    scale: float
    image_midpoint: float
    image_scale: float
    recipe: Mapping[str, Any] = field(default_factory=dict)

    def fits(self, encoder: ObjectEncoder | DenseEncoder) -> bool:
        """Whether it was made for these embeddings."""
        return (self.objects, tuple(self.weights), _plain(self.settings)) == (
            encoder.name,
            tuple(encoder.weights),
            _plain(encoder.settings),
        )


def calibration_of(encoder: ObjectEncoder | DenseEncoder, path: str | os.PathLike[str] | None = None) -> Calibration:
    """The calibration of an encoder: a file's, or the one that ships.

    Raises:
        UsageError: there is none, or the file's is another encoder's.
    """
    command = f"semetric learn calibrate PHOTOS --objects {encoder.name} --out calibration.json"
    if path is not None:
        calibration = read_calibration(path)
        if not calibration.fits(encoder):
            raise UsageError(
                f"Expected the calibration of {encoder.name} with its present weights and settings in {path}; found "
                f"that of {calibration.objects}. Make another with: {command}"
            )
        return calibration
    for calibration in _shipped():
        if calibration.fits(encoder):
            return calibration
    raise UsageError(
        f"Expected a calibration of the object encoder {encoder.name}, which graded SeSS needs; found none. Make one "
        f"with: {command}, and pass it with --calibration; or choose --variant paper."
    )


def read_calibration(path: str | os.PathLike[str]) -> Calibration:
    """The calibration in a JSON file.

    Raises:
        UsageError: no such file, or not a calibration.
    """
    try:
        return _parse(json.loads(Path(path).read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"Expected a calibration in {path}; {error.strerror or error}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"Expected the JSON that semetric learn calibrate writes in {path}; {error!r}.") from error


def write_calibration(calibration: Calibration, path: str | os.PathLike[str]) -> None:
    """Writes the JSON that `read_calibration` reads."""
    Path(path).write_text(json.dumps(asdict(calibration), indent=2) + "\n", encoding="utf-8")


def fit(
    same: Sequence[float] | NDArray[np.floating[Any]], other: Sequence[float] | NDArray[np.floating[Any]]
) -> tuple[float, float]:
    """Midpoint and scale of the logistic curve that tells cosines of the same thing from those of other things.

    Both kinds weigh the same, whatever their numbers; targets are Platt's, so that separable samples have a finite
    scale.

    Args:
        same: (P,) cosines of pairs that show the same thing.
        other: (Q,) cosines of pairs that do not.

    Raises:
        UsageError: fewer than ten of a kind, or cosines that do not rise with likeness.

    Example:
        >>> midpoint, scale = fit([0.7, 0.8, 0.9, 0.6] * 5, [0.1, 0.2, 0.3, 0.5] * 5)
        >>> round(midpoint, 2)
        0.53
    """
    from scipy.optimize import minimize

    if min(len(same), len(other)) < 10:
        raise UsageError(
            f"Expected at least 10 pairs of each kind; found {len(same)} and {len(other)}. Use more photos."
        )
    x = np.concatenate([np.asarray(same, np.float64), np.asarray(other, np.float64)])
    p, q = len(same), len(other)
    target = np.concatenate([np.full(p, (p + 1) / (p + 2)), np.full(q, 1 / (q + 2))])
    weight = np.concatenate([np.full(p, 0.5 / p), np.full(q, 0.5 / q)])

    def loss(parameters: NDArray[np.float64]) -> float:
        z = (x - parameters[0]) * np.exp(parameters[1])
        return float(weight @ (np.logaddexp(0.0, z) - target * z))

    start = np.array([(np.mean(x[:p]) + np.mean(x[p:])) / 2.0, np.log(10.0)])
    result = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-12, "maxiter": 4000})
    midpoint, scale = float(result.x[0]), float(np.exp(-result.x[1]))
    if not -1.0 < midpoint < 1.0:
        raise UsageError(f"Expected cosines that are higher for the same thing; found a midpoint of {midpoint:.3g}.")
    return midpoint, scale


@cache
def _shipped() -> tuple[Calibration, ...]:
    folder = resources.files("semetric") / "data" / "calibrations"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".json")), key=lambda f: f.name)
    return tuple(_parse(json.loads(f.read_text(encoding="utf-8"))) for f in files)


def _parse(document: Mapping[str, Any]) -> Calibration:
    return Calibration(**{**document, "weights": tuple(document["weights"])})


def _plain(settings: Mapping[str, Any]) -> str:
    return json.dumps(dict(settings), sort_keys=True, default=dict)
