from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import semetric.errors
from semetric.cache import Store, cache_root, default_store, key
from semetric.errors import UsageError

SOURCES = str(Path(semetric.errors.__file__).parents[1])
ARRAYS = {"features": np.arange(12, dtype=np.float32).reshape(3, 4), "flags": np.array([True, False])}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", 1 << 20)


def file_of(store: Store, name: str) -> Path:
    return store.root / name[:2] / f"{name}.arrays"


def test_arrays_come_back_as_they_went_in(store: Store) -> None:
    name = key(image="abc", kind="test")
    assert store.get(name) is None
    store.put(name, ARRAYS)
    again = store.get(name)
    assert again is not None
    assert list(again) == list(ARRAYS)
    for label, array in ARRAYS.items():
        np.testing.assert_array_equal(again[label], array)
        assert again[label].dtype == array.dtype


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    arrays=st.dictionaries(
        st.text(max_size=5),
        hnp.arrays(
            dtype=st.one_of(
                hnp.floating_dtypes(), hnp.integer_dtypes(), hnp.boolean_dtypes(), hnp.unicode_string_dtypes()
            ),
            shape=hnp.array_shapes(min_dims=0, min_side=0, max_side=5),
        ),
        max_size=4,
    ),
    transposed=st.booleans(),
)
def test_any_numbers_come_back(tmp_path: Path, arrays: dict[str, np.ndarray], transposed: bool) -> None:
    store = Store(tmp_path, 1 << 20)
    if transposed:
        arrays = {name: array.T for name, array in arrays.items()}
    store.put(key(a=1), arrays)
    again = store.get(key(a=1))
    assert again is not None
    assert list(again) == list(arrays)
    for name, array in arrays.items():
        assert (again[name].dtype, again[name].shape) == (array.dtype, array.shape)
        assert again[name].tobytes() == array.tobytes()


def test_a_key_depends_on_every_field_and_on_no_order() -> None:
    assert key(a=1, b=[1.5, "x"]) == key(b=[1.5, "x"], a=1)
    names = {key(), key(a=1), key(a=2), key(a="1"), key(b=1), key(a=None), key(a=[1]), key(a={"b": 1}), key(a=True)}
    assert len(names) == 9
    assert key(a=1) == "b7cd2ebd6ac75e5e8069122214c6f8f493523a0c7c387768a0ba7c06e57b7255", (
        "entries written by this version stay readable"
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}, np.float32(1)])
def test_a_key_takes_json_values_only(value: object) -> None:
    with pytest.raises(UsageError, match="JSON"):
        key(a=value)


@pytest.mark.parametrize("name", ["", "abc", "../" * 21 + "x", "A" * 64, "é" * 64])
def test_names_that_key_did_not_make_are_refused(store: Store, name: str) -> None:
    with pytest.raises(UsageError, match="64 hexadecimal"):
        store.get(name)


def test_objects_are_never_pickled(store: Store) -> None:
    for bad in (np.array([{}]), np.zeros(2, dtype="f4,O"), np.zeros(2, dtype="M8[s]")):
        with pytest.raises(UsageError, match="'bad' holds"):
            store.put(key(a=1), {"bad": bad})
    assert store.info().entries == 0


@pytest.mark.parametrize("cut", [0, 1, 30, 0.5, 0.9, 0.999])
def test_a_truncated_entry_is_removed_and_logged(store: Store, cut: float, caplog: pytest.LogCaptureFixture) -> None:
    name = key(a=1)
    store.put(name, ARRAYS)
    data = file_of(store, name).read_bytes()
    file_of(store, name).write_bytes(data[: cut if isinstance(cut, int) else int(len(data) * cut)])
    assert store.get(name) is None
    assert not file_of(store, name).exists()
    assert "damaged" in caplog.text
    store.put(name, ARRAYS)
    assert store.get(name) is not None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(position=st.floats(0, 0.9999), flip=st.integers(1, 255))
def test_no_altered_byte_changes_an_array(tmp_path: Path, position: float, flip: int) -> None:
    store = Store(tmp_path, 1 << 20)
    name = key(a=1)
    store.put(name, ARRAYS)
    data = bytearray(file_of(store, name).read_bytes())
    data[int(position * len(data))] ^= flip
    file_of(store, name).write_bytes(data)
    found = store.get(name)
    if found is None:
        assert not file_of(store, name).exists()
        return
    assert list(found) == list(ARRAYS)
    for label, array in ARRAYS.items():
        np.testing.assert_array_equal(found[label], array)
        assert found[label].dtype == array.dtype


def test_other_files_under_an_entrys_name_are_damage(store: Store) -> None:
    name = key(a=1)
    file_of(store, name).parent.mkdir(parents=True)
    with open(file_of(store, name), "wb") as file:
        np.savez(file, **ARRAYS)
    assert store.get(name) is None
    assert not file_of(store, name).exists()


