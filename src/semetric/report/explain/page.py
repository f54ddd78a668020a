"""The page: markup of an explanation, in one file that asks for nothing outside itself."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from semetric.errors import UsageError
from semetric.markup import Markup, fill, plain, script_json, tag
from semetric.report.explain import losses, pieces, tables, viewer
from semetric.report.explain.data import Explanation
from semetric.report.output import check_place, write_whole
from semetric.report.palette import PALETTE, text_on

__all__ = ["check_page", "render", "write_page"]


def check_page(path: str | os.PathLike[str], inputs: Iterable[str | os.PathLike[str]] = ()) -> Path:
    """The path, if a page can be written there; worth asking before the work.

    Args:
        path: of the page.
        inputs: files that are read, which it must not replace.

    Raises:
        UsageError: the suffix is not .html, or the path is one of the inputs.
        StoreError: the folder does not exist, or the path is a folder.
    """
    out = Path(path)
    if out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"Expected a page's name to end in .html; found {out.name!r}.")
    check_place(out, "a page", inputs)
    return out


def write_page(page: str, path: str | os.PathLike[str]) -> None:
    """Writes the page, which appears whole or not at all.

    Raises:
        UsageError, StoreError: as `check_page`.
        StoreError: the disk is full, or writing is not allowed.
    """
    write_whole(page.encode("utf-8"), check_page(path), "a page")


def render(found: Explanation) -> str:
    """The page as text; the same explanation gives the same text."""
    folder = resources.files("semetric.report.explain")
    template, style, script = (
        (folder / f"explain.{suffix}").read_text(encoding="utf-8") for suffix in ("html", "css", "js")
    )
    style += _colours()
    one, two = found.sides
    parts = {
        "policy": _policy(style, script),
        "title": tag("title", f"{one.name} and {two.name}: semetric explain"),
        "style": Markup(style),
        "script": Markup(script),
        "data": script_json(_data(found)),
        "heading": tag(
            "h1", pieces.name_of(one), " ", tag("span", "against", class_="quiet"), " ", pieces.name_of(two)
        ),
        "made": f"semetric {found.version} · profile {found.profile}",
        "lead": _lead(found),
        "controls": viewer.controls(found),
        "stage": viewer.stage(found),
        "legends": viewer.legends(found),
        "lost": losses.lost(found),
        "scores": tables.scores(found),
        "sum": tables.total(found),
        "relations": tables.relations(found),
        "reading": tables.reading(found),
    }
    return fill(template, {name: plain(part) for name, part in parts.items()})


def _policy(style: str, script: str) -> str:
    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"

    return (
        f"default-src 'none'; img-src data:; style-src {digest(style)}; script-src {digest(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _colours() -> str:
    rules = (f".c{k}{{--c:{colour};--t:{text_on(colour)}}}\n" for k, colour in enumerate(PALETTE))
    return "\n" + "".join(rules)


def _lead(found: Explanation) -> Markup | None:
    """The score in large type and what it rests on, in one sentence; then what it is to be read against."""
    if found.sum is None:
        reason = found.errors.get("sess")
        words = f"SeSS gave no score: {reason}" if reason else "SeSS was not asked for, so no objects are shown."
        first = found.scores[0].bar if found.scores else None
        return _verdict(first.name, first.value, words) if first else tag("p", words, class_="lead")
    bar = next((row.bar for row in found.scores if row.bar.name == "sess"), None)
    verdict = _verdict("SeSS", pieces.thousandths(found.sum.score), _sentence(found))
    against = bar.strangers_value if bar is not None else ""
    scale = f"The same image gets 1, unrelated photos get {against} on average." if against else ""
    outside = [100 * side.outside for side in found.sides]
    if max(outside) >= 0.5:  # else it is rounded to nothing
        scale += (" " if scale else "") + (
            f"What no object holds ({outside[0]:.0f}% of the reference, {outside[1]:.0f}% of the image) is compared as "
            "whole images."
        )
    return Markup(verdict + (tag("p", scale, class_="quiet") if scale else "") + (losses.alone(found) or ""))


def _verdict(name: str, value: str, words: str) -> Markup:
    score = tag("span", tag("span", name, class_="metric"), " ", tag("b", value), class_="score")
    return tag("p", score, " ", tag("span", words), class_="lead verdict")


def _sentence(found: Explanation) -> str:
    """How much of the reference is there again."""
    things, others = (side.things for side in found.sides)
    if not things:
        where = "the reference" if others else "either image"
        return f"No objects were found in {where}: whole images alone were compared."
    matched = [thing for thing in things if thing.match is not None]
    if len(things) == 1:
        return f"The reference's only object has {'a' if matched else 'no'} counterpart in the image."
    whole = f"of the reference's {len(things)} objects"
    if len(matched) in (0, len(things)):
        return f"{'Each' if matched else 'None'} {whole} has a counterpart in the image."
    share = 100 * sum(thing.importance for thing in matched)
    have = "have" if len(matched) > 1 else "has"
    return f"{len(matched)} {whole}, with {share:.0f}% of its importance, {have} a counterpart in the image."


def _data(found: Explanation) -> dict[str, object]:
    """What the script reads; it never holds a file's name."""
    return {
        "sess": None if found.sum is None else _rounded(found.sum.score),
        "iterates": found.sum is not None and found.sum.iterates,
        "sides": [
            {
                "order": pieces.order(side.things),
                "things": [
                    {
                        "name": thing.name,
                        "kind": pieces.kind_of(thing),
                        "match": thing.match,
                        "place": list(thing.place),
                        "label": thing.label,
                        "member": _rounded(thing.member),
                        "importance": _rounded(thing.importance),
                        "area": _rounded(thing.area),
                        "adds": _rounded(thing.adds),
                        "stake": _rounded(thing.stake),
                        "kept": _rounded(thing.kept),
                        "counted": thing.counted and [thing.counted.index, _rounded(thing.counted.similarity)],
                        "before": _rounded(thing.before),
                        "after": _rounded(thing.after),
                        "nearest": None if thing.nearest is None else [thing.nearest[0], _rounded(thing.nearest[1])],
                    }
                    for thing in side.things
                ],
                "relations": [
                    [r.subject, r.target, r.predicate, _rounded(r.probability), r.kept, r.there] for r in side.relations
                ],
            }
            for side in found.sides
        ],
        "maps": {
            overlay.metric: {
                "levels": overlay.packed(),
                "cells": [levels.shape for levels in overlay.levels],
                "low": overlay.low,
                "high": overlay.high,
                "extent": [_rounded(side) for side in overlay.extent],
            }
            for overlay in found.overlays
        },
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 5)
