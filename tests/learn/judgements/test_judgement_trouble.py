"""What comes from outside and is wrong, and what others do to the file meanwhile."""

from __future__ import annotations

import json
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from semetric.errors import ImageError, StoreError, UsageError
from semetric.learn.datasets.bapps import load_bapps
from semetric.learn.datasets.nights import load_nights
from semetric.learn.judgements import Annotator, Answer, Item, JudgementStore, Study
from semetric.learn.judgements.assignment import Assigner
from semetric.learn.judgements.jsonl import import_jsonl, study_lines
from semetric.learn.judgements.pooled import import_dataset
from semetric.learn.judgements.table import import_csv, table_text

STUDIED = Callable[..., Study]
HEADER = "key,reference,a,b,annotator,choice,shown_left,seconds,time_utc"
A = Answer(choice="a")


def judge(store: JudgementStore, study: Study, key: str, name: str, uid: str | None = None) -> None:
    store.judge(study, key, store.annotator(study, name), A, shown_left="a", seconds=1.5, uid=uid)


# The file


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    JudgementStore(tmp_path / "s.db", create=True).close()
    assert stat.S_IMODE((tmp_path / "s.db").stat().st_mode) == 0o600  # the secret in it makes links
    with pytest.raises(StoreError, match=r"absent.s\.db"):
        JudgementStore(tmp_path / "absent" / "s.db", create=True)


def test_a_file_opens_while_somebody_writes(
    store: JudgementStore, studied: STUDIED, monkeypatch: pytest.MonkeyPatch
) -> None:
    studied()
    monkeypatch.setattr("semetric.learn.judgements.store._BUSY_MS", 100)
    with store.transaction(), JudgementStore(store.path) as other:
        assert len(list(other.items(other.study()))) == 5


def test_damage_further_into_the_file_is_named(store: JudgementStore, studied: STUDIED) -> None:
    studied(items=1)
    # many pages of annotators; the tree's first leaf stays whole, so that only a later step of the query fails
    with store.transaction() as connection:
        connection.executemany(
            "INSERT INTO annotators (study_id, name, created_utc) VALUES (1, ?, 't')",
            [(f"{k:04}" + "x" * 60,) for k in range(2000)],
        )
    store.close()
    content = bytearray(store.path.read_bytes())
    place = content.find(b"1500" + b"x" * 60)
    while place >= 0:  # in the table and in its index
        page = place // 4096 * 4096
        content[page : page + 4096] = b"\xff" * 4096
        place = content.find(b"1500" + b"x" * 60)
    store.path.write_bytes(content)
    with JudgementStore(store.path) as damaged, pytest.raises(StoreError, match=r"study\.db; SQLite says.*malformed"):
        list(damaged.rows("SELECT name FROM annotators NOT INDEXED"))  # page by page


@pytest.mark.parametrize("write", ["lines", "table"])
def test_an_export_shows_one_moment(
    store: JudgementStore, studied: STUDIED, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: str
) -> None:
    """Somebody joins and judges while it is written: all of that is in it, or nothing."""
    study = studied()
    judge(store, study, "i0", "Ada")
    first = {"lines": "annotators", "table": "judgements"}[write]
    read = getattr(JudgementStore, first)

    def then_others_judge(self: JudgementStore, *args: object, **more: object) -> object:
        found = list(read(self, *args, **more))
        with JudgementStore(store.path) as other:
            other.add_items(study, [Item(key="late", reference="00.png", a="01.png", b="02.png")])
            judge(other, study, "late", "Grace")
        monkeypatch.undo()
        return found

    monkeypatch.setattr(JudgementStore, first, then_others_judge)
    if write == "table":
        assert "late" not in table_text(store, study)
    else:
        lines = list(study_lines(store, study))
        with JudgementStore(tmp_path / "copy.db", create=True) as copy:
            assert [one.key for one in copy.judgements(import_jsonl(copy, lines))] == ["i0"]
    assert [one.key for one in store.judgements(study)] == ["i0", "late"]  # the view has ended


