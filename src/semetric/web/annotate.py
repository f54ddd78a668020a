"""The annotators' side: the page, its images, answers and undo."""

from __future__ import annotations

import hashlib
import logging
import re
import sys
from typing import Any, Literal

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from semetric.errors import UsageError
from semetric.learn.judgements.assignment import Assigner, Assignment
from semetric.learn.judgements.images import MEDIA, locate
from semetric.learn.judgements.records import Annotator, Answer, Study
from semetric.learn.judgements.store import JudgementStore
from semetric.templating import page
from semetric.web.sessions import SESSION, Sessions, Visitor, json_of
from semetric.web.writer import Readers, Writer

__all__ = ["Annotation"]

_MOST_AHEAD = 8
_LEASED_IMAGE = """
SELECT l.shown_left, r.path, r.sha256, r.media, a.path, a.sha256, a.media, b.path, b.sha256, b.media FROM leases l
JOIN items i ON i.id = l.item_id JOIN images r ON r.id = i.reference_id JOIN images a ON a.id = i.a_id
LEFT JOIN images b ON b.id = i.b_id WHERE l.uid = ? AND l.annotator_id = ?
"""


class Annotation:
    """Routes of a study's annotators.

    Args:
        sessions: who is who.
        writer, readers: the study file.
        rng: seeds nothing else: the order of items and the sides of images.
    """

    def __init__(self, sessions: Sessions, writer: Writer, readers: Readers, rng: Any) -> None:
        self.sessions = sessions
        self.writer = writer
        self.readers = readers
        self.rng = rng

    def routes(self) -> list[Route]:
        """What an annotator can ask for."""
        return [
            Route("/join/{token}", self.join),
            Route("/annotate", self.page),
            Route("/annotate/next", self.next, methods=["POST"]),
            Route("/annotate/answer", self.answer, methods=["POST"]),
            Route("/annotate/undo", self.undo, methods=["POST"]),
            Route("/image/{uid}/{slot}", self.image),
        ]

    async def join(self, request: Request) -> Response:
        """A signed link becomes a session."""
        entered = self.sessions.enter(request, "link", SESSION, "/annotate")
        return entered or HTMLResponse(page("web/no_link.html", expired=True), 403)

    async def page(self, request: Request) -> Response:
        """The page on which a study is judged."""
        visitor = self.sessions.visitor(request)
        if visitor is None:
            return RedirectResponse("/", 303)
        paragraphs = [part.strip() for part in re.split(r"\n\s*\n", visitor.study.instructions) if part.strip()]
        return HTMLResponse(
            page(
                "web/annotate.html",
                study=visitor.study,
                name=visitor.annotator.name,
                form_token=visitor.form_token,
                paragraphs=paragraphs,
            )
        )

    async def next(self, request: Request) -> Response:
        """The items that the annotator holds, the one to show first."""
        visitor = self.sessions.sender(request)
        count = (await json_of(request)).get("count")
        if type(count) is not int or not 1 <= count <= _MOST_AHEAD:
            raise HTTPException(400, f"Expected a count of 1 to {_MOST_AHEAD}.")
        state = await self.writer.run(lambda store: self._state(store, visitor, count), durable=False)
        return JSONResponse(state)

    async def answer(self, request: Request) -> Response:
        """Stores an answer; the same again is answered alike and stored once."""
        visitor = self.sessions.sender(request)
        sent = await json_of(request)
        uid, seconds = _uid(sent), sent.get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds <= sys.float_info.max:
            raise HTTPException(400, "Expected seconds of at least 0.")
        by_side = _said(sent)

        def work(store: JudgementStore) -> dict[str, Any]:
            assigner = Assigner(store, self.rng)
            answer = _by_side(store, visitor.annotator, uid, by_side, visitor.study)
            _, new = assigner.answer(visitor.study, visitor.annotator, uid, answer, float(seconds))
            return {"new": new, **_progress(assigner, visitor)}

        return JSONResponse(await self.writer.run(work))

    async def undo(self, request: Request) -> Response:
        """Takes the named judgement back; its item comes again, first."""
        visitor = self.sessions.sender(request)
        uid = _uid(await json_of(request))

        def work(store: JudgementStore) -> dict[str, Any]:
            Assigner(store, self.rng).undo(visitor.study, visitor.annotator, uid)
            return self._state(store, visitor, _MOST_AHEAD // 2)

        return JSONResponse(await self.writer.run(work))

    async def image(self, request: Request) -> Response:
        """An image of an item that the annotator holds, by its place on the page: no path ever comes from outside."""
        visitor = self.sessions.visitor(request)
        if visitor is None:
            raise HTTPException(401, "Your link has run out. Ask for a new one.")
        uid, slot = request.path_params["uid"], request.path_params["slot"]

        def work(store: JudgementStore) -> tuple[bytes | None, str]:
            row = store.row(_LEASED_IMAGE, (uid, visitor.annotator.id))
            image = None if row is None else _in_slot(row, slot, visitor.study.kind)
            if image is None:
                raise HTTPException(404, "There is no such image.")
            path, sha256, media = image
            return _content(store, visitor.study, path, sha256), media

        content, media = await self.readers.run(work)
        if content is None or media not in MEDIA:
            raise HTTPException(409, "This image is missing, or has changed since it was added to the study.")
        return Response(content, media_type=media, headers={"Cache-Control": "private, max-age=3600"})

    def _state(self, store: JudgementStore, visitor: Visitor, count: int) -> dict[str, Any]:
        assigner = Assigner(store, self.rng)
        held = assigner.assign(visitor.study, visitor.annotator, count)
        return {"items": [_item(one, visitor.study) for one in held], **_progress(assigner, visitor)}


def _progress(assigner: Assigner, visitor: Visitor) -> dict[str, Any]:
    progress = assigner.progress(visitor.study, visitor.annotator)
    return {"done": progress.done, "goal": progress.goal, "last": assigner.last(visitor.annotator)}


def _item(held: Assignment, study: Study) -> dict[str, Any]:
    """What the browser gets to know: where images are, and nothing of which is which."""
    slots = ("left", "right") if study.kind == "same" else ("reference", "left", "right")
    return {"uid": held.uid, "images": {slot: f"/image/{held.uid}/{slot}" for slot in slots}}


def _said(sent: dict[str, Any]) -> Answer:
    """What the browser sends, which knows left and right alone; here a stands for left and b for right."""
    side = sent.get("choice")
    if side not in (None, "left", "right"):
        raise HTTPException(400, "Expected the choice left or right.")
    choice: Literal["a", "b"] | None = None if side is None else "a" if side == "left" else "b"
    return Answer(choice=choice, score_a=sent.get("score_left"), score_b=sent.get("score_right"), same=sent.get("same"))


def _by_side(store: JudgementStore, annotator: Annotator, uid: str, by_side: Answer, study: Study) -> Answer:
    """The answer about a and b of an answer about left and right."""
    row = store.row("SELECT shown_left FROM leases WHERE uid = ? AND annotator_id = ?", (uid, annotator.id))
    if row is None or row[0] != "b" or study.kind == "same":
        return by_side
    if by_side.choice is not None:
        return Answer(choice="a" if by_side.choice == "b" else "b")
    return Answer(score_a=by_side.score_b, score_b=by_side.score_a) if by_side.score_a is not None else by_side


def _in_slot(row: tuple[Any, ...], slot: str, kind: str) -> tuple[str, str, str] | None:
    shown_left, reference, a, b = row[0], row[1:4], row[4:7], row[7:10]
    if kind == "same":
        pair = (reference, a) if shown_left == "reference" else (a, reference)
        return {"left": pair[0], "right": pair[1]}.get(slot)
    left, right = (a, b) if shown_left == "a" else (b, a)
    return {"reference": reference, "left": left, "right": right}.get(slot)


def _content(store: JudgementStore, study: Study, path: str, sha256: str) -> bytes | None:
    try:
        content = locate(store.root(study), path).read_bytes()
    except (OSError, UsageError):
        content = b""
    if hashlib.sha256(content).hexdigest() == sha256:
        return content
    logging.getLogger("semetric").error(
        "%s of study %r is missing, or has changed since it was added; bring the old file back", path, study.name
    )
    return None


def _uid(sent: dict[str, Any]) -> str:
    uid = sent.get("uid")
    if not isinstance(uid, str) or not (0 < len(uid) <= 64 and uid.isprintable()):
        raise HTTPException(400, "Expected the uid of an item.")
    return uid
