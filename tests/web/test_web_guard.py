"""Hosts, origins, headers, and requests that are none of ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from semetric.errors import UsageError
from semetric.web.guard import POLICY
from semetric.web.settings import ServerSettings

BASE = "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost:8000", 200),
        ("LOCALHOST", 200),
        ("[::1]:8000", 200),
        ("evil.example", 400),
        ("127.0.0.1.evil.example:8000", 400),
        ("10.0.0.1", 400),
        ("", 400),
        ("[::1", 400),
        ("[x]", 400),
        (":80", 400),
        ("localhost:80x", 400),
    ],
)
def test_only_its_own_names_are_answered(
    served: Callable[..., Any], study_file: Callable[..., Path], host: str, status: int
) -> None:
    client = served(study_file()).client()
    assert client.get("/", headers={"Host": host}).status_code == status


def test_a_server_on_all_addresses_takes_addresses_and_its_public_name(
    served: Callable[..., Any], study_file: Callable[..., Path]
) -> None:
    client = served(
        study_file(), host="0.0.0.0", public_url="https://study.example.org", allowed_hosts=("lab-pc",)
    ).client()
    for host in ("10.0.0.1:8000", "study.example.org", "lab-pc:8000", "[2001:db8::1]"):
        assert client.get("/", headers={"Host": host}).status_code == 200
    for host in ("evil.org", "10.0.0.1.evil.org", "[::1"):
        assert client.get("/", headers={"Host": host}).status_code == 400


def test_the_log_says_how_a_name_is_allowed(
    served: Callable[..., Any], study_file: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    client = served(study_file()).client()
    for host in ("lab-pc", "lab-pc", *(f"evil{k}.org" for k in range(20))):
        client.get("/", headers={"Host": host})
    assert "refused a request for the host 'lab-pc'; start the server with --allow-host" in caplog.text
    assert len(caplog.records) == 8  # each once, and not without end


def test_every_answer_carries_the_headers(served: Callable[..., Any], study_file: Callable[..., Path]) -> None:
    server = served(study_file())
    ada, admin = server.annotator(), server.admin()
    answers = [ada.get("/annotate"), admin.get("/admin"), admin.get("/compare"), ada.get("/static/annotate.js")]
    answers += [ada.get("/nothing"), ada.get("/annotate", Host="evil"), ada.post("/annotate/next", {"count": 0})]
    for answer in answers:
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "unsafe" not in POLICY
    assert ada.get("/annotate").headers["cache-control"] == "no-store"


def test_pages_have_no_script_or_style_of_their_own(
    served: Callable[..., Any], study_file: Callable[..., Path]
) -> None:
    server = served(study_file())
    for person, page in ((server.annotator(), "/annotate"), (server.admin(), "/admin"), (server.admin(), "/compare")):
        text = person.get(page).text
        assert text.startswith("<!doctype html>")
        for inline in (" style=", " onclick=", "<style", "<script>", "http://", "https://"):
            assert inline not in text


def test_a_change_must_come_from_our_own_pages(served: Callable[..., Any], study_file: Callable[..., Path]) -> None:
    server = served(study_file(), public_url="http://study.example.org")
    ada = server.annotator()
    (item, *_) = ada.next()
    said = {"uid": item["uid"], "choice": "left", "seconds": 0.0}
    for headers, status in [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:8001"}, 403),
        ({"X-Form-Token": "0" * 43}, 403),
        ({"X-Form-Token": ""}, 403),
        ({"Content-Type": "text/plain"}, 415),
    ]:
        assert ada.post("/annotate/answer", said, **headers).status_code == status
    without = {name: value for name, value in ada.headers.items() if name != "Origin"}
    assert ada.client.post("/annotate/answer", json=said, headers=without).status_code == 403
    assert server.judged() == []
    assert ada.post("/annotate/answer", said, Origin="http://study.example.org").status_code == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(served: Callable[..., Any], study_file: Callable[..., Path], method: str) -> None:
    assert served(study_file()).client().request(method, "/annotate/next").status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static",
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
        "/image/",
        "/image/x/left",
        "/image/..%2f..%2fetc%2fpasswd/left",
        "/image/x/..%2f..%2fstudy.db",
        "/images/00.png",
        "/study.db",
        "/../study.db",
        "/admin/export/1/..%2f..%2fstudy.db",
        "/admin/export/-1/jsonl",
        "/admin/export/99/jsonl",
        "/compare/jobs/..%2f..%2fx/page",
    ],
)
def test_no_path_reaches_the_disk(served: Callable[..., Any], study_file: Callable[..., Path], path: str) -> None:
    server = served(study_file())
    for person in (server.annotator(), server.admin()):
        answer = person.get(path)
        assert answer.status_code in (401, 404)
        assert b"SQLite" not in answer.content
        assert "import" not in answer.text


def test_settings() -> None:
    assert ServerSettings().loopback
    assert ServerSettings(host="127.0.0.9").loopback
    assert not ServerSettings(host="0.0.0.0").loopback
    assert not ServerSettings(host="lab-pc").loopback
    assert ServerSettings(host="0.0.0.0").base_url(81) == "http://127.0.0.1:81"
    assert ServerSettings(host="::1").base_url(81) == "http://[::1]:81"
    assert ServerSettings(public_url="https://x.org/").base_url(81) == "https://x.org"
    for wrong in ({"port": 70000}, {"public_url": "x.org"}, {"public_url": "https://x.org/path"}, {"compare": False}):
        with pytest.raises(UsageError, match="Expected"):
            ServerSettings(**wrong)  # type: ignore[arg-type]
