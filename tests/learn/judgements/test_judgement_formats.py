"""NIGHTS, BAPPS, JSONL and CSV: read, written, and read again."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from semetric.errors import ImageError, SemetricError, StoreError, UsageError
from semetric.learn.datasets.bapps import export_bapps, load_bapps, load_bapps_jnd
from semetric.learn.datasets.nights import load_nights, nights_table
from semetric.learn.judgements import Answer, Item, JudgementStore, Published, Study
from semetric.learn.judgements.jsonl import import_jsonl, study_lines
from semetric.learn.judgements.pooled import choices, import_dataset, judged_pairs, pool, scored_triplets
from semetric.learn.judgements.table import import_csv, table_text

NIGHTS = """id,left_vote,right_vote,votes,ref_path,left_path,right_path,split,is_imagenet,prompt
0,1,0,7,00.png,01.png,02.png,train,True,"a photo, of a tench"
1,0,1,6,03.png,05.png,04.png,test,False,a boat
"""


def import_nights(store: JudgementStore, study: Study, table: Path) -> tuple[int, int]:
    return import_dataset(store, study, load_nights(table, min_votes=0, images=str(store.root(study))), "nights")


def import_bapps(store: JudgementStore, study: Study) -> tuple[int, int]:
    load = load_bapps_jnd if study.kind == "same" else load_bapps
    return import_dataset(store, study, load(store.root(study)), "bapps")


def judge(store: JudgementStore, study: Study, key: str, name: str, answer: Answer) -> None:
    left = "a"
    store.judge(study, key, store.annotator(study, name), answer, shown_left=left, seconds=1.5)  # type: ignore[arg-type]


def test_nights_comes_back_as_it_was(store: JudgementStore, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(NIGHTS)
    study = store.create_study("nights", "choice", pictures)
    assert import_nights(store, study, tmp_path / "data.csv") == (2, 0)
    assert import_nights(store, study, tmp_path / "data.csv") == (0, 2)
    assert nights_table(study, pool(store, study)) == (NIGHTS, 2, 0)
    first, second = choices(store, study)
    assert (first.share_b, first.votes, first.triplet.split) == (0.0, 7, "train")
    assert (second.share_b, second.triplet.b) == (1.0, str(pictures / "04.png"))


@pytest.mark.parametrize(
    ("old", "new", "error", "words"),
    [
        ("0,1,6", "1,1,6", UsageError, "line 3 .*add up to 1"),
        ("0,1,6", "0,x,6", UsageError, "line 3"),
        ("0,1,6", "0,1,0", UsageError, "votes above 0"),
        ("ref_path", "reference", UsageError, "lacks ref_path"),
        ("04.png", "nothing.png", ImageError, r"nothing\.png"),
        ("test,False,a boat", "test", UsageError, "line 3"),
    ],
)
def test_a_table_that_is_not_nights_is_named(
    store: JudgementStore, pictures: Path, tmp_path: Path, old: str, new: str, error: type[Exception], words: str
) -> None:
    (tmp_path / "data.csv").write_text(NIGHTS.replace(old, new))
    study = store.create_study("nights", "choice", pictures)
    with pytest.raises(error, match=words):
        import_nights(store, study, tmp_path / "data.csv")
    assert list(store.items(study)) == []


def test_votes_of_people_and_of_a_data_set_are_counted_together(
    store: JudgementStore, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "data.csv").write_text(NIGHTS)
    study = store.create_study("nights", "choice", pictures)
    import_nights(store, study, tmp_path / "data.csv")
    for name in ("Ada", "Grace"):
        judge(store, study, "1", name, Answer(choice="b"))
    judge(store, study, "0", "Ada", Answer(choice="b"))
    assert [(one.share_b, one.votes) for one in choices(store, study)] == [(1 / 8, 8), (1.0, 8)]
    assert nights_table(study, pool(store, study))[1:] == (1, 1)  # only where all agree


def bapps(folder: Path, pictures: Path) -> Path:
    """Two subsets of 2AFC, a validation and a training one, and one of JND."""
    shares = {"2afc/val/cnn": [0.2, 1.0], "2afc/train/color": [0.5], "jnd/val/cnn": [1 / 3, 0.0]}
    number = 0
    for place, values in shares.items():
        names = ("p0", "p1") if place.startswith("jnd") else ("ref", "p0", "p1")
        for k, share in enumerate(values):
            for name in names:
                (folder / place / name).mkdir(parents=True, exist_ok=True)
                shutil.copy(pictures / f"{number:02}.png", folder / place / name / f"{k:06}.png")
                number += 1
            judgements = folder / place / ("same" if place.startswith("jnd") else "judge")
            judgements.mkdir(exist_ok=True)
            np.save(judgements / f"{k:06}.npy", np.array([share], np.float32))
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(("kind", "top", "count"), [("choice", "2afc", 3), ("same", "jnd", 2)])
def test_bapps_comes_back_byte_by_byte(
    store: JudgementStore, pictures: Path, tmp_path: Path, kind: str, top: str, count: int
) -> None:
    root = bapps(tmp_path / "bapps", pictures)
    study = store.create_study("bapps", kind, root)  # type: ignore[arg-type]
    assert import_bapps(store, study) == (count, 0)
    assert import_bapps(store, study) == (0, count)
    export_bapps(study, pool(store, study), root, tmp_path / "out")
    assert files(tmp_path / "out" / top) == files(root / top)
    votes = {found.votes for found in pool(store, study)}
    assert votes == ({5, 2} if kind == "choice" else {3})
    with pytest.raises(UsageError, match="exists"):
        export_bapps(study, pool(store, study), root, tmp_path / "out")


def test_an_export_that_fails_leaves_no_folder(store: JudgementStore, pictures: Path, tmp_path: Path) -> None:
    root = bapps(tmp_path / "bapps", pictures)
    study = store.create_study("bapps", "choice", root)
    import_bapps(store, study)
    (root / "2afc/val/cnn/p1/000001.png").unlink()
    with pytest.raises(ImageError, match="000001"):
        export_bapps(study, pool(store, study), root, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("bapps",) and path.is_dir()] == []


def test_what_is_wrong_in_bapps_is_named(store: JudgementStore, pictures: Path, tmp_path: Path) -> None:
    study = store.create_study("empty", "choice", tmp_path)
    with pytest.raises(UsageError, match="found none"):
        import_bapps(store, study)
    root = bapps(tmp_path / "bapps", pictures)
    file = root / "2afc/val/cnn/judge/000001.npy"
    study = store.create_study("bapps", "choice", root)
    for content, error in [(np.array([1.5]), UsageError), (np.array(["x"], object), ImageError)]:
        np.save(file, content, allow_pickle=True)
        with pytest.raises(error, match=r"000001\.npy"):
            import_bapps(store, study)
    file.write_bytes(b"")
    with pytest.raises(ImageError, match=r"000001\.npy"):
        import_bapps(store, study)
    np.save(file, np.array([0.5]))
    (root / "2afc/val/cnn/p1/000001.png").unlink()
    with pytest.raises(ImageError, match="p1"):
        import_bapps(store, study)
    scores = store.create_study("scores", "score", root)
    with pytest.raises(UsageError, match="'score' study"):
        import_bapps(store, scores)


def test_votes_of_unknown_number_are_not_counted_with_others(
    store: JudgementStore, studied: Callable[..., Study]
) -> None:
    study = studied(items=1)
    store.add_published(study, [Published(key="i0", share=0.3, votes=None, source="x")])
    assert [found.share for found in pool(store, study)] == [0.3]
    judge(store, study, "i0", "Ada", Answer(choice="a"))
    with pytest.raises(UsageError, match="number of votes"):
        pool(store, study)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Published(key="i0", share=0.4, votes=5, source="x"), "same answer again"),
        (Published(key="i9", share=0.4, votes=5, source="x"), "no item"),
        (Published(key="i0", share=1.4, votes=5, source="y"), "share in"),
    ],
)
def test_published_answers_are_checked(
    store: JudgementStore, studied: Callable[..., Study], answer: Published, words: str
) -> None:
    study = studied(items=1)
    store.add_published(study, [Published(key="i0", share=0.5, votes=4, source="x")])
    with pytest.raises(UsageError, match=words):
        store.add_published(study, [answer])


def test_pooled_values_are_those_of_the_training_packages(
    store: JudgementStore, studied: Callable[..., Study], pictures: Path
) -> None:
    scores, pairs = studied("score", items=2, checks=1, name="x"), studied("same", items=2, name="y")
    judge(store, scores, "i0", "Ada", Answer(score_a=0.5, score_b=1.0))
    judge(store, scores, "i0", "Grace", Answer(score_a=0.0, score_b=0.5))
    judge(store, scores, "i2", "Grace", Answer(score_a=0.0, score_b=0.5))  # an attention check
    (triplet,) = scored_triplets(store, scores)
    assert (triplet.score_a, triplet.score_b, triplet.triplet.key) == (0.25, 0.75, "i0")
    for name, same in (("Ada", True), ("Grace", True), ("Mary", False), ("Joan", True)):
        judge(store, pairs, "i1", name, Answer(same=same))
    (pair,) = judged_pairs(store, pairs)
    assert (pair.opinion, pair.image) == (0.75, str(pictures / "02.png"))
    for call, study in ((choices, pairs), (scored_triplets, pairs), (judged_pairs, scores)):
        with pytest.raises(UsageError, match="study"):
            call(store, study)


# JSONL: the whole round trip is in test_judgement_store.py


def test_jsonl_holds_no_secret(store: JudgementStore, studied: Callable[..., Study]) -> None:
    from semetric.web.signing import study_secret

    study = studied(checks=1)
    judge(store, study, "i0", "Ada", Answer(choice="b"))
    secret = study_secret(store)
    text = "".join(study_lines(store, study)).encode()
    assert [json.loads(line)["record"] for line in text.splitlines()].count("judgement") == 1
    assert secret not in text
    assert secret.hex().encode() not in text


def test_two_servers_files_are_put_together(
    store: JudgementStore, studied: Callable[..., Study], tmp_path: Path
) -> None:
    study = studied()
    empty = list(study_lines(store, study))
    with JudgementStore(tmp_path / "other.db", create=True) as other:
        theirs = import_jsonl(other, empty)
        judge(other, theirs, "i1", "Grace", Answer(choice="b"))
        judge(store, study, "i0", "Ada", Answer(choice="a"))
        import_jsonl(store, study_lines(other, theirs))
    assert [found.annotator for found in store.judgements(study)] == ["Ada", "Grace"]


def test_lines_that_are_no_study_are_named_and_nothing_is_taken(
    store: JudgementStore, studied: Callable[..., Study], tmp_path: Path
) -> None:
    study = studied(checks=1)
    judge(store, study, "i0", "Ada", Answer(choice="b"))
    lines = list(study_lines(store, study))
    wrong: list[tuple[list[str], type[SemetricError], str]] = [
        ([], UsageError, "found none"),
        (lines[1:], UsageError, "Line 1: Expected a study"),
        ([lines[0].replace('"format": 1', '"format": 2')], UsageError, "format 1"),
        ([*lines, "{"], UsageError, f"line {len(lines) + 1}"),
        ([*lines, '{"record": "wish"}'], UsageError, "'wish'"),
        ([lines[0], *lines[-1:]], UsageError, "line 2"),
        ([lines[0], lines[1].replace('00.png"', '../00.png"')], UsageError, "below the study's image root"),
        ([*lines, lines[1].replace('"sha256": "', '"sha256": "0')], StoreError, "changed|SQLite"),
        ([*lines, lines[-1].replace('"choice": "b"', '"choice": "a"')], UsageError, "another judgement"),
        ([*lines, lines[-1].replace('"uid": "', '"uid": "0')], UsageError, "there is one"),
    ]
    for text, error, words in wrong:
        with JudgementStore(tmp_path / "copy.db", create=True) as copy:
            with pytest.raises(error, match=words):
                import_jsonl(copy, text)
            assert copy.studies() == []


# CSV


@pytest.mark.parametrize("kind", ["choice", "score", "same"])
def test_a_table_is_read_back(
    store: JudgementStore, studied: Callable[..., Study], pictures: Path, tmp_path: Path, kind: str
) -> None:
    study = studied(kind, items=3, checks=1)
    answers = {"choice": Answer(choice="b"), "score": Answer(score_a=0.1, score_b=1 / 3), "same": Answer(same=False)}
    left = "reference" if kind == "same" else "b"
    for name in ("Ada, first", '=HYPERLINK("http://evil")', "'+x"):
        person = store.annotator(study, name)
        store.judge(study, "i1", person, answers[kind], shown_left=left, seconds=0.1)  # type: ignore[arg-type]
    (tmp_path / "s.csv").write_text(table_text(store, study), encoding="utf-8", newline="")
    with JudgementStore(tmp_path / "copy.db", create=True) as copy:
        again = copy.create_study("s", kind, pictures)  # type: ignore[arg-type]
        assert import_csv(copy, again, tmp_path / "s.csv") == (4, 0)
        assert list(copy.items(again)) == list(store.items(study))
        assert list(copy.judgements(again)) == list(store.judgements(study))
        assert table_text(copy, again) == table_text(store, study)
    with (tmp_path / "s.csv").open(newline="") as text:
        cells = [cell for row in csv.reader(text) for cell in row]
    assert not [cell for cell in cells if cell[:1] in "=+-@" and cell]  # nothing that a spreadsheet would run


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n01.png,02.png\n", "lacks reference"),
        ("reference,a,b\n00.png,01.png\n", "line 2"),
        ("key,reference,a,b\nx,00.png,01.png,02.png\nx,00.png,02.png,01.png\n", "line 3"),
        ("reference,a,b,annotator,choice\n00.png,01.png,02.png,Ada,a\n", "no shown_left"),
        (
            "reference,a,b,annotator,choice,shown_left,seconds,time_utc\n00.png,01.png,02.png,Ada,c,a,1,t\n",
            "line 2.*'c'",
        ),
        ("reference,a,b,annotator,same,shown_left,seconds,time_utc\n00.png,01.png,02.png,Ada,1,a,1,t\n", "same or"),
    ],
)
def test_a_row_that_is_none_is_named(
    store: JudgementStore, pictures: Path, tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "s.csv").write_text(text)
    study = store.create_study("s", "choice", pictures)
    with pytest.raises(UsageError, match=words):
        import_csv(store, study, tmp_path / "s.csv")
    assert list(store.items(study)) == []
    (tmp_path / "s.csv").write_bytes(b"\xe9")
    with pytest.raises(UsageError, match="UTF-8"):
        import_csv(store, study, tmp_path / "s.csv")


def test_items_without_keys_are_named_by_their_line(store: JudgementStore, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("reference,a\n00.png,01.png\n")
    study = store.create_study("s", "same", pictures)
    import_csv(store, study, tmp_path / "s.csv")
    assert list(store.items(study)) == [Item(key="row 2", reference="00.png", a="01.png")]


def test_a_table_of_a_spreadsheet_fills_a_study(store: JudgementStore, pictures: Path, tmp_path: Path) -> None:
    text = (
        "reference;a;b;annotator;choice;shown_left;seconds;time_utc\r\n"
        "00.png ;01.png;.\\02.png;Ada;a;a;1,5;2026-01-01T00:00:00Z\r\n;;;;;;;\r\n"
    )
    (tmp_path / "s.csv").write_text(text, encoding="utf-8-sig")
    study = store.create_study("s", "choice", pictures)
    assert import_csv(store, study, tmp_path / "s.csv") == (1, 0)
    assert [(item.reference, item.a, item.b) for item in store.items(study)] == [("00.png", "01.png", "./02.png")]
    assert [judgement.seconds for judgement in store.judgements(study)] == [1.5]
