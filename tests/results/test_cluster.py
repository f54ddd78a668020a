"""A Ray cluster of two nodes on the loopback of this machine. Slow, since its processes take seconds to start."""

from __future__ import annotations

import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drivers import MARK, gone, python_path, start
from fake_plan import Units
from PIL import Image

from semetric.errors import SemetricError, UsageError
from semetric.results import Execution, Started, execute
from semetric.results import cluster as module
from semetric.results.run import EXPORTS, finished_units
from semetric.runs import score_folders

pytest.importorskip("ray", reason="needs ray: pip install 'semetric[ray]'")
cluster_utils = pytest.importorskip("ray.cluster_utils", reason="needs ray: pip install 'semetric[ray]'")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of Ray's own
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc"),
]

UNITS = 80
STORE_BYTES = 80 << 20  # of a node's object store; Ray takes no less than 75 MiB


@pytest.fixture(scope="module", autouse=True)
def environment() -> Iterator[None]:
    """Workers find the stand-in scorer beside this file, and get their share of a busy machine."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as home:
        patch.setenv("HOME", home)  # a token of Ray's in the user's own would be asked of every node
        patch.setenv("PYTHONPATH", python_path())
        patch.setenv("RAY_worker_niceness", "0")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv(MARK, "cluster")
        yield


def start_cluster(*, client_port: int | None = None, **system: Any) -> Any:
    """Of one node."""
    node = {"num_cpus": 1, "object_store_memory": STORE_BYTES, "ray_client_server_port": client_port}
    head = {**node, "include_dashboard": False, "_system_config": system}
    return cluster_utils.Cluster(initialize_head=True, head_node_args=head)


@pytest.fixture(scope="module")
def client_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def cluster(environment: None, client_port: int) -> Iterator[Any]:
    """The head; `second` gives it another node."""
    running = start_cluster(client_port=client_port)
    yield running
    running.shutdown()
    assert gone("cluster")


@pytest.fixture
def second(cluster: Any) -> Any:
    """The second node, which may be killed."""
    nodes = list(cluster.worker_nodes)
    return nodes[0] if nodes else cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)


@pytest.fixture
def place(cluster: Any, second: Any) -> Execution:
    """Two workers a node."""
    return Execution(ray=cluster.address, ray_workers=4, ray_cpus=0.5)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run in one process leaves."""
    folder = tmp_path_factory.mktemp("whole")
    execute(Units(UNITS), folder / "run")
    return folder / "run"


def results(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in EXPORTS]


def test_a_cluster_gives_the_same_bytes(place: Execution, whole: Path, tmp_path: Path) -> None:
    execute(Units(UNITS, size=4), tmp_path / "run", execution=place)
    assert results(tmp_path / "run") == results(whole)
    assert gone("cluster", "ray::_Actor")


def test_a_driver_outside_of_the_cluster(cluster: Any, client_port: int, whole: Path, tmp_path: Path) -> None:
    """In a process of its own: a failed connection leaves Ray of no use in a process."""
    pytest.importorskip("grpc", reason="needs grpcio: pip install 'semetric[ray]'")
    place = {"ray": f"ray://127.0.0.1:{client_port}", "ray_workers": 2, "ray_cpus": 0.5}
    with start({"units": UNITS}, place, tmp_path / "run", "client") as driver:
        _, error = driver.communicate(timeout=120)
    if b"Starting Ray client server failed" in error:
        pytest.skip("Ray did not start its server for this client within its 30 seconds")
    assert driver.returncode == 0, error.decode()
    assert results(tmp_path / "run") == results(whole)


def test_a_node_that_dies_costs_nothing(
    cluster: Any, second: Any, place: Execution, whole: Path, tmp_path: Path
) -> None:
    """It is killed when three workers are at it, of which a node has two; they do all the rest."""
    news: list[tuple[int, int]] = []

    def progress(count: int, workers: int) -> None:
        news.append((count, workers))
        if workers == 3 and cluster.worker_nodes:
            cluster.remove_node(second, allow_graceful=False)

    execute(Units(UNITS, seconds=0.3), tmp_path / "run", execution=place, progress=progress)
    assert not cluster.worker_nodes
    assert results(tmp_path / "run") == results(whole)
    counts = [workers for _, workers in news]
    assert min(counts[counts.index(3) :]) in (1, 2)  # as many as the other node holds
    assert sum(count for count, _ in news) == UNITS


