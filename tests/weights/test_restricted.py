from __future__ import annotations

import os
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from semetric.errors import WeightsCorruptError
from semetric.weights import load_arrays, locate


def save(folder: Path, value: Any, protocol: int = 4) -> Path:
    file = folder / "file.pickle"
    file.write_bytes(pickle.dumps(value, protocol=protocol))
    return file


NUMBERS = hnp.arrays(
    dtype=st.one_of(
        hnp.floating_dtypes(sizes=(16, 32, 64)),
        hnp.integer_dtypes(),
        hnp.unsigned_integer_dtypes(),
        hnp.boolean_dtypes(),
    ),
    shape=hnp.array_shapes(min_dims=0, min_side=0),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None)
@given(array=NUMBERS, protocol=st.sampled_from([3, 4]), fortran=st.booleans())
def test_arrays_come_back_as_they_went_in(tmp_path: Path, array: np.ndarray, protocol: int, fortran: bool) -> None:
    array = np.asfortranarray(array) if fortran else array
    again = load_arrays(save(tmp_path, {"outer": {"inner": array}, "number": 3, "none": None}, protocol))
    found = again["outer"]["inner"]
    assert found.dtype == array.dtype
    assert found.shape == array.shape
    assert found.tobytes() == array.tobytes()
    assert again["number"] == 3
    assert again["none"] is None


