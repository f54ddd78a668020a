"""DreamSims of one's own training: the file that tells them from the published ones.

A folder that `semetric learn train` writes has the published layout, and `semetric_dreamsim.json` beside it. That file
names the trunks, the feature of each, the adapter, a head and a calibration where there are such, and what it was
trained on. A score of such a folder says "(own training)" wherever its variant is named.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any, cast, get_args

from semetric.errors import UsageError, WeightsCorruptError
from semetric.models.dreamsim.variants import Feature, Layout, Trunk, Variant, variant
from semetric.models.vit.config import ViTConfig

__all__ = ["DESCRIPTION", "FORMAT", "chosen_variant", "describe", "read_own"]

DESCRIPTION = "semetric_dreamsim.json"
FORMAT = 1

_MAX_BYTES = 1 << 20
_MAX_TRUNKS = 16
# Bounds of what a description may ask for, so that a damaged one makes no network of any size.
_MOST = {"patch": 256, "grid": 256, "width": 8192, "depth": 256, "heads": 256, "projection": 8192}


def chosen_variant(name: str | None, place: str | os.PathLike[str] | None, default: str) -> Variant:
    """The variant that a profile means.

    Args:
        name: the profile's `dreamsim`; None where it names none.
        place: its `dreamsim_weights`.
        default: the published variant where only a place is named.

    Returns:
        The folder's own where it holds DESCRIPTION; else the published one of that name.

    Raises:
        UsageError: no such variant, or the folder holds another than the one named.
        WeightsCorruptError: the folder's description is damaged.
    """
    own = read_own(place) if place is not None else None
    if own is None:
        return variant(name or default)
    if name not in (None, own.name):
        raise UsageError(
            f"Expected DreamSim {name} in {os.fspath(cast(Any, place))}; found {own.label}. "
            f"Leave --dreamsim out, or use --dreamsim {own.name} (dreamsim={own.name!r})."
        )
    return own


def read_own(place: str | os.PathLike[str]) -> Variant | None:
    """The variant that a folder describes; None where it describes none, as published folders and zips do.

    Raises:
        WeightsCorruptError: a description that cannot be read, or asks for files outside of the folder.
    """
    file = Path(place).expanduser() / DESCRIPTION
    try:
        if not file.is_file():
            return None
        if file.stat().st_size > _MAX_BYTES:
            raise ValueError(f"more than {_MAX_BYTES} bytes")
        document = json.loads(file.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']!r}, not {FORMAT}")
        return _variant(document)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsCorruptError(
            f"Expected the description of a trained DreamSim in {file}; it cannot be used "
            f"({type(error).__name__}: {error}). Train it again, or take the folder from where it came anew."
        ) from error


def describe(own: Variant, training: Mapping[str, Any]) -> dict[str, Any]:
    """What DESCRIPTION holds of a variant.

    Args:
        own: with `own` set.
        training: how it was trained; JSON values, read by people alone.
    """
    return {
        "format": FORMAT,
        "name": own.name,
        "note": "Trained with Semetric: none of DreamSim's published variants.",
        "feature": list(own.feature),
        "adapter": own.adapter,
        "head": own.head,
        "calibration": own.calibration,
        "trunks": [asdict(trunk) for trunk in own.trunks],
        "training": dict(training),
    }


def _variant(document: Mapping[str, Any]) -> Variant:
    trunks = tuple(_trunk(entry) for entry in document["trunks"][:_MAX_TRUNKS])
    feature = tuple(_choice(name, get_args(Feature)) for name in document["feature"])
    if not trunks or len(feature) != len(trunks):
        raise ValueError(f"{len(feature)} features of {len(trunks)} trunks")
    if "cls_patch" in feature and len(trunks) > 1:
        raise ValueError("patch tokens of several trunks")
    for trunk, name in zip(trunks, feature, strict=True):
        if name == "embedding" and trunk.config.projection is None:
            raise ValueError(f"{trunk.name} has no projection")
    return Variant(
        name=_name(document["name"]),
        trunks=trunks,
        feature=feature,
        adapter=_inside(document["adapter"]),
        release="",
        head=_inside(document["head"]),
        calibration=_inside(document["calibration"]),
        own=True,
    )


def _trunk(entry: Mapping[str, Any]) -> Trunk:
    config = dict(entry["config"])
    for name, most in _MOST.items():
        value = config[name]
        if not (name == "projection" and value is None) and not (type(value) is int and 0 < value <= most):
            raise ValueError(f"{name} = {value!r}")
    if config["width"] % config["heads"]:
        raise ValueError(f"width {config['width']} of {config['heads']} heads")
    _choice(config["activation"], ("gelu", "quick_gelu"))
    if not 0 < float(config["eps"]) < 1:
        raise ValueError(f"eps = {config['eps']!r}")
    (r, g, b), (std_r, std_g, std_b) = (map(float, part) for part in entry["normalisation"])
    if min(std_r, std_g, std_b) <= 0:
        raise ValueError("deviations of 0 or less")
    return Trunk(
        name=_name(entry["name"]),
        config=ViTConfig(**config),
        normalisation=((r, g, b), (std_r, std_g, std_b)),
        files=tuple(_inside(path) for path in entry["files"]),
        layout=_choice(entry["layout"], get_args(Layout)),
        origin=str(entry["origin"])[:500],
        identity=str(entry["identity"])[:500],
    )


def _choice(value: Any, allowed: Sequence[str]) -> Any:
    if value not in allowed:
        raise ValueError(f"{value!r} is none of {', '.join(allowed)}")
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[\w.+-]{1,200}", value, re.ASCII):
        raise ValueError(f"the name {value!r}")
    return value


def _inside(value: Any) -> str:
    """A path inside the folder, or empty.

    Raises:
        ValueError: it leads elsewhere.
    """
    path = PurePosixPath(str(value))
    if not isinstance(value, str) or path.is_absolute() or ".." in path.parts or "\\" in value or ":" in value:
        raise ValueError(f"the path {value!r}")
    return value
