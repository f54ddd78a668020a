"""The compare page: uploads of limited size and type, a bounded queue, a page that cannot reach our cookies."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from semetric.errors import UsageError
from semetric.web import comparing
from semetric.web.comparing import MOST_BYTES, Comparer
from semetric.web.explaining import explain_upload

SERVED = Callable[..., Any]


def png(grey: int = 100, size: tuple[int, int] = (24, 32)) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((*size, 3), grey, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


async def write_page(asked: Mapping[str, Any]) -> str | None:
    Path(asked["out"]).write_text(f"<!doctype html>{asked['names']['reference']}")
    return None


def upload(admin: Any, content: bytes, name: str = "a.png", **headers: str) -> Any:
    return admin.client.post(
        "/compare/images",
        content=content,
        headers={**admin.headers, "Content-Type": "application/octet-stream", "X-File-Name": name, **headers},
    )


def ended(admin: Any, job: str) -> dict[str, str]:
    for _ in range(200):
        state: dict[str, str] = admin.get(f"/compare/jobs/{job}").json()
        if state["state"] in ("done", "failed"):
            return state
        time.sleep(0.02)
    raise AssertionError(state)


def start(served: SERVED, explain: Any = write_page) -> Any:
    return served(None, comparer=lambda profile: Comparer(profile, explain)).admin()


def test_two_uploads_become_a_page(served: SERVED) -> None:
    admin = start(served)
    sent = {name: upload(admin, png(), f"{name}.png").json()["image"] for name in ("reference", "image")}
    job = admin.post("/compare/jobs", sent).json()["job"]
    assert ended(admin, job)["state"] == "done"
    page = admin.get(f"/compare/jobs/{job}/page")
    assert page.text.endswith("reference.png")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts;")  # no origin of its own, so no cookies
    assert "allow-same-origin" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "content",
    [b"", b"<script>alert(1)</script>", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7", b"GIF8", b"\0" * 64],
)
def test_other_files_are_refused(served: SERVED, content: bytes) -> None:
    answer = upload(start(served), content)
    assert answer.status_code == 400
    assert "Expected a PNG" in answer.json()["error"]


def test_large_files_are_refused_before_they_are_read(served: SERVED) -> None:
    admin = start(served)
    assert upload(admin, png() + bytes(MOST_BYTES)).status_code == 413

    def chunks() -> Any:
        for _ in range(25):
            yield bytes(1_000_000)

    assert upload(admin, chunks()).status_code == 413  # type: ignore[arg-type]
    assert upload(admin, png(), **{"Content-Length": "-1"}).status_code == 413


def test_uploads_are_for_the_administrator_and_our_own_page(served: SERVED, tmp_path: Path) -> None:
    admin = start(served)
    assert upload(admin, png(), **{"X-Form-Token": "x"}).status_code == 403
    assert upload(admin, png(), Origin="http://evil.example").status_code == 403
    admin.client.cookies.clear()
    assert upload(admin, png()).status_code == 401
    assert admin.get("/compare/jobs/x").status_code == 401
    assert admin.get("/compare/jobs/x/page").status_code == 401


def test_jobs_that_are_none(served: SERVED) -> None:
    admin = start(served)
    for sent in ({}, {"reference": "x", "image": "y"}, {"reference": ["x"], "image": None}):
        answer = admin.post("/compare/jobs", sent)
        assert answer.status_code == 400
        assert "Upload it again" in answer.json()["error"]
    assert admin.get("/compare/jobs/x").status_code == 404
    assert admin.get("/compare/jobs/x/page").status_code == 404


def test_why_it_failed_is_said_and_the_queue_goes_on(served: SERVED, caplog: pytest.LogCaptureFixture) -> None:
    answers: list[Any] = ["Expected <b>another</b> image.", RuntimeError("a fault"), None]

    async def explain(asked: Mapping[str, Any]) -> str | None:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if answer else await write_page(asked)

    admin = start(served, explain)
    one = upload(admin, png()).json()["image"]
    found = []
    for _ in range(3):
        job = admin.post("/compare/jobs", {"reference": one, "image": one}).json()["job"]
        found.append(ended(admin, job))
    assert [state["state"] for state in found] == ["failed", "failed", "done"]
    assert "<b>" in found[0]["words"]  # JSON; the page sets it as text
    assert "a fault" not in found[1]["words"]


def test_the_queue_and_the_uploads_are_bounded() -> None:
    async def scenario() -> None:
        going = asyncio.Event()

        async def wait(asked: Mapping[str, Any]) -> str | None:
            await going.wait()
            return await write_page(asked)

        queue = Comparer("lite", wait)
        folder = queue._folder
        queue.start()
        pair = [queue.add_upload(png(grey), "x.png") for grey in (0, 1)]
        jobs = []
        for _ in range(comparing._WAITING + 1):  # one at work, four that wait
            jobs.append(queue.ask(*pair))
            await asyncio.sleep(0)
        assert [queue.job(job).state for job in jobs] == ["working"] + ["waiting"] * 4  # type: ignore[union-attr]
        with pytest.raises(UsageError, match="queue"):
            queue.ask(*pair)
        for grey in range(comparing._UPLOADS + 3):
            queue.add_upload(png(grey), "y.png")
        files = list(folder.glob("*.png"))
        assert len(files) == comparing._UPLOADS + 2  # those of the waiting pairs stay
        going.set()
        for _ in range(100):
            await asyncio.sleep(0.01)
            if all(queue.job(job).state == "done" for job in jobs):  # type: ignore[union-attr]
                break
        assert all(queue.job(job).state == "done" for job in jobs)  # type: ignore[union-attr]
        await queue.close()
        assert not folder.exists()

    asyncio.run(scenario())


def asked(folder: Path, one: bytes, two: bytes, **more: Any) -> dict[str, Any]:
    (folder / "1.png").write_bytes(one)
    (folder / "2.png").write_bytes(two)
    return {
        "reference": str(folder / "1.png"),
        "image": str(folder / "2.png"),
        "names": {"reference": "mine.png", "image": "yours.png"},
        "out": str(folder / "out.html"),
        "profile": "lite",
        "max_pixels": 10_000,
        **more,
    }


def test_damaged_and_huge_uploads_are_named_without_our_paths(tmp_path: Path) -> None:
    for two, words in [(png()[:60], "yours.png"), (png(size=(200, 200)), "yours.png")]:
        found = explain_upload(asked(tmp_path, png(), two))
        assert words in found["error"]
        assert str(tmp_path) not in found["error"]
    assert not (tmp_path / "out.html").exists()


def test_a_process_of_its_own_says_what_went_wrong(tmp_path: Path) -> None:
    words = asyncio.run(comparing.run_process(asked(tmp_path, png(), b"\x89PNG\r\n\x1a\n broken")))
    assert words is not None
    assert "yours.png" in words


def test_a_process_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "_TIMEOUT_S", 0.05)
    words = asyncio.run(comparing.run_process(asked(tmp_path, png(), png())))
    assert words is not None
    assert "took longer" in words


@pytest.mark.slow
@pytest.mark.weights
def test_the_explanation_itself(tmp_path: Path) -> None:
    # cache or no cache, sizes that differ: the page is the one of `semetric explain`
    assert asyncio.run(comparing.run_process(asked(tmp_path, png(), png(50, (48, 64))))) is None
    assert "mine.png" in (tmp_path / "out.html").read_text(encoding="utf-8")
