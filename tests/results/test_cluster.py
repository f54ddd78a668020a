"""A Ray cluster of this machine. Slow, since its processes take seconds to start."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_plan import Units

from semetric.errors import SemetricError
from semetric.results import Execution, Started, execute
from semetric.results.run import EXPORTS, finished_units

pytest.importorskip("ray", reason="needs ray: pip install 'semetric[ray]'")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of Ray's own
    pytest.mark.skipif(os.name != "posix", reason="kills are POSIX"),
]

HERE = Path(__file__).parent
PORT = 6399
CODE = (
    "import json, sys\nfrom pathlib import Path\nfrom fake_plan import Units\n"
    "from semetric.results import Execution, execute\n"
    "if __name__ == '__main__':\n"
    "    plan, place = json.loads(sys.argv[1]), json.loads(sys.argv[2])\n"
    "    execute(Units(**plan), Path(sys.argv[3]), execution=Execution(**place))\n"
)


def environment() -> dict[str, str]:
    """Workers find the stand-in scorer beside this file."""
    paths = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "RAY_DISABLE_IMPORT_WARNING": "1"}


def ray(*words: str) -> None:
    subprocess.run(
        [str(Path(sys.executable).with_name("ray")), *words],
        env=environment(),
        check=True,
        capture_output=True,
        timeout=300,
    )


def start(plan: dict[str, Any], place: dict[str, Any], out: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", CODE, json.dumps(plan), json.dumps(place), str(out)]
    return subprocess.Popen(words, env=environment(), stderr=subprocess.PIPE, start_new_session=True)


def results(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in EXPORTS]


def wait_for(out: Path, units: int) -> None:
    deadline = time.monotonic() + 120
    while finished_units(out) < units and time.monotonic() < deadline:
        time.sleep(0.1)


def actors() -> list[int]:
    """Processes of Ray that hold an actor of ours."""
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if "ray::_Actor" in line]


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, Any]]:
    """Two nodes on the loopback, of two workers each; the second may be killed."""
    ray("start", "--head", f"--port={PORT}", "--num-cpus=2", "--include-dashboard=false", "--disable-usage-stats")
    ray("start", f"--address=127.0.0.1:{PORT}", "--num-cpus=2", "--disable-usage-stats")
    yield {"ray": f"127.0.0.1:{PORT}", "ray_workers": 4}
    ray("stop", "--force")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run in one process leaves."""
    folder = tmp_path_factory.mktemp("whole")
    execute(Units(120), folder / "run")
    return folder / "run"


def test_a_cluster_gives_the_same_bytes(cluster: dict[str, Any], whole: Path, tmp_path: Path) -> None:
    with start({"units": 120, "size": 4}, cluster, tmp_path / "run") as process:
        assert process.wait(180) == 0, process.stderr and process.stderr.read()
    assert results(tmp_path / "run") == results(whole)
    assert not actors()


def test_actors_that_are_killed_cost_nothing(cluster: dict[str, Any], whole: Path, tmp_path: Path) -> None:
    with start({"units": 120, "seconds": 0.1}, cluster, tmp_path / "run") as process:
        wait_for(tmp_path / "run", 10)
        for pid in actors()[:2]:
            os.kill(pid, signal.SIGKILL)
        assert process.wait(180) == 0, process.stderr and process.stderr.read()
    assert results(tmp_path / "run") == results(whole)


def test_a_unit_that_kills_actors_becomes_a_row(cluster: dict[str, Any], tmp_path: Path) -> None:
    execute_in = start({"units": 40, "kill": 13}, cluster, tmp_path / "run")
    with execute_in as process:
        assert process.wait(240) == 0, process.stderr and process.stderr.read()
    rows = (tmp_path / "run" / "scores.csv").read_text().splitlines()
    assert len(rows) == 41
    assert "It has ended 3 workers" in rows[14]


def test_a_driver_that_is_killed_goes_on(cluster: dict[str, Any], whole: Path, tmp_path: Path) -> None:
    with start({"units": 120, "seconds": 0.1}, cluster, tmp_path / "run") as process:
        wait_for(tmp_path / "run", 10)
        process.kill()
        process.wait(30)
    done = finished_units(tmp_path / "run")
    assert 10 <= done < 120
    told: list[Started] = []
    execute(Units(120), tmp_path / "run", started=told.append)
    assert told[0].done >= done
    assert results(tmp_path / "run") == results(whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_actor(number: int, cluster: dict[str, Any], tmp_path: Path) -> None:
    with start({"units": 120, "seconds": 0.1}, cluster, tmp_path / "run") as process:
        wait_for(tmp_path / "run", 10)
        process.send_signal(number)
        assert process.wait(60) != 0
    assert finished_units(tmp_path / "run") >= 10
    deadline = time.monotonic() + 20
    while actors() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not actors()


def test_what_a_worker_raises_is_raised(cluster: dict[str, Any], tmp_path: Path) -> None:
    with start({"units": 20, "wrong_unit": 5}, cluster, tmp_path / "run") as process:
        assert process.wait(120) == 1
        assert process.stderr is not None
        assert b"UsageError: no unit 5." in process.stderr.read()


def test_a_node_that_dies_costs_nothing(cluster: dict[str, Any], whole: Path, tmp_path: Path) -> None:
    """The last one: the second node is gone then."""
    with start({"units": 120, "seconds": 0.1}, cluster, tmp_path / "run") as process:
        wait_for(tmp_path / "run", 10)
        listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
        nodes = [int(line.split()[0]) for line in listed.splitlines() if "/raylet/raylet" in line]
        assert len(nodes) == 2
        os.kill(max(nodes), signal.SIGKILL)
        assert process.wait(240) == 0, process.stderr and process.stderr.read()
    assert results(tmp_path / "run") == results(whole)


def test_no_cluster_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SemetricError, match=r"Expected a Ray cluster at '127\.0\.0\.1:1'"):
        execute(Units(4), tmp_path / "run", execution=Execution(ray="127.0.0.1:1"))
