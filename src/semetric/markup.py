"""HTML and SVG from Python values: whatever is not markup already is escaped."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["Markup", "fill", "plain", "script_json", "tag"]

_VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})


class Markup(str):
    """Text that is markup: it goes into other markup as it is. Other text that is added to it is escaped."""

    __slots__ = ()

    def __add__(self, other: str) -> Markup:
        return Markup(str.__add__(self, plain(other)))


def tag(name: str, /, *children: str | None, **attributes: str | float | bool | None) -> Markup:
    """An element.

    Args:
        name: of the element.
        children: Markup is taken as it is, other text escaped, None left out.
        attributes: "_" stands for "-", a trailing one is dropped (class_, for_). True gives a bare attribute; None
            and False none.
    """
    parts = [f"<{name}"]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        label = key.rstrip("_").replace("_", "-")
        parts.append(f" {label}" if value is True else f' {label}="{html.escape(_text(value))}"')
    if name in _VOID:
        return Markup("".join([*parts, ">"]))
    inside = "".join(map(plain, children))
    return Markup("".join([*parts, ">", inside, f"</{name}>"]))


def plain(part: str | None) -> Markup:
    """A part of markup: Markup as it is, other text escaped, nothing for None."""
    if part is None:
        return Markup()
    return part if isinstance(part, Markup) else Markup(html.escape(part))


def script_json(value: Any) -> Markup:
    """JSON that can stand inside a script element: no character of it can end the element or open a comment.

    Raises:
        ValueError: the value holds NaN or infinity.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def fill(template: str, parts: Mapping[str, str]) -> str:
    """The template with every {{name}} replaced by that part; what a part holds is not looked at again."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


def _text(value: str | float) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
