"""The upper part of the page: both images with outlines and maps, and the panel of one object."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from semetric.markup import Markup, tag
from semetric.report.explain import pieces
from semetric.report.explain.data import MOST_NUMBERED, Explanation, Thing
from semetric.report.explain.maps import Overlay, gradient

__all__ = ["controls", "legends", "stage"]

_FAINTEST = 0.25  # opacity of the outline of an object that hardly counts as one
_WIDE = 1.35  # width by height from which two images fit a phone better above each other


def controls(found: Explanation) -> Markup | None:
    """What the images show: a map, how strongly, and whether outlines."""
    parts: list[Markup] = []
    if found.overlays:
        choices = [("none", "Photo only"), *((overlay.metric, overlay.title) for overlay in found.overlays)]
        radios = [
            tag("label", tag("input", type="radio", name="map", value=value, checked=value == "none"), " " + words)
            for value, words in choices
        ]
        parts.append(tag("fieldset", tag("legend", "Over the images", class_="sr"), *radios, class_="choice"))
        slider = tag("input", type="range", id="opacity", min="0", max="100", value="70", step="5")
        parts.append(tag("label", "Opacity ", slider, class_="slider"))
    if found.sum is not None:
        box = tag("input", type="checkbox", id="outlines", checked=True)
        parts.append(tag("label", box, " Outlines"))
    return tag("div", *parts, class_="controls", role="group", aria_label="What the images show") if parts else None


def stage(found: Explanation) -> Markup:
    """Both images and the panel; on a phone wide images stand above each other."""
    wide = all(side.view[1] > _WIDE * side.view[0] for side in found.sides)
    return tag("div", _figure(found, 0), _figure(found, 1), _panel(found), class_="stage wide" if wide else "stage")


def _figure(found: Explanation, k: int) -> Markup:
    side = found.sides[k]
    h, w = side.view
    source = f"data:image/{side.kind};base64,{base64.b64encode(side.encoded).decode('ascii')}"
    drawn = [tag("image", href=source, width=w, height=h, preserveAspectRatio="none")]
    for overlay in found.overlays:
        drawn.append(
            tag(
                "image",
                href=pieces.data_png(overlay.png(k)),
                width=round(w * overlay.extent[0], 2),
                height=round(h * overlay.extent[1], 2),
                preserveAspectRatio="none",
                class_="map" + ("" if overlay.smooth else " cells"),
                data_map=overlay.metric,
            )
        )
    if side.things:
        names = [thing.name for thing in found.sides[1 - k].things]
        order = pieces.order(side.things)
        paths = tag("g", *(_shape(k, thing, names, thing.index == order[0]) for thing in side.things), class_="shapes")
        numbers = (_disc(k, thing) for thing in reversed(side.things) if thing.numbered)
        drawn += [
            tag("g", class_="cases", aria_hidden="true"),
            paths,
            tag("g", *numbers, class_="discs", aria_hidden="true"),
        ]
        drawn.append(tag("g", class_="links", aria_hidden="true"))
    count = f"{pieces.many(len(side.things), 'object')}, " if found.sum is not None else ""
    caption = tag(
        "figcaption",
        tag("b", ("Reference", "Image")[k]),
        " ",
        pieces.name_of(side),
        tag("span", f" {count}{side.size[1]} × {side.size[0]} px", class_="quiet"),
    )
    view = tag(
        "svg",
        *drawn,
        viewBox=f"0 0 {w} {h}",
        width=w,
        height=h,
        class_="view",
        data_s=k,
        role="group" if side.things else "img",
        aria_label=("Reference", "Image")[k] + (": its objects, from the one that adds most" if side.things else ""),
    )
    return tag("figure", caption, view)


def _shape(k: int, thing: Thing, names: Sequence[str], first: bool) -> Markup:
    if thing.match is None:
        words = f"Object {thing.name}, without a match"
    else:
        words = f"Object {thing.name}, matched with {names[thing.match]}, adds {pieces.thousandths(thing.adds or 0.0)}"
    if thing.label is not None:
        words += f", {thing.label}"
    kind = pieces.kind_of(thing)
    return tag(
        "path",
        id=f"o{k}-{thing.index}",
        d=thing.outline,
        class_=f"o {kind}",
        stroke_opacity=None if thing.member == 1.0 else round(_FAINTEST + (1.0 - _FAINTEST) * thing.member, 2),
        data_i=thing.index,
        tabindex="0" if first else "-1",
        role="button",
        aria_label=words,
    )


def _disc(k: int, thing: Thing) -> Markup:
    x, y = thing.place
    return tag(
        "g",
        tag("circle", r=10),
        tag("text", thing.name),
        class_=f"disc {pieces.kind_of(thing)}",
        transform=f"translate({x:g} {y:g})",
        data_i=thing.index,
    )


def legends(found: Explanation) -> Markup:
    """The scale of each map; the script shows the one whose map is shown."""
    return Markup("".join(map(_legend, found.overlays)))


def _legend(overlay: Overlay) -> Markup:
    ends = [(overlay.low, "the same"), (overlay.high, "different")]
    if not overlay.bright_is_high:
        ends = [(overlay.low, "different"), (overlay.high, "the same")]
    (low, left), (high, right) = ends
    scale = tag(
        "div",
        tag("span", f"{pieces.minus(f'{low:.2f}')} {left}"),
        tag("img", src=pieces.data_png(gradient(overlay.bright_is_high)), alt="", width=160, height=12),
        tag("span", f"{pieces.minus(f'{high:.2f}')} {right}"),
        class_="scale",
    )
    mean = tag("span", f"Mean {pieces.thousandths(overlay.mean)}. ", class_="mean")
    here = tag("output", "", class_="here")
    return tag("div", scale, tag("p", overlay.words + " ", mean, here), class_="legend", data_map=overlay.metric)


def _panel(found: Explanation) -> Markup | None:
    if found.sum is None:
        return None
    if not any(side.things for side in found.sides):
        return tag("aside", tag("p", "No objects were found in either image."))
    hint = (
        tag("h2", "An object's part")
        + tag(
            "p",
            "Point at an object, or reach it with Tab and the arrow keys. Its match lights up in the other image, with "
            "its relations, its similarity, what it adds and what it loses. Click or Enter keeps it; Esc lets go.",
        )
        + tag(
            "ul",
            tag("li", f"Same colour: the matches that add most, {MOST_NUMBERED} at most."),
            tag("li", "Thin white line: other matches."),
            tag("li", "Dashed line, grey number: objects without a real counterpart."),
            tag("li", "Fainter: less surely an object, and counts for less.")
            if any(thing.member < 1.0 for side in found.sides for thing in side.things)
            else None,
            tag(
                "li",
                "Numbers: each image's objects by size, 1 the largest; 3 ↔ 5 is the reference's 3 and the image's 5.",
            ),
            class_="key",
        )
    )
    return tag(
        "aside", tag("div", hint, id="hint"), tag("div", id="object", hidden=True), id="panel", aria_live="polite"
    )
