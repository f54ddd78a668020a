"""Digital links: 5G LDPC, BPSK to 64QAM, Gaussian noise and fading; codecs over them.

    from semetric.lab.channels import CodedSystem, Link

    system = CodedSystem(create_codec("jpeg"), Link(modulation="16qam", code_rate="1/2"), uses_per_pixel=0.25)
    received = system.send(pixels, 10.0, rng)  # Es / N0 of 10 dB

docs/lab/channels.md has the conventions.
"""

from semetric.lab.channels.base import ChannelModel
from semetric.lab.channels.fallback import Fallback
from semetric.lab.channels.link import CODE_RATES, Link, SnrKind, Transmission
from semetric.lab.channels.modulation import MODULATIONS
from semetric.lab.channels.registry import CHANNELS, channel_named
from semetric.lab.channels.system import CodedSystem
from semetric.lab.channels.theory import bit_error_rate, symbol_error_rate

__all__ = [
    "CHANNELS",
    "CODE_RATES",
    "MODULATIONS",
    "ChannelModel",
    "CodedSystem",
    "Fallback",
    "Link",
    "SnrKind",
    "Transmission",
    "bit_error_rate",
    "channel_named",
    "symbol_error_rate",
]
