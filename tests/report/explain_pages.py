"""Pages of made-up graphs, and a strict reader of HTML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

import numpy as np
from fake_graphs import discs, photo, sess_score

from semetric.errors import SemetricError
from semetric.image import Picture
from semetric.metrics.base import Score
from semetric.report.explain.data import Explanation, gather
from semetric.report.explain.maps import lpips_overlay, samscore_overlay
from semetric.report.explain.page import render
from semetric.scoring import Scores

VOID = {"br", "hr", "img", "input", "link", "meta"}
LPIPS = Score(metric="lpips", value=0.25, higher_is_better=False, range=(0.0, None), weights={"trunk": "net.1@0123"})


def samscore(rows: int = 48, columns: int = 64) -> Score:
    """A SAMScore whose cells fall from 1 at the top left to 0 at the bottom right."""
    cells = 1 - np.add.outer(np.arange(rows), np.arange(columns)) / (rows + columns - 2)
    return Score(
        metric="samscore",
        value=float(cells.mean()),
        higher_is_better=True,
        range=(-1.0, 1.0),
        details={"padding": "exclude"},
        artefacts={"map": cells.astype(np.float32)},
    )


def scores_of(
    *scores: Score, errors: Mapping[str, SemetricError] | None = None, notes: Mapping[str, Any] | None = None
) -> Scores:
    """Scores of two files."""
    return Scores(
        reference="a.png",
        image="b.png",
        profile="lite",
        scores={score.metric: score for score in scores},
        errors=errors or {},
        notes=notes or {},
    )


def explanation(
    n: int, m: int, *, names: tuple[str, str] = ("a.png", "b.png"), maps: bool = True, notes: Any = None
) -> Explanation:
    """Of n and m discs on two photos of 320 × 240 px."""
    size = (240, 320)
    scores = scores_of(sess_score(discs(n, size), discs(m, size, seed=1)), samscore(), LPIPS, notes=notes)
    found = [samscore_overlay(scores.scores["samscore"].artefacts["map"], size)]
    found.append(lpips_overlay("lpips", np.random.default_rng(0).uniform(0, 0.7, (60, 80))))
    pictures = [named(photo(size, grey=grey), name) for name, grey in zip(names, (False, True), strict=True)]
    return gather(scores, *pictures, found if maps else ())


def named(picture: Picture, name: str) -> Picture:
    """The same pixels under another name."""
    return Picture(pixels=picture.pixels, name=name)


def page(n: int = 5, m: int = 8, **options: Any) -> str:
    """The page of `explanation`."""
    return render(explanation(n, m, **options))


class Reader(HTMLParser):
    """Reads a page, and fails where an element is not closed by its own end tag."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"<{tag}> has an attribute twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)
        else:
            assert not data.strip(), f"text outside the page: {data[:40]!r}"

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every such element."""
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def data(self) -> Any:
        """What the script reads."""

        def refuse(constant: str) -> Any:
            raise AssertionError(f"{constant} is no JSON")

        (text,) = [text for text in self.texts["script"] if text.startswith('{"sess"')]
        return json.loads(text, parse_constant=refuse)