# Two studies in one file, annotators of one name


def test_one_of_the_same_name_in_another_study_is_somebody_else(store: JudgementStore, studied: STUDIED) -> None:
    one, two = studied(name="one"), studied(name="two")
    assigner = Assigner(store, np.random.default_rng(0))
    ada, other = store.annotator(one, "Ada"), store.annotator(two, "Ada")
    (held,) = assigner.assign(one, ada, 1)
    assigner.answer(one, ada, held.uid, A, 0.0)
    with pytest.raises(UsageError, match="a judgement of 'Ada'"):
        assigner.undo(two, other, held.uid)
    with pytest.raises(UsageError, match="holds"):
        assigner.answer(two, other, held.uid, A, 0.0)
    assert len(list(store.judgements(one))) == 1


def test_a_copy_in_the_same_file_is_refused_and_not_left_empty(store: JudgementStore, studied: STUDIED) -> None:
    study = studied()
    judge(store, study, "i0", "Ada")
    with pytest.raises(UsageError, match=r"Line \d+: .*the study 's' .* has the judgement"):
        import_jsonl(store, list(study_lines(store, study)), name="copy")
    assert [one.name for one in store.studies()] == ["s"]


# Loans


class Clock:
    now = 1e9

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def lent(store: JudgementStore, studied: STUDIED) -> tuple[Assigner, Clock, Study, Annotator, Annotator]:
    clock = Clock()
    study = studied(items=1, judgements_per_item=1, lease_s=60)
    ada, grace = (store.annotator(study, name) for name in ("Ada", "Grace"))
    return Assigner(store, np.random.default_rng(0), clock), clock, study, ada, grace


def test_a_clock_that_is_put_back_keeps_no_item_for_years(
    lent: tuple[Assigner, Clock, Study, Annotator, Annotator],
) -> None:
    assigner, clock, study, ada, grace = lent
    (held,) = assigner.assign(study, ada, 1)
    clock.now -= 1
    assert assigner.assign(study, grace, 1) == []  # a second is nothing
    clock.now -= 1e8
    (again,) = assigner.assign(study, grace, 1)
    assert again.key == held.key
    stored, _ = assigner.answer(study, ada, held.uid, A, 2.5)
    assert stored.seconds == 2.5  # what the browser measured stays, since the clock says nothing


def test_what_an_import_judged_is_not_asked_again(
    lent: tuple[Assigner, Clock, Study, Annotator, Annotator], store: JudgementStore
) -> None:
    assigner, _, study, ada, _ = lent
    (held,) = assigner.assign(study, ada, 1)
    judge(store, study, held.key, "Ada", uid="from elsewhere")
    with pytest.raises(UsageError, match="there is one"):
        assigner.answer(study, ada, held.uid, A, 0.0)
    assigner.undo(study, ada, "from elsewhere")  # the loan is there still
    (again,) = assigner.assign(study, ada, 1)
    judge(store, study, held.key, "Ada", uid="once more")
    assert again.key == held.key
    assert assigner.assign(study, ada, 1) == []


# JSONL


