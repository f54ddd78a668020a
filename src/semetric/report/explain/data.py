"""What the page shows, gathered from scores: plain values, no markup."""

from __future__ import annotations

import importlib.metadata
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from semetric.image import Picture
from semetric.image.resample import resize
from semetric.metrics.registry import METRICS
from semetric.report.account import Account, account_of
from semetric.report.bars import Bar, bar_of
from semetric.report.drawing import file_name, object_mask
from semetric.report.explain.contours import outlines
from semetric.report.palette import object_colour
from semetric.report.places import label_points
from semetric.scene.matching import Matching, MatchingSettings
from semetric.scene.predicates import PREDICATES

if TYPE_CHECKING:
    from semetric.metrics.base import Score
    from semetric.report.explain.maps import Overlay
    from semetric.scene.graph import SceneGraph
    from semetric.scoring import Scores

__all__ = ["Counted", "Explanation", "Pair", "Relation", "ScoreRow", "Side", "Sum", "Thing", "gather"]

LONGEST_SIDE = 1024  # px of an image on the page; the working size is at most 800 px wide
MOST_NUMBERED = 12  # matches whose numbers stand on the images: as many as there are colours
LEAST_NUMBERED = 0.001  # that a match must add to SeSS for that
MOST_RELATIONS = 100  # of an image: those that weigh most
MOST_ALONE = 6  # objects without a match whose numbers stand on an image
LEAST_ALONE = 0.02  # importance of such
_JPEG_QUALITY = 92
_PLACING_SIDE = 400  # px; places of numbers are sought on masks of at most this side
_LABEL_SHARE = 0.027  # radius of a number's disc in the image's longer side


@dataclass(frozen=True, kw_only=True)
class Counted:
    """The object of the other image with which an object is counted in the matching by its own importance."""

    index: int
    similarity: float


@dataclass(frozen=True, kw_only=True)
class Thing:
    """One object.

    Attributes:
        index: its place in the graph, from 0.
        name: its number on pictures: index + 1, as in `semetric graph`.
        rank: from 0: matches by what they add, then the others by importance.
        match: index of its counterpart in the other graph; None where it has none.
        colour: "#RRGGBB", of the matches that add most, the same for both ends; None for others.
        numbered: whether its number always stands on the image.
        outline: SVG path in pixels of the working image.
        place: x, y of its number.
        label: what it is, with the probability ("cup .71"); None where the encoder is not sure of it.
        member: how far it counts as an object, in [0, 1].
        importance: of the graph's objects together 1, in graded graphs the share that objects hold.
        area: share of the image.
        adds: what the pair with its match adds to SeSS; None without one.
        stake: what it can give to SeSS (see `Account`).
        kept: what it gives.
        counted: with whom; None where the other image has fewer objects.
        before: similarity to its match before the iterations.
        after: similarity after them, which is what counts.
        nearest: the object of the other image that is most similar after the iterations, and how much.
    """

    index: int
    name: str
    rank: int
    match: int | None
    colour: str | None
    numbered: bool
    outline: str
    place: tuple[float, float]
    label: str | None
    member: float
    importance: float
    area: float
    adds: float | None
    stake: float
    kept: float
    counted: Counted | None
    before: float | None
    after: float | None
    nearest: tuple[int, float] | None


@dataclass(frozen=True, kw_only=True)
class Relation:
    """One relation of an image.

    Attributes:
        subject: index of an object.
        target: index of an object.
        predicate: in words.
        probability: in (0, 1].
        kept: "same" where the matched objects have it too, "other" where they have another, "none" where they
            have none, "unmatched" where an end has no match.
        there: the predicate between the matched objects, where they have one.
    """

    subject: int
    target: int
    predicate: str
    probability: float
    kept: str
    there: str | None


@dataclass(frozen=True, kw_only=True)
class Side:
    """One image.

    Attributes:
        role: "reference" or "image".
        name: of the file.
        size: (H, W) in pixels of the image that was scored.
        view: (H, W) of the drawing's coordinates, which are the working image's pixels.
        kind: "png" or "jpeg".
        encoded: the file's bytes as the page holds them.
        notes: what reading it took.
        things: its objects, the largest first; empty without SeSS.
        relations: those that weigh most, by probability and the importance of their ends; of a directed pair one.
        every_relation: how many the graph has.
        outside: share of the image's importance that no object holds.
    """

    role: str
    name: str
    size: tuple[int, int]
    view: tuple[int, int]
    kind: str
    encoded: bytes = field(repr=False)
    notes: Sequence[str] = ()
    things: Sequence[Thing] = ()
    relations: Sequence[Relation] = ()
    every_relation: int = 0
    outside: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two objects whose similarity is part of the score; `shown` where they are each other's match on the page."""

    first: int
    second: int
    adds: float
    before: float
    after: float
    shown: bool


