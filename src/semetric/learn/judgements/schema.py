"""The tables of a study file, their migrations, and the triggers that keep judgements from being changed."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from semetric.errors import StoreError

__all__ = ["APPLICATION", "VERSION", "upgrade"]

APPLICATION = 0x53656D65  # "Seme", SQLite's application_id: tells a study file from any other database


def _only_added(*tables: str) -> str:
    """Triggers that refuse every change of the tables' rows."""
    return "".join(
        f"CREATE TRIGGER {table}_{verb}d BEFORE {verb.upper()} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} are only ever added to'); END;\n"
        for table in tables
        for verb in ("update", "delete")
    )


_STORE = """
CREATE TABLE studies (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('score', 'choice', 'same')),
    instructions TEXT NOT NULL,
    image_root TEXT NOT NULL,
    settings TEXT NOT NULL,
    created_utc TEXT NOT NULL
) STRICT;

CREATE TABLE images (
    id INTEGER PRIMARY KEY,
    study_id INTEGER NOT NULL REFERENCES studies (id),
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
    media TEXT NOT NULL,
    UNIQUE (study_id, path)
) STRICT;

CREATE TABLE items (
    id INTEGER PRIMARY KEY,
    study_id INTEGER NOT NULL REFERENCES studies (id),
    key TEXT NOT NULL,
    reference_id INTEGER NOT NULL REFERENCES images (id),
    a_id INTEGER NOT NULL REFERENCES images (id),
    b_id INTEGER REFERENCES images (id),
    split TEXT NOT NULL,
    category TEXT NOT NULL,
    known TEXT CHECK (known IN ('a', 'b', 'same', 'different')),
    extra TEXT NOT NULL,
    UNIQUE (study_id, key)
) STRICT;

CREATE TABLE published (
    id INTEGER PRIMARY KEY,
    item_id INTEGER NOT NULL REFERENCES items (id),
    share REAL NOT NULL CHECK (share BETWEEN 0 AND 1),
    votes INTEGER CHECK (votes > 0),
    source TEXT NOT NULL,
    time_utc TEXT NOT NULL,
    UNIQUE (item_id, source)
) STRICT;

CREATE TABLE annotators (
    id INTEGER PRIMARY KEY,
    study_id INTEGER NOT NULL REFERENCES studies (id),
    name TEXT NOT NULL,
    created_utc TEXT NOT NULL,
    UNIQUE (study_id, name)
) STRICT;

CREATE TABLE judgements (
    id INTEGER PRIMARY KEY,
    uid TEXT NOT NULL UNIQUE,
    item_id INTEGER NOT NULL REFERENCES items (id),
    annotator_id INTEGER NOT NULL REFERENCES annotators (id),
    attempt INTEGER NOT NULL CHECK (attempt > 0),
    choice TEXT CHECK (choice IN ('a', 'b')),
    score_a REAL CHECK (score_a BETWEEN 0 AND 1),
    score_b REAL CHECK (score_b BETWEEN 0 AND 1),
    same INTEGER CHECK (same IN (0, 1)),
    shown_left TEXT NOT NULL CHECK (shown_left IN ('a', 'b', 'reference')),
    seconds REAL NOT NULL CHECK (seconds >= 0),
    time_utc TEXT NOT NULL,
    UNIQUE (item_id, annotator_id, attempt),
    CHECK ((choice IS NOT NULL) + (score_a IS NOT NULL) + (same IS NOT NULL) = 1),
    CHECK ((score_a IS NULL) = (score_b IS NULL))
) STRICT;
CREATE INDEX judgements_annotator ON judgements (annotator_id, id);

CREATE TABLE retractions (
    judgement_id INTEGER PRIMARY KEY REFERENCES judgements (id),
    time_utc TEXT NOT NULL
) STRICT;

CREATE VIEW standing AS
    SELECT * FROM judgements WHERE NOT EXISTS (SELECT 1 FROM retractions WHERE judgement_id = judgements.id);

CREATE TRIGGER one_standing_judgement BEFORE INSERT ON judgements
WHEN EXISTS (SELECT 1 FROM standing WHERE item_id = NEW.item_id AND annotator_id = NEW.annotator_id)
BEGIN SELECT RAISE(ABORT, 'this annotator has judged this item'); END;

CREATE TRIGGER annotator_of_the_study BEFORE INSERT ON judgements
WHEN (SELECT study_id FROM items WHERE id = NEW.item_id)
    IS NOT (SELECT study_id FROM annotators WHERE id = NEW.annotator_id)
BEGIN SELECT RAISE(ABORT, 'item and annotator are of two studies'); END;
"""

