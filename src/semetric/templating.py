"""HTML pages from the templates of this package; whatever goes into a page is escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from functools import lru_cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from semetric.formatting import count, fixed, minus, number, percent, signed

__all__ = ["data_address", "page", "source", "source_digest"]


def page(template: str, /, **content: Any) -> str:
    """A page: a template filled with content.

    Args:
        template: below semetric/templates, such as "lab/page.html".
        content: names of the template → values; text is escaped.

    Raises:
        jinja2.UndefinedError: the template uses a name that the content lacks.
        ValueError: JSON for a script holds NaN or infinity.
    """
    return _environment().get_template(template).render(**content)


def source(name: str) -> Markup:
    """A style sheet or a script below semetric/templates, to stand inside a page as it is."""
    return Markup((resources.files("semetric") / "templates" / name).read_text(encoding="utf-8"))


def source_digest(text: str) -> str:
    """How a Content-Security-Policy names a style or a script inside a page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


def data_address(content: bytes, kind: str) -> str:
    """An image as an address that holds it.

    Args:
        content: of the file.
        kind: the part of its media type after "image/": "png", "svg+xml".
    """
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _detail(value: Any) -> str:
    """A metric's detail: a number, a list of such, or text."""
    if isinstance(value, list | tuple):
        return ", ".join(map(_detail, value))
    return fixed(value, 3) if isinstance(value, float) else str(value)


def _share_of(value: float, most: float) -> float:
    """How full a bar is, in [0, 1], whose full length stands for the most."""
    return min(max(value / most, 0.0), 1.0) if most > 0 else 0.0


_FILTERS: dict[str, Callable[..., Any]] = {
    "count": count,
    "data_address": data_address,
    "detail": _detail,
    "fixed": fixed,
    "minus": minus,
    "number": number,
    "percent": percent,
    "share_of": _share_of,
    "signed": signed,
}


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("semetric"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(_FILTERS)
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return environment
