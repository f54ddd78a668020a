"""File names as text: what a system gives as a name need not be UTF-8, what JSON, HTML and CSV take must be."""

from __future__ import annotations

__all__ = ["shown"]


def shown(name: str) -> str:
    """A file name as text that every file format takes: bytes that are no UTF-8 are escaped, as \\xff.

    Example:
        >>> shown("photo\\udcff.png")
        'photo\\\\xff.png'
    """
    try:
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a lone surrogate that stands for no byte
        return name.encode("utf-8", "backslashreplace").decode()