@pytest.mark.parametrize(
    ("record", "change", "words"),
    [
        ("image", {"sha256": "0" * 63}, "SHA-256"),
        ("image", {"media": "text/html"}, "text/html"),
        ("image", {"sha256": {"a": 1}}, "record of a study"),
        ("item", {"key": 5}, "key of an item to be text"),
        ("item", {"split": None}, "split of an item to be text"),
        ("item", {"known": ["a"]}, "known answer"),
        ("judgement", {"seconds": 10**400}, "seconds"),
        ("judgement", {"seconds": float("nan")}, "seconds"),
        ("judgement", {"seconds": "1"}, "record of a study"),
        ("judgement", {"time_utc": "=HYPERLINK()"}, "a time such as"),
        ("judgement", {"time_utc": "2026-01-31T12:00:00+02:00"}, "in UTC"),
        ("judgement", {"time_utc": 5}, "a time such as"),
        ("judgement", {"retracted_utc": "soon"}, "a time such as"),
        ("judgement", {"uid": "x" * 65}, "uid of at most 64"),
        ("judgement", {"uid": "x\n"}, "printable"),
        ("judgement", {"choice": None, "score_a": float("nan"), "score_b": 0.5}, "score_a in"),
        ("published", {"votes": 2.5}, "SQLite|record of a study"),
        ("published", {"votes": 10**30}, "too large|record of a study"),
        ("published", {"share": "0.5"}, "record of a study"),
    ],
)
def test_a_damaged_line_is_named_by_its_number(
    store: JudgementStore, studied: STUDIED, tmp_path: Path, record: str, change: dict[str, object], words: str
) -> None:
    from semetric.learn.judgements import Published

    study = studied(items=1, checks=1)
    store.add_published(study, [Published(key="i0", share=0.5, votes=4, source="x")])
    judge(store, study, "i0", "Ada")
    lines = list(study_lines(store, study))
    number = max(k for k, line in enumerate(lines) if json.loads(line)["record"] == record)
    found = {name: value for name, value in (json.loads(lines[number]) | change).items() if name != "choice" or value}
    lines[number] = json.dumps(found)
    with JudgementStore(tmp_path / "copy.db", create=True) as copy:
        with pytest.raises((UsageError, StoreError), match=rf"(?i)line {number + 1}\b.*({words})"):
            import_jsonl(copy, lines)
        assert copy.studies() == []


@pytest.mark.parametrize("change", [{"shown_left": "b"}, {"seconds": 9.5}])
def test_a_judgement_that_differs_in_anything_is_no_repetition(
    store: JudgementStore, studied: STUDIED, change: dict[str, object]
) -> None:
    study = studied()
    judge(store, study, "i0", "Ada")
    lines = list(study_lines(store, study))
    with pytest.raises(UsageError, match="another judgement"):
        import_jsonl(store, [*lines[:-1], json.dumps(json.loads(lines[-1]) | change)])


# CSV


def table(folder: Path, text: str) -> Path:
    (folder / "s.csv").write_text(text, encoding="utf-8", newline="")
    return folder / "s.csv"


def test_a_table_without_uids_twice_is_once(store: JudgementStore, studied: STUDIED, tmp_path: Path) -> None:
    study = studied()
    row = "i0,00.png,01.png,02.png,Ada ,b,a,{},2026-01-31T12:00:00\n"
    for _ in range(2):
        import_csv(store, study, table(tmp_path, f"{HEADER}\n{row.format(1.5)}"))
    (found,) = store.judgements(study)
    assert (found.annotator, found.answer.choice, found.seconds) == ("Ada", "b", 1.5)
    with pytest.raises(UsageError, match=r"line 2 .*another judgement"):
        import_csv(store, study, table(tmp_path, f"{HEADER}\n{row.format(7)}"))


def test_a_judgement_of_the_same_uid_must_be_the_same(store: JudgementStore, studied: STUDIED, tmp_path: Path) -> None:
    study = studied()
    judge(store, study, "i0", "Ada", uid="u1")
    (tmp_path / "s.csv").write_text(table_text(store, study), encoding="utf-8", newline="")
    assert import_csv(store, study, tmp_path / "s.csv") == (0, 5)
    text = (tmp_path / "s.csv").read_text().replace(",Ada,a,", ",Ada,b,")
    with pytest.raises(UsageError, match=r"line 2 .*another judgement 'u1'"):
        import_csv(store, study, table(tmp_path, text))


def test_what_a_table_has_no_column_for_stays(store: JudgementStore, pictures: Path, tmp_path: Path) -> None:
    study = store.create_study("s", "choice", pictures)
    items = [Item(key="line\r\nbreak", reference="00.png", a="01.png", b="02.png", extra={"prompt": "a boat"})]
    store.add_items(study, items)
    (tmp_path / "s.csv").write_text(table_text(store, study), encoding="utf-8", newline="")
    assert import_csv(store, study, tmp_path / "s.csv") == (0, 1)
    assert list(store.items(study)) == items


