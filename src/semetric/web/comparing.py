"""The queue behind the compare page: uploads on disk, one explanation at a time, few at all."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import shutil
import stat
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semetric.errors import StoreError, UsageError
from semetric.learn.judgements.images import MEDIA, media_of
from semetric.learn.judgements.records import is_printable
from semetric.results.files import held
from semetric.web.explaining import MEMORY_BYTES

__all__ = ["MOST_BYTES", "MOST_PIXELS", "Comparer", "Job", "run_process"]

MOST_BYTES = 20_000_000  # of an upload
MOST_PIXELS = 40_000_000  # of a decoded image: 120 MB
_UPLOADS = 12  # kept; the oldest go first
_JOBS = 12
_WAITING = 4
_TIMEOUT_S = 900.0
_PREFIX = "semetric-compare-"  # of the folder of uploads, in the system's temporary folder

Explain = Callable[[Mapping[str, Any]], Awaitable[str | None]]


@dataclass
class Job:
    """Two images to explain.

    Attributes:
        state: "waiting", "working", "done" or "failed".
        words: why it failed.
        page: where the page is, once it is done.
        request: what the process reads.
    """

    state: str
    words: str
    page: Path
    request: Mapping[str, Any]


class Comparer:
    """Takes uploads and explains pairs of them, one at a time, in the order in which they come.

    Args:
        profile: of the scores.
        explain: runs one; returns why it failed, or None.
    """

    def __init__(self, profile: str, explain: Explain | None = None) -> None:
        self._profile = profile
        self._explain = explain or run_process
        self._lock_of_folder = ExitStack()
        self._folder = _new_folder(self._lock_of_folder)
        _remove_stale(self._folder)
        self._uploads: dict[str, tuple[Path, str]] = {}
        self._jobs: dict[str, Job] = {}
        self._order: asyncio.Queue[Job] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begins to work, in the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._work())

    async def close(self) -> None:
        """Ends what is running and removes every file."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._lock_of_folder.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def add_upload(self, content: bytes, name: str) -> str:
        """Keeps an image. Returns its name for `ask`.

        Args:
            content: at most MOST_BYTES.
            name: the file's, for the page.

        Raises:
            UsageError: another type of file, or too large.
            StoreError: the disk is full.
        """
        media = media_of(content[:16])
        if len(content) > MOST_BYTES or media not in MEDIA:
            raise UsageError(
                f"Expected a PNG, JPEG, WebP, GIF, BMP or AVIF image of at most {MOST_BYTES / 1e6:g} MB; "
                f"found {len(content) / 1e6:.1f} MB of {media or 'another type'}."
            )
        token = secrets.token_hex(12)
        path = self._folder / f"{token}.{media.partition('/')[2]}"
        try:
            path.write_bytes(content)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise StoreError(f"Expected to keep an upload in {self._folder}; {error.strerror or error}.") from error
        printable = "".join(c for c in os.path.basename(name) if is_printable(c))[:80]
        with self._lock:  # uploads come from threads
            self._uploads[token] = (path, printable or "image")
            going_on = [job for job in self._jobs.values() if job.state in ("waiting", "working")]
            busy = {job.request[which] for job in going_on for which in ("reference", "image")}
            for old, (file, _) in list(self._uploads.items())[:-_UPLOADS]:
                if str(file) not in busy:
                    file.unlink(missing_ok=True)
                    del self._uploads[old]
        return token

    def ask(self, reference: str, image: str) -> str:
        """Puts a pair into the queue. Returns the job's name.

        Raises:
            UsageError: an upload that is gone, or a full queue.
        """
        with self._lock:
            return self._ask(reference, image)

    def _ask(self, reference: str, image: str) -> str:
        if reference not in self._uploads or image not in self._uploads:
            raise UsageError("Expected two uploaded images; one of them is gone. Upload it again.")
        if self._order.qsize() >= _WAITING:
            raise UsageError(f"Expected a free place in the queue; {_WAITING} pairs wait already. Try again later.")
        token = secrets.token_hex(12)
        (one, one_name), (two, two_name) = self._uploads[reference], self._uploads[image]
        page = self._folder / f"{token}.html"
        request = {
            "reference": str(one),
            "image": str(two),
            "names": {"reference": one_name, "image": two_name},
            "out": str(page),
            "profile": self._profile,
            "max_pixels": MOST_PIXELS,
        }
        job = Job(state="waiting", words="", page=page, request=request)
        self._jobs[token] = job
        for old, past in list(self._jobs.items())[:-_JOBS]:
            if past.state in ("done", "failed"):
                past.page.unlink(missing_ok=True)
                del self._jobs[old]
        self._order.put_nowait(job)
        return token

    def job(self, token: str) -> Job | None:
        """The job of that name."""
        return self._jobs.get(token)

    async def _work(self) -> None:
        while True:
            job = await self._order.get()
            job.state = "working"
            try:
                words = await self._explain(job.request)
            except asyncio.CancelledError:
                raise
            except Exception:
                logging.getLogger("semetric").exception("an explanation failed")
                words = "The explanation failed; the server's log says why."
            job.words = words or ""
            job.state = "done" if words is None and job.page.is_file() else "failed"


def _new_folder(lock: ExitStack) -> Path:
    """A folder readable by this user alone, locked while the server runs. It gets its name once it is locked, so that
    another server never takes it for one that was left behind."""
    unnamed = Path(tempfile.mkdtemp(prefix="semetric-new-"))
    lock.enter_context(held(unnamed))
    return unnamed.rename(unnamed.with_name(unnamed.name.replace("semetric-new-", _PREFIX)))


def _remove_stale(own: Path) -> None:
    """Removes what servers left that were killed: folders of this user that nobody locks."""
    user = own.stat().st_uid
    for folder in own.parent.glob(f"{_PREFIX}*"):
        with suppress(OSError, StoreError):
            state = folder.lstat()
            if stat.S_ISDIR(state.st_mode) and state.st_uid == user:
                with held(folder):
                    shutil.rmtree(folder, ignore_errors=True)


async def run_process(request: Mapping[str, Any]) -> str | None:
    """Explains a pair in a process of its own, which ends when its stdin does: with the server, however that ends.

    Returns why it failed, or None.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "semetric.web.explaining"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the process that explains has no pipes")
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            process.stdin.write(json.dumps(request).encode() + b"\n")
            output = await process.stdout.read()
            await process.wait()
    except TimeoutError:
        return f"Expected the explanation within {_TIMEOUT_S / 60:g} minutes; it took longer. Try smaller images."
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        process.stdin.close()
    try:
        words = json.loads(output)["error"]
    except (ValueError, KeyError, TypeError):
        return (
            f"The process that explains ended with code {process.returncode}; the server's log says why. If memory ran "
            f"out, which is limited to {MEMORY_BYTES / 1e9:g} GB, try smaller images."
        )
    return None if words is None else str(words)
