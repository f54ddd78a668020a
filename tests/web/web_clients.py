"""People with links, and the application that they visit, for the tests of the server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from semetric.learn.judgements import JudgementStore
from semetric.web.app import Application
from semetric.web.signing import Signer, annotator_link, study_secret

BASE = "http://127.0.0.1:8000"


def link_for(path: Path, name: str, base: str = BASE, days: float = 1) -> str:
    with JudgementStore(path) as store:
        study = store.study()
        return annotator_link(Signer(study_secret(store)), study, store.annotator(study, name), base, days=days)


class Person:
    """A client with a session and its page's form token."""

    def __init__(self, client: TestClient, token: str) -> None:
        self.client = client
        self.headers = {"Origin": BASE, "X-Form-Token": token}

    def post(self, path: str, content: Any, **headers: str) -> Any:
        return self.client.post(path, json=content, headers=self.headers | headers)

    def get(self, path: str, **headers: str) -> Any:
        return self.client.get(path, headers=headers)

    def next(self, count: int = 3) -> list[dict[str, Any]]:
        answer = self.post("/annotate/next", {"count": count})
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def answer(self, uid: str, **said: Any) -> Any:
        return self.post("/annotate/answer", {"uid": uid, "seconds": 0.0, **(said or {"choice": "left"})})


class Served:
    """An application that runs, and the study file behind it."""

    def __init__(self, path: Path | None, made: Application) -> None:
        self.path = path
        self.made = made
        self.running = TestClient(made.asgi, base_url=BASE)

    def client(self) -> TestClient:
        """A browser without cookies, whose requests run in the application's own event loop."""
        client = TestClient(self.made.asgi, base_url=BASE, raise_server_exceptions=False)
        client.portal = self.running.portal
        return client

    def enter(self, link: str) -> Person:
        client = self.client()
        page = client.get(link.removeprefix(BASE))
        assert page.status_code == 200, page.text
        token = page.text.partition('data-token="')[2].partition('"')[0]
        assert token
        return Person(client, token)

    def annotator(self, name: str = "Ada") -> Person:
        assert self.path is not None
        return self.enter(link_for(self.path, name))

    def admin(self) -> Person:
        return self.enter(f"{BASE}/admin/enter/{self.made.signer.sign('admin', {'role': 'admin'}, lifetime_s=60)}")

    def judged(self, standing: bool = True) -> list[Any]:
        assert self.path is not None
        with JudgementStore(self.path) as store:
            return list(store.judgements(store.study(), standing=standing))
