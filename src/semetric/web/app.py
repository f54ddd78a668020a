"""The application: routes put together, errors turned into answers, threads begun and ended."""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path

import numpy as np
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from semetric.errors import SemetricError, StoreError
from semetric.learn.judgements.store import JudgementStore
from semetric.web import pages
from semetric.web.admin import Administration
from semetric.web.annotate import Annotation
from semetric.web.compare import Comparison
from semetric.web.comparing import Comparer
from semetric.web.guard import Guard
from semetric.web.sessions import ADMIN, Sessions
from semetric.web.settings import ServerSettings
from semetric.web.signing import Signer, study_secret
from semetric.web.writer import Readers, Writer

__all__ = ["Application", "create_app"]

_MEDIA = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


class Application:
    """A server's application and what it is signed with.

    Attributes:
        asgi: for uvicorn and for tests.
        signer: makes the links that this application takes.
        port: for links; set once it is known.
    """

    def __init__(self, asgi: ASGIApp, signer: Signer, port: int) -> None:
        self.asgi = asgi
        self.signer = signer
        self.port = port


def create_app(settings: ServerSettings, *, comparer: Callable[[str], Comparer] = Comparer) -> Application:
    """Opens the study file, which is checked and brought to this program's schema, and puts the routes together.

    Args:
        settings: what to serve.
        comparer: makes the queue of the compare page; for tests.

    Raises:
        StoreError: the study file cannot be used.
    """
    store = None if settings.study is None else JudgementStore(settings.study)
    signer = Signer(secrets.token_bytes(32) if store is None else study_secret(store))
    sessions = Sessions(signer, store, secure=settings.secure)
    made = Application(_no_app, signer, settings.port)
    routes = [*_static_routes(), Route("/admin/enter/{token}", _enter(sessions))]
    threads: list[Writer | Readers] = []
    queue = comparer(settings.profile) if settings.compare else None
    if settings.study is not None:
        writer, readers = Writer(settings.study), Readers(settings.study)
        threads += [writer, readers]
        routes += Annotation(sessions, writer, readers, np.random.default_rng()).routes()
        routes += Administration(
            sessions, writer, readers, lambda: settings.base_url(made.port), compare=settings.compare
        ).routes()
    if queue is not None:
        routes += Comparison(sessions, queue, settings.profile).routes()
    routes.append(Route("/", _home(sessions, study=settings.study is not None)))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        if queue is not None:
            queue.start()
        try:
            yield
        finally:
            if queue is not None:
                await queue.close()
            for thread in threads:
                thread.close()
            if store is not None:
                store.close()

    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={HTTPException: _http_error, SemetricError: _own_error, Exception: _other_error},
    )
    made.asgi = Guard(app, hosts=settings.hosts, origins=settings.origins, any_address=settings.everywhere)
    return made


def _static_routes() -> list[Route]:
    """One route a file, read once: no path from outside ever meets the disk."""

    def route(name: str, content: bytes) -> Route:
        media = _MEDIA[Path(name).suffix[1:]]

        async def answer(_: Request) -> Response:
            return Response(content, media_type=media, headers={"Cache-Control": "no-cache"})

        return Route(f"/static/{name}", answer)

    folder = resources.files("semetric.web") / "static"
    return [route(file.name, file.read_bytes()) for file in folder.iterdir() if Path(file.name).suffix[1:] in _MEDIA]


def _home(sessions: Sessions, *, study: bool) -> Callable[[Request], object]:
    async def home(request: Request) -> Response:
        if sessions.admin_token(request) is not None:
            return RedirectResponse("/admin" if study else "/compare", 303)
        if sessions.visitor(request) is not None:
            return RedirectResponse("/annotate", 303)
        return HTMLResponse(pages.no_link(expired=False))

    return home


def _enter(sessions: Sessions) -> Callable[[Request], object]:
    async def enter(request: Request) -> Response:
        entered = sessions.enter(request, "admin", ADMIN, "/")
        return entered or HTMLResponse(pages.no_link(expired=True), 403)

    return enter


async def _http_error(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    words = error.detail if isinstance(error, HTTPException) else ""
    return JSONResponse({"error": words}, status)


async def _own_error(_: Request, error: Exception) -> Response:
    if isinstance(error, StoreError):
        logging.getLogger("semetric").error("%s", error)
        return JSONResponse({"error": "This could not be stored. Nothing is lost; try again."}, 503)
    return JSONResponse({"error": str(error)}, 400)


async def _other_error(_: Request, __: Exception) -> Response:
    return JSONResponse({"error": "Something went wrong on the server; its log says what."}, 500)


async def _no_app(*_: object) -> None:
    raise RuntimeError("the application is not put together yet")
