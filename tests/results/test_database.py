from __future__ import annotations

import logging
import math
import os
import random
import sqlite3
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semetric.errors import StoreError
from semetric.results import database as module
from semetric.results.database import Database, Row

TEXT = st.text(max_size=8)
JSON = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
)


def row(unit: int, value: float = 0.5) -> Row:
    return Row(unit=unit, scores=[value, math.nan], errors={"b": "why"}, fields=[f"u{unit}", None, 3], stamp="s")


def units(database: Database) -> list[int]:
    return [one.unit for one in database.rows()]


def test_rows_come_back_in_order(tmp_path: Path) -> None:
    with Database(tmp_path / "a", create=True) as one:
        one.add([row(4), row(1, math.inf)])
        assert units(one) == []  # neither rows nor seconds enough
        one.flush()
        one.flush()
    with Database(tmp_path / "a") as two:
        first = next(two.rows())
        assert (first.unit, first.errors, first.fields, first.stamp) == (1, {"b": "why"}, ["u1", None, 3], "s")
        np.testing.assert_array_equal(first.scores, [math.inf, math.nan])
        two.add([row(4), row(0)])
        two.flush()
        assert units(two) == [0, 1, 4]
        assert units_below(two, 2) == [0, 1]
        two.remove([1])
        assert list(two.stamps()) == [(0, "s"), (4, "s")]
        assert len(two) == 2


def units_below(database: Database, stop: int) -> list[int]:
    return [one.unit for one in database.rows(stop)]


@settings(deadline=None, max_examples=25)  # the disk takes the time it takes
@given(st.lists(JSON, max_size=4), st.dictionaries(TEXT, TEXT, max_size=3), TEXT, st.lists(st.floats(), max_size=3))
def test_every_value_is_kept(
    tmp_path_factory: pytest.TempPathFactory, fields: list[Any], errors: dict[str, str], stamp: str, scores: list[float]
) -> None:
    if "\ud800" <= max(stamp, default="") <= "\udfff":
        return
    file = tmp_path_factory.mktemp("database") / "a"
    with Database(file, create=True) as database:
        database.put({"record": {"fields": fields, "errors": errors}})
        database.add([Row(unit=7, scores=scores, errors=errors, fields=fields, stamp=stamp)])
        database.flush()
        (one,) = database.rows()
        assert (list(one.fields), one.errors, one.stamp) == (fields, errors, stamp)
        np.testing.assert_array_equal(one.scores, scores)
        assert database.document("record") == {"fields": fields, "errors": errors}


def test_rows_are_written_when_rows_or_seconds_are_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FLUSH_ROWS", 2)
    with Database(tmp_path / "a", create=True) as one:
        one.add([row(0)])
        assert units(one) == []
        one.add([row(1)])
        assert units(one) == [0, 1]
        monkeypatch.setattr(module, "FLUSH_SECONDS", 0.0)
        one.add([row(2)])
        assert units(one) == [0, 1, 2]


def test_documents_are_put_together_and_removed(tmp_path: Path) -> None:
    with Database(tmp_path / "a", create=True) as one:
        one.put({"record": {"x": [1, None]}, "summary": {"ü": 0.1}})
        one.put({"record": {"x": 2}, "summary": None})
        assert (one.document("record"), one.document("summary")) == ({"x": 2}, None)


def whole(tmp_path: Path, count: int = 40) -> Path:
    file = tmp_path / "a"
    with Database(file, create=True) as one:
        one.put({"record": {"kind": "x"}})
        one.add([row(i, i / 7) for i in range(count)])
        one.flush()
    return file


