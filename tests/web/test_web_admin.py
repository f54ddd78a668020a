from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from web_clients import BASE, link_for

SERVED = Callable[..., Any]
FILE = Callable[..., Path]


def test_progress_agreement_and_checks_are_shown(served: SERVED, study_file: FILE) -> None:
    server = served(study_file("score", items=3, checks=1, check_every=1))
    for name in ("Ada", "Grace"):
        person = server.annotator(name)
        while items := person.next(1):
            person.answer(items[0]["uid"], score_left=0.25, score_right=0.75)
    page = server.admin().get("/admin").text
    assert "6 of 6" in page
    assert "3 of 3" in page
    assert "on 6 candidates" in page
    assert "Ada" in page
    assert "Grace" in page


def test_a_link_made_here_lets_somebody_in(served: SERVED, study_file: FILE) -> None:
    server = served(study_file())
    admin = server.admin()
    made = admin.post("/admin/links", {"study": 1, "name": " Ada ", "days": 2})
    assert made.status_code == 200
    assert made.json()["name"] == "Ada"
    ada = server.enter(made.json()["url"])
    assert len(ada.next()) == 3
    assert "Ada" in admin.get("/admin").text


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"study": 1, "name": "", "days": 2}, 400),
        ({"study": 1, "name": "x\u202e", "days": 2}, 400),
        ({"study": 1, "name": "Ada", "days": 0}, 400),
        ({"study": 1, "name": "Ada", "days": True}, 400),
        ({"study": 9, "name": "Ada", "days": 2}, 404),
        ({"study": "1", "name": "Ada", "days": 2}, 400),
        ({}, 400),
    ],
)
def test_no_link_without_a_name_a_study_and_days(
    served: SERVED, study_file: FILE, sent: dict[str, Any], status: int
) -> None:
    admin = served(study_file()).admin()
    assert admin.post("/admin/links", sent).status_code == status
    assert admin.post("/admin/links", {"study": 1, "name": "Eve", "days": 1}, Origin="http://evil").status_code == 403


@pytest.mark.parametrize(
    ("form", "suffix", "words"),
    [("jsonl", ".jsonl", "judgement"), ("csv", ".csv", "Ada"), ("nights", ".nights.csv", "left_vote")],
)
def test_exports_are_downloads(served: SERVED, study_file: FILE, form: str, suffix: str, words: str) -> None:
    server = served(study_file(name='a "study"/\u00e9'))
    ada = server.annotator()
    ada.answer(ada.next()[0]["uid"])
    answer = server.admin().get(f"/admin/export/1/{form}")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == f'attachment; filename="a_study{suffix}"'
    assert words in answer.text
    if form == "jsonl":
        assert json.loads(answer.text.splitlines()[0])["name"] == 'a "study"/\u00e9'


def test_what_cannot_be_exported_is_said(served: SERVED, study_file: FILE) -> None:
    admin = served(study_file("same")).admin()
    assert admin.get("/admin/export/1/pickle").status_code == 404
    answer = admin.get("/admin/export/1/nights")
    assert answer.status_code == 400
    assert "choice" in answer.json()["error"]


def test_an_administrator_judges_nothing(served: SERVED, study_file: FILE) -> None:
    assert served(study_file()).admin().post("/annotate/next", {"count": 1}).status_code == 401


def test_an_annotator_is_excluded_and_counted_again(served: SERVED, study_file: FILE) -> None:
    server = served(study_file(items=2))
    ada = server.annotator("Ada")
    ada.answer(ada.next(1)[0]["uid"])
    admin = server.admin()
    assert admin.post("/admin/annotators", {"annotator": 1, "change": "exclude"}).json() == {"name": "Ada"}
    assert ada.post("/annotate/next", {"count": 1}).status_code == 401
    assert server.judged() == []
    page = admin.get("/admin").text
    assert "excluded" in page
    assert "0 of" in page
    admin.post("/admin/annotators", {"annotator": 1, "change": "include"})
    assert len(server.judged()) == 1
    assert ada.next(1)


def test_revoked_links_do_not_hold_and_later_ones_do(served: SERVED, study_file: FILE) -> None:
    server = served(study_file())
    link = link_for(server.path, "Ada")
    ada, grace = server.enter(link), server.annotator("Grace")
    admin = server.admin()
    assert admin.post("/admin/annotators", {"annotator": 1, "change": "revoke"}).status_code == 200
    assert ada.post("/annotate/next", {"count": 1}).status_code == 401  # the session that the link began
    assert server.client().get(link.removeprefix(BASE)).status_code == 403
    assert grace.next(1)
    assert server.annotator("Ada").next(1)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"annotator": 9, "change": "exclude"}, 404),
        ({"annotator": 2**70, "change": "exclude"}, 400),
        ({"annotator": "1", "change": "exclude"}, 400),
        ({"annotator": True, "change": "exclude"}, 400),
        ({"annotator": 1, "change": "delete"}, 400),
        ({"annotator": 1, "change": ["exclude"]}, 400),
        ({}, 400),
    ],
)
def test_changes_of_annotators_that_are_none(
    served: SERVED, study_file: FILE, sent: dict[str, Any], status: int
) -> None:
    server = served(study_file())
    ada, admin = server.annotator("Ada"), server.admin()
    assert admin.post("/admin/annotators", sent).status_code == status
    change = {"annotator": 1, "change": "revoke"}
    assert admin.post("/admin/annotators", change, Origin="http://evil").status_code == 403
    assert ada.post("/admin/annotators", change).status_code == 401
    assert ada.next(1)
