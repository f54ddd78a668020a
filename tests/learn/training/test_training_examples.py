from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from semetric.errors import UsageError
from semetric.learn.training.batches import Batches
from semetric.learn.training.config import DreamSimTraining
from semetric.learn.training.examples import examples_of, split_choices
from semetric.learn.training.pixels import Squares
from semetric.learn.triplets import Choice, Triplet


def choice(reference: str, share: float = 1.0, split: str = "", key: str = "k") -> Choice:
    triplet = Triplet(key=key, reference=reference, a=f"{reference}a", b=f"{reference}b", split=split)
    return Choice(triplet=triplet, share_b=share)


def test_images_are_numbered_once() -> None:
    found = examples_of([choice("x"), choice("y"), choice("x", 0.0)])
    assert found.paths == ("x", "xa", "xb", "y", "ya", "yb")
    assert found.rows.tolist() == [[0, 1, 2], [3, 4, 5], [0, 1, 2]]
    assert found.share_b.tolist() == [1, 1, 0]


def test_the_digest_tells_examples_apart() -> None:
    one, two = examples_of([choice("x")]), examples_of([choice("x", 0.0)])
    assert one.digest == examples_of([choice("x")]).digest
    assert len({one.digest, two.digest, examples_of([choice("y")]).digest}) == 3


def test_splits_of_the_data_are_kept_and_the_test_split_is_left_alone() -> None:
    given = [choice(n, split=s) for n, s in (("r", "train"), ("s", "val"), ("t", "test"), ("u", ""))]
    train, held, left = split_choices([*given, choice("v", 0.5)], 0.5, 0)
    assert [c.triplet.reference for c in train] == ["r", "u"]
    assert [c.triplet.reference for c in held] == ["s"]
    assert left == 2  # the test split and the draw


@given(st.integers(2, 30), st.floats(0.01, 0.9), st.integers(0, 5))
def test_a_reference_stays_on_one_side(count: int, share: float, seed: int) -> None:
    given_ = [choice(f"r{i // 2}", key=str(i)) for i in range(2 * count)]
    train, held, left = split_choices(given_, share, seed)
    one, two = ({c.triplet.reference for c in part} for part in (train, held))
    assert not one & two
    assert one
    assert two
    assert (len(train) + len(held), left) == (2 * count, 0)
    assert split_choices(given_, share, seed) == (train, held, left)


def test_nothing_to_train_on() -> None:
    with pytest.raises(UsageError, match="triplets to train on"):
        split_choices([choice("x", 0.5), choice("y", split="test")], 0.1, 0)


@given(st.integers(1, 40), st.integers(1, 12), st.booleans())
def test_an_epoch_takes_each_triplet_once(count: int, batch: int, gather: bool) -> None:
    rows = np.arange(count)[:, None] // 3 * np.ones((1, 3), np.int64)
    batches = Batches(rows, batch, gather=gather, seed=2)
    epochs = [
        np.concatenate([batches(e * batches.per_epoch + i) for i in range(batches.per_epoch)]).tolist()
        for e in range(2)
    ]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(count))
    later = Batches(rows, batch, gather=gather, seed=2)
    assert later(batches.per_epoch).tolist() == batches(batches.per_epoch).tolist()  # by the step alone
    if gather:
        order = rows[epochs[0], 0].tolist()
        assert len([i for i in range(1, count) if order[i] != order[i - 1]]) == len(set(order)) - 1


def test_squares_are_the_same_whether_held_or_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths = []
    for i in range(3):
        paths.append(str(tmp_path / f"{i}.png"))
        Image.fromarray(rng.integers(0, 256, (9, 5, 3), dtype=np.uint8)).save(paths[-1])
    held, forgetful = Squares(paths, 8), Squares(paths, 8, held_bytes=1)
    for _ in range(2):
        assert np.array_equal(held([0, 2, 1]), forgetful([0, 2, 1]))


def test_published_hyper_parameters() -> None:
    """methods of arXiv 2306.09344 and its package."""
    one, three = DreamSimTraining.published(), DreamSimTraining.published(trunks=3)
    head = DreamSimTraining.published("mlp")
    assert (one.rank, one.alpha, one.dropout, one.batch, one.epochs) == (16, 32, 0.2, 32, 8)
    assert (three.rank, three.alpha, three.dropout, three.batch, three.epochs) == (16, 8, 0.3, 16, 6)
    assert (head.hidden, head.batch, head.epochs) == (512, 512, 20)
    for config in (one, three, head):
        assert (config.margin, config.learning_rate, config.beta_1, config.beta_2) == (0.05, 3e-4, 0.5, 0.999)
    assert DreamSimTraining(**one.to_dict()) == one


@pytest.mark.parametrize(
    "change",
    [{"rank": 0}, {"margin": 0.0}, {"dropout": 1.0}, {"method": "all"}, {"precision": "int8"}, {"patience": -1}],
)
def test_bad_configs(change: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=f"Expected {next(iter(change))}"):
        DreamSimTraining(**change)  # type: ignore[arg-type]
