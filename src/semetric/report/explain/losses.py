"""Where the rest of the score went: what each object loses, and how SeSS is composed."""

from __future__ import annotations

from semetric.markup import Markup, tag
from semetric.report.explain import pieces
from semetric.report.explain.data import Explanation, Sum, Thing

__all__ = ["alone", "lost"]

_FEW = 12  # objects shown at once
_MOST = 200  # objects in the table: a page of two full graphs has 1024
_NAMED = 5  # objects without a counterpart that the sentence on top names, an image
_LEAST_PERCENT = 0.5  # of the importance without a counterpart, to be worth a sentence
_ROLES = ("reference", "image")


def alone(found: Explanation) -> Markup | None:
    """The sentence on top: how much of the importance has no real counterpart; None where next to all has."""
    parts = []
    for side, role in zip(found.sides, _ROLES, strict=True):
        things = [side.things[i] for i in pieces.order(side.things) if side.things[i].match is None]
        if not things:
            continue
        names = ", ".join(thing.name for thing in things[:_NAMED]) + (" …" if len(things) > _NAMED else "")
        share = 100 * sum(thing.importance for thing in things)
        if share < _LEAST_PERCENT:
            continue
        noun = "object" if len(things) == 1 else "objects"
        parts.append((f"{share:.0f}% of the {role}'s importance has no real counterpart", f"{noun} {names}"))
    if not parts:
        return None
    words = "; ".join(f"{share}: {names}" for share, names in parts)
    return tag("p", words + ("" if words.endswith("…") else "."), class_="lead")


def lost(found: Explanation) -> Markup | None:
    """What each object takes from a score of 1, largest first, and how the score is composed; None without SeSS."""
    if found.sum is None:
        return None
    total = found.sum
    missing = 1.0 - total.score
    things = [(k, thing) for k, side in enumerate(found.sides) for thing in side.things]
    things.sort(key=lambda one: one[1].kept - one[1].stake)
    most = max((thing.stake - thing.kept for _, thing in things), default=0.0)
    rows = [_row(found, k, thing, most) for k, thing in things[:_MOST]]
    head = pieces.head("Object", "Counted with", "Importance", "Could give", "Gives", "Lost")
    rest = sum(thing.stake - thing.kept for _, thing in things[_FEW:])
    words = f"{pieces.many(len(things) - _FEW, 'more object')}, together {pieces.minus(f'{rest:.3f}')} lost"
    if len(things) > _MOST:
        words += f"; the first {_MOST - _FEW} of them"
    parts = [pieces.folded(head, rows, _FEW, "parts lost", words)] if rows else []
    gone = [sum(t.stake - t.kept for k, t in things if k == side) for side in (0, 1)]
    images = total.gamma * (1.0 - total.image_similarity)
    parts.append(
        tag(
            "p",
            f"Objects of the reference {_four(gone[0])}, objects of the image {_four(gone[1])}, whole images "
            f"{_four(images)}: together ",
            tag("strong", _four(sum(gone) + images)),
            f" lost; 1 − SeSS is {_four(missing)}.",
            class_="total",
        )
    )
    heading = tag("h2", f"What is missing from 1 ({pieces.thousandths(missing)}), object by object", id="lost")
    return tag("section", heading, *_composition(found, total), *parts, aria_labelledby="lost")


def _composition(found: Explanation, total: Sum) -> list[Markup]:
    """How the variant makes the score of objects and whole images."""
    if not total.iterates:
        formula = (
            f"SeSS = {_four(total.score - total.image_adds)} (objects and their relations) + {_four(total.image_adds)} "
            f"(whole images) = {_four(total.score)}"
        )
        words = (
            "An object could give its share of the importance. It gives as much of it as it is like its partner, and "
            "as its relations are there again between the partners; the rest is lost."
        )
        held = [pieces.percent(side.outside) for side in found.sides]
        outside = (
            f"Pixels that no object holds go to the whole images: {held[0]} of the reference's importance, {held[1]} "
            f"of the image's. So the whole images could give {pieces.thousandths(total.gamma)}; they are alike by "
            f"{pieces.thousandths(total.image_similarity)}."
        )
        return [tag("p", formula, class_="formula"), *(tag("p", line, class_="quiet") for line in (words, outside))]
    objects = (1.0 - total.gamma) * total.graph_score
    formula = (
        f"SeSS = {pieces.hundredths(1 - total.gamma)} × {_four(total.graph_score)} (objects) + "
        f"{pieces.hundredths(total.gamma)} × {_four(total.image_similarity)} (whole images) = "
        f"{_four(objects)} + {_four(total.image_adds)} = {_four(total.score)}"
    )
    counts = [len(side.things) for side in found.sides]
    if not sum(counts):
        return [tag("p", formula, class_="formula")]
    if abs(total.moved) < 5e-5:
        change = "left what the objects give as it was"
    else:
        change = (
            f"{'raised' if total.moved > 0 else 'lowered'} what the objects give from "
            f"{_four(objects - total.moved)} to {_four(objects)} ({pieces.signed(total.moved, 4)})"
        )
    relations = (
        "Relations are no term of their own: in every iteration the similarity of two objects moves towards how well "
        f"the objects they relate to, and the predicates, fit each other. Here the iterations {change}."
    )
    parts = [(1.0 - total.gamma) * count / sum(counts) for count in counts]
    shares = (
        f"The objects' {pieces.hundredths(1 - total.gamma)} is shared out by their number between the images "
        f"({pieces.thousandths(parts[0])} for the reference's {counts[0]}, {pieces.thousandths(parts[1])} for the "
        f"image's {counts[1]}), and within an image by importance. An object gives its share times its similarity to "
        "the object with which the matching by its own image's importance pairs it; the rest is lost."
    )
    return [tag("p", formula, class_="formula"), tag("p", relations, class_="quiet"), tag("p", shares, class_="quiet")]


def _row(found: Explanation, k: int, thing: Thing, most: float) -> Markup:
    others = found.sides[1 - k].things
    counted: Markup
    if thing.counted is None:
        counted = tag("span", "nothing: the other image has fewer objects", class_="quiet")
    else:
        partner = others[thing.counted.index]
        if thing.match == partner.index:
            said = "its match"
        elif thing.match is None:
            said = "no real counterpart"
        else:
            said = f"its match is {others[thing.match].name}"
        words = f" similarity {pieces.hundredths(thing.counted.similarity)}, {said}"
        counted = pieces.chip(1 - k, partner) + tag("span", words, class_="quiet")
    gone = thing.stake - thing.kept
    length = min(max(gone / most, 0.0), 1.0) if most > 0 else 0.0
    value = tag("span", pieces.minus(f"{gone:.3f}"))
    return tag(
        "tr",
        tag("th", pieces.chip(k, thing), tag("span", f" {_ROLES[k]}", class_="quiet"), scope="row"),
        tag("td", counted),
        tag("td", pieces.percent(thing.importance), class_="number"),
        tag("td", pieces.thousandths(thing.stake), class_="number"),
        tag("td", pieces.thousandths(thing.kept), class_="number"),
        tag("td", tag("div", pieces.bar(length, "down"), value, class_="scale")),
        data_s=k,
        data_i=thing.index,
    )


def _four(value: float) -> str:
    return pieces.minus(f"{value:.4f}")
