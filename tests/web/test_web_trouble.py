"""Requests that nobody's page sends, files that fail, and links that are opened twice."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from web_clients import BASE, Person, link_for

from semetric.errors import StoreError, UsageError
from semetric.learn.judgements import JudgementStore
from semetric.web import comparing, explaining, server, writer
from semetric.web.settings import ServerSettings
from semetric.web.writer import Writer

SERVED = Callable[..., Any]
FILE = Callable[..., Path]


def sent(person: Person, path: str, body: str) -> Any:
    headers = {**person.headers, "Content-Type": "application/json"}
    return person.client.post(path, content=body, headers=headers)


# Requests


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/annotate/answer", '{"uid": "UID", "choice": "left", "seconds": 1' + "0" * 400 + "}"),
        ("/annotate/answer", '{"uid": "UID", "choice": "left", "seconds": 1e999}'),
        ("/annotate/answer", '{"uid": "\\ud800", "choice": "left", "seconds": 1}'),
        ("/annotate/answer", '{"uid": "' + "x" * 65 + '", "choice": "left", "seconds": 1}'),
        ("/annotate/undo", '{"uid": "\\udfff"}'),
        ("/annotate/next", '{"count": true}'),
    ],
    ids=["large", "infinite", "surrogate", "long", "undo", "true"],
)
def test_values_that_no_page_sends_are_refused_by_name(served: SERVED, study_file: FILE, path: str, body: str) -> None:
    site = served(study_file())
    ada = site.annotator()
    answer = sent(ada, path, body.replace("UID", ada.next()[0]["uid"]))
    assert answer.status_code == 400
    assert "Expected" in answer.json()["error"]
    assert site.judged() == []


def test_numbers_without_end_in_addresses_are_no_studies(served: SERVED, study_file: FILE) -> None:
    site = served(study_file())
    for number in ("9" * 5000, "9" * 18, "\u0661", "1x"):
        for client in (site.client(), site.admin().client):
            assert client.get(f"/admin/export/{number}/jsonl").status_code in (401, 404)
    ada = site.annotator()
    long = {**ada.headers, "Content-Type": "application/json", "Content-Length": "9" * 5000}
    assert ada.client.post("/annotate/next", content="{}", headers=long).status_code == 413
    assert site.admin().post("/admin/links", {"study": True, "name": "Ada", "days": 1}).status_code == 400


def test_a_link_opened_again_leaves_the_first_tab_alive(served: SERVED, study_file: FILE) -> None:
    path = study_file()
    site = served(path)
    link = link_for(path, "Ada")
    ada = site.enter(link)
    assert ada.client.get(link.removeprefix(BASE)).status_code == 200  # the same browser: the cookie is set again
    assert ada.answer(ada.next()[0]["uid"]).status_code == 200


def test_two_links_of_two_people_in_one_browser_are_not_mixed_up(served: SERVED, study_file: FILE) -> None:
    path = study_file()
    site = served(path)
    ada = site.annotator("Ada")
    uid = ada.next()[0]["uid"]
    ada.client.get(link_for(path, "Grace").removeprefix(BASE))
    assert ada.answer(uid).status_code == 403  # Ada's page, Grace's cookie
    assert site.judged() == []


def test_an_answer_that_comes_again_after_its_undo_undoes_nothing(served: SERVED, study_file: FILE) -> None:
    site = served(study_file())
    ada = site.annotator()
    uid = ada.next()[0]["uid"]
    ada.answer(uid)
    ada.post("/annotate/undo", {"uid": uid})
    late = ada.answer(uid).json()
    assert (late["new"], late["done"], late["last"]) == (False, 0, None)
    assert site.judged() == []


def test_undo_and_answer_at_the_same_time_leave_one_judgement_at_most(served: SERVED, study_file: FILE) -> None:
    site = served(study_file(items=1))
    ada = site.annotator()
    for _ in range(5):
        uid = ada.next()[0]["uid"]
        both = [
            threading.Thread(target=ada.answer, args=(uid,)),
            threading.Thread(target=ada.post, args=("/annotate/undo", {"uid": uid})),
        ]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join(60)
        assert len(site.judged()) <= 1
        if site.judged():
            assert ada.post("/annotate/undo", {"uid": uid}).status_code == 200
    assert all(one.retracted_utc for one in site.judged(standing=False))


# The study file


def run(work: Any) -> Any:
    async def limited() -> Any:
        return await asyncio.wait_for(work, 20)  # a dead thread would keep it for ever

    return asyncio.run(limited())


def test_one_failure_does_not_end_the_writer(study_file: FILE, monkeypatch: pytest.MonkeyPatch) -> None:
    path = study_file()
    one = Writer(path)
    try:
        with monkeypatch.context() as patched:

            def busy(*_: object) -> None:
                raise StoreError("Expected to read and write the study file; SQLite says: disk I/O error.")

            patched.setattr(JudgementStore, "rows", busy)
            with pytest.raises(StoreError, match="disk I/O"):
                run(one.run(lambda store: store.annotator(store.study(), "Ada")))
        assert run(one.run(lambda store: store.annotator(store.study(), "Ada"))).name == "Ada"
    finally:
        one.close()


def test_what_is_acknowledged_is_flushed_and_the_rest_need_not_be(study_file: FILE) -> None:
    """`synchronous` is set anew where it changes, and not where a failure left it unknown."""
    one = Writer(study_file())
    try:
        for durable, level in [(False, 1), (True, 2), (True, 2), (False, 1), (True, 2)]:
            assert run(one.run(lambda store: store.row("PRAGMA synchronous"), durable=durable)) == (level,)
    finally:
        one.close()


def test_a_checkpoint_that_fails_is_tried_again(study_file: FILE, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_CHECK_S", 0.01)
    monkeypatch.setattr(writer, "_LOG_BYTES", -1)
    tried = threading.Semaphore(0)

    def fail(self: JudgementStore, query: str, *_: object) -> None:
        if "checkpoint" in query:
            tried.release()
        raise StoreError("Expected to read and write the study file; SQLite says: database is locked.")

    path = study_file()
    monkeypatch.setattr(JudgementStore, "rows", fail)
    one = Writer(path)
    try:
        for _ in range(3):
            assert tried.acquire(timeout=20)
    finally:
        one.close()


def test_a_server_on_a_file_that_cannot_be_used_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "s.db").write_text("no database, but long enough for one " * 100)
    with pytest.raises(StoreError, match="not a database"):
        Writer(tmp_path / "s.db")


# Addresses


def test_the_origin_of_a_public_url_is_as_browsers_write_it() -> None:
    for url, origin in [
        ("https://x.org:443/", "https://x.org"),
        ("HTTPS://X.org", "https://x.org"),
        ("http://x.org:80", "http://x.org"),
        ("https://x.org:8443", "https://x.org:8443"),
        ("https://[2001:DB8::1]:443", "https://[2001:db8::1]"),
    ]:
        settings = ServerSettings(public_url=url)
        assert settings.origins == (origin,)
        assert settings.secure == origin.startswith("https")


@pytest.mark.parametrize(
    "url",
    ["https://x.org:port", "https://x.org:99999", "https://me@x.org", "https://x.org/#a", "https://[::1", "ftp://x"],
)
def test_a_public_url_that_is_none_is_named(url: str) -> None:
    with pytest.raises(UsageError, match="public URL"):
        ServerSettings(public_url=url)


def test_a_host_that_cannot_be_one_is_named() -> None:
    with pytest.raises(StoreError, match="Expected to listen on"):
        server._listen(ServerSettings(host="\u00e4..b", port=0))


def test_a_response_does_not_wait_for_acknowledgements() -> None:
    """Nagle's algorithm and delayed acknowledgements together would cost 40 ms a judgement."""

    async def accepted() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def came(_: asyncio.StreamReader, stream: asyncio.StreamWriter) -> None:
            found.set_result(stream.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            stream.close()

        listening = server._listen(ServerSettings(port=0))
        async with await asyncio.start_server(came, sock=listening):
            _, stream = await asyncio.open_connection(*listening.getsockname())
            stream.close()
            return await found

    assert run(accepted()) != 0


# Comparing


def test_a_full_disk_keeps_no_half_upload(
    served: SERVED, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made: list[comparing.Comparer] = []

    def make(profile: str) -> comparing.Comparer:
        made.append(comparing.Comparer(profile))
        return made[0]

    admin = served(None, comparer=make).admin()
    written = Path.write_bytes

    def full(self: Path, content: bytes) -> int:
        written(self, content[:10])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        headers = {**admin.headers, "Content-Type": "application/octet-stream"}
        answer = admin.client.post("/compare/images", content=b"\x89PNG\r\n\x1a\n" + bytes(40), headers=headers)
    assert answer.status_code == 503
    assert str(made[0]._folder) not in answer.text
    assert [file.name for file in made[0]._folder.iterdir()] == [".lock"]
    assert "No space left" in caplog.text


STANDS = """
import os, resource, sys
from semetric.web import explaining
adjusted = "/proc/self/oom_score_adj"
explaining.explain_upload = lambda request: {
    "nice": os.nice(0), "oom": open(adjusted).read(), "data": resource.getrlimit(resource.RLIMIT_DATA)[0]
}
explaining.main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="priorities are read from /proc")
def test_the_process_that_explains_comes_after_everybody_else_and_has_a_limit() -> None:
    """It says of itself, after the first lines of its main, how it stands."""
    process = subprocess.Popen([sys.executable, "-c", STANDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"{}\n")
    process.stdin.flush()  # and stays open, as the server leaves it
    state = json.loads(process.stdout.readline())
    assert process.wait(60) == 0
    process.stdin.close()
    process.stdout.close()
    assert state["nice"] >= min(19, os.nice(0) + 10)
    assert state["oom"].strip() == "1000"
    assert 0 < state["data"] <= explaining.MEMORY_BYTES


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sets no limits")
def test_a_pair_that_takes_too_much_memory_is_said(tmp_path: Path) -> None:
    code = (
        "from semetric.web import explaining\n"
        "import semetric.image\n"
        "semetric.image.read_image = lambda *_, **__: bytearray(2 * explaining.MEMORY_BYTES)\n"
        "explaining.main()\n"
    )
    request = {"reference": "a", "image": "b", "names": {"reference": "a", "image": "b"}, "max_pixels": 1}
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline()) == {"error": explaining.NO_MEMORY}


SERVER = """
import asyncio, sys
from semetric.web import comparing

async def main():
    await comparing.run_process({})

comparing.sys.executable = sys.argv[1]
asyncio.run(main())
"""
EXPLAINER = """#!/bin/sh
exec {python} -c '
import os, threading
from semetric.web import explaining
def explain(request):
    print(os.getpid(), file=open("{pid}", "w"), flush=True)
    threading.Event().wait()
explaining.explain_upload = explain
explaining.main()
'
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands in for the interpreter")
def test_an_explanation_ends_with_its_server_however_that_ends(tmp_path: Path) -> None:
    script, number = tmp_path / "python", tmp_path / "pid"
    script.write_text(EXPLAINER.format(python=sys.executable, pid=number))
    script.chmod(0o755)
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(script)])
    explaining_id = int(eventually(lambda: number.exists() and number.read_text().strip()))
    server.kill()
    server.wait(60)
    assert eventually(lambda: not running(explaining_id))


