"""A run's folder, whatever is scored: entered, gone on with, finished, read."""

from __future__ import annotations

import json
import logging
import math
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from drivers import gone, start
from fake_plan import Units

from semetric.errors import SemetricError, StoreError, UsageError
from semetric.results import Execution, Run, Started, execute, open_run
from semetric.results import database as database_module
from semetric.results.database import FILE, Database
from semetric.results.files import held
from semetric.results.run import EXPORTS, finished_units

TWO = Execution(jobs=2)


def results(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in EXPORTS]


def run(folder: Path, plan: Units | None = None, **options: Any) -> Run:
    return execute(plan or Units(), folder, **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run."""
    return run(tmp_path_factory.mktemp("whole") / "run").path


def test_a_folder_holds_every_unit_once(whole: Path) -> None:
    assert sorted(path.name for path in whole.iterdir()) == sorted([".lock", FILE, *EXPORTS])
    found = open_run(whole)
    assert found.finished
    assert found.record["kind"] == "units"
    assert found.summary == json.loads((whole / "summary.json").read_text())
    assert found.failed == 5
    rows = found.rows
    assert [row["name"] for row in rows] == [f"u{i}" for i in range(50)]
    assert rows[3] == {"name": "u3", "a": 3 / 7, "b": math.inf, "error": None}
    assert rows[7]["b"] is None
    assert json.loads(rows[7]["error"]) == {"b": "no u7"}
    units = list(found.units())
    assert [unit.unit for unit in units] == list(range(50))
    assert units[7].errors == {"b": "no u7"}


@pytest.mark.parametrize("size", [1, 4])
def test_processes_give_the_same_bytes(size: int, whole: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    run(tmp_path / "run", Units(size=size), execution=TWO, progress=lambda *news: told.append(news))
    assert results(tmp_path / "run") == results(whole)
    assert sum(count for count, _ in told) == 50
    assert max(workers for _, workers in told) in (1, 2)  # one may have done all before the other is ready


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupted_run_goes_on(jobs: int, whole: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    plan = Units(log=str(log))
    seen = 0

    def interrupt(units: int, workers: int) -> None:
        nonlocal seen
        seen += units
        if seen == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", plan, execution=Execution(jobs=jobs), progress=interrupt)
    assert finished_units(tmp_path / "run") == 20
    assert not open_run(tmp_path / "run").finished
    log.unlink()
    told: list[Started] = []
    run(tmp_path / "run", plan, started=told.append)
    assert told == [Started(units=50, done=20)]
    assert len(log.read_text().split()) == 30
    assert results(tmp_path / "run") == results(whole)


def test_a_finished_run_does_nothing_again(whole: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    before = results(whole)
    told: list[Started] = []
    assert run(whole, Units(log=str(log)), started=told.append).summary["units"] == 50
    assert told == [Started(units=50, done=50)]
    assert not log.exists()
    assert results(whole) == before


@pytest.mark.parametrize("name", EXPORTS)
@pytest.mark.parametrize("damage", ["gone", "cut", "empty", "flipped"])
def test_files_that_were_damaged_are_made_again(
    name: str, damage: str, whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "run"))
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "gone":
        (folder / name).unlink()
    else:
        (folder / name).write_bytes({"cut": content[:-9], "empty": b"", "flipped": content}[damage])
    log = tmp_path / "log"
    with caplog.at_level(logging.WARNING):
        run(folder, Units(log=str(log)))
    assert results(folder) == results(whole)
    assert not log.exists()
    assert f"{name}: missing or damaged; written again from run.sqlite" in caplog.text


def test_damaged_units_of_a_finished_run_are_done_again(whole: Path, tmp_path: Path) -> None:
    import sqlite3

    folder = Path(shutil.copytree(whole, tmp_path / "run"))
    connection = sqlite3.connect(folder / FILE)
    connection.execute("UPDATE units SET scores = zeroblob(16) WHERE unit = 9")
    connection.execute("DELETE FROM units WHERE unit = 11")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="unit 9 does not match its checksum"):
        list(open_run(folder).units())
    log = tmp_path / "log"
    run(folder, Units(log=str(log)))
    assert log.read_text().split() == ["9", "11"]
    assert results(folder) == results(whole)


def test_a_limit_is_a_beginning(whole: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    plan = Units(log=str(log))
    short = run(tmp_path / "run", plan, limit=12)
    assert short.summary["units"] == 12
    assert [row["name"] for row in short.rows] == [f"u{i}" for i in range(12)]
    assert len(list(short.units())) == 12
    run(tmp_path / "run", plan, limit=12)
    run(tmp_path / "run", plan)
    assert len(log.read_text().split()) == 50
    assert results(tmp_path / "run") == results(whole)
    again = run(tmp_path / "run", plan, limit=3)
    assert (again.summary["units"], len(log.read_text().split())) == (3, 50)
    assert len(list(open_run(tmp_path / "run").units())) == 3


def test_failed_units_are_done_again(whole: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "run"))
    log = tmp_path / "log"
    repaired = {7: "1", 17: "1"}
    with pytest.raises(UsageError, match=r"in the files of u7 and 1 more: they have changed .*--retry-failed"):
        run(folder, Units(stamps=repaired))
    run(folder, Units(stamps=repaired, log=str(log)), retry_failed=True)
    assert log.read_text().split() == ["7", "17", "27", "37", "47"]
    with pytest.raises(UsageError, match="in the files of u8: they have changed"):
        run(folder, Units(stamps={**repaired, 8: "1"}), retry_failed=True)
    assert len(list(open_run(folder).units())) == 45  # the failed ones wait to be done again
    lenient = run(tmp_path / "lenient", Units(asked=False))
    assert lenient.failed == 0
    run(tmp_path / "lenient", Units(asked=False, log=str(log)), retry_failed=True)
    assert len(log.read_text().split()) == 5


def test_another_run_is_never_mixed_in(whole: Path, tmp_path: Path) -> None:
    before = results(whole)
    with pytest.raises(UsageError, match=r"differs from this one in version: 1 → 2. Choose another --out"):
        run(whole, Units(record={"version": "2"}))
    many = {f"x{i}": i for i in range(9)}
    with pytest.raises(UsageError, match=r"x5: none → 5 and 3 more"):
        run(whole, Units(record=many))
    assert results(whole) == before
    run(whole, Units(record={"source": "moved"}))


def test_nothing_finished_binds_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no unit 0"):
        run(tmp_path / "run", Units(wrong=frozenset({0})))
    assert run(tmp_path / "run", Units(record={"version": "2"})).record["version"] == "2"


@pytest.mark.parametrize("name", ["run.json", "lab.json", "parts"])
def test_folders_of_the_earlier_format_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir() if name == "parts" else (tmp_path / name).write_text("{}")
    for work in (lambda: run(tmp_path), lambda: open_run(tmp_path)):
        with pytest.raises(UsageError, match=r"a run of an earlier Semetric.*Choose another --out, and score again"):
            work()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_other_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("")
    (tmp_path / ".mine.tmp").write_text("")
    with pytest.raises(UsageError, match=r"holds letter\.txt\. Choose another --out"):
        run(tmp_path)
    with pytest.raises(UsageError, match=r"to be a folder; .*letter\.txt is a file"):
        run(tmp_path / "letter.txt")
    with pytest.raises(UsageError, match="holds no run"):
        open_run(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mine.tmp", "letter.txt"]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom filelock import FileLock\n"
        "with FileLock(sys.argv[1]):\n    print('held', flush=True)\n    sys.stdin.read()"
    )
    with held(tmp_path / "run"):
        pass
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "run" / ".lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(StoreError, match="another process"):
            run(tmp_path / "run")
        other.communicate("")
    run(tmp_path / "run")


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_leaves_what_is_finished_and_no_process(number: int, whole: Path, tmp_path: Path) -> None:
    """Ctrl-C, SIGTERM, which is the same to a run, and SIGKILL, after which workers end by themselves."""
    mark = f"{number}"
    with start({"units": 50, "seconds": 0.2}, {"jobs": 2}, tmp_path / "run", mark) as driver:
        driver.send_signal(number)
        assert driver.wait(60) != 0
        assert driver.stderr is not None
        assert number == signal.SIGKILL or b"KeyboardInterrupt" in driver.stderr.read()
    assert gone(mark)
    assert 4 <= finished_units(tmp_path / "run") < 50
    run(tmp_path / "run")
    assert results(tmp_path / "run") == results(whole)


def test_files_of_units_are_there_before_their_rows(tmp_path: Path) -> None:
    plan = Units(files=True, wrong=frozenset({5}))
    with pytest.raises(UsageError, match="no unit 5"):
        run(tmp_path / "run", plan)
    names = {path.name for path in (tmp_path / "run" / "files").iterdir()}
    assert names == {f"{i}.txt" for i in range(5)}
    assert finished_units(tmp_path / "run") == 5


def test_what_a_killed_process_had_begun_to_write_is_removed(tmp_path: Path) -> None:
    run(tmp_path / "run", Units(files=True), limit=5)
    left = [tmp_path / "run" / name for name in (".run.json.1-2.tmp", "files/.1.txt.1-2.tmp")]
    for file in left:
        file.write_text("{")
    run(tmp_path / "run", Units(files=True))
    assert not [file for file in left if file.exists()]


@pytest.mark.parametrize("size", [1, 4])
def test_a_unit_that_kills_workers_becomes_a_row(size: int, tmp_path: Path) -> None:
    """Three of them; units beside it in its batch are done by themselves then."""
    done = run(tmp_path / "run", Units(30, size=size, kills=frozenset({13})), execution=TWO)
    rows = done.rows
    assert [row["name"] for row in rows] == [f"u{i}" for i in range(30)]
    assert "It has ended 3 workers: a worker process ended with code -9" in rows[13]["error"]
    assert rows[13]["a"] is None
    assert [row["a"] for i, row in enumerate(rows) if i != 13] == [i / 7 for i in range(30) if i != 13]


def test_a_worker_that_dies_costs_nothing(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "once").write_text("")
    log = tmp_path / "log"
    plan = Units(kills=frozenset({10}), once=str(tmp_path / "once"), log=str(log))
    run(tmp_path / "run", plan, execution=TWO)
    assert results(tmp_path / "run") == results(whole)
    assert len(log.read_text().split()) == 51


@pytest.mark.parametrize(
    ("stand_in", "message"),
    [
        ({"dies_early": True}, "Workers end before they score anything: .* code -9"),
        ({"kills": frozenset(range(50))}, "Workers end at every unit"),
    ],
)
def test_workers_that_all_die_end_the_run(stand_in: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(SemetricError, match=message):
        run(tmp_path / "run", Units(**stand_in), execution=TWO)


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_is_no_units_fault_ends_the_run_and_keeps_the_rest(jobs: int, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no unit 30"):
        run(tmp_path / "run", Units(wrong=frozenset({30})), execution=Execution(jobs=jobs))
    assert finished_units(tmp_path / "run") > 5


def test_rows_wait_for_a_second_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "FLUSH_SECONDS", 0.0)
    counts: list[int] = []
    run(tmp_path / "run", Units(5), progress=lambda *_: counts.append(finished_units(tmp_path / "run")))
    assert counts == [1, 2, 3, 4, 5]


def test_documents_are_kept_with_a_run(whole: Path) -> None:
    found = open_run(whole)
    found.keep("more", {"a": [1]})
    assert found.document("more") == {"a": [1]}
    assert found.document("nothing") is None


def test_a_run_that_had_not_begun_is_none(tmp_path: Path) -> None:
    Database(tmp_path / FILE, create=True).close()
    with pytest.raises(UsageError, match="had not begun"):
        open_run(tmp_path)
    assert run(tmp_path).finished


@pytest.mark.parametrize("options", [{"jobs": 0}, {"ray_workers": 0}, {"ray_cpus": -1.0}, {"ray": "local", "jobs": 2}])
def test_places_to_work_that_do_not_exist(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="Expected"):
        Execution(**options)
