"""What the page shows, gathered from scores: plain values, no markup."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from semetric.image import Picture
from semetric.image.resample import resize
from semetric.metrics.registry import METRICS
from semetric.report.account import Account, SceneObject, account_of
from semetric.report.bars import Bar, bar_of
from semetric.report.contours import outlines
from semetric.report.drawing import file_name, object_mask
from semetric.report.places import label_points
from semetric.scene.predicates import PREDICATES

if TYPE_CHECKING:
    from semetric.metrics.base import Score
    from semetric.report.explain.maps import Overlay
    from semetric.scene.graph import SceneGraph
    from semetric.scoring import Scores

__all__ = ["Explanation", "Relation", "ScoreRow", "Side", "gather"]

LONGEST_SIDE = 1024  # px of an image on the page; the working size is at most 800 px wide
MOST_RELATIONS = 100  # of an image: those that weigh most
_JPEG_QUALITY = 92
_PLACING_SIDE = 400  # px; places of numbers are sought on masks of at most this side
_LABEL_SHARE = 0.027  # radius of a number's disc in the image's longer side


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
        notes: conversions made when it was read.
        objects: its objects, the largest first; empty without SeSS.
        outlines: of each an SVG path in pixels of the working image.
        places: of each x, y of its number, in pixels of the working image.
        relations: the strongest, by probability and the importance of their ends; of a directed pair one.
        every_relation: number of relations in the graph.
        outside: share of the image's importance that no object holds.
    """

    role: str
    name: str
    size: tuple[int, int]
    view: tuple[int, int]
    kind: str
    encoded: bytes = field(repr=False)
    notes: Sequence[str] = ()
    objects: Sequence[SceneObject] = ()
    outlines: Sequence[str] = ()
    places: Sequence[tuple[float, float]] = ()
    relations: Sequence[Relation] = ()
    every_relation: int = 0
    outside: float = 0.0

    @property
    def ranked(self) -> list[SceneObject]:
        """Its objects: matches by what they add, then the others by importance."""
        return sorted(self.objects, key=lambda one: one.rank)


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """One metric's score with its bar.

    Attributes:
        bar: the score as a bar.
        score: the score itself.
        summary: what the metric measures, and its paper; empty for a metric that is not registered.
    """

    bar: Bar
    score: Score
    summary: str


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """All of the page's content.

    Attributes:
        version: of semetric.
        profile: name of the scores' profile.
        sides: the reference and the image.
        scores: a row a metric.
        errors: metric → why it gave no score.
        account: of SeSS; None without it.
        overlays: maps of where the two images differ.
    """

    version: str
    profile: str
    sides: tuple[Side, Side]
    scores: Sequence[ScoreRow]
    errors: Mapping[str, str]
    account: Account | None
    overlays: Sequence[Overlay] = ()


def gather(scores: Scores, reference: Picture, image: Picture, overlays: Sequence[Overlay] = ()) -> Explanation:
    """Collects what the page shows.

    Args:
        scores: of this pair; the artefacts of sess, where it was scored, hold graphs and matching.
        reference: the first image, as it was scored.
        image: the second.
        overlays: maps of where the two differ.
    """
    account = account_of(scores.scores.get("sess"))
    return Explanation(
        version=version("semetric"),
        profile=_clean(scores.profile),
        sides=(_side(0, reference, scores, account), _side(1, image, scores, account)),
        scores=[_row(score) for score in scores.scores.values()],
        errors={_clean(name): _clean(str(error)) for name, error in scores.errors.items()},
        account=account,
        overlays=overlays,
    )


def _side(k: int, picture: Picture, scores: Scores, account: Account | None) -> Side:
    role = ("reference", "image")[k]
    view = account.graphs[k].size if account else _bounded(picture.size)
    kind, encoded = _encoded(picture, _bounded(view))
    side = Side(
        role=role,
        name=_clean(file_name(picture.name)),
        size=picture.size,
        view=view,
        kind=kind,
        encoded=encoded,
        notes=[_clean(note) for note in scores.notes.get(role, ())],
    )
    if account is None:
        return side
    graph, objects = account.graphs[k], account.objects[k]
    masks = [object_mask(graph, i) for i in range(len(graph))]
    numbered = [one.index for one in sorted(objects, key=lambda one: one.rank) if one.numbered]
    return replace(
        side,
        objects=objects,
        outlines=outlines(masks),
        places=_places(masks, numbered, graph),
        relations=_relations(graph, account.graphs[1 - k], [one.match for one in objects]),
        every_relation=len(graph.triplets),
        outside=account.outside(k),
    )


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
    relations = []
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
        relations.append(
            Relation(
                subject=subject,
                target=target,
                predicate=PREDICATES[predicate],
                probability=float(graph.probabilities[row]),
                kept=kept,
                there=PREDICATES[twin] if twin >= 0 else None,
            )
        )
    return relations


def _row(score: Score) -> ScoreRow:
    kind = METRICS.get(score.metric)
    paper = f" ({kind.paper})" if kind and kind.paper != "–" else ""
    return ScoreRow(bar=bar_of(score), score=score, summary=f"{kind.summary}{paper}" if kind else "")


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
