"""The codecs by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from semetric.errors import SemetricError, UsageError
from semetric.lab.codecs.avif import AVIF
from semetric.lab.codecs.base import Codec
from semetric.lab.codecs.bpg import BPG
from semetric.lab.codecs.external import external
from semetric.lab.codecs.external_system import ExternalSystem
from semetric.lab.codecs.heic import HEIC
from semetric.lab.codecs.jpeg import JPEG
from semetric.lab.codecs.jpeg2000 import JPEG2000
from semetric.lab.codecs.learned import CompressAI
from semetric.lab.codecs.system import CodecSystem, Level, check_level
from semetric.lab.codecs.webp import WebP
from semetric.lab.systems import System

__all__ = ["CODECS", "create_codec", "create_system", "register_codec"]

CODECS: dict[str, Callable[..., Codec]] = {}
"""Name → what makes the codec: a class, or a function with keyword arguments only."""


def register_codec(name: str, factory: Callable[..., Codec]) -> None:
    """Adds a codec, so that it can be named wherever the shipped ones can.

    Args:
        name: not taken yet.
        factory: its keyword arguments are the codec's options.

    Raises:
        UsageError: the name is taken.
    """
    if name in CODECS:
        raise UsageError(f"Expected a new name; there is a codec {name!r} already.")
    CODECS[name] = factory


def create_codec(name: str, /, **options: Any) -> Codec:
    """A codec by its name.

    Args:
        name: a key of `CODECS`.
        **options: of that codec, e.g. `speed=8` of "avif".

    Raises:
        MissingExtraError: it needs a package that is not installed.
        UsageError: no such codec or option.
    """
    if name not in CODECS:
        raise UsageError(f"Expected a codec of {', '.join(CODECS)}; found {name!r}.")
    known = inspect.signature(CODECS[name]).parameters
    unknown = sorted(set(options) - set(known))
    missing = sorted(k for k, p in known.items() if p.default is p.empty and k not in options)
    if unknown or missing:
        wrong = f"found {unknown[0]!r}" if unknown else f"{missing[0]!r} is missing"
        raise UsageError(f"Expected options of the codec {name} among {', '.join(known) or 'none'}; {wrong}.")
    try:
        return CODECS[name](**options)
    except SemetricError:
        raise
    except (TypeError, ValueError) as error:  # a value of another kind
        raise UsageError(f"Expected options that the codec {name} takes; found {options}: {error}.") from error


def create_system(name: str, /, *, level: Level = "rate", **options: Any) -> System:
    """A codec as a system; or, for "external" with the option `run`, a system that gives the image in one go.

    Args:
        name: a key of `CODECS`.
        level: "rate", in bits per pixel, or "quality".
        **options: of the codec, and `name` and `label` of the curve; or, with `run`, of `ExternalSystem`.

    Raises:
        MissingExtraError: it needs a package that is not installed.
        UsageError: no such codec, option or level.
    """
    check_level(level)
    if name != "external" or "run" not in options:
        shown = {} if name == "external" else {k: options.pop(k) for k in ("name", "label") if k in options}
        return CodecSystem(create_codec(name, **options), level=level, **shown)
    known = inspect.signature(ExternalSystem).parameters
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise UsageError(f"Expected options of an external system among {', '.join(known)}; found {unknown[0]!r}.")
    if (level == "rate") != (options.get("steps") is not None):
        raise UsageError(
            "Expected steps with a level of 'rate', which is met by search over them, and none with 'quality'; "
            f"found steps={options.get('steps')!r} with {level!r}."
        )
    return ExternalSystem(**options)


for _name, _factory in (
    ("jpeg", JPEG),
    ("jpeg2000", JPEG2000),
    ("webp", WebP),
    ("avif", AVIF),
    ("heic", HEIC),
    ("bpg", BPG),
    ("compressai", CompressAI),
    ("external", external),
):
    register_codec(_name, _factory)
