"""Small parts that several places of the page share: buttons of objects, bars, tables, numbers in words."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence

from semetric.markup import Markup, tag
from semetric.report.explain.data import Side, Thing
from semetric.report.palette import PALETTE

__all__ = [
    "bar",
    "chip",
    "colour_class",
    "data_png",
    "detail",
    "folded",
    "head",
    "hundredths",
    "interval",
    "kind_of",
    "many",
    "minus",
    "name_of",
    "order",
    "pair",
    "percent",
    "signed",
    "thousandths",
]


def name_of(side: Side) -> Markup:
    """A file's name, whose direction of writing stays its own."""
    return tag("bdi", side.name)


def order(things: Sequence[Thing]) -> list[int]:
    """Matches by what they add, then the others by importance: the way of the arrow keys."""
    return [thing.index for thing in sorted(things, key=lambda thing: thing.rank)]


def colour_class(thing: Thing) -> str:
    """The class of a numbered match's colour; empty for other objects."""
    return f"c{PALETTE.index(thing.colour)}" if thing.colour else ""


def kind_of(thing: Thing) -> str:
    """The class of an object: its colour's, "plain" for other matches, "alone" without one."""
    return colour_class(thing) or ("plain" if thing.match is not None else "alone")


def chip(k: int, thing: Thing) -> Markup:
    """The button of an object: its name in its colour."""
    return tag("button", thing.name, type="button", class_=f"chip {kind_of(thing)}", data_s=k, data_i=thing.index)


def bar(fraction: float, kind: str, mark: float | None = None) -> Markup:
    """A horizontal bar, as full as the fraction says, and a mark across it; its numbers stand beside it."""
    filled = tag("rect", width=round(100 * fraction, 2), height=8)
    parts = [filled]
    if mark is not None:
        x = f"{100 * mark:.2f}"
        parts += [tag("path", d=f"M{x} 0V8", class_="under"), tag("path", d=f"M{x} 0V8", class_="mark")]
    return tag("svg", *parts, viewBox="0 0 100 8", preserveAspectRatio="none", class_=f"bar {kind}", aria_hidden="true")


def pair(one: Thing, two: Thing, sign: str = "↔") -> Markup:
    """The buttons of an object of the reference and one of the image, which stay on one line."""
    return tag("span", chip(0, one), f" {sign} ", chip(1, two), class_="pair")


def folded(head: Markup, rows: Sequence[Markup], most: int, kind: str, words: str) -> Markup:
    """A table whose rows beyond the first are folded away under those words."""
    first, rest = (
        tag("table", head, tag("tbody", *part), class_=kind) if part else Markup("")
        for part in (rows[:most], rows[most:])
    )
    return first + (tag("details", tag("summary", words), rest) if rest else Markup(""))


def head(*names: str) -> Markup:
    """The head of a table."""
    return tag("thead", tag("tr", *(tag("th", name, scope="col") for name in names)))


def data_png(encoded: bytes) -> str:
    """A PNG as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(encoded).decode('ascii')}"


def detail(value: object) -> str:
    """A metric's detail in words."""
    if isinstance(value, float):
        return thousandths(value)
    if isinstance(value, Iterable) and not isinstance(value, str | dict):
        return ", ".join(map(detail, value))
    return str(value)


def interval(bounds: tuple[float | None, float | None]) -> str:
    """A range in mathematical brackets: [0, 1], [0, ∞)."""
    low, high = bounds
    return minus(f"{'(−∞' if low is None else f'[{low:g}'}, {'∞)' if high is None else f'{high:g}]'}")


def many(count: int, one: str, more: str | None = None) -> str:
    """A count with its noun."""
    return f"{count} {one if count == 1 else more or one + 's'}"


def percent(share: float) -> str:
    """A share with one decimal."""
    return minus(f"{100 * share:.1f}%")


def signed(value: float, places: int = 3) -> str:
    """A number with its sign, always."""
    return minus(f"{value:+.{places}f}")


def hundredths(value: float) -> str:
    """Two decimals."""
    return minus(f"{value:.2f}")


def thousandths(value: float) -> str:
    """Three decimals."""
    return minus(f"{value:.3f}")


def minus(text: str) -> str:
    """The text with real minus signs."""
    return text.replace("-", "−")