def test_the_bound_holds_and_the_last_read_stay(tmp_path: Path) -> None:
    bound = 400_000
    store = Store(tmp_path, bound)
    entry = {"a": np.zeros(2500)}  # 20 kB, so that 20 entries do not fit
    names = [key(n=n) for n in range(60)]
    for count, name in enumerate(names):
        store.put(name, entry)
        os.utime(file_of(store, name), (count, count))
        if count >= 1:
            assert store.get(names[0]) is not None, "reading must keep an entry"
        # each put may go over by one entry before it evicts
        assert store.info().size_bytes <= bound + 25_000
    assert store.get(names[-1]) is not None
    assert store.get(names[1]) is None


def test_eviction_reads_the_folders_seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path, 4_000_000)
    scans = 0
    evict = store.evict

    def counted() -> None:
        nonlocal scans
        scans += 1
        evict()

    monkeypatch.setattr(store, "evict", counted)
    for n in range(400):  # 8 MB in entries of 20 kB
        store.put(key(n=n), {"a": np.zeros(2500)})
    # 4 MB fill up without a scan; each scan then frees a tenth, 400 kB, so about ten more follow
    assert 1 <= scans <= 16
    assert store.info().size_bytes <= 4_000_000


def test_an_entry_above_the_bound_is_not_stored(store: Store) -> None:
    store.put(key(a=1), {"a": np.zeros(1 << 18)})
    assert store.get(key(a=1)) is None
    assert store.info().entries == 0


def test_stale_temporary_files_go_and_fresh_ones_stay(store: Store) -> None:
    store.put(key(a=1), ARRAYS)
    folder = file_of(store, key(a=1)).parent
    (folder / ".put-old.tmp").write_bytes(b"x")
    os.utime(folder / ".put-old.tmp", (1, 1))
    (folder / ".put-new.tmp").write_bytes(b"x")
    assert store.info().entries == 1
    assert {file.name for file in folder.glob(".put-*")} == {".put-new.tmp"}


def test_info_and_clear_count_what_is_there(store: Store) -> None:
    assert store.info().entries == 0
    store.put(key(a=1), ARRAYS)
    store.put(key(a=2), ARRAYS)
    store.put(key(a=2), ARRAYS)
    size = sum(file.stat().st_size for file in store.root.rglob("*.arrays"))
    assert (store.info().entries, store.info().size_bytes) == (2, size)
    removed = store.clear()
    assert (removed.entries, removed.size_bytes) == (2, size)
    assert store.info().entries == 0
    assert store.get(key(a=1)) is None


def test_a_folder_that_cannot_be_written_is_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "below")
    for n in range(3):
        store.put(key(n=n), ARRAYS)
        assert store.get(key(n=n)) is None
    assert sum("cannot be written" in record.message for record in caplog.records) == 1
    assert sum("cannot be read" in record.message for record in caplog.records) == 1


def test_a_full_disk_is_reported_once_and_leaves_no_file(
    store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    store.put(key(n=9), ARRAYS)
    monkeypatch.setattr(os, "replace", full)
    for n in range(3):
        store.put(key(n=n), ARRAYS)
    assert sum("No space left" in record.message for record in caplog.records) == 1
    assert not list(store.root.rglob("*.tmp"))
    assert store.get(key(n=9)) is not None, "what is there can still be read"


def test_the_environment_moves_and_bounds_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMETRIC_CACHE", str(tmp_path))
    monkeypatch.setenv("SEMETRIC_CACHE_MAX_BYTES", "12345")
    assert cache_root() == tmp_path
    assert default_store().root == tmp_path / "products"
    assert default_store().max_bytes == 12345
    monkeypatch.delenv("SEMETRIC_CACHE_MAX_BYTES")
    assert default_store().max_bytes == 4 << 30
    for wrong in ("many", "-1", "0"):
        monkeypatch.setenv("SEMETRIC_CACHE_MAX_BYTES", wrong)
        with pytest.raises(UsageError, match="SEMETRIC_CACHE_MAX_BYTES"):
            default_store()


WORKER = """
import sys
import numpy as np
from semetric.cache import Store, key
store = Store(sys.argv[1], 300_000)
seed = int(sys.argv[2])
wrong = 0
for turn in range(150):
    n = (turn * 7 + seed) % 40
    found = store.get(key(n=n))
    if found is None:
        store.put(key(n=n), {"a": np.full(2000, n, np.float64)})
    elif found["a"].shape != (2000,) or not (found["a"] == n).all():
        wrong += 1
print(wrong, store._writable, store._readable)
"""


def test_processes_share_a_store(tmp_path: Path) -> None:
    # 40 entries of 16 kB in 300 kB: the processes write, read and evict the same entries all the time
    environment = {**os.environ, "PYTHONPATH": SOURCES, "OMP_NUM_THREADS": "1"}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tmp_path), str(seed)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for seed in range(4)
    ]
    said = [worker.communicate(timeout=120)[0].decode().strip() for worker in workers]
    assert said == ["0 True True"] * 4, "no wrong array, no failed write, nothing taken for damage"
    assert not list(tmp_path.rglob("*.tmp"))
    assert Store(tmp_path, 300_000).info().size_bytes <= 300_000 + 4 * 17_000  # one entry a process over


