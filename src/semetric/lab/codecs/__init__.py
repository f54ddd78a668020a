"""Codecs: an image to bytes and back, at a quality or at a target rate."""

from __future__ import annotations

from semetric.lab.codecs.base import Codec
from semetric.lab.codecs.external_system import ExternalSystem
from semetric.lab.codecs.rate import Encoded, encode_at_rate
from semetric.lab.codecs.registry import CODECS, create_codec
from semetric.lab.codecs.system import CodecSystem

__all__ = [
    "CODECS",
    "Codec",
    "CodecSystem",
    "Encoded",
    "ExternalSystem",
    "create_codec",
    "encode_at_rate",
]