def test_an_actor_that_dies_costs_nothing(place: Execution, whole: Path, tmp_path: Path) -> None:
    """By SIGKILL, as the kernel ends processes where memory is short."""
    (tmp_path / "once").touch()
    log = tmp_path / "log"
    plan = Units(UNITS, kills=frozenset({10}), once=str(tmp_path / "once"), log=str(log))
    execute(plan, tmp_path / "run", execution=place)
    assert results(tmp_path / "run") == results(whole)
    assert len(log.read_text().split()) > UNITS


def test_a_unit_that_kills_three_actors_becomes_a_row(place: Execution, tmp_path: Path) -> None:
    rows = execute(Units(20, kill=13), tmp_path / "run", execution=place).rows
    assert [row["name"] for row in rows if row["a"] is None] == ["u13"]
    assert "It has ended 3 workers: a worker on the cluster died" in rows[13]["error"]


def test_what_a_worker_raises_is_raised(place: Execution, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no unit 5"):
        execute(Units(20, wrong_unit=5), tmp_path / "run", execution=place)


def test_pairs_of_files(place: Execution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """References are read by path, as where a node sees the same file; the bytes of images travel."""
    rng = np.random.default_rng(0)
    for folder in ("references", "images"):
        (tmp_path / folder).mkdir()
        for i in range(6):
            Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(tmp_path / folder / f"{i}.png")
    (tmp_path / "images" / "3.png").write_bytes(b"no image")
    stamp = module._stamp  # nodes have one of their own
    monkeypatch.setattr(module, "_stamp", lambda path: (0, 0) if "images" in path else stamp(path))
    options: dict[str, Any] = {"metrics": ["psnr", "ssim"], "device": "cpu", "store": None}
    inputs = tmp_path / "references", tmp_path / "images"
    score_folders(*inputs, tmp_path / "local", **options)
    score_folders(*inputs, tmp_path / "ray", **options, execution=place)
    assert results(tmp_path / "ray") == results(tmp_path / "local")


def test_a_driver_that_is_killed_goes_on(place: Execution, whole: Path, tmp_path: Path) -> None:
    words = {"ray": place.ray, "ray_workers": 2, "ray_cpus": 0.5}
    with start({"units": UNITS, "seconds": 0.1}, words, tmp_path / "run", "killed") as driver:
        driver.kill()
    assert gone("cluster", "ray::_Actor")
    done = finished_units(tmp_path / "run")
    assert 4 <= done < UNITS
    news: list[Started] = []
    execute(Units(UNITS), tmp_path / "run", execution=place, started=news.append)
    assert news[0].done == done
    assert results(tmp_path / "run") == results(whole)


@pytest.mark.parametrize(("number", "own"), [(signal.SIGINT, True), (signal.SIGTERM, False)])
def test_an_interrupt_leaves_no_process(number: int, own: bool, place: Execution, tmp_path: Path) -> None:
    """Neither an actor on a cluster that goes on, nor anything of a cluster of its own."""
    words = {"ray": "local" if own else place.ray, "ray_workers": 2, "ray_cpus": 0.5}
    with start({"units": UNITS, "seconds": 0.1}, words, tmp_path / "run", f"signal {number}") as driver:
        driver.send_signal(number)
        assert driver.wait(120) != 0
        assert driver.stderr is not None
        assert b"KeyboardInterrupt" in driver.stderr.read()
    assert finished_units(tmp_path / "run") >= 4
    assert gone(f"signal {number}")
    assert gone("cluster", "ray::_Actor")


def test_a_worker_that_is_killed_for_memory_costs_nothing(whole: Path, tmp_path: Path) -> None:
    """By Ray's own monitor, on a cluster where 1.5 GiB more than there are now are too many."""
    memory = {line.split(":")[0]: int(line.split()[1]) << 10 for line in Path("/proc/meminfo").read_text().splitlines()}
    total, free = memory["MemTotal"], memory["MemAvailable"]
    margin = 3 << 29
    if free < 3 * margin:
        pytest.skip("needs 4.5 GiB of free memory")
    (tmp_path / "once").touch()
    plan = Units(UNITS, seconds=0.01, grows=frozenset({10}), once=str(tmp_path / "once"))
    strict = start_cluster(memory_usage_threshold=(total - free + margin) / total, memory_monitor_refresh_ms=50)
    try:
        execute(plan, tmp_path / "run", execution=Execution(ray=strict.address, ray_workers=2, ray_cpus=0.5))
    finally:
        strict.shutdown()
    assert not (tmp_path / "once").exists()
    assert results(tmp_path / "run") == results(whole)


def test_no_cluster_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SemetricError, match=r"Expected a Ray cluster at '127\.0\.0\.1:1'"):
        execute(Units(4), tmp_path / "run", execution=Execution(ray="127.0.0.1:1"))
