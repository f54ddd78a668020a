"""The channels by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from semetric.lab.channels.base import ChannelModel
from semetric.lab.channels.gaussian import Gaussian
from semetric.lab.channels.jakes import Jakes
from semetric.lab.channels.rayleigh import Rayleigh
from semetric.lab.channels.rician import Rician
from semetric.plugins import Registry, create

__all__ = ["CHANNELS", "channel_named"]

CHANNELS: Registry[Callable[..., ChannelModel]] = Registry(
    "fading",
    "semetric.channels",
    {
        "none": Gaussian,
        "rayleigh": Rayleigh,
        "rayleigh_block": partial(Rayleigh, lasts="block"),
        "rayleigh_stream": partial(Rayleigh, lasts="stream"),
        "rician": Rician,
        "jakes": Jakes,
    },
)
"""Name → what makes the channel: a class, or a function with keyword arguments only."""


def channel_named(text: str) -> ChannelModel:
    """A channel by its name, with options where they differ from the defaults.

    Args:
        text: "rician", or "rician:k_factor=4,lasts=block".

    Raises:
        UsageError: no such channel or option.

    Examples:
        >>> channel_named("rician:k_factor=4,lasts=block")
        Rician(lasts='block', k_factor=4.0)
    """
    name, _, given = text.partition(":")
    pairs = [part.partition("=")[::2] for part in given.split(",") if part.strip()]
    return create(CHANNELS, name.strip(), **{key.strip(): _value(value.strip()) for key, value in pairs})


def _value(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
