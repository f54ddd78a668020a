"""The page's tables: all scores, what adds up to SeSS, the relations, how the images were read."""

from __future__ import annotations

from collections.abc import Sequence

from semetric.markup import Markup, tag
from semetric.report.explain import pieces
from semetric.report.explain.data import MOST_NUMBERED, Explanation, Pair, Relation, ScoreRow, Sum, Thing
from semetric.report.strangers import LEGEND, measured

__all__ = ["reading", "relations", "scores", "total"]

_FEW_RELATIONS = 20  # shown at once
_LEAST_MOVED = 0.0005  # what relations must change of SeSS to be shown: half of its last digit
_KEPT = {
    "same": ("✓ same", "its match has the same relation"),
    "other": ("≈", "its match has another relation"),
    "none": ("– none", "its match has no relation there"),
    "unmatched": ("no match", "one of the two objects has no match"),
}


def scores(found: Explanation) -> Markup:
    """Every score with what a reader needs to know of it, and what gave none."""
    rows = [_score_row(row) for row in found.scores]
    missing = [
        tag("tr", tag("th", name, scope="row"), tag("td", reason, colspan="4")) for name, reason in found.errors.items()
    ]
    parts = []
    if rows:
        head = pieces.head("Metric", "Value", "Unlike … same", "Range", "Weights")
        parts.append(tag("table", head, tag("tbody", *rows), class_="scores"))
    if any(row.bar.strangers is not None for row in found.scores):
        known = measured()
        words = (
            f"{LEGEND}: {known['pairs']} pairs of {known['photos']} photos. A bar's length compares with its own mark, "
            "not with the bars of other metrics. No mark: not measured with these weights."
        )
        mark = tag(
            "svg", tag("path", d="M5 0V8", class_="mark"), viewBox="0 0 10 8", class_="sample", aria_hidden="true"
        )
        parts.append(tag("p", mark, " " + words[0].upper() + words[1:], class_="quiet strangers"))
    if missing:
        parts.append(tag("h3", "Not scored"))
        parts.append(tag("table", pieces.head("Metric", "Because"), tag("tbody", *missing), class_="missing"))
    return Markup("".join(parts)) if parts else tag("p", "No metric was asked for.")


def _score_row(row: ScoreRow) -> Markup:
    bar = row.bar
    drawn: Markup | None = None
    if bar.fraction is not None:
        drawn = (
            tag("span", bar.worst, class_="end")
            + pieces.bar(bar.fraction, "up" if bar.higher_is_better else "down", bar.strangers)
            + tag("span", bar.best, class_="end")
        )
    notes = [bar.note] if bar.note else []
    if bar.strangers is not None:
        notes.append(f"unrelated photos {bar.strangers_value}")
    better = "higher is better" if bar.higher_is_better else "lower is better"
    sees = row.summary + (f" ({row.paper})" if row.paper else "")
    details = "; ".join(f"{key}: {pieces.detail(value)}" for key, value in row.details.items())
    weights = [tag("li", tag("b", role), " ", tag("code", identity)) for role, identity in row.weights.items()]
    return tag(
        "tr",
        tag("th", bar.name, tag("span", sees, class_="sees"), scope="row"),
        tag("td", tag("span", bar.value, class_="value"), tag("span", f"{bar.arrow} {better}", class_="better")),
        tag("td", tag("div", drawn, class_="scale") if drawn else None, tag("span", "; ".join(notes), class_="quiet")),
        tag("td", tag("span", "Range ", class_="narrow"), pieces.interval(row.range), class_="range"),
        tag(
            "td",
            tag("ul", *weights) if weights else tag("span", "no network", class_="quiet"),
            tag("div", tag("span", details, class_="quiet")) if details else None,
            class_="weights",
        ),
    )


def total(found: Explanation) -> Markup | None:
    """What each pair adds, with the sum."""
    if found.sum is None:
        return None
    found_sum, (one, two) = found.sum, found.sides
    rows = [_pair_row(pair, found_sum, one.things, two.things) for pair in found_sum.pairs]
    most = MOST_NUMBERED
    similarity = "Similarity before → after" if found_sum.iterates else "Similarity"
    head = pieces.head("Reference and image", "Adds", "Share of SeSS", similarity, "Importance, reference and image")
    rest = sum(pair.adds for pair in found_sum.pairs[most:])
    words = f"{pieces.many(len(rows) - most, 'more pair')}, together {pieces.signed(rest)}"
    parts = [pieces.folded(head, rows, most, "parts", words)] if rows else []
    pairs = sum(pair.adds for pair in found_sum.pairs)
    parts.append(
        tag(
            "p",
            f"Objects {pieces.signed(pairs, 4)}, whole images {pieces.signed(found_sum.image_adds, 4)} "
            f"(their similarity is {pieces.thousandths(found_sum.image_similarity)}): together ",
            tag("strong", f"{pieces.minus(f'{pairs + found_sum.image_adds:.4f}')}"),
            f"; SeSS is {found_sum.score:.4f}.",
            class_="total",
        )
    )
    twice = (
        ""
        if not found_sum.iterates
        else "SeSS matches twice, once by the importance of the reference's objects and once by the image's, and "
        "averages. A pair adds its similarity after the iterations, weighted by the importance of its objects. Where "
        "the two matchings disagree, an object is in two pairs. "
    )
    intro = tag(
        "p",
        f"{twice}Matches (↔) are the choice, each object once, that adds most; pairs less alike than "
        f"{found_sum.least_similarity:g}, or that add little for their importance, count in the sum (+) but are no "
        "match.",
        class_="quiet",
    )
    heading = tag("h2", f"What each pair of objects adds to SeSS {pieces.thousandths(found_sum.score)}", id="adds")
    return tag("section", heading, intro, *parts, aria_labelledby="adds")


