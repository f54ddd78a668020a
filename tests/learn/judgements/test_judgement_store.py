from __future__ import annotations

import multiprocessing
import os
import sqlite3
import tempfile
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from semetric.errors import ImageError, StoreError, UsageError
from semetric.learn.judgements import Annotator, Answer, Item, JudgementStore, Study, StudySettings
from semetric.learn.judgements.assignment import Assigner
from semetric.learn.judgements.images import check_path, media_of
from semetric.learn.judgements.jsonl import import_jsonl, study_lines
from semetric.learn.judgements.pooled import choices
from semetric.learn.judgements.records import check_name
from semetric.learn.judgements.summary import summarise
from semetric.learn.judgements.table import table_text

ANSWERS = {
    "choice": st.sampled_from(["a", "b"]).map(lambda side: Answer(choice=side)),
    "same": st.booleans().map(lambda same: Answer(same=same)),
    "score": st.tuples(st.floats(0, 1), st.floats(0, 1)).map(lambda two: Answer(score_a=two[0], score_b=two[1])),
}
STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["Ada", "Grace"]), st.sampled_from(["judge", "undo", "again"])),
    max_size=12,
)


@given(kind=st.sampled_from(["choice", "same", "score"]), steps=STEPS, data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_done_rows_stay_and_nobody_judges_twice(
    pictures: Path, kind: str, steps: list[tuple[int, str, str]], data: st.DataObject
) -> None:
    """A model in a dictionary goes along; at the end an export is read back into the same rows."""
    left = "reference" if kind == "same" else "b"
    with tempfile.TemporaryDirectory() as folder, JudgementStore(Path(folder) / "s.db", create=True) as store:
        store.connection.execute("PRAGMA synchronous = OFF")  # the disk is not what is tested here
        study = store.create_study("s", kind, pictures)  # type: ignore[arg-type]
        b = None if kind == "same" else "02.png"
        store.add_items(study, [Item(key=str(k), reference="00.png", a="01.png", b=b) for k in range(3)])
        model: dict[tuple[int, str], str] = {}
        seen: list[tuple[object, ...]] = []
        for key, name, what in steps:
            person = store.annotator(study, name)
            standing = model.get((key, name))
            if what == "undo":
                if standing is not None:
                    store.retract(standing)
                    del model[key, name]
            elif standing is None:
                answer = data.draw(ANSWERS[kind])
                stored, new = store.judge(study, str(key), person, answer, shown_left=left, seconds=0.5)  # type: ignore[arg-type]
                assert new
                assert stored.answer == answer
                model[key, name] = stored.uid
            elif what == "again":
                answer = data.draw(ANSWERS[kind])
                first = store.judgement(standing)
                sent = store.judge(study, str(key), person, answer, shown_left=left, seconds=9, uid=standing)  # type: ignore[arg-type]
                assert sent == (first, False)
            else:
                with pytest.raises(UsageError, match="there is one"):
                    store.judge(study, str(key), person, data.draw(ANSWERS[kind]), shown_left=left, seconds=1)  # type: ignore[arg-type]
            rows = store.rows("SELECT * FROM judgements ORDER BY id")
            assert rows[: len(seen)] == seen
            seen = rows
            assert {found.uid for found in store.judgements(study)} == set(model.values())
        tallies = dict(store.rows("SELECT item_id - 1, standing FROM tallies"))
        assert tallies == {k: sum(key == k for key, _ in model) for k in range(3)}

        lines = list(study_lines(store, study))
        with JudgementStore(Path(folder) / "copy.db", create=True) as copy:
            copy.connection.execute("PRAGMA synchronous = OFF")
            again = import_jsonl(copy, lines)
            assert list(study_lines(copy, again)) == lines
            import_jsonl(copy, lines)  # once more adds nothing
            assert list(study_lines(copy, again)) == lines


def test_a_judgement_keeps_all_that_was_asked_for(store: JudgementStore, studied: Callable[..., Study]) -> None:
    study = studied("score")
    stored, _ = store.judge(
        study,
        "i1",
        store.annotator(study, "Ada"),
        Answer(score_a=0.25, score_b=1),
        shown_left="b",
        seconds=3.25,
        uid="u1",
        time_utc="2024-01-02T03:04:05.678+00:00",
    )
    assert (stored.annotator, stored.key, stored.seconds, stored.shown_left) == ("Ada", "i1", 3.25, "b")
    assert stored.time_utc == "2024-01-02T03:04:05.678+00:00"
    assert store.judgement("u1") == stored
    undone = store.retract("u1")
    assert undone.retracted_utc is not None
    assert store.retract("u1") == undone
    assert list(store.judgements(study)) == []
    assert list(store.judgements(study, standing=False)) == [undone]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"answer": Answer(same=True)}, "'choice' answer"),
        ({"shown_left": "reference"}, "a or b at the left"),
        ({"seconds": -1.0}, "at least 0"),
        ({"seconds": float("nan")}, "at least 0"),
        ({"key": "nothing"}, "no item 'nothing'"),
    ],
)
def test_what_is_no_judgement_of_the_study_is_refused(
    store: JudgementStore, studied: Callable[..., Study], change: dict[str, object], words: str
) -> None:
    study = studied()
    values = {"key": "i0", "answer": Answer(choice="a"), "shown_left": "a", "seconds": 1.0, **change}
    key, answer = values.pop("key"), values.pop("answer")
    with pytest.raises(UsageError, match=words):
        store.judge(study, key, store.annotator(study, "Ada"), answer, **values)  # type: ignore[arg-type]
    assert list(store.judgements(study)) == []


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"choice": "a", "same": True},
        {"score_a": 0.5},
        {"score_a": 0.5, "score_b": 1.5},
        {"choice": "left"},
        {"score_a": True, "score_b": False},
        {"score_a": float("nan"), "score_b": 0.0},
        {"same": 1},
    ],
)
def test_an_answer_is_one_thing(values: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="Expected"):
        Answer(**values)  # type: ignore[arg-type]