class Hostile:
    def __init__(self, call: Any, *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call, self.arguments


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_a_pickle_that_would_run_a_command_is_refused(tmp_path: Path, protocol: int) -> None:
    proof = tmp_path / "proof"
    file = save(tmp_path, {"weights": Hostile(os.system, f"touch {proof}")}, protocol)
    with pytest.raises(WeightsCorruptError):
        load_arrays(file)
    assert not proof.exists()
    pickle.loads(file.read_bytes())
    assert proof.exists(), "the attack must be a real one, or this test shows nothing"


@pytest.mark.parametrize(
    "call",
    [
        Hostile(eval, "1"),
        Hostile(getattr, dict, "clear"),
        Hostile(np.load, "x.npy"),
        Hostile(np.ndarray, (1 << 40,)),
        Hostile(bytearray, 1 << 40),
    ],
    ids=["eval", "getattr", "np.load", "huge array", "huge bytes"],
)
def test_other_calls_are_refused(tmp_path: Path, call: Hostile) -> None:
    with pytest.raises(WeightsCorruptError):
        load_arrays(save(tmp_path, {"weights": call}))


@pytest.mark.parametrize(
    "stream",
    [
        b"\x80\x02}X\x01\x00\x00\x00acos\nsystem\n(X\x04\x00\x00\x00trueo.",  # OBJ-like trailing call
        b"(S'true'\nios\nsystem\n.",  # INST
        b"\x80\x02\x82\x01.",  # EXT1
        b"\x80\x02X\x01\x00\x00\x00aQ.",  # BINPERSID
        b"\x80\x04\x8c\x05numpy\x8c\x12ndarray.__class__\x93.",  # a dotted name
        b"\x80\x02cnumpy\nndarray\nN\x81.",  # NEWOBJ
        b"\x80\x05\x97.",  # NEXT_BUFFER
        b"\x80\x02}r\xff\xff\xff\x7f.",  # a memo place that would allocate gigabytes
        b"",
        b"\x80\x04",
        b"not a pickle",
    ],
)
def test_streams_outside_the_list_are_refused(tmp_path: Path, stream: bytes) -> None:
    (tmp_path / "file").write_bytes(stream)
    with pytest.raises(WeightsCorruptError):
        load_arrays(tmp_path / "file")


def test_building_on_the_stand_ins_themselves_does_nothing(tmp_path: Path) -> None:
    # {"a": <the class behind numpy.ndarray> given a state}: BUILD on a class, which may not alter it
    (tmp_path / "file").write_bytes(b"\x80\x02}X\x01\x00\x00\x00acnumpy\nndarray\n}X\x01\x00\x00\x00bK\x01sbs.")
    with pytest.raises(WeightsCorruptError):
        load_arrays(tmp_path / "file")
    assert load_arrays(save(tmp_path, {"a": np.arange(3)}))["a"].tolist() == [0, 1, 2]


def test_a_shape_that_belies_the_bytes_is_refused(tmp_path: Path) -> None:
    array = np.arange(7, dtype=np.float32)
    data = pickle.dumps({"a": array}, protocol=3)
    # the shape (7,) is BININT1 7, TUPLE1; make it (200,)
    assert data.count(b"K\x07\x85") == 1
    (tmp_path / "file").write_bytes(data.replace(b"K\x07\x85", b"K\xc8\x85"))
    with pytest.raises(WeightsCorruptError, match="Expected 800 bytes"):
        load_arrays(tmp_path / "file")


@pytest.mark.parametrize(
    "array",
    [
        np.array([{}, None]),
        np.array(["text"]),
        np.zeros(2, dtype="f4,i4"),
        np.zeros(2, dtype="M8[s]"),
        np.zeros(1, "c8"),
    ],
    ids=["objects", "text", "records", "dates", "complex"],
)
def test_arrays_of_other_things_are_refused(tmp_path: Path, array: np.ndarray) -> None:
    with pytest.raises(WeightsCorruptError):
        load_arrays(save(tmp_path, {"a": array}))


def test_shared_lists_that_stand_for_millions_of_items_are_refused(tmp_path: Path) -> None:
    nested: list[Any] = [0]
    for _ in range(25):
        nested = [nested] * 10
    with pytest.raises(WeightsCorruptError, match="items"):
        load_arrays(save(tmp_path, {"a": nested}))


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    nested: list[Any] = []
    for _ in range(200):
        nested = [nested]
    with pytest.raises(WeightsCorruptError, match="levels"):
        load_arrays(save(tmp_path, {"a": nested}))


def test_a_file_above_the_bound_is_not_read(tmp_path: Path) -> None:
    file = save(tmp_path, {"a": np.zeros(1000)})
    with pytest.raises(WeightsCorruptError, match="Expected at most 100 bytes"):
        load_arrays(file, max_bytes=100)


def test_only_dictionaries_are_files_of_weights(tmp_path: Path) -> None:
    with pytest.raises(WeightsCorruptError, match="dictionary"):
        load_arrays(save(tmp_path, [np.zeros(2)]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(position=st.floats(0, 0.999), byte=st.integers(0, 255))
def test_no_altered_byte_leads_to_anything_but_arrays_or_our_error(tmp_path: Path, position: float, byte: int) -> None:
    data = bytearray(pickle.dumps({"a": {"b": np.arange(4, dtype=np.float32)}, "c": [1, "x"]}, protocol=3))
    data[int(position * len(data))] = byte
    (tmp_path / "file").write_bytes(data)
    try:
        loaded = load_arrays(tmp_path / "file")
    except WeightsCorruptError:
        return
    assert isinstance(loaded, dict)


@pytest.mark.weights
@pytest.mark.parametrize(("name", "arrays"), [("lpips_alex", 15), ("lpips_vgg", 31)])
def test_the_packaged_pickles_are_read(name: str, arrays: int) -> None:
    # AlexNet: 5 kernels, 5 biases, 5 heads; VGG16: 13, 13, 5
    def leaves(value: Any) -> list[np.ndarray]:
        return [leaf for item in value.values() for leaf in leaves(item)] if isinstance(value, dict) else [value]

    found = leaves(load_arrays(locate(name)))
    assert len(found) == arrays
    assert all(one.dtype == np.float32 and np.isfinite(one).all() for one in found)
    names = {op.name for op, _, _ in pickletools.genops(locate(name).read_bytes())}
    assert "GLOBAL" in names, "the package pickles by protocol 3, with numpy's former module names"
