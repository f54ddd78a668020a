"""The annotators' routes: links, items, answers, undo, images."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from web_clients import link_for

from semetric.learn.judgements import JudgementStore

SERVED = Callable[..., Any]
FILE = Callable[..., Path]


def test_without_a_link_there_is_nothing(served: SERVED, study_file: FILE) -> None:
    server = served(study_file())
    stranger = server.client()
    assert "Open the link" in stranger.get("/").text
    assert "Open the link" in stranger.get("/annotate").text
    assert "Open the link" in stranger.get("/admin").text
    assert stranger.get("/image/x/left").status_code == 401
    for path in ("/annotate/next", "/annotate/answer", "/annotate/undo", "/admin/links", "/compare/images"):
        assert stranger.post(path, json={}, headers={"Origin": "http://127.0.0.1:8000"}).status_code == 401
    assert stranger.get("/admin/export/1/jsonl").status_code == 401


def test_links_hold_for_their_time_and_person_only(served: SERVED, study_file: FILE) -> None:
    path = study_file()
    server = served(path)
    good = link_for(path, "Ada").removeprefix("http://127.0.0.1:8000")
    old = link_for(path, "Ada", days=1e-9).removeprefix("http://127.0.0.1:8000")
    for wrong in (old, good[:-1], good.replace("/join/", "/admin/enter/"), "/join/x", "/join/x.y"):
        answer = server.client().get(wrong, follow_redirects=False)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers
    entered = server.client().get(good, follow_redirects=False)
    assert (entered.status_code, entered.headers["location"]) == (303, "/annotate")
    cookie = entered.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "secure" not in cookie
    ada = server.annotator()
    assert ada.get("/admin").url.path == "/annotate"
    assert ada.get("/admin/export/1/jsonl").status_code == 401


def test_behind_https_cookies_say_so(served: SERVED, study_file: FILE) -> None:
    path = study_file()
    server = served(path, public_url="https://study.example.org")
    place = link_for(path, "Ada").removeprefix("http://127.0.0.1:8000")
    assert "Secure" in server.client().get(place, follow_redirects=False).headers["set-cookie"]


def test_two_servers_on_one_host_leave_each_others_people_alone(served: SERVED, study_file: FILE) -> None:
    """A browser sends its cookies to every port of a host."""
    path = study_file(name="one")
    people = [served(path.rename(path.with_name("one.db"))).annotator(), served(study_file(name="two")).annotator()]
    for mine, others in (people, people[::-1]):
        mine.client.cookies.update(others.client.cookies)
        assert mine.next()


def grey(person: Any, url: str) -> int:
    answer = person.get(url)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    value: int = Image.open(io.BytesIO(answer.content)).getpixel((0, 0))[0]
    return value // 16


@pytest.mark.parametrize("kind", ["choice", "score", "same"])
def test_an_answer_about_left_and_right_becomes_one_about_a_and_b(served: SERVED, study_file: FILE, kind: str) -> None:
    """Whatever the side, the darker image (a) is chosen, and gets the higher score."""
    server = served(study_file(kind, items=8))
    ada = server.annotator()
    sides = set()
    while items := ada.next():
        uid, images = items[0]["uid"], items[0]["images"]
        left, right = grey(ada, images["left"]), grey(ada, images["right"])
        sides.add(left < right)
        if kind == "choice":
            said: dict[str, Any] = {"choice": "left" if left < right else "right"}
        elif kind == "score":
            said = {"score_left": 1.0 if left < right else 0.25, "score_right": 0.25 if left < right else 1.0}
        else:
            said = {"same": left < right}
        assert ada.answer(uid, **said).json()["new"] is True
    found = server.judged()
    assert len(found) == 8
    for one in found:
        if kind == "choice":
            assert one.answer.choice == "a"
        elif kind == "score":
            assert (one.answer.score_a, one.answer.score_b) == (1.0, 0.25)
        else:
            assert one.answer.same == (one.shown_left == "reference")
    assert len(sides) == 2 or len({one.shown_left for one in found}) == 1  # both sides, but for 1 in 128
    assert {one.shown_left == found[0].shown_left for one in found} <= {True, False}


def test_the_browser_is_not_told_which_is_which(served: SERVED, study_file: FILE) -> None:
    server = served(study_file(items=1, checks=2, check_every=1))
    answer = server.annotator().post("/annotate/next", {"count": 3})
    for word in ('"a"', '"b"', ".png", "known", "shown_left", "i0", "i1"):
        assert word not in answer.text


def test_sent_twice_it_is_one_judgement(served: SERVED, study_file: FILE) -> None:
    server = served(study_file())
    ada = server.annotator()
    uid = ada.next()[0]["uid"]
    assert ada.answer(uid, choice="left").json()["new"] is True
    for choice in ("left", "right"):
        again = ada.answer(uid, choice=choice)
        assert (again.status_code, again.json()["new"], again.json()["done"]) == (200, False, 1)
    assert len(server.judged(standing=False)) == 1


def test_many_at_once_lose_and_double_nothing(served: SERVED, study_file: FILE) -> None:
    """Four people, each in two tabs, all at the same time."""
    server = served(study_file(items=6))
    people = [server.annotator(f"p{k % 4}") for k in range(8)]
    wrong: list[Any] = []

    def work(person: Any) -> None:
        while items := person.next():
            answer = person.answer(items[0]["uid"])
            if answer.status_code != 200:
                wrong.append(answer.text)

    threads = [threading.Thread(target=work, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    found = [(one.annotator, one.key) for one in server.judged(standing=False)]
    assert sorted(found) == sorted((f"p{k}", f"i{i}") for k in range(4) for i in range(6))


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"choice": "a"}, 400),
        ({"choice": "left", "seconds": -1}, 400),
        ({"choice": "left", "seconds": "1"}, 400),
        ({"choice": "left", "seconds": None}, 400),
        ({"choice": "left", "seconds": True}, 400),
        ({"same": True}, 400),
        ({"score_left": 0.5}, 400),
        ({}, 400),
        ({"choice": "left", "uid": "absent"}, 400),
        ({"choice": "left", "uid": 7}, 400),
        ({"choice": ["left"]}, 400),
        ({"choice": "left", "extra": "x" * 20_000}, 413),
    ],
)
def test_what_is_no_answer_is_refused(served: SERVED, study_file: FILE, said: dict[str, Any], status: int) -> None:
    server = served(study_file())
    ada = server.annotator()
    content = {"uid": ada.next()[0]["uid"], "seconds": 0.0, **said}
    answer = ada.post("/annotate/answer", content)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert server.judged() == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"count": NaN}', b"[" * 10_000, b"\xff"])
def test_bodies_that_are_no_object_are_refused(served: SERVED, study_file: FILE, body: bytes) -> None:
    ada = served(study_file()).annotator()
    headers = {**ada.headers, "Content-Type": "application/json"}
    assert ada.client.post("/annotate/next", content=body, headers=headers).status_code == 400


@pytest.mark.parametrize("count", [0, 9, -1, "3", None, 1.5])
def test_nobody_takes_all_items_at_once(served: SERVED, study_file: FILE, count: object) -> None:
    assert served(study_file()).annotator().post("/annotate/next", {"count": count}).status_code == 400


def test_undo(served: SERVED, study_file: FILE) -> None:
    server = served(study_file())
    ada, eve = server.annotator(), server.annotator("Eve")
    first, second, *_ = ada.next()
    ada.answer(first["uid"])
    assert eve.post("/annotate/undo", {"uid": first["uid"]}).status_code == 400
    state = ada.post("/annotate/undo", {"uid": first["uid"]}).json()
    assert (state["done"], state["last"], state["items"][1]["uid"]) == (0, None, second["uid"])
    again = ada.post("/annotate/undo", {"uid": first["uid"]}).json()
    assert again["items"] == state["items"]
    ada.answer(state["items"][0]["uid"], choice="right")
    undone, stands = server.judged(standing=False)
    assert undone.key == stands.key
    assert (undone.retracted_utc is None, stands.retracted_utc is None) == (False, True)
    assert undone.answer != stands.answer


def test_images_are_for_whoever_holds_the_item(served: SERVED, study_file: FILE) -> None:
    server = served(study_file())
    ada, eve = server.annotator(), server.annotator("Eve")
    item = ada.next()[0]
    url = item["images"]["left"]
    assert ada.get(url).status_code == 200
    assert eve.get(url).status_code == 404
    for slot in ("a", "b", "up", "left%00"):
        assert ada.get(f"/image/{item['uid']}/{slot}").status_code == 404


def test_an_image_that_was_exchanged_is_not_shown(
    served: SERVED, study_file: FILE, caplog: pytest.LogCaptureFixture
) -> None:
    path = study_file(items=1)
    server = served(path)
    ada = server.annotator()
    url = ada.next()[0]["images"]["reference"]
    image = path.parent / "images" / "00.png"
    content = image.read_bytes()
    image.write_bytes((path.parent / "images" / "05.png").read_bytes())
    assert ada.get(url).status_code == 409
    assert "00.png" in caplog.text
    image.unlink()
    image.symlink_to("/etc/passwd")
    assert ada.get(url).status_code == 409
    image.unlink()
    assert ada.get(url).status_code == 409
    image.write_bytes(content)
    assert ada.get(url).status_code == 200


def test_names_are_escaped(served: SERVED, study_file: FILE) -> None:
    evil = "<script>alert(1)</script>\"'&"
    path = study_file(name=f"study {evil}")
    server = served(path)
    page = server.annotator(f"Eve {evil}").get("/annotate").text
    admin = server.admin().get("/admin").text
    for text in (page, admin):
        assert "<script>" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "Second &lt;b&gt;line" in page


def test_a_full_disk_is_said_and_nothing_acknowledged(
    served: SERVED, study_file: FILE, monkeypatch: pytest.MonkeyPatch
) -> None:
    from semetric.errors import StoreError

    server = served(study_file())
    ada = server.annotator()
    uid = ada.next()[0]["uid"]

    def full(*_: object, **__: object) -> None:
        raise StoreError("Expected to write the study file /secret/path; SQLite says: database or disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(JudgementStore, "judge", full)
        answer = ada.answer(uid)
        assert answer.status_code == 503
        assert "/secret/path" not in answer.text
    assert server.judged() == []
    assert ada.answer(uid).json()["new"] is True
