"""The pages as markup. Whatever comes from a study or a person is escaped by `tag`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from semetric.learn.judgements.records import Study
from semetric.learn.judgements.summary import AnnotatorSummary, StudySummary
from semetric.markup import Markup, tag

__all__ = ["admin", "annotate", "compare", "no_link"]

_QUESTIONS = {
    "choice": "Which of the two is more like the reference?",
    "score": "How much of the reference’s meaning does each keep?",
    "same": "Do the two images look the same?",
}
_KEYS = {
    "choice": (("1 or ←", "the left image"), ("2 or →", "the right image")),
    "score": (
        ("0 to 9", "nothing kept (0) to nine tenths (9)"),
        ("f", "all of it (1)"),
        ("↑ ↓", "a little more or less"),
        ("← →", "the left or the right image"),
        ("Enter", "next"),
    ),
    "same": (("s", "the same"), ("d", "different")),
}
_PERSON = ("Judged", "Undone", "Checks right", "Median time", "Chose left", "Last")


def annotate(study: Study, name: str, form_token: str) -> str:
    """The page on which a study is judged."""
    kind = study.kind
    header = tag(
        "header",
        tag("h1", study.name),
        tag(
            "div",
            tag("progress", id="bar", max=1, value=0, aria_label="Progress"),
            tag("span", "", id="count"),
            class_="progress",
        ),
        tag("button", "Undo ", tag("kbd", "u"), id="undo", type="button", disabled=True),
        tag("button", "Help ", tag("kbd", "?"), id="help", type="button"),
    )
    start = tag(
        "section",
        tag("p", "Signed in as ", tag("b", name), class_="quiet"),
        tag("h2", _QUESTIONS[kind]),
        *_paragraphs(study.instructions),
        _keys(kind),
        tag("button", "Start", id="begin", type="button", class_="main"),
        id="start",
    )
    stage = tag(
        "main",
        tag("p", _QUESTIONS[kind], id="question"),
        tag("div", *_figures(kind), class_="images"),
        _controls(kind),
        id="stage",
        class_=kind,
        hidden=True,
    )
    done = tag(
        "section",
        tag("h2", "All done. Thank you!"),
        tag("p", "There is nothing left for you to judge. You can close this page.", id="thanks"),
        id="done",
        hidden=True,
    )
    dialog = tag(
        "dialog",
        tag("h2", "Help"),
        *_paragraphs(study.instructions),
        _keys(kind),
        tag("button", "Close", id="close", type="button", class_="main"),
        id="dialog",
        aria_label="Help",
    )
    status = tag("p", "", id="status", role="status")
    content = tag("div", header, start, stage, done, status, dialog, id="page")
    return _page(f"{study.name}: judge", content, "annotate", data_kind=kind, data_token=form_token)


def admin(studies: Sequence[StudySummary], form_token: str, *, compare: bool) -> str:
    """How every study stands, with links and exports."""
    top = tag(
        "header",
        tag("h1", "Studies"),
        tag("a", "Compare two images", href="/compare", class_="button") if compare else None,
    )
    content = tag("main", top, *map(_study, studies), tag("p", "", id="status", role="status"), class_="wide")
    return _page("Studies: semetric", content, "admin", data_token=form_token)


def compare(form_token: str, profile: str) -> str:
    """The form that takes two images."""

    def field(name: str, label: str) -> Markup:
        accept = "image/png,image/jpeg,image/webp,image/gif,image/bmp,image/avif"
        return tag(
            "div",
            tag("label", label, for_=name),
            tag("div", tag("span", "No image yet"), class_="frame", id=f"{name}-frame"),
            tag("input", type="file", id=name, accept=accept),
            class_="upload",
        )

    content = tag(
        "main",
        tag("header", tag("h1", "Compare two images")),
        tag(
            "p",
            f"Scores and their explanation, profile {profile}. At most 20 MB an image.",
            class_="quiet",
        ),
        tag("div", field("reference", "Reference"), field("image", "Image"), class_="pair"),
        tag("button", "Explain", id="explain", type="button", class_="main", disabled=True),
        tag("p", "", id="status", role="status"),
        class_="wide",
    )
    return _page("Compare two images: semetric", content, "compare", data_token=form_token)


def no_link(*, expired: bool) -> str:
    """What somebody without a session sees."""
    words = (
        "This link does not hold: it has run out, or it is not whole. Ask whoever sent it for a new one."
        if expired
        else "Open the link that you were sent. Without one there is nothing to see here."
    )
    return _page("semetric", tag("main", tag("h1", "Semetric"), tag("p", words), class_="wide"), None)


def _page(title: str, content: Markup, script: str | None, **data: str) -> str:
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("link", rel="icon", href="/static/icon.svg"),
        tag("link", rel="stylesheet", href="/static/pages.css"),
        None if script is None else tag("script", src=f"/static/{script}.js", defer=True),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', content, **data), lang='en')}\n"


def _figures(kind: str) -> list[Markup]:
    """The images of an item, each above its caption or above what is said of it."""

    def figure(slot: str, below: Markup) -> Markup:
        return tag("figure", tag("div", class_="frame", id=f"frame-{slot}"), below, class_=slot)

    if kind == "same":
        return [
            figure(side, tag("figcaption", label))
            for side, label in (("left", "First image"), ("right", "Second image"))
        ]
    control = _slider if kind == "score" else _choice
    sides = [figure(side, control(side)) for side in ("left", "right")]
    return [figure("reference", tag("figcaption", "Reference")), *sides]


def _choice(side: str) -> Markup:
    return _answer(side, side.capitalize(), "1" if side == "left" else "2")


def _answer(value: str, label: str, key: str) -> Markup:
    return tag("button", f"{label} ", tag("kbd", key), type="button", class_="answer", data_answer=value)


def _slider(side: str) -> Markup:
    return tag(
        "div",
        tag("label", side.capitalize(), for_=f"score-{side}"),
        tag("input", type="range", id=f"score-{side}", min=0, max=1, step=0.01, value=0.5, class_="unset"),
        tag("output", "–", for_=f"score-{side}", id=f"value-{side}"),
        class_="slider",
    )


def _controls(kind: str) -> Markup | None:
    """What is said of an item as a whole."""
    if kind == "choice":
        return None
    if kind == "same":
        return tag("div", _answer("same", "Same", "s"), _answer("different", "Different", "d"), class_="controls")
    confirm = tag("button", "Next ", tag("kbd", "Enter"), id="confirm", type="button", class_="main", disabled=True)
    return tag("div", confirm, class_="controls")


def _keys(kind: str) -> Markup:
    rows = (*_KEYS[kind], ("u", "undo the last answer"), ("?", "this help"))
    parts = [part for key, words in rows for part in (tag("dt", tag("kbd", key)), tag("dd", words))]
    return tag("dl", *parts, class_="keys")


def _paragraphs(text: str) -> list[Markup]:
    return [tag("p", part.strip()) for part in re.split(r"\n\s*\n", text) if part.strip()]


def _study(found: StudySummary) -> Markup:
    study = found.study
    facts = (
        ("Judgements", f"{found.judgements} of {found.wanted}" if found.wanted else str(found.judgements)),
        ("Items complete", f"{found.complete} of {found.items}"),
        ("Attention checks", str(found.checks)),
        ("Krippendorff’s α", _alpha(found)),
    )
    form = tag(
        "div",
        tag("label", "Annotator", for_=f"name-{study.id}"),
        tag("input", id=f"name-{study.id}", maxlength=80, autocomplete="off"),
        tag("label", "Days", for_=f"days-{study.id}"),
        tag("input", id=f"days-{study.id}", type="number", min=1, max=365, value=14),
        tag("button", "Make a link", type="button", class_="main make", data_study=study.id),
        class_="link",
    )
    made = tag(
        "div",
        tag("label", "The link: whoever has it judges in that name", for_=f"url-{study.id}"),
        tag("input", id=f"url-{study.id}", readonly=True),
        class_="made",
        id=f"made-{study.id}",
        hidden=True,
    )
    formats = [
        ("jsonl", "JSONL, everything"),
        ("csv", "CSV"),
        *([("nights", "NIGHTS CSV")] if study.kind == "choice" else []),
    ]
    exports = [
        tag("a", words, href=f"/admin/export/{study.id}/{name}", class_="button", download=True)
        for name, words in formats
    ]
    return tag(
        "section",
        tag("h2", study.name, " ", tag("span", study.kind, class_="quiet")),
        tag("dl", *[tag("div", tag("dt", name), tag("dd", value)) for name, value in facts], class_="facts"),
        _people(found.annotators),
        form,
        made,
        tag("p", "Export: ", *exports, class_="exports"),
        class_="study",
    )


def _people(people: Sequence[AnnotatorSummary]) -> Markup:
    if not people:
        return tag("p", "Nobody has been invited yet: make a link.", class_="quiet")
    heads = ("Annotator", *_PERSON, "")
    head = tag("thead", tag("tr", *[tag("th", name, scope="col") for name in heads]))
    return tag(
        "div",
        tag("table", head, tag("tbody", *map(_person, people)), class_="people"),
        class_="scroll",
        tabindex=0,
        role="region",
        aria_label="Annotators",
    )


def _person(one: AnnotatorSummary) -> Markup:
    cells = (
        str(one.judged),
        str(one.undone),
        f"{one.checks_right} of {one.checks}",
        "–" if one.seconds is None else f"{one.seconds:.1f} s",
        "–" if one.left is None else f"{one.left:.0%}",
        "–" if one.last_utc is None else f"{one.last_utc[:16].replace('T', ' ')} UTC",
    )
    bad = [name == "Checks right" and one.checks_right < one.checks for name in _PERSON]
    excluded = one.excluded_utc is not None
    changes = [("include", "Count again")] if excluded else [("exclude", "Exclude"), ("revoke", "Revoke links")]
    buttons = [
        tag("button", words, type="button", class_="change", data_annotator=one.id, data_change=change)
        for change, words in changes
    ]
    return tag(
        "tr",
        tag("th", tag("bdi", one.name), tag("span", " excluded", class_="bad") if excluded else None, scope="row"),
        *[
            tag("td", cell, data_label=name, class_="bad" if wrong else None)
            for name, cell, wrong in zip(_PERSON, cells, bad, strict=True)
        ],
        tag("td", *buttons),
        class_="excluded" if excluded else None,
    )


def _alpha(found: StudySummary) -> str:
    if math.isnan(found.alpha):
        return "not defined yet"
    things = "candidates" if found.study.kind == "score" else "items"
    return f"{found.alpha:.3f} on {found.units} {things}"
