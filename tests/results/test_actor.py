"""What a worker of a cluster does, without a cluster."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fake_plan import Units

from semetric.cli._choices import with_ray_address
from semetric.errors import SemetricError, UsageError, WeightsMissingError
from semetric.results import Execution, Row, Task
from semetric.results import cluster as module
from semetric.results.cluster import _Actor, _here, _stamp


class Reader:
    """A recipe and its worker, whose score is the number of bytes of a file."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}

    def worker(self) -> Reader:
        return self

    def rows(self, tasks):  # type: ignore[no-untyped-def]
        for task in tasks:
            rows = []
            for unit, path in zip(task.units, task.items, strict=True):
                place = Path(self.places.get(path, path))
                errors = {} if place.exists() else {"a": f"{place} is not there"}
                rows.append(Row(unit=unit, scores=[place.stat().st_size if not errors else 0.0], errors=errors))
            yield rows


def actor(recipe: object = None) -> _Actor:
    made = _Actor(recipe or Reader(), _here(), False)  # type: ignore[arg-type]
    made.ready()
    return made


def test_files_are_read_by_path_where_they_are_the_same(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"four")
    tasks = [Task(units=(3,), items=(str(file),), files=(str(file),))]
    rows, finished, missing = actor().begin(tasks, {str(file): _stamp(str(file))}, [], False)
    assert (finished, missing) == (True, [])
    assert [row.scores for together in rows for row in together] == [[4]]


def test_other_files_travel_as_bytes_and_keep_their_names(tmp_path: Path) -> None:
    file, gone = tmp_path / "a.png", str(tmp_path / "gone.png")
    file.write_bytes(b"of this node")
    stamps = {str(file): (4, 1), gone: (4, 1), "nowhere": None}
    tasks = [Task(units=(i,), items=(path,), files=(path,)) for i, path in enumerate((str(file), gone))]
    made = actor()
    assert made.begin(tasks, stamps, [], False) == ([], False, [str(file), gone])
    rows, finished, missing = made.begin(tasks, stamps, [str(file), gone], False, b"four", None)  # type: ignore[arg-type]
    assert (finished, missing) == (True, [])
    assert [row.scores for together in rows for row in together] == [[4], [0.0]]
    assert rows[1][0].errors == {"a": f"{gone} is not there"}
    again = [Task(units=(2,), items=(str(file),), files=())]
    rows, *_ = made.begin(again, {}, [], False)
    assert rows[0][0].scores == [len("of this node")]  # copies are of one chunk


def test_errors_name_files_and_not_their_copies(tmp_path: Path) -> None:
    made = actor()
    made._worker.places["/data/x.png"] = "/tmp/semetric-1/0.png"
    row = Row(unit=0, scores=[], errors={"psnr": "/tmp/semetric-1/0.png is damaged."})
    assert made._named(row).errors == {"psnr": "/data/x.png is damaged."}


def test_work_comes_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Units(5)
    (tasks,) = plan.chunks(range(5), Execution())
    made = actor(plan.recipe)
    assert [len(made.begin(tasks, {}, [], True)[0]), *(len(made.go_on()[0]) for _ in range(3))] == [1, 1, 1, 1]
    rows, finished, _ = made.go_on()
    assert ([row.unit for row in rows[0]], finished) == ([4], True)
    monkeypatch.setattr(module, "_SLICE_S", 0.0)
    assert len(made.begin(tasks, {}, [], False)[0]) == 1
    monkeypatch.setattr(module, "_SLICE_S", 60.0)
    assert len(made.go_on()[0]) == 4


def test_a_node_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    for what, wanted in (("Semetric", "99"), ("Python", "4.0")):
        with pytest.raises(SemetricError, match=rf"Expected {what} {wanted} on every node.*{os.uname().nodename} has"):
            _Actor(Reader(), _here() | {what: wanted}, False).ready()

    def lack(self: Reader) -> Reader:
        raise WeightsMissingError("The weights x are not here.")

    monkeypatch.setattr(Reader, "worker", lack)
    with pytest.raises(WeightsMissingError, match=rf"On the node {os.uname().nodename}: The weights x are not here\."):
        actor()


@pytest.mark.parametrize(
    ("words", "complete"),
    [
        (["score", "a", "--ray"], ["score", "a", "--ray", "default"]),
        (["score", "--ray", "a", "b"], ["score", "--ray", "default", "a", "b"]),
        (["score", "--ray", "--json"], ["score", "--ray", "default", "--json"]),
        (["score", "--ray", "auto", "a"], ["score", "--ray", "auto", "a"]),
        (["score", "--ray", "ray://head:10001"], ["score", "--ray", "ray://head:10001"]),
        (["score", "--ray", "10.0.0.1:6379"], ["score", "--ray", "10.0.0.1:6379"]),
        (["score", "--ray=auto"], ["score", "--ray=auto"]),
        ([], []),
    ],
)
def test_an_address_may_be_left_out(words: list[str], complete: list[str]) -> None:
    assert with_ray_address(words) == complete


def test_a_cluster_and_processes_are_either_or() -> None:
    with pytest.raises(UsageError, match="--jobs or --ray; found both"):
        Execution(ray="auto", jobs=2)
