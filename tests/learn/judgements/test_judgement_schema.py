from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from semetric.errors import StoreError
from semetric.learn.judgements import Answer, Item, JudgementStore, Study, schema

KEPT = (
    *("studies", "images", "items", "published", "annotators", "judgements", "retractions"),
    *("exclusions", "revocations"),
)


def full(store: JudgementStore, study: Study) -> None:
    """A row in every table that is only ever added to."""
    from semetric.learn.judgements import Published

    store.add_published(study, [Published(key="i0", share=0.5, votes=2, source="x")])
    ada = store.annotator(study, "Ada")
    stored, _ = store.judge(study, "i0", ada, Answer(choice="a"), shown_left="b", seconds=1.0)
    store.retract(stored.uid)
    store.revoke(store.exclude(store.exclude(ada), False))


def shape(path: Path) -> list[tuple[str, str]]:
    with sqlite3.connect(path) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").fetchall()
    connection.close()
    return found


@pytest.mark.parametrize("table", KEPT)
def test_nothing_is_changed_or_deleted(store: JudgementStore, studied: Callable[..., Study], table: str) -> None:
    full(store, studied())
    before = store.rows(f"SELECT * FROM {table}")
    assert before
    column = store.rows(f"PRAGMA table_info({table})")[-1][1]
    for statement in (
        f"UPDATE {table} SET {column} = {column}",
        f"DELETE FROM {table}",
        f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="only ever added to"):
            store.connection.execute(statement)
    assert store.rows(f"SELECT * FROM {table}") == before


def test_the_tables_themselves_refuse_wrong_values(store: JudgementStore, studied: Callable[..., Study]) -> None:
    full(store, studied())
    insert = "INSERT INTO judgements (uid, item_id, annotator_id, attempt, {}, shown_left, seconds, time_utc) VALUES "
    for column, values in [
        ("score_a, score_b", "'u', 1, 1, 2, 2.0, 0.5, 'a', 1.0, 't'"),
        ("score_a", "'u', 1, 1, 2, 0.5, 'a', 1.0, 't'"),
        ("choice", "'u', 1, 1, 2, 'c', 'a', 1.0, 't'"),
        ("choice", "'u', 1, 1, 2, 'a', 'a', -1.0, 't'"),
        ("choice", "'u', 99, 1, 2, 'a', 'a', 1.0, 't'"),
        ("choice", "'u', 1, 1, 1, 'a', 'a', 1.0, 't'"),  # the attempt is taken
        ("choice", "'u', 1, 1, 'two', 'a', 'a', 1.0, 't'"),  # STRICT
    ]:
        with pytest.raises(sqlite3.IntegrityError):
            store.connection.execute(insert.format(column) + f"({values})")


OLD = """
INSERT INTO annotators VALUES (1, 1, 'Ada', '2026-01-31T12:00:00+00:00');
INSERT INTO judgements (id, uid, item_id, annotator_id, attempt, choice, shown_left, seconds, time_utc) VALUES
    (1, 'u1', 1, 1, 1, 'a', 'b', 1.0, '2026-01-31T12:00:01+00:00'),
    (2, 'u2', 2, 1, 1, 'b', 'a', 2.0, '2026-01-31T12:00:02+00:00');
INSERT INTO retractions VALUES (1, '2026-01-31T12:00:03+00:00');
"""


def test_a_file_of_schema_1_becomes_one_of_today(tmp_path: Path, pictures: Path) -> None:
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    with JudgementStore(old, create=True, schema_version=1) as store:
        study = store.create_study("s", "choice", pictures)
        store.add_items(study, [Item(key=k, reference="00.png", a="01.png", b="02.png") for k in ("i0", "i1")])
        store.connection.executescript(OLD)
        assert store.row("PRAGMA user_version") == (1,)
    with JudgementStore(old) as store:
        assert store.row("PRAGMA user_version") == (schema.VERSION,)
        judgements = list(store.judgements(store.study(), standing=False))
        assert [(one.uid, one.annotator, one.answer.choice) for one in judgements] == [
            ("u1", "Ada", "a"),
            ("u2", "Ada", "b"),
        ]
        assert store.rows("SELECT item_id, standing FROM tallies ORDER BY item_id") == [(1, 0), (2, 1)]
        assert store.row("PRAGMA journal_mode") == ("wal",)
        assert store.row("PRAGMA foreign_key_check") is None
    JudgementStore(new, create=True).close()
    assert shape(old) == shape(new)


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "old.db"
    JudgementStore(path, create=True, schema_version=1).close()
    before = shape(path)
    broken = (schema._MIGRATIONS[0], "CREATE TABLE half (x INTEGER) STRICT; CREATE TABLE studies (x INTEGER) STRICT;")
    with monkeypatch.context() as patched:
        patched.setattr(schema, "_MIGRATIONS", broken)
        with pytest.raises(StoreError, match="studies already exists"):
            JudgementStore(path)
    assert shape(path) == before
    JudgementStore(path).close()


def test_a_newer_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    with JudgementStore(path, create=True) as store:
        store.connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    with pytest.raises(StoreError, match=rf"study\.db has schema {schema.VERSION + 1}.*Upgrade Semetric"):
        JudgementStore(path)


def test_other_files_are_refused_and_stay_as_they_were(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no"):
        JudgementStore(tmp_path / "absent.db")
    text = tmp_path / "text.db"
    text.write_text("this is no database, but a text that is long enough to be taken for one " * 20)
    with pytest.raises(StoreError, match="not a database"):
        JudgementStore(text)
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE theirs (x)")
    connection.commit()
    connection.close()
    before = other.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        JudgementStore(other)
    assert other.read_bytes() == before
