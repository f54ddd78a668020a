"""What test_killed.py starts: runs in forked children, killed at random moments and at every rename.

The parent imports everything and runs nothing, so that a child begins to score within milliseconds.
Prints one JSON document: what the kills hit, and what they broke.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from semetric.errors import SemetricError
from semetric.image import Picture
from semetric.metrics.base import Score
from semetric.metrics.psnr import PSNR
from semetric.results import database, open_run
from semetric.results.run import EXPORTS
from semetric.runs import score_folders

METRICS = ["psnr", "ssim", "mse"]
PAIRS = 56
KILLS = 20
SIDE = 16  # px
SECONDS_A_PAIR = 0.002

torch.set_num_threads(1)
database.FLUSH_SECONDS = 0.01
_score = PSNR._score


def make_images(root: Path) -> None:
    rng = np.random.default_rng(0)
    for folder in ("references", "images"):
        (root / folder).mkdir()
        for i in range(PAIRS):
            pixels = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / folder / f"{i:03d}.png")
    (root / "images" / "007.png").write_bytes(b"no image")


def attempt(root: Path, out: Path, before: Callable[[], None] = lambda: None) -> int:
    """Starts a run in a child, which logs each pair that it scores; returns the child."""
    pid = os.fork()
    if pid:
        return pid
    log = os.open(root / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)

    def slow(self: PSNR, reference: Picture, image: Picture) -> Score:
        os.write(log, f"{Path(image.name).name}\n".encode())
        time.sleep(SECONDS_A_PAIR)
        return _score(self, reference, image)

    PSNR._score = slow  # type: ignore[method-assign]
    code = 1
    try:
        before()
        score_folders(root / "references", root / "images", out, METRICS, device="cpu", store=None, workers=2)
        code = 0
    finally:
        os._exit(code)


def ended(pid: int) -> int:
    """0 where the child finished, the signal's negative number where it was killed."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def finished_rows(out: Path) -> set[str]:
    try:
        return {row.fields[1] for row in open_run(out).units()}
    except SemetricError:  # it had not begun
        return set()


def scored(root: Path) -> list[str]:
    return (root / "log").read_text().split() if (root / "log").exists() else []


def wait_for_pairs(root: Path, child: int, count: int) -> None:
    """Waits until the child has begun that many pairs or ended: moments told in pairs come on any machine."""
    while len(scored(root)) < count and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        time.sleep(0.001)


def results(out: Path) -> list[bytes]:
    return [(out / name).read_bytes() for name in EXPORTS]


def die_at_rename(number: int, after: bool) -> Callable[[], None]:
    """Makes the process kill itself at its n-th rename, before or after it."""

    def arm() -> None:
        replace, calls = os.replace, 0

        def replace_and_die(source: str, target: str) -> None:
            nonlocal calls
            calls += 1
            if calls == number and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            replace(source, target)
            if calls == number:
                os.kill(os.getpid(), signal.SIGKILL)

        os.replace = replace_and_die  # type: ignore[assignment]

    return arm


def main(root: Path) -> None:
    make_images(root)
    undisturbed = root / "undisturbed"
    code = ended(attempt(root, undisturbed))
    wanted = results(undisturbed)
    problems = [] if code == 0 else [f"the undisturbed run ended with {code}"]
    rng = random.Random(0)
    kills = in_the_middle = 0
    run = 0
    while kills < KILLS:
        out = root / f"killed-{run}"
        while True:
            before = finished_rows(out)
            (root / "log").unlink(missing_ok=True)
            child = attempt(root, out)
            wait_for_pairs(root, child, rng.randrange(PAIRS // 2))
            time.sleep(rng.uniform(0.0, 0.02))
            os.kill(child, signal.SIGKILL)
            code = ended(child)
            again = before.intersection(scored(root))
            if again:
                problems.append(f"scored again: {sorted(again)}")
            if not before <= finished_rows(out):
                problems.append("finished rows were lost")
            if code == 0:
                break
            kills += 1
            in_the_middle += 0 < len(finished_rows(out)) < PAIRS
        if results(out) != wanted:
            problems.append(f"{out.name} has other results")
        run += 1
    renames = 0
    for number in range(1, 1000):
        codes = []
        for after in (False, True):
            out = root / f"rename-{number}-{after}"
            codes.append(ended(attempt(root, out, die_at_rename(number, after))))
            if ended(attempt(root, out)) != 0 or results(out) != wanted:
                problems.append(f"rename {number}: the run did not come to its end")
        renames += 1
        if 0 in codes:  # there is no such rename any more
            break
        database.FLUSH_SECONDS = 0.1  # few writes, so that the last renames are reached soon
    print(json.dumps({"kills": kills, "in_the_middle": in_the_middle, "renames": renames, "problems": problems}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