def test_items_are_added_all_or_none(store: JudgementStore, pictures: Path) -> None:
    study = store.create_study("s", "choice", pictures)
    good = Item(key="i0", reference="00.png", a="01.png", b="02.png")
    for bad, error in [
        (Item(key="i1", reference="00.png", a="absent.png", b="02.png"), ImageError),
        (Item(key="i1", reference="00.png", a="01.png"), UsageError),
        (Item(key="i0", reference="00.png", a="02.png", b="01.png"), UsageError),
        (Item(key="", reference="00.png", a="02.png", b="01.png"), UsageError),
        (Item(key="i1", reference="00.png", a="02.png", b="01.png", known="same"), UsageError),
        (Item(key="i1", reference="../secret.png", a="02.png", b="01.png"), UsageError),
    ]:
        with pytest.raises(error):
            store.add_items(study, [good, bad])
        assert list(store.items(study)) == []
        assert list(store.images(study)) == []
    assert store.add_items(study, [good]) == (1, 0)
    assert store.add_items(study, [good]) == (0, 1)


def test_an_image_that_changed_is_refused(store: JudgementStore, tmp_path: Path, pictures: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes((pictures / "00.png").read_bytes())
    study = store.create_study("s", "same", ".")  # the study file's own folder
    store.add_items(study, [Item(key="i0", reference="a.png", a="b.png")])
    (tmp_path / "b.png").write_bytes((pictures / "01.png").read_bytes())
    with pytest.raises(StoreError, match=r"b\.png as it was added"):
        store.add_items(study, [Item(key="i1", reference="a.png", a="b.png")])


def test_links_may_not_lead_out_of_the_image_folder(store: JudgementStore, tmp_path: Path, pictures: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    os.symlink(pictures / "00.png", root / "out.png")
    study = store.create_study("s", "same", root)
    with pytest.raises(UsageError, match="leads to"):
        store.add_items(study, [Item(key="i0", reference="out.png", a="out.png")])


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x.png", "a/../../x.png", "C:/x.png", "a\\b.png", "a\0.png"])
def test_paths_that_leave_the_root_are_none(path: str) -> None:
    with pytest.raises(UsageError, match="below the study's image root"):
        check_path(path)


def test_only_images_that_browsers_show_are_taken(store: JudgementStore, tmp_path: Path) -> None:
    (tmp_path / "page.png").write_text("<script>alert(1)</script>")
    study = store.create_study("s", "same", tmp_path)
    with pytest.raises(ImageError, match="browsers show"):
        store.add_items(study, [Item(key="i0", reference="page.png", a="page.png")])
    assert media_of(b"<svg xmlns=....>") is None
    assert media_of(b"II*\0" + bytes(12)) is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "   ",
        "\u3000",
        "\u200d\u200b",  # joiners and nothing to join
        "\u0301",
        "x" * 81,
        "tab\there",
        "line\nbreak",
        "line\u2028break",
        "paragraph\u2029break",
        "half \ud83d",
        "escape \x1b[31m",
        "next\x85line",
        "mirror\u202e",
    ],
)
def test_names_are_printable(store: JudgementStore, studied: Callable[..., Study], name: str) -> None:
    with pytest.raises(UsageError, match="printable"):
        store.annotator(studied(), name)