def test_a_small_graph_is_read_fast(tmp_path: Path) -> None:
    store = Store(tmp_path)
    graph = {f"part{n}": np.zeros((40, 40), np.float32) for n in range(8)}
    graph["relations"] = np.zeros((40, 40, 56), np.float32)
    store.put(key(a=1), graph)
    times = []
    for _ in range(20):
        started = time.perf_counter()
        store.get(key(a=1))
        times.append(time.perf_counter() - started)
    # about 0.3 ms on the machine that this was written on; the budget is 2 ms
    assert min(times) < 0.002


def test_an_endless_bound_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in ("9" * 5000, "9" * 30, "0" * 5000, "٣", " 7"):
        monkeypatch.setenv("SEMETRIC_CACHE_MAX_BYTES", wrong)
        with pytest.raises(UsageError, match="positive number of bytes in SEMETRIC_CACHE_MAX_BYTES") as caught:
            default_store()
        assert len(str(caught.value)) < 200
    monkeypatch.setenv("SEMETRIC_CACHE_MAX_BYTES", "0012345")
    assert default_store().max_bytes == 12345


def test_every_flipped_byte_is_noticed(store: Store) -> None:
    name = key(a=1)
    store.put(name, {"a": np.arange(3, dtype=np.int16), "b": np.array(["x"])})
    whole = file_of(store, name).read_bytes()
    for position in range(len(whole)):
        for flip in (1, 0x80, 0xFF):
            data = bytearray(whole)
            data[position] ^= flip
            file_of(store, name).write_bytes(data)
            assert store.get(name) is None


@pytest.mark.parametrize(
    "table",
    [
        b"[" * 100_000,
        b'[["a", "O", [1]]]',
        b'[["a", "O", [0]]]',
        b'[["a", "<f8", [1000000000000]]]',
        b'[["a", "<f8", [-1]]]',
        b'[["a", "<f8", ["x"]]]',
        b'[["a", "nothing", [1]]]',
        b'[[["a"], "<f8", [1]]]',
        b'{"a": 1}',
        b"7",
        b"\xff",
    ],
)
def test_an_entry_made_to_fit_its_checksum_is_damage(store: Store, table: bytes) -> None:
    rest = struct.pack("<I", len(table)) + table + bytes(64)
    file_of(store, key(a=1)).parent.mkdir(parents=True)
    file_of(store, key(a=1)).write_bytes(b"semetric arrays 1\n" + struct.pack("<I", zlib.crc32(rest)) + rest)
    assert store.get(key(a=1)) is None
    assert not file_of(store, key(a=1)).exists()


WRITER = """
import sys
import numpy as np
from semetric.cache import Store, key
store = Store(sys.argv[1], 3_000_000)
print("ready", flush=True)
n = 0
while True:
    store.put(key(n=n % 30), {"a": np.full(25_000, n % 30, np.float64)})
    n += 1
"""


def test_killed_writers_leave_whole_entries(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": SOURCES, "OMP_NUM_THREADS": "1"}
    for wait in (0.05, 0.11, 0.23):  # in the middle of whichever write
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], env=environment, stdout=subprocess.PIPE
        )
        with writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(wait)
            writer.kill()
    store = Store(tmp_path, 3_000_000)
    found = {n: store.get(key(n=n)) for n in range(30)}
    assert any(arrays is not None for arrays in found.values())
    for n, arrays in found.items():
        assert arrays is None or (arrays["a"] == n).all()
    for left in tmp_path.rglob("*.tmp"):
        os.utime(left, (1, 1))  # an hour later
    store.evict()
    assert not list(tmp_path.rglob("*.tmp"))


def test_what_others_put_during_a_count_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many entries that come while one process counts must not be lost to the estimate."""
    store, other = Store(tmp_path, 400_000), Store(tmp_path, 400_000)
    for n in range(15):
        store.put(key(n=n), {"a": np.zeros(2500)})  # 20 kB
    scan = store._scan

    def slow():
        yield from scan()
        monkeypatch.setattr(store, "_scan", scan)
        with FileLock(tmp_path / ".evict.lock"):  # as whoever counts holds it
            for n in range(100, 160):
                other.put(key(n=n), {"a": np.zeros(2500)})

    monkeypatch.setattr(store, "_scan", slow)
    store.evict()
    store.put(key(n=99), {"a": np.zeros(2500)})
    assert store.info().size_bytes <= 400_000


def test_a_count_that_was_killed_is_made_up_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path, 400_000)
    for n in range(18):
        store.put(key(n=n), {"a": np.zeros(2500)})

    def killed():
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "_scan", killed)
    with pytest.raises(KeyboardInterrupt):
        store.evict()
    monkeypatch.undo()
    for n in range(100, 104):
        store.put(key(n=n), {"a": np.zeros(2500)})
        assert store.info().size_bytes <= 400_000
    assert not (tmp_path / ".counting").exists()