def test_no_column_is_a_formula(store: JudgementStore, studied: STUDIED) -> None:
    study = studied(items=1)
    judge(store, study, "i0", "Ada", uid="=1+1")
    assert ",'=1+1\n" in table_text(store, study)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"key,reference,a,b\nx,00.png,01.png,{'y' * 140_000}\n", r"line 2.*field larger"),
        ("key,reference,a,a\nx,00.png,01.png,02.png\n", "'a' several times"),
        (f"{HEADER}\nx,00.png,01.png,02.png,Ada,a,a,inf,2026-01-31\n", "line 2.*at least 0"),
        (f"{HEADER}\nx,00.png,01.png,02.png,Ada,a,a,nan,2026-01-31\n", "line 2.*at least 0"),
        (f"{HEADER}\nx,00.png,01.png,02.png,Ada,a,a,1,yesterday\n", "line 2.*a time such as"),
    ],
    ids=["large", "doubled", "infinite", "nan", "time"],
)
def test_a_table_that_is_damaged_is_named(
    store: JudgementStore, pictures: Path, tmp_path: Path, text: str, words: str
) -> None:
    study = store.create_study("s", "choice", pictures)
    with pytest.raises(UsageError, match=words):
        import_csv(store, study, table(tmp_path, text))
    assert list(store.items(study)) == []


# NIGHTS and BAPPS


def test_votes_that_are_no_number_are_named(store: JudgementStore, pictures: Path, tmp_path: Path) -> None:
    study = store.create_study("s", "choice", pictures)
    text = "id,left_vote,right_vote,votes,ref_path,left_path,right_path,split\n0,1,0,inf,00.png,01.png,02.png,train\n"
    with pytest.raises(UsageError, match=r"line 2.*votes is inf"):
        import_dataset(store, study, load_nights(table(tmp_path, text), min_votes=0), "nights")


def test_judgements_of_bapps_that_are_missing_or_bombs_are_named(
    store: JudgementStore, pictures: Path, tmp_path: Path
) -> None:
    place = tmp_path / "2afc" / "val" / "cnn"
    for name in ("ref", "p0", "p1", "judge"):
        (place / name).mkdir(parents=True)
        if name != "judge":
            for stem in ("[1]", "2"):
                (place / name / f"{stem}.png").write_bytes((pictures / "00.png").read_bytes())
            (place / name / ".DS_Store").write_bytes(b"x")
    np.save(place / "judge" / "2.npy", np.array([0.4], np.float32))
    study = store.create_study("s", "choice", tmp_path)
    with pytest.raises(ImageError, match=r"\[1\]\.npy"):
        import_dataset(store, study, load_bapps(store.root(study)), "bapps")
    file = place / "judge" / "[1].npy"
    np.save(file, np.array([0.4], np.float32))
    whole = file.read_bytes()
    huge = whole.replace(b"'shape': (1,)", b"'shape': (9999999999999,)")[: len(whole)]
    with (tmp_path / "zip").open("wb") as stream:
        np.savez(stream, x=np.zeros(1))
    for content in (huge, (tmp_path / "zip").read_bytes(), whole + bytes(9000)):
        file.write_bytes(content)
        with pytest.raises(ImageError, match=r"\[1\]\.npy"):
            import_dataset(store, study, load_bapps(store.root(study)), "bapps")
    file.write_bytes(whole)
    assert import_dataset(store, study, load_bapps(store.root(study)), "bapps") == (2, 0)


def test_the_tables_keep_ids_apart(store: JudgementStore, studied: STUDIED) -> None:
    """What `judge` returns is what the file holds, number included, triggers or not."""
    study = studied()
    ada = store.annotator(study, "Ada")
    for key in ("i0", "i1", "i2"):
        stored, _ = store.judge(study, key, ada, A, shown_left="b", seconds=1)
        assert store.judgement(stored.uid) == stored
    with pytest.raises(sqlite3.IntegrityError):
        store.connection.execute("INSERT INTO judgements SELECT * FROM judgements LIMIT 1")