def test_studies_are_found_by_name(store: JudgementStore, pictures: Path) -> None:
    with pytest.raises(UsageError, match="it has none"):
        store.study()
    one = store.create_study("one", "choice", pictures, settings=StudySettings(judgements_per_item=3))
    assert store.study() == one
    store.create_study("two", "same", pictures)
    assert store.study("one").settings.judgements_per_item == 3
    for wrong in (None, "three"):
        with pytest.raises(UsageError, match="'one', 'two'"):
            store.study(wrong)
    with pytest.raises(UsageError, match="Choose another name"):
        store.create_study("one", "choice", pictures)
    with pytest.raises(UsageError, match="of kind"):
        store.create_study("four", "vote", pictures)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "values",
    [{"judgements_per_item": 0}, {"items_per_annotator": 1.5}, {"check_every": -1}, {"lease_s": 0}, {"unknown": 1}],
)
def test_settings_are_checked(values: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="Expected"):
        StudySettings.from_dict(values)


def add_and_fail(store: JudgementStore, study: Study) -> None:
    with store.transaction() as connection:
        store.annotator(study, "gone")
        connection.execute("INSERT INTO absent VALUES (1)")


def test_a_failing_part_undoes_itself_alone(store: JudgementStore, studied: Callable[..., Study]) -> None:
    study = studied()
    with store.transaction():
        store.annotator(study, "kept")
        with pytest.raises(StoreError, match="no such table"):
            add_and_fail(store, study)
    assert [person.name for person in store.annotators(study)] == ["kept"]


def judge_all(path: Path, name: str) -> None:
    with JudgementStore(path) as store:
        study = store.study()
        person = store.annotator(study, name)
        for item in list(store.items(study)):
            store.judge(study, item.key, person, Answer(choice="a"), shown_left="a", seconds=0)


def test_processes_write_side_by_side(store: JudgementStore, studied: Callable[..., Study]) -> None:
    study = studied(items=20)
    spawn = multiprocessing.get_context("fork")
    running = [spawn.Process(target=judge_all, args=(store.path, f"p{k}")) for k in range(3)]
    for process in running:
        process.start()
    for process in running:
        process.join(60)
        assert process.exitcode == 0
    assert len(list(store.judgements(study))) == 60


def test_a_file_that_may_not_be_written_says_so(tmp_path: Path, pictures: Path) -> None:
    path = tmp_path / "study.db"
    with JudgementStore(path, create=True) as store:
        store.create_study("s", "choice", pictures)
        store.connection.execute("PRAGMA query_only = ON")
        with pytest.raises(StoreError, match=r"study\.db.*readonly"):
            store.annotator(store.study(), "Ada")
    assert sqlite3.connect(path).execute("SELECT count(*) FROM annotators").fetchone() == (0,)


WRITTEN = [
    "Ada Lovelace",
    "Ren\u00e9\u00a0Descartes",  # no-break space
    "10\u202f000 images",  # the narrow one of French, and of macOS's screenshots
    "\u5c71\u7530\u3000\u592a\u90ce",  # ideographic space
    "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627",  # Persian with a zero-width non-joiner
    "\u0915\u094d\u200d\u0937",  # Devanagari with a joiner
    "\U0001f469\u200d\U0001f52c",  # a woman scientist
    "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",  # a flag of tags
    "\u263a\ufe0f",  # an emoji's variation
    "\u200f\u05d3\u05d5\u05d3",  # a mark of direction before Hebrew
    "\u2068+1 555\u2069",  # an isolate, as phones write numbers
    "soft\u00adhyphen",
    "\uf8ff",  # private use: the apple of Apple's keyboards
    "\u2007\u2003wide\u2003spaces",
    "\u1680ogham",
    "'; DROP TABLE studies; --",
    "<b>&amp;",
    "\u212b",  # the sign of angstrom, which composes to a letter
]


