"""Codecs by the names and options of a configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from semetric.errors import UsageError

if TYPE_CHECKING:
    from semetric.lab.codecs import Codec
    from semetric.lab.systems import System

__all__ = ["check_options", "codec_of", "system_of"]


def codec_of(name: str, options: Mapping[str, Any]) -> Codec:
    """The codec of that name.

    Args:
        name: of a codec, or of one's own where its options say which codec it is.
        options: name → options.

    Raises:
        UsageError: there is no such codec or option.
        MissingExtraError: its package is not here.
    """
    from semetric.lab.codecs import create_codec

    kind, own = _own(name, options)
    label = own.pop("label", None)
    codec = create_codec(kind, **own)
    if kind != name:
        codec.name, codec.label = name, name
    if label is not None:
        codec.label = str(label)
    return codec


def system_of(name: str, options: Mapping[str, Any], *, tolerance: float) -> System:
    """The codec of that name as a system whose level is a rate; an external one may be a whole system.

    Args:
        name: as `codec_of` takes it.
        options: likewise.
        tolerance: of a target rate.

    Raises:
        UsageError: there is no such codec, option or tolerance.
        MissingExtraError: its package is not here.
    """
    from semetric.lab.codecs import CodecSystem, ExternalSystem, create_system

    kind, own = _own(name, options)
    if kind != "external" or "run" not in own:
        return CodecSystem(codec_of(name, options), tolerance=tolerance)
    system = create_system(kind, **{"tolerance": tolerance, **own})
    if not isinstance(system, ExternalSystem):
        raise UsageError(f"Expected {name} to be an external system; found {type(system).__name__}.")
    system.name, system.label = name, str(own.get("label") or name)
    return system


def check_options(names: Sequence[str], options: Mapping[str, Any]) -> None:
    """Raises UsageError where options are no table, or belong to a codec that is not used."""
    for name, own in options.items():
        if name not in names:
            raise UsageError(f"Expected codec_options of {', '.join(names)}; found options of {name!r}.")
        if not isinstance(own, Mapping):
            raise UsageError(f"Expected codec_options.{name} to be a table; found {own!r}.")


def _own(name: str, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Which codec it is, and its options."""
    own = dict(options.get(name, {}))
    return str(own.pop("codec", name)), own
