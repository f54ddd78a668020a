"""Runs of the stand-in scorer in processes of their own, which tests interrupt and kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from semetric.results.run import finished_units

HERE = Path(__file__).parent
MARK = "SEMETRIC_TEST_DRIVER"  # in the environment of all processes that a driver starts
CODE = (
    "import json, sys\nfrom pathlib import Path\nfrom fake_plan import Units\n"
    "from semetric.results import Execution, execute\n"
    "plan, place = json.loads(sys.argv[1]), json.loads(sys.argv[2])\n"
    "execute(Units(**plan), Path(sys.argv[3]), execution=Execution(**place))\n"
)


def python_path() -> str:
    """Where drivers and workers find the stand-in scorer."""
    return os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])


def start(plan: dict[str, Any], place: dict[str, Any], out: Path, mark: str) -> subprocess.Popen[bytes]:
    """A driver that has finished four units or more."""
    words = [sys.executable, "-c", CODE, json.dumps(plan), json.dumps(place), str(out)]
    environment = os.environ | {MARK: mark, "PYTHONPATH": python_path()}
    driver = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, start_new_session=True)
    deadline = time.monotonic() + 180  # seconds on an idle machine
    while finished_units(out) < 4 and driver.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return driver


def processes(mark: str, title: str = "") -> list[int]:
    """Ids of the processes that carry a mark, and whose command line begins with a title."""
    carriers = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            marked = f"{MARK}={mark}\0".encode() in (folder / "environ").read_bytes()
            if marked and (folder / "cmdline").read_bytes().startswith(title.encode()):
                carriers.append(int(folder.name))
        except OSError:  # it has ended
            continue
    return [pid for pid in carriers if pid != os.getpid()]


def gone(mark: str, title: str = "") -> bool:
    """Whether such processes end: a killed one may take a moment."""
    deadline = time.monotonic() + 60
    while processes(mark, title) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not processes(mark, title)