@pytest.mark.parametrize("name", WRITTEN)
def test_names_that_systems_write_are_taken_and_come_back(
    store: JudgementStore, studied: Callable[..., Study], name: str, tmp_path: Path
) -> None:
    study = studied(name=name)
    for form in ("NFC", "NFD"):
        written = unicodedata.normalize(form, name)
        assert store.study(written).id == study.id
        assert store.annotator(study, written).id == 1
    with pytest.raises(UsageError, match="Choose another name"):
        store.create_study(unicodedata.normalize("NFD", name), "choice", tmp_path)
    with JudgementStore(tmp_path / "copy.db", create=True) as copy:
        copied = import_jsonl(copy, list(study_lines(store, study)))
        assert copied.name == unicodedata.normalize("NFC", name).strip()
        assert [one.name for one in copy.annotators(copied)] == [copied.name]


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=20))
def test_every_printable_name_is_stored_composed(name: str) -> None:
    if set(name) & set("\u202d\u202e") or not any(unicodedata.category(c)[0] in "LNPS" for c in name):
        return
    stored = check_name("a name", name)
    assert stored == unicodedata.normalize("NFC", stored)
    assert check_name("a name", stored) == stored
    assert check_name("a name", unicodedata.normalize("NFD", name)) == stored


def test_an_old_file_whose_name_is_decomposed_keeps_its_annotator(
    store: JudgementStore, studied: Callable[..., Study]
) -> None:
    study = studied()
    store.connection.execute("INSERT INTO annotators (study_id, name, created_utc) VALUES (1, 'Rene\u0301', '')")
    assert store.annotator(study, "Ren\u00e9").id == 1
    assert len(store.annotators(study)) == 1


@pytest.mark.parametrize("path", ["Screenshot at 10.00\u202fPM.png", "\u3000.png", "\u0639\u200c.png"])
def test_image_names_that_systems_write_are_taken(store: JudgementStore, tmp_path: Path, path: str) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / path)
    study = store.create_study("s", "same", tmp_path)
    assert store.add_items(study, [Item(key="i0", reference=path, a=path)]) == (1, 0)


# Annotators who do not count


def judge_items(store: JudgementStore, study: Study, annotator: Annotator, choice: Literal["a", "b"] = "a") -> None:
    for item in store.items(study):
        store.judge(study, item.key, annotator, Answer(choice=choice), shown_left="a", seconds=1)


def standing(store: JudgementStore) -> list[int]:
    return [row[0] for row in store.rows("SELECT standing FROM tallies ORDER BY item_id")]


def test_an_excluded_annotator_does_not_count_until_counted_again(
    store: JudgementStore, studied: Callable[..., Study]
) -> None:
    study = studied(items=3)
    ada, eve = store.annotator(study, "Ada"), store.annotator(study, "Eve")
    judge_items(store, study, ada)
    judge_items(store, study, eve, "b")
    assert standing(store) == [2, 2, 2]
    eve = store.exclude(eve)
    assert eve.excluded_utc is not None
    assert store.exclude(eve) == eve  # twice is once
    assert standing(store) == [1, 1, 1]
    assert {one.annotator for one in store.judgements(study)} == {"Ada"}
    assert len(list(store.judgements(study, standing=False))) == 6  # nothing is deleted
    assert [one.share_b for one in choices(store, study)] == [0, 0, 0]
    assert "Eve" not in table_text(store, study)
    summary = summarise(store, study)
    assert (summary.judgements, summary.wanted, summary.units) == (3, 3, 0)
    assert [one.judged for one in summary.annotators] == [3, 3]
    own = next(one for one in store.judgements(study, standing=False) if one.annotator == "Eve")
    store.retract(own.uid)
    assert standing(store) == [1, 1, 1]  # it did not count before
    assert store.exclude(eve, False).excluded_utc is None
    assert sorted(standing(store)) == [1, 2, 2]
    assert len(list(store.judgements(study))) == 5


def test_items_of_an_excluded_annotator_are_handed_out_to_others(
    store: JudgementStore, studied: Callable[..., Study]
) -> None:
    study = studied(items=3, judgements_per_item=1)
    eve = store.annotator(study, "Eve")
    judge_items(store, study, eve)
    assigner = Assigner(store, np.random.default_rng(0))
    assert assigner.assign(study, store.annotator(study, "Ada"), 3) == []
    store.exclude(eve)
    assert len(assigner.assign(study, store.annotator(study, "Ada"), 3)) == 3


def test_exclusions_go_with_an_export(store: JudgementStore, studied: Callable[..., Study], tmp_path: Path) -> None:
    study = studied(items=2)
    eve = store.annotator(study, "Eve")
    judge_items(store, study, eve)
    eve = store.exclude(eve)
    store.revoke(eve)
    with JudgementStore(tmp_path / "copy.db", create=True) as copy:
        copied = import_jsonl(copy, list(study_lines(store, study)))
        assert copy.annotators(copied)[0].excluded_utc == eve.excluded_utc
        assert standing(copy) == [0, 0]
        assert list(study_lines(copy, copied)) == list(study_lines(store, study))
