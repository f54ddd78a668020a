"""Judgements in CSV tables, and files of judgements named by their path."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semetric.errors import UsageError
from semetric.learn.datasets import load_dataset, load_judgements
from semetric.learn.judgements import Answer, Item, JudgementStore
from semetric.learn.judgements.jsonl import study_lines
from semetric.learn.judgements.table import table_text
from semetric.learn.triplets import Choice, JudgedPair, ScoredTriplet


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four images: r, a, b and c.png."""
    for k, name in enumerate("rabc"):
        Image.fromarray(np.full((4, 4, 3), 40 * k, np.uint8)).save(tmp_path / f"{name}.png")
    return tmp_path


def write(folder: Path, text: str) -> Path:
    file = folder / "own.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_shares(folder: Path) -> None:
    file = write(folder, "b,reference,a,share_b,split,group\nb.png,r.png,a.png,0.75,val,colour\n")
    (item,) = load_dataset("csv", file).of(Choice)
    assert (item.share_b, item.triplet.split, item.triplet.group) == (0.75, "val", "colour")
    assert item.triplet.reference == str(folder / "r.png")


def test_one_choice_a_row_and_absolute_paths(folder: Path) -> None:
    file = write(folder, f"reference,a,b,choice\n{folder / 'r.png'},a.png,b.png,b\nr.png,b.png,a.png,a\n")
    assert [(item.share_b, item.votes) for item in load_dataset("csv", file).of(Choice)] == [(1, 1), (0, 1)]


def test_a_spreadsheets_table(folder: Path) -> None:
    file = write(folder, "reference;a;b;share_b\nr.png;a.png;b.png;0,25\n")
    assert [item.share_b for item in load_dataset("csv", file).of(Choice)] == [0.25]


def test_scores_and_pairs(folder: Path) -> None:
    file = write(folder, "reference,a,b,score_a,score_b\nr.png,a.png,b.png,0.25,1\n")
    (scored,) = load_dataset("csv", file).of(ScoredTriplet)
    assert (scored.score_a, scored.score_b) == (0.25, 1)
    file = write(folder, "reference,a,same\nr.png,a.png,same\nr.png,b.png,different\n")
    assert [pair.opinion for pair in load_dataset("csv", file).of(JudgedPair)] == [1, 0]


def test_images_elsewhere_splits_and_missing_images(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    rows = "r.png,a.png,b.png,1,train\nr.png,a.png,gone.png,1,train\nr.png,b.png,c.png,0,test\n"
    file = write(tmp_path_factory.mktemp("elsewhere"), f"reference,a,b,share_b,split\n{rows}")
    with pytest.raises(UsageError, match="none that is whole"):
        load_dataset("csv", file)
    data = load_dataset("csv", file, images=str(folder))
    assert len(data) == 2
    assert data.problems.count == 1
    assert "line 3" in data.problems.named[0]
    assert len(load_dataset("csv", file, "test", images=str(folder))) == 1
    with pytest.raises(UsageError, match="test, train; found 'val'"):
        load_dataset("csv", file, "val", images=str(folder))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("reference,a,b\nr.png,a.png,b.png\n", "share_b, choice, or score_a and score_b"),
        ("reference,a,b,share_b\n", "none that is whole"),
        ("reference,a,b,share_b\nr.png,a.png,b.png,2\n", r"line 2.*in \[0, 1\]; found '2'"),
        ("reference,a,b,share_b\nr.png,a.png,b.png,nan\n", "found 'nan'"),
        ("reference,a,b,share_b\nr.png,a.png,,1\n", "one of them is empty"),
        ("reference,a,b,choice\nr.png,a.png,b.png,left\n", "to be a or b; found 'left'"),
        ("reference,a,b,score_a,score_b\nr.png,a.png,b.png,1,\n", "score_b in line 2"),
        ("reference,a,same\nr.png,a.png,yes\n", "same or different|different or same"),
        ("key,reference,a,b,share_b\nx,r.png,a.png,b.png,1\nx,r.png,b.png,a.png,1\n", "line 3 has another"),
    ],
)
def test_a_table_that_is_wrong(text: str, words: str, folder: Path) -> None:
    with pytest.raises(UsageError, match=words):
        load_dataset("csv", write(folder, text))


@pytest.mark.parametrize("kind", ["choice", "score", "same"])
def test_a_study_its_export_and_its_table_are_the_same_judgements(folder: Path, kind: str) -> None:
    answers = {
        "choice": (Answer(choice="a"), Answer(choice="b")),
        "score": (Answer(score_a=0.25, score_b=0.5), Answer(score_a=0.75, score_b=1)),
        "same": (Answer(same=True), Answer(same=False)),
    }[kind]
    b = None if kind == "same" else "b.png"
    with JudgementStore(folder / "study.db", create=True) as store:
        study = store.create_study("s", kind, folder)  # type: ignore[arg-type]
        known = "same" if kind == "same" else "a"
        store.add_items(
            study,
            [
                Item(key="nobody", reference="r.png", a="c.png", b=b),
                Item(key="=x", reference="r.png", a="a.png", b=b, group="g"),
                Item(key="check", reference="r.png", a="b.png", b=b and "c.png", known=known),
            ],
        )
        for name, answer in zip(("Ada", "Grace"), answers, strict=True):
            for key in ("=x", "check"):
                store.judge(study, key, store.annotator(study, name), answer, shown_left="a", seconds=1)
        (folder / "study.jsonl").write_text("".join(study_lines(store, study)), encoding="utf-8")
        (folder / "study.csv").write_text(table_text(store, study), encoding="utf-8", newline="")
    loaded = [load_judgements(str(folder / name)) for name in ("study.db", "study.jsonl", "study.csv")]
    assert loaded[0].items == loaded[1].items == loaded[2].items
    assert len(loaded[0]) == 1
    assert loaded[0].kind == loaded[2].kind


@pytest.mark.parametrize(
    ("source", "root", "words"),
    [
        ("nights", None, "Expected --root, the place of nights"),
        ("nihgts", None, "Did you mean nights"),
        (".", None, "a folder"),
        ("own.csv", ".", "with the file own.csv"),
    ],
)
def test_what_is_no_source(
    folder: Path, monkeypatch: pytest.MonkeyPatch, source: str, root: str | None, words: str
) -> None:
    monkeypatch.chdir(folder)
    write(folder, "reference,a,b,share_b\nr.png,a.png,b.png,1\n")
    with pytest.raises(UsageError, match=words):
        load_judgements(source, root)


def test_a_table_has_no_studies(folder: Path) -> None:
    file = write(folder, "reference,a,b,share_b\nr.png,a.png,b.png,1\n")
    with pytest.raises(UsageError, match="options of csv: images; found study"):
        load_judgements(str(file), study="first")
