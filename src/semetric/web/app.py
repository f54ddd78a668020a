"""The application: routes put together, errors turned into answers, threads begun and ended."""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from semetric.errors import SemetricError, StoreError
from semetric.learn.judgements.store import JudgementStore
from semetric.templating import page
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


@dataclass(kw_only=True)
class Application:
    """A server's application and what it is signed with.

    Attributes:
        asgi: for uvicorn and for tests.
        signer: makes the links that this application takes.
        port: for links; set once it is known.
    """

    asgi: ASGIApp
    signer: Signer
    port: int


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
    routes: list[BaseRoute] = [
        Mount("/static", StaticFiles(packages=[("semetric.web", "static")])),
        Route("/admin/enter/{token}", _enter(sessions)),
    ]
    threads: list[Writer | Readers] = []
    queue = comparer(settings.profile) if settings.compare else None
    if settings.study is not None:
        writer, readers = Writer(settings.study), Readers(settings.study)
        threads += [writer, readers]
        routes += Annotation(sessions, writer, readers, np.random.default_rng()).routes()
        routes += Administration(
            sessions, writer, readers, lambda: settings.base_url(application.port), compare=settings.compare
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
    guard = Guard(app, hosts=settings.hosts, origins=settings.origins, any_address=settings.everywhere)
    application = Application(asgi=guard, signer=signer, port=settings.port)
    return application


def _home(sessions: Sessions, *, study: bool) -> Callable[[Request], object]:
    async def home(request: Request) -> Response:
        if sessions.admin_token(request) is not None:
            return RedirectResponse("/admin" if study else "/compare", 303)
        if sessions.visitor(request) is not None:
            return RedirectResponse("/annotate", 303)
        return HTMLResponse(page("web/no_link.html", expired=False))

    return home


def _enter(sessions: Sessions) -> Callable[[Request], object]:
    async def enter(request: Request) -> Response:
        entered = sessions.enter(request, "admin", ADMIN, "/")
        return entered or HTMLResponse(page("web/no_link.html", expired=True), 403)

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
