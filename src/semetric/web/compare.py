"""The compare page: two images uploaded, their explanation shown."""

from __future__ import annotations

import asyncio
import urllib.parse

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from semetric.templating import page
from semetric.web.comparing import MOST_BYTES, Comparer
from semetric.web.sessions import Sessions, body_of, json_of

__all__ = ["Comparison"]

# The page of an explanation carries its own, stricter policy; "sandbox" takes the origin from it, and so our cookies.
_PAGE_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_UPLOADS_AT_ONCE = 2


class Comparison:
    """Routes of the compare page, for whoever has the administrator's link: an explanation is work for this machine.

    Args:
        sessions: who is who.
        comparer: the queue.
        profile: to show.
    """

    def __init__(self, sessions: Sessions, comparer: Comparer, profile: str) -> None:
        self.sessions = sessions
        self.comparer = comparer
        self.profile = profile
        self._uploading = asyncio.Semaphore(_UPLOADS_AT_ONCE)

    def routes(self) -> list[Route]:
        """What the page asks for."""
        return [
            Route("/compare", self.page),
            Route("/compare/images", self.upload, methods=["POST"]),
            Route("/compare/jobs", self.ask, methods=["POST"]),
            Route("/compare/jobs/{job}", self.state),
            Route("/compare/jobs/{job}/page", self.shown),
        ]

    async def page(self, request: Request) -> Response:
        """The form."""
        token = self.sessions.admin_token(request)
        if token is None:
            return RedirectResponse("/", 303)
        return HTMLResponse(
            page("web/compare.html", form_token=token, profile=self.profile, most_mb=MOST_BYTES // 10**6)
        )

    async def upload(self, request: Request) -> Response:
        """Takes one image as the plain body, of limited size and type."""
        self.sessions.check_admin(request)
        name = urllib.parse.unquote(request.headers.get("x-file-name", ""))
        async with self._uploading:
            content = await body_of(request, MOST_BYTES)
            return JSONResponse({"image": await asyncio.to_thread(self.comparer.add_upload, content, name)})

    async def ask(self, request: Request) -> Response:
        """Puts two uploads into the queue."""
        self.sessions.check_admin(request)
        sent = await json_of(request)
        return JSONResponse({"job": self.comparer.ask(str(sent.get("reference")), str(sent.get("image")))})

    async def state(self, request: Request) -> Response:
        """How far a pair is."""
        self.sessions.check_admin(request)
        job = self.comparer.job(request.path_params["job"])
        if job is None:
            raise HTTPException(404, "There is no such comparison; it may have made room for later ones.")
        return JSONResponse({"state": job.state, "words": job.words})

    async def shown(self, request: Request) -> Response:
        """The explanation."""
        self.sessions.check_admin(request)
        job = self.comparer.job(request.path_params["job"])
        if job is None or job.state != "done":
            raise HTTPException(404, "There is no such explanation; it may have made room for later ones.")
        return FileResponse(
            job.page,
            media_type="text/html",
            headers={"Content-Security-Policy": _PAGE_POLICY, "Cache-Control": "no-store"},
        )
