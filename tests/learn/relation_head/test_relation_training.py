from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fake_psg import RIDING, STANDING
from semetric.errors import UsageError, WeightsCorruptError, WeightsMissingError
from semetric.learn.relation_head.checkpoint import pack, size_of
from semetric.learn.relation_head.config import HeadSize, RelationTraining
from semetric.learn.relation_head.evaluation import compare
from semetric.learn.relation_head.examples import Example
from semetric.learn.relation_head.training import WEIGHTS, RelationTrainer, train
from semetric.models.relate_anything import RelateAnything, load_relate_anything
from semetric.training import CHECKPOINT, TrainingProgress

Both = tuple[tuple[Example, ...], tuple[Example, ...]]
SMALL = HeadSize(hidden=24, intermediate=24, layers=1, embedding=8)
CONFIG = RelationTraining(size=SMALL, epochs=3, batch=7, learning_rate=3e-3, milestones=(0.6,))


def log_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / RelationTrainer.LOG).read_text().splitlines()))


@pytest.fixture(autouse=True)
def one_thread() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # sums in one order, so that equal trainings are equal to the bit
    yield
    torch.set_num_threads(before)


def test_it_learns_what_geometry_cannot_tell(both: Both, tmp_path: Path) -> None:
    """Standing on and riding look alike to the rules; SAM's tokens tell red from blue."""
    config = replace(CONFIG, epochs=12, milestones=(0.8,), learning_rate=1e-2)
    done = train(*both, tmp_path, config)
    head = load_relate_anything(done.weights)
    document = compare(head, both[1], resamples=200)
    free = document["free"]["methods"]
    assert free["head"]["recall"]["20"]["value"] > 0.95
    assert free["spatial"]["by_predicate"]["beside"]["recall"] == 1.0
    assert all(free["spatial"]["by_predicate"][name]["recall"] == 0 for name in ("standing on", "riding"))
    assert document["free"]["differences"]["spatial"]["20"]["interval_95"][0] > 0.2
    assert document["masks"] == {"segments": 24, "matched": 24}
    right = 0
    for one in both[1]:
        found = head(torch.from_numpy(np.array(one.tokens)))[:, 1, 0]
        standing = [1, 0, STANDING] in one.relations.tolist()
        right += bool(found[STANDING] > found[RIDING]) == standing
    assert right >= 7  # of 8: held-out drawings, in colours that the training saw


def test_a_training_that_was_interrupted_ends_as_another(both: Both, tmp_path: Path) -> None:
    whole = train(*both, tmp_path / "whole", CONFIG)

    def interrupt(now: TrainingProgress) -> None:
        if now.step == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(*both, tmp_path / "parts", CONFIG, progress=interrupt)
    assert len((tmp_path / "parts" / RelationTrainer.LOG).read_text().splitlines()) == 1 + 1
    steps: list[int] = []
    parts = train(*both, tmp_path / "parts", CONFIG, progress=lambda now: steps.append(now.step))
    assert steps == list(range(5, 13))  # epochs 2 and 3 of four steps each
    assert parts.weights.read_bytes() == whole.weights.read_bytes()
    logs = [log_of(tmp_path / run) for run in ("whole", "parts")]
    for one, other in zip(*logs, strict=True):
        assert {**one, "elapsed_s": ""} == {**other, "elapsed_s": ""}
    assert [row["learning_rate"] for row in logs[0]] == ["0.003", "0.003", "0.0003"]
    again = train(*both, tmp_path / "parts", CONFIG, progress=lambda now: steps.append(now.step))
    assert len(steps) == 8  # nothing is left to do
    assert again == parts


def test_recall_is_measured_where_it_is_due(both: Both, tmp_path: Path) -> None:
    train(*both, tmp_path, replace(CONFIG, evaluate_every=2))
    rows = log_of(tmp_path)
    assert [bool(row["recall_20"]) for row in rows] == [False, True, True]
    assert all(0 <= float(row["recall_100"]) <= 1 for row in rows[1:])