# What a server needs: who is to judge what, the secret that signs links, and counts, so that handing out an item
# takes as long with a hundred thousand items as with a hundred.
_ASSIGNMENT = """
CREATE TABLE secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;

CREATE TABLE leases (
    uid TEXT PRIMARY KEY,
    item_id INTEGER NOT NULL REFERENCES items (id),
    annotator_id INTEGER NOT NULL REFERENCES annotators (id),
    shown_left TEXT NOT NULL CHECK (shown_left IN ('a', 'b', 'reference')),
    place INTEGER NOT NULL,
    given REAL NOT NULL,
    until REAL NOT NULL,
    UNIQUE (item_id, annotator_id)
) STRICT;
CREATE INDEX leases_annotator ON leases (annotator_id, place);

CREATE TABLE tallies (
    item_id INTEGER PRIMARY KEY REFERENCES items (id),
    study_id INTEGER NOT NULL REFERENCES studies (id),
    known INTEGER NOT NULL,
    standing INTEGER NOT NULL,
    shuffle INTEGER NOT NULL
) STRICT;
CREATE INDEX tallies_order ON tallies (study_id, known, standing, shuffle);

CREATE TABLE totals (
    study_id INTEGER NOT NULL REFERENCES studies (id),
    known INTEGER NOT NULL,
    items INTEGER NOT NULL,
    PRIMARY KEY (study_id, known)
) STRICT;

CREATE TABLE done (
    annotator_id INTEGER NOT NULL REFERENCES annotators (id),
    known INTEGER NOT NULL,
    standing INTEGER NOT NULL,
    PRIMARY KEY (annotator_id, known)
) STRICT;

INSERT INTO totals SELECT study_id, known IS NOT NULL, count(*) FROM items GROUP BY 1, 2;
INSERT INTO done SELECT s.annotator_id, i.known IS NOT NULL, count(*)
    FROM standing s JOIN items i ON i.id = s.item_id GROUP BY 1, 2;
INSERT INTO tallies (item_id, study_id, known, standing, shuffle)
    SELECT id, study_id, known IS NOT NULL, (SELECT count(*) FROM standing WHERE item_id = items.id), abs(random() >> 1)
    FROM items;

CREATE TRIGGER tally_item AFTER INSERT ON items
BEGIN
    INSERT INTO tallies VALUES (NEW.id, NEW.study_id, NEW.known IS NOT NULL, 0, abs(random() >> 1));
    INSERT INTO totals VALUES (NEW.study_id, NEW.known IS NOT NULL, 1)
        ON CONFLICT DO UPDATE SET items = items + 1;
END;

CREATE TRIGGER tally_judgement AFTER INSERT ON judgements
BEGIN
    UPDATE tallies SET standing = standing + 1 WHERE item_id = NEW.item_id;
    INSERT INTO done SELECT NEW.annotator_id, known, 1 FROM tallies WHERE item_id = NEW.item_id
        ON CONFLICT DO UPDATE SET standing = standing + 1;
END;

CREATE TRIGGER tally_retraction AFTER INSERT ON retractions
BEGIN
    UPDATE tallies SET standing = standing - 1
    WHERE item_id = (SELECT item_id FROM judgements WHERE id = NEW.judgement_id);
    UPDATE done SET standing = standing - 1
    WHERE (annotator_id, known) = (
        SELECT j.annotator_id, t.known FROM judgements j JOIN tallies t ON t.item_id = j.item_id
        WHERE j.id = NEW.judgement_id
    );
END;
"""

