"""Pillow as it is by itself, whatever its process-wide switches say."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, ImageFile

__all__ = ["strict_pillow"]

_LOCK = threading.Lock()
_inside = 0
_outside: tuple[int | None, bool] = (None, False)


@contextmanager
def strict_pillow() -> Iterator[None]:
    """Files that break off are errors, and no number of pixels is: the limit on them is an argument here.

    Code elsewhere in a process may have set `ImageFile.LOAD_TRUNCATED_IMAGES` or `Image.MAX_IMAGE_PIXELS`. Threads may
    be inside together; the last one out restores both.
    """
    global _inside, _outside
    with _LOCK:
        if _inside == 0:
            _outside = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
            Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = None, False
        _inside += 1
    try:
        yield
    finally:
        with _LOCK:
            _inside -= 1
            if _inside == 0:
                Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = _outside
