"""The codecs by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from semetric.lab.codecs.avif import AVIF
from semetric.lab.codecs.base import Codec
from semetric.lab.codecs.bpg import BPG
from semetric.lab.codecs.external_codec import ExternalCodec
from semetric.lab.codecs.heic import HEIC
from semetric.lab.codecs.jpeg import JPEG
from semetric.lab.codecs.jpeg2000 import JPEG2000
from semetric.lab.codecs.learned import CompressAI
from semetric.lab.codecs.webp import WebP
from semetric.plugins import Registry, create

__all__ = ["CODECS", "create_codec"]

CODECS: Registry[Callable[..., Codec]] = Registry(
    "codec",
    "semetric.codecs",
    {
        "jpeg": JPEG,
        "jpeg2000": JPEG2000,
        "webp": WebP,
        "avif": AVIF,
        "heic": HEIC,
        "bpg": BPG,
        "compressai": CompressAI,
        "external": ExternalCodec,
    },
)
"""Name → what makes the codec: a class, or a function with keyword arguments only."""


def create_codec(name: str, /, **options: Any) -> Codec:
    """A codec by its name.

    Args:
        name: a key of `CODECS`.
        **options: of that codec, e.g. `speed=8` of "avif".

    Raises:
        MissingExtraError: it needs a package that is not installed.
        UsageError: no such codec or option.

    Examples:
        >>> create_codec("jpeg", subsampling="4:4:4").label
        'JPEG'
    """
    return create(CODECS, name, **options)
