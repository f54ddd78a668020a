"""The annotation server under load: twenty annotators at once, and a server that is killed.

    python -m benchmarks.annotation [--annotators 20] [--seconds 20] [--think 1.0] [--json FILE]

Starts `semetric serve` on a study of small images, twice. First all annotators answer without a pause, then as people
do, each after a pause around --think seconds. A judgement's latency is that of its request as the client sees it:
through HTTP, into the database, flushed to the disk. Then annotators answer without a pause until the server is
killed with SIGKILL, and every judgement that was acknowledged is looked for in the database. Needs the extra `serve`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from benchmarks.machine import machine
from semetric.learn.judgements import Item, JudgementStore
from semetric.web.signing import Signer, annotator_link, study_secret

__all__ = ["Latencies", "Load", "killed", "load", "make_study", "start_server"]

BUDGET_S = 0.050


@dataclass(frozen=True, kw_only=True)
class Latencies:
    """How long judgements took, in seconds."""

    judgements: int
    seconds: float
    median_s: float
    p95_s: float
    p99_s: float
    most_s: float


class Load:
    """Annotators as threads, each with a connection that it keeps, as a browser does.

    Args:
        links: a signed link each.
        think_s: the mean pause before an answer; 0 for none.
    """

    def __init__(self, links: list[str], think_s: float = 0.0) -> None:
        self.links = links
        self.think_s = think_s
        self.acknowledged: list[str] = []
        self.latencies: list[float] = []
        self.failed: list[str] = []
        self.stop = threading.Event()

    def run(self, seconds: float) -> None:
        """All of them, for a time or until the server is gone."""
        threads = [threading.Thread(target=self._annotator, args=(link, k)) for k, link in enumerate(self.links)]
        for thread in threads:
            thread.start()
        end = time.monotonic() + seconds
        for thread in threads:  # they end by themselves when nothing is left to judge
            thread.join(max(0.0, end - time.monotonic()))
        self.stop.set()
        for thread in threads:
            thread.join()

    def _annotator(self, link: str, number: int) -> None:
        rng = random.Random(number)
        parts = urlsplit(link)
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)
        try:
            connection.request("GET", parts.path)
            answer = connection.getresponse()
            answer.read()
            cookie = str(answer.getheader("set-cookie")).partition(";")[0]
            connection.request("GET", "/annotate", headers={"Cookie": cookie})
            token = connection.getresponse().read().decode().partition('data-token="')[2].partition('"')[0]
            headers = {
                "Cookie": cookie,
                "X-Form-Token": token,
                "Content-Type": "application/json",
                "Origin": f"http://{parts.netloc}",
            }
            while not self.stop.is_set():
                items = self._post(connection, "/annotate/next", {"count": 4}, headers).get("items", [])
                if not items:
                    return
                for item in items:
                    if self.think_s and self.stop.wait(rng.expovariate(1 / self.think_s)):
                        return
                    said = {"uid": item["uid"], "choice": rng.choice(["left", "right"]), "seconds": 1.0}
                    begin = time.perf_counter()
                    self._post(connection, "/annotate/answer", said, headers)
                    self.latencies.append(time.perf_counter() - begin)
                    self.acknowledged.append(item["uid"])
                    if self.stop.is_set():
                        return
        except (OSError, http.client.HTTPException) as error:  # the server is gone
            self.failed.append(repr(error))
        finally:
            connection.close()

    @staticmethod
    def _post(
        connection: http.client.HTTPConnection, path: str, content: object, headers: dict[str, str]
    ) -> dict[str, list[dict[str, str]]]:
        connection.request("POST", path, json.dumps(content), headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise http.client.HTTPException(f"{path}: {answer.status} {body[:200]!r}")
        found: dict[str, list[dict[str, str]]] = json.loads(body)
        return found


def make_study(folder: Path, items: int, *, seed: int = 0) -> Path:
    """A study file of so many triplets over 30 small images."""
    rng = np.random.default_rng(seed)
    for k in range(30):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{k:02}.png")
    path = folder / "study.db"
    with JudgementStore(path, create=True) as store:
        study = store.create_study("load", "choice", folder)
        names = [f"{k:02}.png" for k in range(30)]
        store.add_items(
            study,
            (
                Item(key=str(k), reference=names[k % 30], a=names[(k + 1) % 30], b=names[(k // 30 + 2) % 30])
                for k in range(items)
            ),
        )
    return path


def start_server(path: Path) -> tuple[subprocess.Popen[str], str]:
    """`semetric serve` on a free port, and its address."""
    command = [sys.executable, "-c", "from semetric.cli import main; raise SystemExit(main())"]
    process = subprocess.Popen(
        [*command, "serve", "--study", str(path), "--port", "0", "--no-compare"], stderr=subprocess.PIPE, text=True
    )
    for line in process.stderr or ():
        if line.startswith("http"):
            return process, line.partition("/admin")[0]
    raise RuntimeError(f"the server ended with code {process.wait()}")


def links_for(path: Path, base_url: str, annotators: int) -> list[str]:
    """A link for each of so many annotators."""
    with JudgementStore(path) as store:
        study = store.study()
        signer = Signer(study_secret(store))
        people = [store.annotator(study, f"annotator {k}") for k in range(annotators)]
        return [annotator_link(signer, study, person, base_url, days=1) for person in people]


def load(folder: Path, *, annotators: int, seconds: float, think_s: float, items: int = 20_000) -> Latencies:
    """Latencies of annotators at once; raises RuntimeError where a judgement failed, was lost or doubled."""
    path = make_study(folder, items)
    process, base_url = start_server(path)
    try:
        people = Load(links_for(path, base_url, annotators), think_s)
        people.run(seconds)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)  # ends it, and closes its pipe
    if people.failed:
        raise RuntimeError(f"requests failed: {people.failed[:3]}")
    _check(path, people.acknowledged)
    times = np.array(people.latencies)
    return Latencies(
        judgements=len(times),
        seconds=seconds,
        median_s=float(np.median(times)),
        p95_s=float(np.quantile(times, 0.95)),
        p99_s=float(np.quantile(times, 0.99)),
        most_s=float(times.max()),
    )


def killed(folder: Path, *, annotators: int, seconds: float, items: int = 20_000) -> tuple[int, int]:
    """Kills the server under load. Returns how many judgements were acknowledged, and how many are stored.

    Raises RuntimeError where an acknowledged one is missing, or one is doubled.
    """
    path = make_study(folder, items)
    process, base_url = start_server(path)
    people = Load(links_for(path, base_url, annotators))
    killer = threading.Timer(seconds, lambda: os.kill(process.pid, signal.SIGKILL))
    killer.start()
    people.run(seconds + 5)
    killer.join()
    process.communicate(timeout=30)  # ends it, and closes its pipe
    return len(people.acknowledged), _check(path, people.acknowledged)


def _check(path: Path, acknowledged: list[str]) -> int:
    with JudgementStore(path) as store:
        stored = [(found.uid, found.key, found.annotator) for found in store.judgements(store.study())]
        damage = store.rows("PRAGMA integrity_check")
    missing = set(acknowledged) - {uid for uid, _, _ in stored}
    doubled = [pair for pair, count in Counter(row[1:] for row in stored).items() if count > 1]
    if missing or doubled or damage != [("ok",)]:
        raise RuntimeError(f"{len(missing)} judgements lost, {len(doubled)} doubled, integrity {damage[:1]}")
    return len(stored)


def main() -> int:
    """Measures and prints; the exit code is 1 where a budget is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotators", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--think", type=float, default=1.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, object] = {"machine": machine(), "annotators": options.annotators}
    missed = False
    for name, think_s in (("without a pause", 0.0), (f"pauses of {options.think:g} s", options.think)):
        with tempfile.TemporaryDirectory() as folder:
            times = load(Path(folder), annotators=options.annotators, seconds=options.seconds, think_s=think_s)
        found[name] = asdict(times)
        missed |= times.p95_s > BUDGET_S
        levels = {"median": times.median_s, "95%": times.p95_s, "99%": times.p99_s, "most": times.most_s}
        words = ", ".join(f"{level} {1e3 * value:.1f} ms" for level, value in levels.items())
        print(f"{name}: {times.judgements} judgements, {words}")
    with tempfile.TemporaryDirectory() as folder:
        acknowledged, stored = killed(Path(folder), annotators=options.annotators, seconds=options.seconds / 4)
    found["killed"] = {"acknowledged": acknowledged, "stored": stored, "lost": 0}
    print(f"killed: {acknowledged} acknowledged, {stored} stored, none lost")
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
