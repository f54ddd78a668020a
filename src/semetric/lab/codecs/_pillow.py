"""Pillow's encoders and decoders without its guessing of formats."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from semetric.errors import MissingExtraError
from semetric.lab.codecs.base import Size, check_size
from semetric.lab.systems import Pixels

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

__all__ = ["feature_version", "load", "pillow_version", "save"]


def save(pixels: Pixels, kind: str, **options: Any) -> bytes:
    """(H, W, 3) uint8 as a stream of a Pillow format, e.g. "JPEG"; an array has no EXIF or ICC profile to pass on."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


def load(file: type[ImageFile], stream: bytes, size: Size | None) -> Pixels:
    """The first frame of a stream, (H, W, 3) uint8.

    Args:
        file: Pillow's class of the format. No other format is tried, so that damage to the first bytes of a stream
            cannot turn it into something else.
        stream: the bytes.
        size: (H, W) that was sent; None where it is not known.

    Raises:
        CodecError: another size.
        Exception: whatever the decoder raises.
    """
    from semetric.image.pillow import strict_pillow

    with strict_pillow(), file(io.BytesIO(stream)) as image:
        check_size((image.height, image.width), size)
        return np.array(image.convert("RGB"), dtype=np.uint8)


def feature_version(feature: str, label: str) -> str:
    """The version of the library behind one of Pillow's formats: "webp", "avif", "jpg_2000".

    Raises:
        MissingExtraError: this build of Pillow lacks it.
    """
    from PIL import features

    version = features.version(feature)
    if version is None:
        raise MissingExtraError(
            f"{label} needs a Pillow that was built with it; this one ({pillow_version()}) was not. "
            "Install the wheel: pip install --force-reinstall 'pillow>=11.3'"
        )
    return str(version)


def pillow_version() -> str:
    """The version of Pillow."""
    import PIL

    return PIL.__version__