@pytest.mark.parametrize("column", ["unit", "fields", "scores", "errors", "stamp", "crc"])
def test_a_changed_column_is_noticed_and_costs_its_own_row(
    column: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = whole(tmp_path)
    changed = {"unit": 99, "fields": '["u5", null, 4]', "scores": bytes(16), "errors": "{}", "stamp": "t", "crc": 1}
    connection = sqlite3.connect(file)
    connection.execute(f"UPDATE units SET {column} = ? WHERE unit = 5", (changed[column],))
    connection.commit()
    connection.close()
    with Database(file) as one:
        with pytest.raises(StoreError, match=r"does not match its checksum. Start the command .* again"):
            units(one)
        with caplog.at_level(logging.WARNING):
            one.repair()
        assert "1 rows were damaged" in caplog.text
        assert units(one) == [i for i in range(40) if i != 5]


def test_a_damaged_document_is_named(tmp_path: Path) -> None:
    file = whole(tmp_path)
    connection = sqlite3.connect(file)
    connection.execute('UPDATE documents SET text = \'{"kind": "y"}\'')
    connection.commit()
    connection.close()
    with Database(file) as one, pytest.raises(StoreError, match="its record does not match its checksum"):
        one.document("record")


def test_no_flipped_bit_changes_a_number(tmp_path: Path) -> None:
    """Wherever it is: an error, a row less, or nothing. 120 places, spread over the file."""
    file = whole(tmp_path, 300)
    content = file.read_bytes()
    rng = random.Random(0)
    noticed = 0
    for _ in range(120):
        damaged = bytearray(content)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        file.write_bytes(damaged)
        try:
            with Database(file, create=True) as one:
                assert one.document("record") in ({"kind": "x"}, None)
                one.repair()
                rows = list(one.rows())
        except StoreError:
            noticed += 1
            continue
        assert all(float(found.scores[0]) == found.unit / 7 and found.fields[0] == f"u{found.unit}" for found in rows)
        noticed += len(rows) < 300
    assert noticed > 40  # most of the file holds rows


@pytest.mark.parametrize("content", [b"text" * 999, b"\0" * 4096])
def test_what_is_no_database_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(StoreError, match=r"Choose another --out"):
        Database(tmp_path / "a", create=True)


def test_other_programs_and_formats_are_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "a")
    connection.execute("CREATE TABLE x (y)")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="of format 2 of Semetric's results; it is of another"):
        Database(tmp_path / "a")
    with pytest.raises(StoreError, match="there are none"):
        Database(tmp_path / "nothing")


def test_readers_come_between_writes(tmp_path: Path) -> None:
    with Database(tmp_path / "a", create=True) as one, Database(tmp_path / "a", readonly=True) as reader:
        one.add([row(0)])
        one.flush()
        rows = reader.rows()
        next(rows)
        one.add([row(1)])
        one.flush()  # a query that is open would keep it waiting for a minute
        assert units(reader) == [0, 1]
        reader.add([row(2)])
        with pytest.raises(StoreError, match="readonly"):
            reader.flush()


@pytest.mark.skipif(not Path("/dev/full").exists() or not hasattr(os, "fork"), reason="needs limits of file sizes")
def test_a_full_disk_keeps_what_was_finished(tmp_path: Path) -> None:
    """In a process whose files may not grow: its row is lost, and not hidden by a second error."""
    whole(tmp_path, 3)
    code = (
        "import resource, signal, sys\nfrom pathlib import Path\nfrom semetric.errors import StoreError\n"
        "from semetric.results.database import Database, Row\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "file = Path(sys.argv[1])\n"
        "with Database(file) as one:\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size, file.stat().st_size))\n"
        "    one.add([Row(unit=9, scores=[1.0] * 20000)])\n"
        "    try:\n        one.flush()\n    except StoreError as error:\n        print(error)\n"
        "    one.flush()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a")], capture_output=True, text=True, check=True
    )
    assert "Expected to " in ended.stdout
    with Database(tmp_path / "a") as one:
        assert units(one) == [0, 1, 2]


def test_a_killed_writer_leaves_whole_transactions(tmp_path: Path) -> None:
    """Rows of one call come together, or not at all."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom semetric.results import database\n"
        "database.FLUSH_SECONDS = 0\n"
        "with database.Database(Path(sys.argv[1]), create=True) as one:\n"
        "    for start in range(0, 10**9, 3):\n"
        "        one.add([database.Row(unit=start + i, scores=[float(start + i)] * 50) for i in range(3)])\n"
        "        print(start, flush=True)\n"
    )
    for _ in range(2):
        with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "a")], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(20):
                last = int(process.stdout.readline())
            process.kill()
        with Database(tmp_path / "a") as one:
            found = units(one)
            assert found == list(range(len(found)))
            assert len(found) % 3 == 0
            assert len(found) >= last + 3
            one.remove(found)


def test_the_checksum_is_that_of_the_format() -> None:
    """Another one would make every run of this format damaged."""
    columns = (3, "[]", b"\0" * 8, "{}", "s")
    assert module._crc(columns) == zlib.crc32(b"3\0[]\0" + b"\0" * 8 + b"{}\0s\0")
