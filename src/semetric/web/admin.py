"""The administrator's side: progress, agreement, links, annotators who do not count, export."""

from __future__ import annotations

import re
from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from semetric.learn.datasets.nights import nights_table
from semetric.learn.judgements.jsonl import study_lines
from semetric.learn.judgements.pooled import pool
from semetric.learn.judgements.records import Annotator, Study
from semetric.learn.judgements.store import JudgementStore
from semetric.learn.judgements.summary import StudySummary, summarise
from semetric.learn.judgements.table import table_text
from semetric.templating import page
from semetric.web.sessions import Sessions, json_of
from semetric.web.signing import annotator_link
from semetric.web.writer import Readers, Writer

__all__ = ["Administration"]

_EXPORTS: dict[str, tuple[str, str, Callable[[JudgementStore, Study], str]]] = {
    "jsonl": ("jsonl", "application/x-ndjson", lambda store, study: "".join(study_lines(store, study))),
    "csv": ("csv", "text/csv", table_text),
    "nights": ("nights.csv", "text/csv", lambda store, study: nights_table(study, pool(store, study))[0]),
}
_CHANGES: dict[str, Callable[[JudgementStore, Annotator], Annotator]] = {
    "exclude": JudgementStore.exclude,
    "include": lambda store, annotator: store.exclude(annotator, False),
    "revoke": JudgementStore.revoke,
}


class Administration:
    """Routes of whoever runs a study.

    Args:
        sessions: who is who.
        writer, readers: the study file.
        base_url: gives the address of links, once the server knows its port.
        compare: whether to point to the compare page.
    """

    def __init__(
        self, sessions: Sessions, writer: Writer, readers: Readers, base_url: Callable[[], str], *, compare: bool
    ) -> None:
        self.sessions = sessions
        self.writer = writer
        self.readers = readers
        self.base_url = base_url
        self.compare = compare

    def routes(self) -> list[Route]:
        """What an administrator can ask for."""
        return [
            Route("/admin", self.page),
            Route("/admin/links", self.link, methods=["POST"]),
            Route("/admin/annotators", self.change, methods=["POST"]),
            Route("/admin/export/{study}/{format}", self.export),
        ]

    async def page(self, request: Request) -> Response:
        """How every study stands."""
        token = self.sessions.admin_token(request)
        if token is None:
            return RedirectResponse("/", 303)
        studies = await self.readers.run(_summaries)
        return HTMLResponse(page("web/admin.html", studies=studies, form_token=token, compare=self.compare))

    async def link(self, request: Request) -> Response:
        """A signed link for an annotator, who is made where there is none of that name."""
        self.sessions.check_admin(request)
        sent = await json_of(request)
        study_id, name, days = sent.get("study"), sent.get("name"), sent.get("days")
        if type(study_id) is not int or not isinstance(name, str) or type(days) not in (int, float):
            raise HTTPException(400, "Expected a study, a name and a number of days.")
        study = await self._study(study_id)
        signer, base_url = self.sessions.signer, self.base_url()

        def work(store: JudgementStore) -> dict[str, str]:
            annotator = store.annotator(study, name)
            return {
                "name": annotator.name,
                "url": annotator_link(signer, study, annotator, base_url, days=float(str(days))),
            }

        return JSONResponse(await self.writer.run(work))

    async def change(self, request: Request) -> Response:
        """Excludes an annotator, counts them again, or revokes their links."""
        self.sessions.check_admin(request)
        sent = await json_of(request)
        number, change = sent.get("annotator"), _CHANGES.get(str(sent.get("change")))
        if type(number) is not int or not -(2**63) <= number < 2**63 or change is None:
            raise HTTPException(400, f"Expected an annotator and a change: {', '.join(_CHANGES)}.")

        def work(store: JudgementStore) -> dict[str, str]:
            annotator = store.annotator_numbered(number)
            if annotator is None:
                raise HTTPException(404, "There is no such annotator.")
            return {"name": change(store, annotator).name}

        return JSONResponse(await self.writer.run(work))

    async def export(self, request: Request) -> Response:
        """A study as a file."""
        self.sessions.check_admin(request)
        wanted = _EXPORTS.get(request.path_params["format"])
        if wanted is None:
            raise HTTPException(404, f"Expected one of the formats {', '.join(_EXPORTS)}.")
        number = request.path_params["study"]
        study = await self._study(int(number) if re.fullmatch("[0-9]{1,18}", number) else 0)
        suffix, media, text_of = wanted
        text = await self.readers.run(lambda store: text_of(store, study))
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", study.name).strip("_") or "study"
        return Response(
            text, media_type=media, headers={"Content-Disposition": f'attachment; filename="{name}.{suffix}"'}
        )

    async def _study(self, number: int) -> Study:
        studies = await self.readers.run(JudgementStore.studies)
        for study in studies:
            if study.id == number:
                return study
        raise HTTPException(404, "There is no such study.")


def _summaries(store: JudgementStore) -> list[StudySummary]:
    return [summarise(store, study) for study in store.studies()]