@dataclass(frozen=True, kw_only=True)
class Sum:
    """How SeSS adds up: the pairs, by what they add, and the whole images' part.

    score is (1 − gamma)·graph_score + gamma·image_similarity; moved says by how much the iterations, through which
    relations enter, changed what the objects give. iterates says whether similarities were updated by their
    neighbours', as in every variant but graded.
    """

    iterates: bool
    score: float
    pairs: Sequence[Pair]
    image_similarity: float
    least_similarity: float
    image_adds: float
    graph_score: float
    gamma: float
    moved: float


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """One metric's score, and what a reader needs to know of it."""

    bar: Bar
    range: tuple[float | None, float | None]
    weights: Mapping[str, str]
    details: Mapping[str, object]
    summary: str
    paper: str


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """All of the page's content."""

    version: str
    profile: str
    sides: tuple[Side, Side]
    scores: Sequence[ScoreRow]
    errors: Mapping[str, str]
    sum: Sum | None
    overlays: Sequence[Overlay] = ()


def gather(scores: Scores, reference: Picture, image: Picture, overlays: Sequence[Overlay] = ()) -> Explanation:
    """Collects what the page shows.

    Args:
        scores: of this pair; the artefacts of sess, where it was scored, hold graphs and matching.
        reference: the first image, as it was scored.
        image: the second.
        overlays: maps of where the two differ.
    """
    sess = scores.scores.get("sess")
    graphs: tuple[SceneGraph, SceneGraph] | None = sess.artefacts.get("graphs") if sess else None
    matching: Matching | None = sess.artefacts.get("matching") if sess else None
    account = account_of(matching) if graphs and matching is not None else None
    sides = []
    for k, (role, picture) in enumerate((("reference", reference), ("image", image))):
        view = graphs[k].size if graphs else _bounded(picture.size)
        kind, encoded = _encoded(picture, _bounded(view))
        things = _things(graphs[k], matching, account, k) if graphs and matching is not None and account else []
        relations = _relations(graphs[k], graphs[1 - k], [t.match for t in things]) if graphs and account else []
        sides.append(
            Side(
                role=role,
                name=_clean(file_name(picture.name)),
                size=picture.size,
                view=view,
                kind=kind,
                encoded=encoded,
                notes=[_clean(note) for note in scores.notes.get(role, ())],
                things=things,
                relations=relations,
                every_relation=len(graphs[k].triplets) if graphs else 0,
                outside=max(0.0, 1.0 - float(graphs[k].importance.sum())) if graphs and things else 0.0,
            )
        )
    return Explanation(
        version=_version(),
        profile=_clean(scores.profile),
        sides=(sides[0], sides[1]),
        scores=[_row(score) for score in scores.scores.values()],
        errors={_clean(name): _clean(str(error)) for name, error in scores.errors.items()},
        sum=_sum(matching, account) if matching is not None and account else None,
        overlays=overlays,
    )


def _things(graph: SceneGraph, matching: Matching, account: Account, side: int) -> list[Thing]:
    n = len(graph)
    members = graph.membership
    match = account.match(side)
    ranked = account.counterparts[:, side].tolist()
    adds = dict(zip(ranked, account.adds.tolist(), strict=True))
    colours: list[str | None] = [None] * n
    for rank, i in enumerate(ranked[:MOST_NUMBERED]):
        colours[i] = object_colour(rank) if adds[i] >= LEAST_NUMBERED else None
    alone = account.alone(side, graph.importance)
    ranks = {i: rank for rank, i in enumerate([*ranked, *alone])}
    numbered = {i for i in range(n) if colours[i]}
    numbered |= {i for i in alone[:MOST_ALONE] if graph.importance[i] >= LEAST_ALONE}
    initial = matching.initial if side == 0 else matching.initial.T
    final = matching.final if side == 0 else matching.final.T
    masks = [object_mask(graph, i) for i in range(n)]
    paths = outlines(masks)
    places = _places(masks, sorted(numbered, key=lambda i: ranks[i]), graph)
    things = []
    for i in range(n):
        j = match[i]
        best = int(final[i].argmax()) if final.shape[1] else None
        partner = int(account.partners[side][i])
        things.append(
            Thing(
                index=i,
                name=str(i + 1),
                rank=ranks[i],
                match=j,
                colour=colours[i],
                numbered=i in numbered,
                outline=paths[i],
                place=places[i],
                label=graph.label(i),
                member=float(members[i]),
                importance=float(graph.importance[i]),
                area=float(graph.areas[i]),
                adds=adds.get(i),
                stake=float(account.stakes[side][i]),
                kept=float(account.kept[side][i]),
                counted=None if partner < 0 else Counted(index=partner, similarity=float(final[i, partner])),
                before=None if j is None else float(initial[i, j]),
                after=None if j is None else float(final[i, j]),
                nearest=None if best is None else (best, float(final[i, best])),
            )
        )
    return things


