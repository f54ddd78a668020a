"""Numbers as text, for people."""

from __future__ import annotations

__all__ = ["count", "fixed", "minus", "number", "percent", "signed"]


def minus(text: str) -> str:
    """The text with minus signs in place of hyphens."""
    return text.replace("-", "−")


def fixed(value: float, places: int) -> str:
    """A number with that many decimals.

    Example:
        >>> fixed(-0.125, 2)
        '−0.12'
    """
    return minus(f"{value:.{places}f}")


def signed(value: float, places: int = 3) -> str:
    """A number with its sign, always.

    Example:
        >>> signed(0.25)
        '+0.250'
    """
    return minus(f"{value:+.{places}f}")


def percent(share: float) -> str:
    """A share with one decimal.

    Example:
        >>> percent(0.256)
        '25.6%'
    """
    return fixed(100 * share, 1) + "%"


def count(number: int, noun: str) -> str:
    """A count with its noun.

    Example:
        >>> count(1, "image"), count(2, "image")
        ('1 image', '2 images')
    """
    return f"{number} {noun if number == 1 else noun + 's'}"


def number(value: float | str | None) -> str:
    """A number in a table: three decimals, fewer for large ones, none for an int; a dash for none; text as it is.

    Example:
        >>> [number(value) for value in (-0.25, 31.4159, 7, None)]
        ['−0.250', '31.42', '7', '–']
    """
    if value is None:
        return "–"
    if not isinstance(value, float):
        return str(value)
    size = abs(value)
    return fixed(value, 3 if size < 10 else 2 if size < 100 else 1 if size < 1000 else 0)
