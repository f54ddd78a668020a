"""Who sends a request: cookies, form tokens and small JSON bodies."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from semetric.learn.judgements.records import Annotator, Study
from semetric.learn.judgements.store import JudgementStore
from semetric.web.signing import DAY_S, Signer

__all__ = ["ADMIN", "ADMIN_LIFETIME_S", "SESSION", "Sessions", "Visitor", "body_of", "json_of"]

SESSION = "semetric_session"
ADMIN = "semetric_admin"
ADMIN_LIFETIME_S = DAY_S
_JSON_BYTES = 16_384
_BODY_S = 10.0  # for a body to come, and as many seconds more as it takes at _SLOWEST
_SLOWEST = 50_000  # bytes a second: a bad mobile connection


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """An annotator who came by a signed link.

    Attributes:
        study: in which they judge.
        annotator: who they are.
        form_token: for the page's requests.
    """

    study: Study
    annotator: Annotator
    form_token: str


class Sessions:
    """Turns signed links into cookies and cookies into people.

    Args:
        signer: with the study file's secret.
        store: asked at every request whether a person's link still holds; None where there is no study.
        secure: cookies go over HTTPS alone.
    """

    def __init__(self, signer: Signer, store: JudgementStore | None, *, secure: bool) -> None:
        self.signer = signer
        self._store = store
        self._secure = secure
        self._studies: dict[int, Study] = {}

    def enter(self, request: Request, purpose: str, cookie: str, place: str) -> Response | None:
        """A redirection that sets the cookie of a link's token; None where the token does not hold, or was revoked.

        The same link gives the same cookie, so that pages opened by it before go on.
        """
        token = str(request.path_params["token"])
        exchanged = self.signer.exchange(purpose, token, cookie)
        if exchanged is None or (cookie == SESSION and self._person(self.signer.read(purpose, token)) is None):
            return None
        session, lifetime = exchanged
        answer = RedirectResponse(place, status_code=303)
        answer.set_cookie(
            self._name(cookie),
            session,
            max_age=int(lifetime),
            httponly=True,
            samesite="lax",  # strict would lose the cookie on the redirection from a link in a mail
            secure=self._secure,
        )
        return answer

    def visitor(self, request: Request) -> Visitor | None:
        """The annotator of a request; None without a session that holds."""
        cookie = request.cookies.get(self._name(SESSION))
        person = self._person(self.signer.read(SESSION, cookie))
        if person is None or cookie is None:
            return None
        return Visitor(study=person[0], annotator=person[1], form_token=self.signer.form_token(cookie))

    def sender(self, request: Request) -> Visitor:
        """The annotator of a request that changes something.

        Raises:
            HTTPException: 401 without a session, 403 without its form token.
        """
        visitor = self.visitor(request)
        if visitor is None:
            raise HTTPException(401, "Your link has run out. Ask for a new one.")
        self._check_form(request, SESSION)
        return visitor

    def admin_token(self, request: Request) -> str | None:
        """The form token of an administrator's pages; None for anybody else."""
        cookie = request.cookies.get(self._name(ADMIN))
        if cookie is None or self.signer.read(ADMIN, cookie) is None:
            return None
        return self.signer.form_token(cookie)

    def check_admin(self, request: Request) -> None:
        """Raises HTTPException: 401 for anybody but an administrator, 403 for a change without the form token."""
        if self.admin_token(request) is None:
            raise HTTPException(401, "Open the administrator's link that the server printed when it was started.")
        if request.method == "POST":
            self._check_form(request, ADMIN)

    def _check_form(self, request: Request, cookie: str) -> None:
        if not self.signer.form_token_holds(request.cookies[self._name(cookie)], request.headers.get("x-form-token")):
            raise HTTPException(403, "This page is out of date. Load it again.")

    def _name(self, cookie: str) -> str:
        """One of its own for each study file: a browser sends its cookies to every port of a host."""
        return f"{cookie}_{self.signer.label}"

    def _person(self, values: dict[str, Any] | None) -> tuple[Study, Annotator] | None:
        """Whom a token names; None where they are excluded, or their links were revoked since it was made."""
        if values is None or self._store is None:
            return None
        number = int(values["study"])
        if number not in self._studies:  # rows are never changed
            self._studies = {study.id: study for study in self._store.studies()}
        study, annotator = self._studies.get(number), self._store.annotator_numbered(int(values["annotator"]))
        if study is None or annotator is None or annotator.excluded_utc is not None:
            return None
        return (study, annotator) if values.get("revocations", 0) == annotator.revocations else None


async def body_of(request: Request, most: int) -> bytes:
    """The body, read no further and no longer than allowed.

    Raises:
        HTTPException: 413 where it is longer, 408 where it does not come.
    """
    announced = request.headers.get("content-length", "0")
    too_long = HTTPException(413, f"Expected at most {most / 1e6:g} MB.")
    if not announced.isdecimal() or len(announced) >= 20 or int(announced) > most:
        raise too_long
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_S + most / _SLOWEST):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise too_long
    except TimeoutError as error:
        raise HTTPException(408, "This came too slowly. Try again.") from error
    return bytes(body)


async def json_of(request: Request) -> dict[str, Any]:
    """The JSON object in a small body.

    Raises:
        HTTPException: 413 where it is long, 415 for another type, 400 where it is no object.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415, "Expected application/json.")
    try:
        content = json.loads(await body_of(request, _JSON_BYTES), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "Expected a JSON object.") from error
    if not isinstance(content, dict):
        raise HTTPException(400, "Expected a JSON object.")
    return content


def _refuse(name: str) -> float:
    raise ValueError(name)
