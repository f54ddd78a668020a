"""The page of a run: what was found, figures, examples, tables, problems; in one file that asks for nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from semetric.markup import Markup, fill, plain, tag
from semetric.report.lab.examples import Example, Shown
from semetric.report.lab.figures import Drawn
from semetric.report.lab.findings import findings
from semetric.report.lab.problems import problems
from semetric.report.lab.results import LabRun
from semetric.report.lab.style import metric_label
from semetric.report.lab.tables import Table, to_html
from semetric.report.lab.words import axis_words, lead

__all__ = ["render"]

_SVG_MOST = 250_000  # bytes of a figure above which the page holds the PNG, of which there are few colours
_CELL_MOST = 160  # characters of a system's option that the page shows
_FOUND_TABLES = ("overall", "transformations", "correlations", "sensitivity")  # beside the findings
_OPEN_TABLES = ("failed",)


_NAMES = {
    "found": "What was found",
    "figures": "Figures",
    "examples": "Examples",
    "tables": "Tables",
    "problems": "What went wrong",
    "how": "How this was made",
}


def render(run: LabRun, figures: Sequence[Drawn], tables: Sequence[Table], shown: Sequence[Example]) -> str:
    """The page as text; the same run gives the same text."""
    folder = resources.files("semetric.report.lab")
    template, style = ((folder / f"lab.{suffix}").read_text(encoding="utf-8") for suffix in ("html", "css"))
    title = "Metrics against rate" if run.axis.name == "rate_bpp" else run.title
    sections = {
        "found": _found(run, tables),
        "figures": _figures(figures),
        "examples": _examples(shown),
        "tables": _tables(tables),
        "problems": _problems(run),
        "how": _how(run),
    }
    links = [tag("a", _NAMES[key], href=f"#{key}") for key, part in sections.items() if part]
    record = run.record
    made = f"semetric {record.get('version', '?')} · lab {run.experiment} · profile {_profile(run)} · {axis_words(run)}"
    parts: dict[str, str | None] = {
        "policy": _policy(style),
        "title": tag("title", f"{title}: {run.path.resolve().name}"),
        "style": Markup(style),
        "heading": tag("h1", title),
        "made": tag("p", made, class_="quiet"),
        "lead": _lead(run),
        "contents": tag("nav", *links, aria_label="Sections"),
        **sections,
    }
    return fill(template, {name: plain(part) for name, part in parts.items()})


def _lead(run: LabRun) -> Markup:
    said = [tag("p", " ".join(lead(run)))]
    if not run.finished:
        words = "This run is not at its end: here is what is finished. Start the experiment's command again to go on."
        said.append(tag("p", words, class_="warn"))
    return Markup("".join(said))


def _policy(style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    return f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _found(run: LabRun, tables: Sequence[Table]) -> Markup:
    items = [tag("li", tag("strong", label), ": ", sentence) for label, sentence in findings(run)]
    parts: list[str] = [tag("ul", *items, class_="findings")] if items else [tag("p", "No metric has any value.")]
    for one in tables:
        if one.name in _FOUND_TABLES:
            parts += [tag("h3", one.title), to_html(one)]
    return _section("found", *parts)


def _figures(figures: Sequence[Drawn]) -> Markup:
    if not figures:
        return _section("figures", tag("p", "No metric has any value, so there is nothing to draw."))
    wide = [_figure(one) for one in figures if one.wide and one.paged]
    narrow = [_figure(one) for one in figures if not one.wide and one.paged]
    others = [one.name for one in figures if not one.paged]
    words = "Each is in figures/ as PDF and as PNG at 300 dots an inch."
    if others:
        words += f" There, too, the same curves in another way: {', '.join(others)}."
    return _section("figures", *wide, tag("div", *narrow, class_="plots"), tag("p", words, class_="quiet"))


def _figure(one: Drawn) -> Markup:
    kind, name = ("svg+xml", "svg") if len(one.files["svg"]) <= _SVG_MOST else ("png", "png")
    address = f"data:image/{kind};base64,{base64.b64encode(one.files[name]).decode('ascii')}"
    image = tag("img", src=address, alt=one.caption, class_="plot")
    if one.wide:
        hint = tag("p", "Scroll sideways to see all of it.", class_="hint")
        box = hint + tag("div", image, class_="scrolled", tabindex="0", role="region", aria_label=one.caption)
    else:
        box = image
    return tag("figure", box, tag("figcaption", one.caption), class_="wide" if one.wide else None)


def _tables(tables: Sequence[Table]) -> Markup:
    parts = []
    for one in tables:
        if not one.latex or one.name in _FOUND_TABLES:
            continue
        if one.name in _OPEN_TABLES:
            parts += [tag("h3", one.title), to_html(one)]
        else:
            parts.append(tag("details", tag("summary", one.title), to_html(one)))
    files = "Each is in tables/ as CSV and LaTeX; means.csv has every mean, interval and count in one file."
    return _section("tables", *parts, tag("p", files, class_="quiet"))


def _examples(shown: Sequence[Example]) -> Markup:
    if not shown:
        return Markup()
    parts = []
    for k, one in enumerate(shown):
        original = tag("figure", _picture(one.original, f"{one.image}, original"), tag("figcaption", "original"))
        sent = None
        if one.sent is not None:
            words = f"{one.image}, translated"
            sent = tag("figure", _picture(one.sent, words), tag("figcaption", "translated, as it is sent"))
        rows = [tag("div", original, sent, class_="shown")]
        for label, received in one.systems:
            rows.append(tag("p", tag("bdi", label), class_="system"))
            rows.append(tag("div", *(_received(one.image, label, it) for it in received), class_="shown"))
        parts.append(tag("details", tag("summary", tag("strong", tag("bdi", one.image))), *rows, open=k == 0))
    note = (
        "Scaled down for this page; scores are those of the images at full size. "
        "figures/examples-… has each image as a strip for a paper."
    )
    return _section("examples", *parts, tag("p", note, class_="quiet"))


def _received(image: str, label: str, one: Shown) -> Markup:
    rate = one.rate if one.rate != one.level else ""
    cells = [tag("span", text) for pair in one.scores for text in pair]
    caption = tag(
        "figcaption",
        tag("strong", one.level),
        Markup(" · ") + tag("span", "fallback", class_="warn") if one.failed else f" · {rate}" if rate else None,
        tag("span", *cells, class_="scores"),
    )
    return tag("figure", _picture(one.picture, f"{image}, {label} at {one.level}"), caption)


def _picture(address: str, words: str) -> Markup:
    return tag("img", src=address, alt=words)


def _problems(run: LabRun) -> Markup:
    found = problems(run)
    if not (found.errors or found.failed):
        return Markup()
    parts: list[Markup] = []
    if found.errors:
        items = [tag("li", tag("strong", tag("bdi", where)), ": ", why) for where, why in found.errors]
        parts += [tag("h3", "Missing values"), _listed(items, found.more_errors)]
    if found.failed:
        items = [tag("li", tag("strong", tag("bdi", where)), ": ", which) for where, which in found.failed]
        parts += [tag("h3", "Failed decodes"), _listed(items, found.more_failed)]
    return _section("problems", *parts)


def _notes(run: LabRun) -> Markup:
    """What systems say of single units: rates that were missed, sizes that were changed."""
    items = [
        tag("li", words, tag("span", f" and {count - 1} alike" if count > 1 else "", class_="quiet"))
        for words, count in problems(run).notes
    ]
    if not items:
        return Markup()
    return tag("details", tag("summary", f"Notes of the systems ({len(items)})"), _listed(items, 0))


def _listed(items: Sequence[Markup], more: int) -> Markup:
    rest = tag("p", f"And {more} more: see scores.csv.", class_="quiet") if more else ""
    return tag("ul", *items, class_="plain") + rest


def _how(run: LabRun) -> Markup:
    record = run.record
    facts: list[tuple[str, str]] = [
        ("Semetric", str(record.get("version", "not recorded"))),
        ("Experiment", run.experiment),
        ("Profile", _profile(run)),
        ("Seed", str(record.get("seed", "not recorded"))),
        ("Axis", axis_words(run)),
        ("Intervals", "95%, percentile bootstrap over images, 2000 resamples, seed 0; none of a single image"),
        ("Infinite scores", "left out of means, intervals and correlations, and counted"),
    ]
    parts = [tag("dl", *(tag(kind, text) for pair in facts for kind, text in zip(("dt", "dd"), pair, strict=True)))]
    weights = []
    for one in run.metrics:
        used = ", ".join(f"{role} {identity}" for role, identity in sorted(one.weights.items()))
        weights += [tag("dt", f"{metric_label(one.name)} {one.arrow}"), tag("dd", tag("code", used or "no network"))]
    parts += [tag("h3", "Metrics and their weights"), tag("dl", *weights)]
    parts += [tag("h3", "Systems"), to_html(_systems(run)), _notes(run)]
    images = [
        tag(
            "li",
            tag("bdi", str(one["name"])),
            f" {one.get('width', '?')} × {one.get('height', '?')} ",
            _digest(one.get("digest")),
        )
        for one in record["images"]
    ]
    parts.append(tag("details", tag("summary", f"Images ({len(images)})"), tag("ul", *images, class_="plain")))
    config = json.dumps(record.get("config", {}), indent=2, ensure_ascii=False, sort_keys=True)
    parts.append(tag("details", tag("summary", "Configuration"), tag("pre", config)))
    return _section("how", *parts)


def _systems(run: LabRun) -> Table:
    """Each system with its options; a column for each option that differs, one for what only some have."""
    flat = [_options(system.record) for system in run.systems]
    shared = [key for key in dict.fromkeys(key for one in flat for key in one) if all(key in one for one in flat)]
    rows = []
    for system, own in zip(run.systems, flat, strict=True):
        rest = "; ".join(f"{key} {value}" for key, value in own.items() if key not in shared)
        rows.append((system.label, *(own[key] for key in shared), rest or "–"))
    return Table(
        name="systems",
        title="Systems",
        header=("system", *shared, "options"),
        rows=tuple(rows),
        note="run.json has all of it.",
    )


def _options(record: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """A system's record as flat words."""
    found: dict[str, str] = {}
    for key, value in record.items():
        if not before and key in ("name", "label", "contents"):
            continue
        name = f"{before}{key.replace('_', ' ')}"
        if isinstance(value, Mapping):
            found |= _options(value, f"{name} ")
        elif value not in (None, "", [], {}):
            words = ", ".join(map(_value, value)) if isinstance(value, list) else _value(value)
            found[name] = words if len(words) <= _CELL_MOST else f"{words[:_CELL_MOST]} …"
    return found


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}".replace("-", "−")
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def _digest(digest: object) -> Markup:
    return tag("code", str(digest)[:12], class_="quiet") if digest else Markup()


def _profile(run: LabRun) -> str:
    profile = run.record.get("profile", "not recorded")
    return str(profile.get("name", "?")) if isinstance(profile, dict) else str(profile)


def _section(key: str, *parts: str) -> Markup:
    return tag("section", tag("h2", _NAMES[key]), *parts, id=key, aria_label=_NAMES[key])
