"""Who sends a request: cookies, form tokens and small JSON bodies."""

from __future__ import annotations

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
        store: read once a person; None where there is no study.
        secure: cookies go over HTTPS alone.
    """

    def __init__(self, signer: Signer, store: JudgementStore | None, *, secure: bool) -> None:
        self.signer = signer
        self._store = store
        self._secure = secure
        self._known: dict[tuple[int, int], tuple[Study, Annotator]] = {}

    def enter(self, request: Request, purpose: str, cookie: str, place: str) -> Response | None:
        """A redirection that sets the cookie of a link's token; None where the token does not hold.

        The same link gives the same cookie, so that pages opened by it before go on.
        """
        found = self.signer.exchange(purpose, str(request.path_params["token"]), cookie)
        if found is None:
            return None
        session, lifetime = found
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
        values = self.signer.read(SESSION, cookie)
        if values is None or cookie is None:
            return None
        found = self._person(int(values["study"]), int(values["annotator"]))
        if found is None:
            return None
        return Visitor(study=found[0], annotator=found[1], form_token=self.signer.form_token(cookie))

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

    def _person(self, study_id: int, annotator_id: int) -> tuple[Study, Annotator] | None:
        key = (study_id, annotator_id)
        if key not in self._known and self._store is not None:  # rows are never changed
            for study in self._store.studies():
                for annotator in self._store.annotators(study):
                    self._known[study.id, annotator.id] = (study, annotator)
        return self._known.get(key)


async def body_of(request: Request, most: int) -> bytes:
    """The body, read no further than allowed.

    Raises:
        HTTPException: 413 where it is longer.
    """
    said = request.headers.get("content-length", "0")
    fits = said.isdecimal() and len(said) < 20 and int(said) <= most
    body = bytearray()
    if fits:
        async for chunk in request.stream():
            body += chunk
            if len(body) > most:
                break
    if len(body) > most or not fits:
        raise HTTPException(413, f"Expected at most {most / 1e6:g} MB.")
    return bytes(body)


async def json_of(request: Request) -> dict[str, Any]:
    """The JSON object in a small body.

    Raises:
        HTTPException: 413 where it is long, 415 for another type, 400 where it is no object.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415, "Expected application/json.")
    try:
        found = json.loads(await body_of(request, _JSON_BYTES), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "Expected a JSON object.") from error
    if not isinstance(found, dict):
        raise HTTPException(400, "Expected a JSON object.")
    return found


def _refuse(name: str) -> float:
    raise ValueError(name)