def _places(masks: list[NDArray[np.bool_]], numbered: list[int], graph: SceneGraph) -> list[tuple[float, float]]:
    """x, y of each object's number: with care for those that always show it, else near its centre."""
    h, w = graph.size
    step = max(1, -(-max(h, w) // _PLACING_SIDE))
    radius = _LABEL_SHARE * max(h, w)
    careful = dict(
        zip(numbered, label_points([masks[i][::step, ::step] for i in numbered], radius / step) * step, strict=True)
    )
    margin = np.minimum(radius, np.array([w, h]) / 2)
    places = []
    for i, mask in enumerate(masks):
        y, x = graph.centres[i] * (h, w)
        if i in careful:
            x, y = careful[i]
        elif not mask[min(int(y), h - 1), min(int(x), w - 1)] and mask.any():
            inside = np.argwhere(mask)
            y, x = inside[np.argmin(np.abs(inside - (y, x)).sum(axis=1))] + 0.5
        x, y = np.clip((x, y), margin, np.array([w, h]) - margin).tolist()
        places.append((round(x, 1), round(y, 1)))
    return places


def _relations(graph: SceneGraph, other: SceneGraph, match: Sequence[int | None]) -> list[Relation]:
    there = other.relations
    found = []
    weight = graph.probabilities * np.sqrt(graph.importance[graph.triplets[:, :2]].prod(axis=1))  # (E,)
    strongest: dict[tuple[int, int], int] = {}  # directed pair → row
    for row in np.argsort(-graph.probabilities, kind="stable").tolist():
        strongest.setdefault((int(graph.triplets[row, 0]), int(graph.triplets[row, 1])), row)
    for row in sorted(strongest.values(), key=lambda row: -weight[row])[:MOST_RELATIONS]:
        subject, target, predicate = graph.triplets[row].tolist()
        ends = match[subject], match[target]
        twin = -1 if ends[0] is None or ends[1] is None else int(there[ends[0], ends[1]])
        if ends[0] is None or ends[1] is None:
            kept = "unmatched"
        else:
            kept = "same" if twin == predicate else "other" if twin >= 0 else "none"
        found.append(
            Relation(
                subject=subject,
                target=target,
                predicate=PREDICATES[predicate],
                probability=float(graph.probabilities[row]),
                kept=kept,
                there=PREDICATES[twin] if twin >= 0 else None,
            )
        )
    return found


def _sum(matching: Matching, account: Account) -> Sum:
    shown = {tuple(pair) for pair in account.counterparts.tolist()}
    return Sum(
        iterates=isinstance(matching.settings, MatchingSettings),
        score=matching.score,
        pairs=[
            Pair(
                first=i,
                second=j,
                adds=float(adds),
                before=float(matching.initial[i, j]),
                after=float(matching.final[i, j]),
                shown=(i, j) in shown,
            )
            for (i, j), adds in zip(matching.pairs.tolist(), matching.contributions, strict=True)
        ],
        image_similarity=matching.image_similarity,
        least_similarity=matching.least_similarity,
        image_adds=matching.image_contribution,
        graph_score=matching.graph_score,
        gamma=account.gamma,
        moved=account.moved,
    )


def _row(score: Score) -> ScoreRow:
    kind = METRICS.get(score.metric)
    return ScoreRow(
        bar=bar_of(score),
        range=score.range,
        weights={_clean(role): _clean(identity) for role, identity in score.weights.items()},
        details=score.details,
        summary=kind.summary if kind else "",
        paper=kind.paper if kind and kind.paper != "–" else "",
    )


def _bounded(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, LONGEST_SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _encoded(picture: Picture, size: tuple[int, int]) -> tuple[str, bytes]:
    """The picture at that size as PNG or JPEG, whichever is smaller."""
    from PIL import Image

    shown = Image.fromarray(np.ascontiguousarray(resize(picture.to_uint8(), size, resample="lanczos")))
    jpeg, png = io.BytesIO(), io.BytesIO()
    shown.save(jpeg, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    shown.save(png, "PNG")
    if len(png.getbuffer()) <= len(jpeg.getbuffer()):
        return "png", png.getvalue()
    return "jpeg", jpeg.getvalue()


def _clean(text: str) -> str:
    """The text with what UTF-8 or a browser cannot hold replaced: lone surrogates, control characters."""
    return "".join(c if c.isprintable() else "□" for c in text.encode("utf-8", "replace").decode("utf-8"))


def _version() -> str:
    try:
        return importlib.metadata.version("semetric")
    except importlib.metadata.PackageNotFoundError:  # a source tree that was never installed
        return "unknown"
