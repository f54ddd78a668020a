from __future__ import annotations

import os
import stat
import sys

import numpy as np
import pytest

from semetric.scene import _kernels, _machine

CODE = "symbol", b"machine\ncode\x00"


@pytest.fixture
def compiled(tmp_path, monkeypatch):
    """A cache of its own, and a compiler that only counts."""
    monkeypatch.setenv("SEMETRIC_CACHE", str(tmp_path / "cache"))
    calls = []

    def compile_():
        calls.append(1)
        return CODE

    monkeypatch.setattr(_machine, "_compiled", compile_)
    return calls


def test_compiles_once(compiled):
    assert _machine._machine_code() == CODE
    assert _machine._machine_code() == CODE
    assert len(compiled) == 1


@pytest.mark.parametrize(
    "damage", [lambda b: b"", lambda b: b[:-1], lambda b: b[:30], lambda b: b[:-1] + b"x", lambda b: b"other" + b]
)
def test_a_damaged_file_is_made_anew(compiled, damage):
    _machine._machine_code()
    path = _machine._path()
    good = path.read_bytes()
    path.write_bytes(damage(good))
    assert _machine._machine_code() == CODE
    assert len(compiled) == 2
    assert path.read_bytes() == good
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # no temporary file stays


def test_a_folder_that_cannot_be_written(compiled, tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("a file where the cache folder should be")
    monkeypatch.setenv("SEMETRIC_CACHE", str(blocked))
    assert _machine._machine_code() == CODE
    assert _machine._machine_code() == CODE
    assert len(compiled) == 2


def test_the_file_is_named_after_what_shapes_it(compiled, monkeypatch):
    path = _machine._path()
    assert _machine._path() == path
    monkeypatch.setattr(_machine, "_SIGNATURE", _machine._SIGNATURE + "i")
    assert _machine._path() != path


def test_the_file_is_private(compiled):
    _machine._machine_code()
    assert stat.S_IMODE(_machine._path().stat().st_mode) & 0o077 == 0


def test_the_signature_fits_the_kernel():
    code = _kernels.graph_match.__code__
    kinds = dict(zip(code.co_varnames[: code.co_argcount], _machine._SIGNATURE, strict=True))
    assert {n for n, k in kinds.items() if k == "f"} == {"alpha", "beta"}
    assert {n for n, k in kinds.items() if k == "i"} == {"n", "m", "predicates", "iterations", "in_place", "keep"}


def test_the_kernel_runs_as_python_too():
    """Two graphs of one node each, in the interpreter."""

    def f(n):
        return np.zeros(n)

    def q(n):
        return np.zeros(n, np.int64)

    similarity, sums, rows, columns, shown = np.array([0.5]), f(2), q(1), q(1), q(1)
    one = (np.ones(1), q(2), q(0), q(0), f(0))
    scratch = (q(0), f(0), q(1), f(1), f(1), f(1), f(1), f(1), q(1), q(1), q(1))
    found = (rows, columns, shown, sums)
    _kernels.graph_match(1, 1, *one, *one, 1, np.ones(1), 0.25, 0.1, 2, 0, similarity, f(1), f(0), 0, *scratch, *found)
    assert similarity[0] == pytest.approx(1 - 0.5 * 0.9**2)  # no neighbours on either side: s = 1
    assert sums.tolist() == [similarity[0]] * 2
    assert rows.tolist() == columns.tolist() == shown.tolist() == [0]


def test_every_flipped_byte_is_noticed(compiled):
    """In the symbol, too: an unknown name has the address 0, and calling that ends the process."""
    _machine._machine_code()
    path = _machine._path()
    good = path.read_bytes()
    for position in range(len(good)):
        for flip in (1, 0x80):
            path.write_bytes(good[:position] + bytes([good[position] ^ flip]) + good[position + 1 :])
            assert _machine._read(path) is None


def test_code_without_the_kernel_is_compiled_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("SEMETRIC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(_machine, "_kernel", None)
    calls = []

    def linked(symbol, code):
        calls.append(symbol)
        return None if symbol == "other" else len

    monkeypatch.setattr(_machine, "_linked", linked)
    monkeypatch.setattr(_machine, "_compiled", lambda: CODE)
    _machine._write(_machine._path(), "other", b"code")
    assert _machine._load() is len
    assert calls == ["other", "symbol"]
    assert _machine._read(_machine._path()) == CODE
    monkeypatch.setattr(_machine, "_kernel", None)
    monkeypatch.setattr(_machine, "_compiled", lambda: ("other", b"code"))
    _machine._path().unlink()
    with pytest.raises(RuntimeError, match="no such function"):
        _machine._load()


def test_a_name_that_the_code_lacks_is_no_function():
    symbol, code = _machine._machine_code()
    assert _machine._linked(symbol, code) is not None
    assert _machine._linked(symbol + "x", code) is None


@pytest.mark.skipif(sys.platform == "win32", reason="modes say nothing there")
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o622])
def test_a_file_that_others_may_write_is_not_run(compiled, mode):
    _machine._machine_code()
    path = _machine._path()
    path.chmod(mode)
    assert _machine._machine_code() == CODE
    assert len(compiled) == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600  # a file of its own again
    _machine._machine_code()
    assert len(compiled) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="modes say nothing there")
def test_a_folder_that_others_may_write_is_closed_and_not_trusted(compiled):
    _machine._machine_code()
    folder = _machine._path().parent
    assert stat.S_IMODE(folder.stat().st_mode) & 0o022 == 0
    folder.chmod(0o777)
    assert _machine._machine_code() == CODE
    assert len(compiled) == 2
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    _machine._machine_code()
    assert len(compiled) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="no owners there")
def test_a_strangers_file_is_not_run(compiled, monkeypatch):
    _machine._machine_code()
    owner = _machine._path().stat().st_uid
    kinds = {uid: os.stat_result((0o100600, 1, 1, 1, uid, 0, 0, 0, 0, 0)) for uid in (0, 4321, 4322)}
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    assert [uid for uid, status in kinds.items() if _machine._private(status)] == [0, 4321]
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert (_machine._read(_machine._path()) is None) == (owner != 0)  # root's count for everybody