def _pair_row(pair: Pair, total: Sum, ones: Sequence[Thing], twos: Sequence[Thing]) -> Markup:
    most = max(other.adds for other in total.pairs)  # a full bar
    one, two = ones[pair.first], twos[pair.second]
    who = pieces.pair(one, two) if pair.shown else pieces.pair(one, two, "+")
    share = pair.adds / total.score if total.score > 0 else 0.0
    before = f"{pieces.hundredths(pair.before)} → " if total.iterates else ""
    length = pair.adds / most if most > 0 else 0.0
    return tag(
        "tr",
        tag("th", who, scope="row"),
        tag("td", pieces.signed(pair.adds), class_="number"),
        tag(
            "td",
            tag(
                "div", pieces.bar(min(max(length, 0.0), 1.0), "up"), tag("span", pieces.percent(share)), class_="scale"
            ),
        ),
        tag("td", before + pieces.hundredths(pair.after), class_="number"),
        tag("td", f"{pieces.percent(one.importance)}, {pieces.percent(two.importance)}", class_="number"),
        data_s=0,
        data_i=pair.first,
    )


def relations(found: Explanation) -> Markup | None:
    """The relations of both graphs; folded where they changed nothing, those of unmatched objects always.

    None without SeSS, and without relations.
    """
    if found.sum is None or not any(side.relations for side in found.sides):
        return None
    lists = []
    for k in (0, 1):
        side, other = found.sides[k], ("image", "reference")[k]
        between = [relation for relation in side.relations if relation.kept != "unmatched"]
        rest = [relation for relation in side.relations if relation.kept == "unmatched"]
        same = sum(relation.kept == "same" for relation in between)
        words = f"{same} of {pieces.many(len(between), 'relation')} between matches of the {side.role} return"
        title = tag("h3", words if between else f"No relation between matches in the {side.role}")
        head = pieces.head("Relation", "Probability", f"In the {other}")
        if side.every_relation > len(side.relations):
            words = f"Of {pieces.many(side.every_relation, 'relation')} the {len(side.relations)} that weigh most."
            title = title + tag("p", words, class_="quiet")
        rows = [_relation_row(k, relation, side.things) for relation in (*between, *rest)]
        most = min(len(between), _FEW_RELATIONS)
        if rows:
            title = title + pieces.folded(head, rows, most, "relations", f"{len(rows) - most} more")
        lists.append(tag("div", title))
    columns = tag("div", *lists, class_="two")
    if found.sum.iterates and abs(found.sum.moved) < _LEAST_MOVED:
        words = f"They changed SeSS by less than {_LEAST_MOVED:g}: show the relations of both images"
        columns = tag("details", tag("summary", words), columns)
    heading = tag("h2", "Relations of the objects, and whether the other image has them", id="related")
    return tag("section", heading, columns, aria_labelledby="related")


def _relation_row(k: int, relation: Relation, things: Sequence[Thing]) -> Markup:
    sign, words = _KEPT[relation.kept]
    if relation.kept == "other":
        sign = f"≈ {relation.there}"
    return tag(
        "tr",
        tag(
            "td",
            pieces.chip(k, things[relation.subject]),
            tag("span", f" {relation.predicate} ", class_="predicate"),
            pieces.chip(k, things[relation.target]),
        ),
        tag("td", pieces.hundredths(relation.probability), class_="number"),
        tag("td", sign, class_=f"kept {relation.kept}", title=words),
        data_s=k,
        data_i=relation.subject,
        data_j=relation.target,
    )


def reading(found: Explanation) -> Markup | None:
    """What reading the images took; None where it took nothing."""
    notes = [tag("li", pieces.name_of(side), f": {note}") for side in found.sides for note in side.notes]
    return tag("section", tag("h2", "How the two files were read"), tag("ul", *notes)) if notes else None