# Whose judgements do not count, and whose links do not hold any more: rows that say so, as everywhere.
_ANNOTATORS = """
CREATE TABLE exclusions (
    id INTEGER PRIMARY KEY,
    annotator_id INTEGER NOT NULL REFERENCES annotators (id),
    excluded INTEGER NOT NULL CHECK (excluded IN (0, 1)),
    time_utc TEXT NOT NULL
) STRICT;
CREATE INDEX exclusions_annotator ON exclusions (annotator_id, id);

CREATE TABLE revocations (
    id INTEGER PRIMARY KEY,
    annotator_id INTEGER NOT NULL REFERENCES annotators (id),
    time_utc TEXT NOT NULL
) STRICT;
CREATE INDEX revocations_annotator ON revocations (annotator_id);

CREATE VIEW excluded AS
    SELECT annotator_id, time_utc FROM exclusions e
    WHERE excluded AND id = (SELECT max(id) FROM exclusions WHERE annotator_id = e.annotator_id);

CREATE TRIGGER one_change_of_an_exclusion BEFORE INSERT ON exclusions
WHEN NEW.excluded = EXISTS (SELECT 1 FROM excluded WHERE annotator_id = NEW.annotator_id)
BEGIN SELECT RAISE(ABORT, 'this annotator is so already'); END;

CREATE TRIGGER tally_exclusion AFTER INSERT ON exclusions
BEGIN
    UPDATE tallies SET standing = standing + iif(NEW.excluded, -1, 1)
    WHERE item_id IN (SELECT item_id FROM standing WHERE annotator_id = NEW.annotator_id);
END;

DROP TRIGGER tally_judgement;
CREATE TRIGGER tally_judgement AFTER INSERT ON judgements
BEGIN
    UPDATE tallies SET standing = standing + 1 WHERE item_id = NEW.item_id
        AND NEW.annotator_id NOT IN (SELECT annotator_id FROM excluded);
    INSERT INTO done SELECT NEW.annotator_id, known, 1 FROM tallies WHERE item_id = NEW.item_id
        ON CONFLICT DO UPDATE SET standing = standing + 1;
END;

DROP TRIGGER tally_retraction;
CREATE TRIGGER tally_retraction AFTER INSERT ON retractions
BEGIN
    UPDATE tallies SET standing = standing - 1
    WHERE item_id = (
        SELECT item_id FROM judgements WHERE id = NEW.judgement_id
            AND annotator_id NOT IN (SELECT annotator_id FROM excluded)
    );
    UPDATE done SET standing = standing - 1
    WHERE (annotator_id, known) = (
        SELECT j.annotator_id, t.known FROM judgements j JOIN tallies t ON t.item_id = j.item_id
        WHERE j.id = NEW.judgement_id
    );
END;
"""
_ANNOTATORS += _only_added("exclusions", "revocations")

_KEPT = ("studies", "images", "items", "published", "annotators", "judgements", "retractions")
_STORE += _only_added(*_KEPT)

_MIGRATIONS = (_STORE, _ASSIGNMENT, _ANNOTATORS)
VERSION = len(_MIGRATIONS)
"""The schema that this program writes; a file's own is its user_version."""


def upgrade(connection: sqlite3.Connection, path: Path, *, to: int = VERSION) -> None:
    """Brings a file to a schema, one migration after the other, each whole or not at all.

    Args:
        connection: in autocommit mode.
        path: for the errors.
        to: the schema to stop at; the program's own but in tests.

    Raises:
        StoreError: the file is another program's database, or newer than this program.
    """
    _check(connection, path)
    if _version(connection) >= to:  # so that opening a file writes nothing, and waits for nobody who does
        return
    for number, statements in enumerate(_MIGRATIONS[:to], start=1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            if _version(connection) < number:  # asked under the lock: another process may have come first
                for statement in _split(statements):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
                connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def _check(connection: sqlite3.Connection, path: Path) -> None:
    version = _version(connection)
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    empty = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
    if application != APPLICATION and not (empty and application == 0 and version == 0):
        raise StoreError(
            f"Expected a study file of Semetric; {path} is a database of another program. Name a new file."
        )
    if version > VERSION:
        raise StoreError(
            f"Expected a study file of schema {VERSION} or older; {path} has schema {version}, which a newer Semetric "
            "wrote. Upgrade Semetric."
        )


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _split(statements: str) -> list[str]:
    """The statements one by one, since executescript would commit; a trigger's own semicolons do not end it."""
    whole, rest = [], ""
    for piece in statements.split(";"):
        rest += piece + ";"
        if sqlite3.complete_statement(rest):
            whole.append(rest)
            rest = ""
    return whole
