"""What test_experiment_killed.py starts: experiments in forked children, killed at random moments.

The parent imports everything and runs nothing, so that a child begins to send within milliseconds. Prints one JSON
document: what the kills hit, and what they broke.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from fake_systems import Fake, make_images

from semetric.errors import SemetricError
from semetric.lab.experiments import RunSettings, run_experiment
from semetric.results import database, open_run

IMAGES, LEVELS, KILLS = 5, 8, 6
SECONDS_A_UNIT = 0.006
UNITS = IMAGES * LEVELS * 2

database.FLUSH_SECONDS = 0.01


def attempt(root: Path, out: Path) -> int:
    """Starts a run in a child, which logs each image and level that "noise" sends; returns the child."""
    log = root / "log"
    log.unlink(missing_ok=True)
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        experiment = Fake(
            levels=tuple(map(float, range(1, LEVELS + 1))), seconds=SECONDS_A_UNIT, fails=True, log=str(log)
        )
        settings = RunSettings(metrics=("psnr", "mse"), examples=2, device="cpu")
        run_experiment(experiment, [root / "images"], out, settings, cached=False)
        code = 0
    finally:
        os._exit(code)


def ended(pid: int) -> int:
    """0 where the child finished, the signal's negative number where it was killed."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def finished(out: Path) -> set[tuple[str, str, float]]:
    try:
        return {tuple(row.fields[:3]) for row in open_run(out).units()}
    except SemetricError:  # it had not begun
        return set()


def sent(root: Path) -> set[tuple[str, str, float]]:
    lines = (root / "log").read_text().split() if (root / "log").exists() else []
    pairs = [line.split(":") for line in lines]
    return {(f"{number}.png", "noise", float(level)) for number, level in pairs}


def results(out: Path) -> dict[str, bytes]:
    files = [path for path in sorted(out.rglob("*")) if path.is_file() and path.name not in (".lock", "run.sqlite")]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def main(root: Path) -> None:
    make_images(root / "images", IMAGES)
    code = ended(attempt(root, root / "undisturbed"))
    problems = [] if code == 0 else [f"the undisturbed run ended with {code}"]
    wanted = results(root / "undisturbed")
    rng = random.Random(0)
    kills = in_the_middle = number = 0
    while kills < KILLS:
        out = root / f"killed-{number}"
        while True:
            before = finished(out)
            child = attempt(root, out)
            time.sleep(rng.uniform(0.05, 0.5))
            os.kill(child, signal.SIGKILL)
            code = ended(child)
            again = before & sent(root)
            if again:
                problems.append(f"sent again: {sorted(again)}")
            if not before <= finished(out):
                problems.append("finished units were lost")
            if code == 0:
                break
            kills += 1
            in_the_middle += 0 < len(finished(out)) < UNITS
            if kills >= 3 * KILLS:  # a machine so slow that no attempt ends by itself
                code = ended(attempt(root, out))
                break
        if results(out) != wanted:
            problems.append(f"{out.name} has other results")
        number += 1
    print(json.dumps({"kills": kills, "in_the_middle": in_the_middle, "files": len(wanted), "problems": problems}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
