"""CycleGAN folders, studies of one's own, and what all data sets share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semetric.errors import SemetricError, UsageError
from semetric.learn.datasets import DATASETS, Dataset, ImagePair, OddOneOut, choices_of, load_dataset
from semetric.learn.triplets import Choice, JudgedPair, ScoredTriplet, Triplet

PLACE = "results/horse2zebra/test_latest/images"


def test_cyclegan_pairs(tmp_path: Path, touch: Callable[..., None]) -> None:
    names = ("real_A", "fake_B", "rec_A", "real_B", "fake_A", "rec_B")
    touch(*(f"{PLACE}/n02_real_A_1_{name}.png" for name in names), f"{PLACE}/grid.png", f"{PLACE}/index.txt")
    touch(f"{PLACE}/alone_real_A.png")
    touch("results/facades/val_200/images/7_real.png", "results/facades/val_200/images/7_fake.png")
    for root in (tmp_path, tmp_path / "results"):
        data = load_dataset("cyclegan", root)
        items = data.of(ImagePair)
        assert [(one.group, one.split) for one in items] == [
            ("facades", "val"),
            ("horse2zebra A to B", "test"),
            ("horse2zebra B to A", "test"),
        ]
        assert [Path(p).name for p in (items[1].reference, items[1].image)] == [
            "n02_real_A_1_real_A.png",
            "n02_real_A_1_fake_B.png",
        ]
        assert data.left_out == {"reconstructions": 2, "files without a label": 1}
        assert data.problems.named == ("horse2zebra/test_latest/alone/A_to_B: alone_fake_B.png is missing",)
    assert len(load_dataset("cyclegan", tmp_path / PLACE)) == 2
    assert len(load_dataset("cyclegan", tmp_path, "val")) == 1
    with pytest.raises(UsageError, match=r"test, val; found 'train'"):
        load_dataset("cyclegan", tmp_path, "train")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"_real_A\.png"):
        load_dataset("cyclegan", tmp_path / "empty")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study file of choices with three people, an attention check and a missing image."""
    judgements = pytest.importorskip("semetric.learn.judgements")
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for name in ("r", "a", "b"):
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(tmp_path / "images" / f"{name}.png")
    with judgements.JudgementStore(tmp_path / "study.db", create=True) as store:
        made = store.create_study("first", "choice", "images")
        items = [
            judgements.Item(key=key, reference="r.png", a="a.png", b="b.png", split=split, group="g", known=known)
            for key, split, known in (("one", "test", None), ("two", "train", None), ("check", "", "a"))
        ]
        store.add_items(made, items)
        for person, choice in (("Ada", "b"), ("Bo", "b"), ("Cy", "a")):
            for key in ("one", "two", "check"):
                store.judge(
                    made,
                    key,
                    store.annotator(made, person),
                    judgements.Answer(choice=choice),
                    shown_left="a",
                    seconds=1.0,
                )
    return tmp_path / "study.db"


def test_a_study_of_ones_own(study: Path) -> None:
    data = load_dataset("study", study)
    first, _ = data.of(Choice)
    assert (data.name, data.kind, len(data), data.majority) == ("study first", "choices", 2, False)
    assert (first.share_b, first.votes, first.triplet.group) == (pytest.approx(2 / 3), 3, "g")
    assert Path(first.triplet.b) == study.parent / "images" / "b.png"
    assert len(load_dataset("study", study, "test", study="first")) == 1
    with pytest.raises(UsageError, match=r"test, train; found 'val'"):
        load_dataset("study", study, "val")
    with pytest.raises(UsageError, match="'second'"):
        load_dataset("study", study, study="second")


def test_its_export_is_the_same_data_set(study: Path, tmp_path: Path) -> None:
    from semetric.learn.judgements import JudgementStore
    from semetric.learn.judgements.jsonl import study_lines

    with JudgementStore(study) as store:
        (tmp_path / "first.jsonl").write_text("".join(study_lines(store, store.study())), encoding="utf-8")
    assert load_dataset("study", tmp_path / "first.jsonl").items == load_dataset("study", study).items
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "first.jsonl").rename(tmp_path / "elsewhere" / "first.jsonl")
    moved = load_dataset("study", tmp_path / "elsewhere" / "first.jsonl", images=str(tmp_path / "images"))
    assert moved.items == load_dataset("study", study).items
    (tmp_path / "elsewhere" / "broken.jsonl").write_text(json.dumps({"record": "item"}) + "\n")
    with pytest.raises(UsageError, match=r"[lL]ine 1"):
        load_dataset("study", tmp_path / "elsewhere" / "broken.jsonl")


def test_missing_images_of_a_study_are_named(study: Path) -> None:
    (study.parent / "images" / "a.png").unlink()
    with pytest.raises(UsageError, match=r"The first problem: one: a.png is missing"):
        load_dataset("study", study)
    with pytest.raises(UsageError, match="a study file or its export"):
        load_dataset("study", study.parent)


def test_unknown_names_and_options(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"found 'night'. Did you mean nights\?"):
        load_dataset("night", tmp_path)
    with pytest.raises(UsageError, match=r"options of bapps: subset; found sub"):
        load_dataset("bapps", tmp_path, sub="cnn")


@pytest.mark.parametrize("name", DATASETS)
def test_a_folder_of_something_else_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "readme.txt").write_text("nothing")
    for place in (tmp_path, tmp_path / "none"):
        with pytest.raises(SemetricError):
            load_dataset(name, place)


def triplet(key: str) -> Triplet:
    return Triplet(key=key, reference="r", a="a", b="b")


def test_every_triplet_is_a_choice() -> None:
    items = (
        Choice(triplet=triplet("0"), share_b=0.25, votes=4),
        ScoredTriplet(triplet=triplet("1"), score_a=0.2, score_b=0.9),
        ScoredTriplet(triplet=triplet("2"), score_a=0.5, score_b=0.5),
    )
    data = Dataset(name="x", root=".", kind="scores", items=items)
    assert [one.share_b for one in choices_of(data)] == [0.25, 1.0, 0.5]
    odd = Dataset(name="x", root=".", kind="odd_one_out", items=(OddOneOut(key="k", images=("x", "y", "z"), odd=0),))
    assert [(c.triplet.reference, c.triplet.a, c.triplet.b, c.share_b) for c in choices_of(odd)] == [
        ("y", "z", "x", 0.0),
        ("z", "y", "x", 0.0),
    ]
    pair = JudgedPair(key="k", reference="r", image="i", opinion=1.0)
    with pytest.raises(UsageError, match="holds JudgedPair"):
        choices_of(Dataset(name="x", root=".", kind="pairs", items=(pair,)))
    with pytest.raises(UsageError, match="0, 1 or 2"):
        OddOneOut(key="k", images=("x", "y", "z"), odd=3)


def test_a_sample_keeps_the_order_and_the_seed_decides() -> None:
    items = tuple(Choice(triplet=triplet(str(i)), share_b=0.0) for i in range(50))
    data = Dataset(name="x", root=".", kind="choices", items=items, published_size=50)
    one, two, three = (data.sample(9, np.random.default_rng(seed)) for seed in (1, 1, 2))
    keys = [int(item.triplet.key) for item in one.of(Choice)]
    assert keys == sorted(set(keys))
    assert one == two != three
    assert one.published_size is None
    assert data.sample(50, np.random.default_rng(0)) is data
    with pytest.raises(UsageError, match="at least 1"):
        data.sample(0, np.random.default_rng(0))