def test_left_out_masks_leave_two(both: Both, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    logits = RelateAnything.logits

    def watched(self: RelateAnything, tokens: torch.Tensor) -> torch.Tensor:
        seen.append(len(tokens))
        return logits(self, tokens)

    monkeypatch.setattr(RelateAnything, "logits", watched)
    train(both[0], (), tmp_path, replace(CONFIG, mask_dropout=0.6))
    assert set(seen) == {2, 3}  # of three


def test_the_global_generator_stays(both: Both, tmp_path: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    train(*both, tmp_path, replace(CONFIG, epochs=1))
    assert torch.equal(torch.rand(4), expected)


def test_checkpoints_of_other_trainings_and_damaged_ones_are_refused(both: Both, tmp_path: Path) -> None:
    config = replace(CONFIG, epochs=1)
    train(*both, tmp_path, config)
    with pytest.raises(UsageError, match="differs in learning_rate, size"):
        train(*both, tmp_path, replace(config, learning_rate=1e-3, size=replace(SMALL, embedding=4)))
    with pytest.raises(UsageError, match="differs in images"):
        train(both[0][1:], both[1], tmp_path, config)
    (tmp_path / CHECKPOINT).write_bytes((tmp_path / CHECKPOINT).read_bytes()[:-500])
    with pytest.raises(WeightsCorruptError, match="Remove it to begin anew"):
        train(*both, tmp_path, config)


def test_a_checkpoint_runs_no_code(both: Both, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (Path(tmp_path / "ran"),)  # type: ignore[return-value]

    torch.save({"identity": "{}", "parts": Bomb()}, tmp_path / CHECKPOINT)
    with pytest.raises(WeightsCorruptError):
        train(*both, tmp_path, CONFIG)
    assert not (tmp_path / "ran").exists()


def test_a_start_brings_its_size(both: Both, tmp_path: Path) -> None:
    size = HeadSize(hidden=36, intermediate=12, layers=2, embedding=4)
    head = RelateAnything(hidden=36, intermediate=12, layers=2, embedding=4)
    (tmp_path / "start.pth").write_bytes(pack(head))
    done = train(*both, tmp_path / "run", replace(CONFIG, epochs=1, learning_rate=1e-9), start=tmp_path / "start.pth")
    after = load_relate_anything(done.weights)
    assert size_of(after) == size_of(head) == size
    for name, value in head.state_dict().items():  # hardly moved: steps of 1e-9
        torch.testing.assert_close(after.state_dict()[name], value, rtol=0, atol=1e-6)
    with pytest.raises(WeightsMissingError):
        train(*both, tmp_path / "other", CONFIG, start=tmp_path / "nothing.pth")


def test_equal_weights_have_one_digest() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = RelateAnything(hidden=12, intermediate=12, layers=1, embedding=2)
    assert pack(head) == pack(head)


def test_nothing_to_learn_from_is_said(both: Both, tmp_path: Path) -> None:
    bare = [replace(one, relations=np.zeros((0, 3), np.int64)) for one in both[0]]
    with pytest.raises(UsageError, match="none to train on"):
        train(bare, both[1], tmp_path, CONFIG)


def test_a_training_that_diverges_is_said(both: Both, tmp_path: Path) -> None:
    wild = replace(both[0][0], tokens=np.full_like(both[0][0].tokens, np.inf))
    with pytest.raises(UsageError, match="finite loss"):
        train([wild], (), tmp_path, CONFIG)
    assert not (tmp_path / WEIGHTS).exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": 0},
        {"batch": 0},
        {"learning_rate": 0.0},
        {"gamma": -1.0},
        {"token_dropout": 1.0},
        {"mask_dropout": -0.5},
        {"weight_decay": -0.1},
        {"milestones": (0.9, 0.5)},
        {"milestones": (1.5,)},
        {"seed": -1},
    ],
)
def test_configs_are_checked(changes: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="Expected"):
        RelationTraining(**changes)  # type: ignore[arg-type]


def test_sizes_are_checked() -> None:
    with pytest.raises(UsageError, match="12 heads divide; found 100"):
        HeadSize(hidden=100)
