"""What test_killed.py starts: runs in forked children, killed at random moments and at every rename.

The parent imports everything and runs nothing, so that a child begins within milliseconds. Prints one JSON document:
what the kills hit, and what they broke.
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

import pyarrow.parquet  # noqa: F401
from fake_plan import Units

from semetric.errors import SemetricError
from semetric.results import database, execute, open_run
from semetric.results.database import FILE

UNITS = 16
KILLS = 20
SECONDS_A_UNIT = 0.005

database.FLUSH_SECONDS = 0.01


def attempt(root: Path, out: Path, before: Callable[[], None] = lambda: None) -> int:
    """Starts a run in a child, which logs each unit that it does; returns the child."""
    (root / "log").unlink(missing_ok=True)
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        before()
        execute(Units(UNITS, files=True, seconds=SECONDS_A_UNIT, log=str(root / "log")), out)
        code = 0
    finally:
        os._exit(code)


def ended(pid: int) -> int:
    """0 where the child finished, the signal's negative number where it was killed."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def finished(out: Path) -> set[int]:
    try:
        return {row.unit for row in open_run(out).units()}
    except SemetricError:  # it had not begun
        return set()


def begun(root: Path) -> set[int]:
    return set(map(int, (root / "log").read_text().split())) if (root / "log").exists() else set()


def wait_for_units(root: Path, child: int, count: int) -> None:
    """Waits until the child has begun that many units or ended: moments told in units come on any machine."""
    while len(begun(root)) < count and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        time.sleep(0.001)


def results(out: Path) -> dict[str, bytes]:
    """Every file but the database, whose bytes tell how often it was written."""
    files = [path for path in sorted(out.rglob("*")) if path.is_file() and path.name not in (".lock", FILE)]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


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
    code = ended(attempt(root, root / "undisturbed"))
    wanted = results(root / "undisturbed")
    problems = [] if code == 0 else [f"the undisturbed run ended with {code}"]
    rng = random.Random(0)
    kills = in_the_middle = number = 0
    while kills < KILLS:
        out = root / f"killed-{number}"
        while True:
            before = finished(out)
            child = attempt(root, out)
            wait_for_units(root, child, rng.randrange(UNITS // 2))
            time.sleep(rng.uniform(0.0, 0.02))
            os.kill(child, signal.SIGKILL)
            code = ended(child)
            again = before & begun(root)
            if again:
                problems.append(f"done again: {sorted(again)}")
            if not before <= finished(out):
                problems.append("finished units were lost")
            if code == 0:
                break
            kills += 1
            in_the_middle += 0 < len(finished(out)) < UNITS
        if results(out) != wanted:
            problems.append(f"{out.name} has other results")
        number += 1
    database.FLUSH_SECONDS = 0.1  # few writes, so that the last renames are reached soon
    renames = 0
    codes = [-1]
    while 0 not in codes:  # until there is no such rename any more
        renames += 1
        codes = []
        for after in (False, True):
            out = root / f"rename-{renames}-{after}"
            codes.append(ended(attempt(root, out, die_at_rename(renames, after))))
            if ended(attempt(root, out)) != 0 or results(out) != wanted:
                problems.append(f"rename {renames}: the run did not come to its end")
    print(json.dumps({"kills": kills, "in_the_middle": in_the_middle, "renames": renames, "problems": problems}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