def eventually(look: Callable[[], Any]) -> Any:
    """What a look sees once it sees something."""
    end = time.monotonic() + 60  # a busy machine may take that long
    while not (seen := look()) and time.monotonic() < end:
        time.sleep(0.02)
    return seen


def running(process_id: int) -> bool:
    """Whether the process does anything any more; one that nobody has waited for does not."""
    try:
        os.kill(process_id, 0)
        return Path(f"/proc/{process_id}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_uploads_of_a_server_that_was_killed_are_removed_and_those_of_a_running_one_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing.tempfile, "tempdir", str(tmp_path))
    stale = tmp_path / "semetric-compare-killed"
    stale.mkdir()
    (stale / "upload.png").write_bytes(b"pixels")
    other = tmp_path / "semetric-compare-link"
    (tmp_path / "home").mkdir()
    other.symlink_to(tmp_path / "home")
    runs = comparing.Comparer("lite")
    runs.add_upload(b"\x89PNG\r\n\x1a\n", "a.png")
    assert not stale.exists()
    assert (tmp_path / "home").exists()
    later = comparing.Comparer("lite")
    assert len(list(runs._folder.glob("*.png"))) == 1
    for each in (runs, later):
        asyncio.run(each.close())
        assert not each._folder.exists()


def test_uploads_from_two_threads_are_all_kept_or_all_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "_UPLOADS", 1)
    queue = comparing.Comparer("lite")
    content = b"\x89PNG\r\n\x1a\n" + bytes(40)
    queue.add_upload(content, "0.png")
    unlink, meet = Path.unlink, threading.Barrier(2, timeout=0.5)
    failed: list[Exception] = []

    def unlink_together(self: Path, missing_ok: bool = False) -> None:
        try:
            meet.wait()  # both would drop the same file; with a lock the second waits outside
        except threading.BrokenBarrierError:
            logging.getLogger(__name__).debug("alone")
        unlink(self, missing_ok=missing_ok)

    def add(name: str) -> None:
        try:
            queue.add_upload(content, name)
        except Exception as error:
            failed.append(error)

    monkeypatch.setattr(Path, "unlink", unlink_together)
    threads = [threading.Thread(target=add, args=(f"{k}.png",)) for k in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    monkeypatch.undo()
    assert failed == []
    assert len(list(queue._folder.glob("*.png"))) == 1
    asyncio.run(queue.close())
