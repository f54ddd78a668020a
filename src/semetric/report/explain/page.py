"""The page of an explanation: one file that asks for nothing outside itself."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from semetric.errors import UsageError
from semetric.report.account import MOST_NUMBERED
from semetric.report.explain.data import Explanation, Side
from semetric.report.output import write_whole
from semetric.report.palette import PALETTE, text_on
from semetric.report.unrelated import measured
from semetric.results.files import check_place
from semetric.templating import page, source, source_digest

__all__ = ["check_page", "render", "write_page"]

_FEW = 12  # objects of the table of losses that are shown at once
_MOST = 200  # objects in that table: a page of two full graphs has 1024
_FEW_RELATIONS = 20  # shown at once
_NAMED = 5  # objects without a counterpart that the first lines name, an image
_LEAST_PERCENT = 0.5  # of the importance, to be worth a sentence: less is rounded to nothing
_LEAST_MOVED = 0.0005  # what relations must change of SeSS to be shown: half of its last digit
_WIDE = 1.35  # width by height from which two images fit a phone better above each other


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


def write_page(text: str, path: str | os.PathLike[str]) -> None:
    """Writes the page, which appears whole or not at all.

    Raises:
        UsageError, StoreError: as `check_page`.
        StoreError: the disk is full, or writing is not allowed.
    """
    write_whole(text.encode("utf-8", "replace"), check_page(path), "a page")


def render(explanation: Explanation) -> str:
    """The page as text; the same explanation gives the same text."""
    sides, account = explanation.sides, explanation.account
    style, script = source("explain/page.css") + _colours(), source("explain/page.js")
    pairs = []
    if account is not None:
        added = zip(account.matching.pairs.tolist(), account.matching.contributions.tolist(), strict=True)
        pairs = [(account.objects[0][i], account.objects[1][j], adds) for (i, j), adds in added]
    marked = any(row.bar.unrelated is not None for row in explanation.scores)
    return page(
        "explain/page.html",
        **{field.name: getattr(explanation, field.name) for field in dataclasses.fields(explanation)},
        policy=(
            f"default-src 'none'; img-src data:; style-src {source_digest(style)}; "
            f"script-src {source_digest(script)}; base-uri 'none'; form-action 'none'"
        ),
        style=style,
        script=script,
        data=_rounded(_data(explanation)),
        sentence=_sentence(sides[0], sides[1]),
        scale=_scale(explanation),
        alone=_alone(sides),
        wide=all(side.view[1] > _WIDE * side.view[0] for side in sides),
        faint=any(one.member < 1.0 for side in sides for one in side.objects),
        unrelated=measured() if marked else None,
        losses=sorted(((k, one) for k in (0, 1) for one in sides[k].objects), key=lambda row: -row[1].lost),
        pairs=pairs,
        few=_FEW,
        most_rows=_MOST,
        most_numbered=MOST_NUMBERED,
        few_relations=_FEW_RELATIONS,
        least_moved=_LEAST_MOVED,
    )


def _colours() -> str:
    rules = (f".c{k}{{--c:{colour};--t:{text_on(colour)}}}\n" for k, colour in enumerate(PALETTE))
    return "\n" + "".join(rules)


def _sentence(reference: Side, image: Side) -> str:
    """How much of the reference is there again."""
    objects = reference.objects
    if not objects:
        where = "the reference" if image.objects else "either image"
        return f"No objects were found in {where}: whole images alone were compared."
    matched = [one for one in objects if one.match is not None]
    if len(objects) == 1:
        return f"The reference's only object has {'a' if matched else 'no'} counterpart in the image."
    whole = f"of the reference's {len(objects)} objects"
    if len(matched) in (0, len(objects)):
        return f"{'Each' if matched else 'None'} {whole} has a counterpart in the image."
    share = 100 * sum(one.importance for one in matched)
    have = "have" if len(matched) > 1 else "has"
    return f"{len(matched)} {whole}, with {share:.0f}% of its importance, {have} a counterpart in the image."


def _scale(explanation: Explanation) -> str:
    """What the score is to be read against, and the part of it that no object holds."""
    bar = next((row.bar for row in explanation.scores if row.bar.name == "sess"), None)
    sentences = []
    if bar is not None and bar.unrelated_value:
        sentences.append(f"The same image gets 1, unrelated photos get {bar.unrelated_value} on average.")
    outside = [100 * side.outside for side in explanation.sides]
    if max(outside) >= _LEAST_PERCENT:
        sentences.append(
            f"What no object holds ({outside[0]:.0f}% of the reference, {outside[1]:.0f}% of the image) is compared as "
            "whole images."
        )
    return " ".join(sentences)


def _alone(sides: Iterable[Side]) -> str:
    """How much of the importance has no real counterpart; empty where next to all has."""
    parts = []
    for side in sides:
        alone = [one for one in side.ranked if one.match is None and not one.seen_in_place]
        share = 100 * sum(one.importance for one in alone)
        if share < _LEAST_PERCENT:
            continue
        names = ", ".join(str(one.number) for one in alone[:_NAMED]) + (" …" if len(alone) > _NAMED else "")
        noun = "object" if len(alone) == 1 else "objects"
        parts.append(f"{share:.0f}% of the {side.role}'s importance has no real counterpart: {noun} {names}")
    words = "; ".join(parts)
    return words + ("." if words and not words.endswith("…") else "")


def _data(explanation: Explanation) -> dict[str, Any]:
    """What the script reads; it never holds a file's name."""
    account = explanation.account
    return {
        "sess": account and account.matching.score,
        "iterates": account is not None and account.iterates,
        "sides": [
            {
                "order": [one.index for one in side.ranked],
                "objects": [
                    dataclasses.asdict(one)
                    | {"number": one.number, "kind": one.kind, "seen": one.seen_in_place, "place": place}
                    for one, place in zip(side.objects, side.places, strict=True)
                ],
                "relations": [list(dataclasses.asdict(relation).values()) for relation in side.relations],
            }
            for side in explanation.sides
        ],
        "maps": {
            overlay.metric: {
                "levels": overlay.packed(),
                "cells": [levels.shape for levels in overlay.levels],
                "low": overlay.low,
                "high": overlay.high,
                "extent": overlay.extent,
            }
            for overlay in explanation.overlays
        },
    }


def _rounded(value: Any) -> Any:
    """The value with every float in it to five decimals."""
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return round(float(value), 5) if isinstance(value, float) else value
