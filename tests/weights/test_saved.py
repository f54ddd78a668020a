"""Files that show one content to who checks them and another to who loads them, or declare more than they hold."""

from __future__ import annotations

import argparse
import functools
import io
import json
import pickle
import struct
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from semetric.errors import WeightsCorruptError
from semetric.weights.pickles import Inert
from semetric.weights.tensors import checked_tensors, read_saved

MEGABYTE = 1 << 20
STATE = {"w": torch.arange(6.0).view(2, 3)}


def refuse(why: str) -> WeightsCorruptError:
    return WeightsCorruptError(f"Expected tensors; it {why}.")


def saved(value: Any, *, older: bool = False) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, _use_new_zipfile_serialization=not older)
    return stream.getvalue()


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as pack:
        return {name: pack.read(name) for name in pack.namelist()}


def packed(parts: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as pack:
        for name, content in parts.items():
            pack.writestr(name, content)
    return stream.getvalue()


@functools.cache
def bomb() -> bytes:
    """A compressed file of 16 MB of zeros; torch unpacks it."""
    return packed(members(saved({"w": torch.zeros(4 * MEGABYTE)})), zipfile.ZIP_DEFLATED)


def directory(data: bytes) -> tuple[int, int]:
    """Start and size of the central directory of a zip without zip64 records."""
    size, start = struct.unpack("<II", data[-10:-2])
    return start, size


def moved(entries: bytes, by: int) -> bytes:
    """A central directory whose members lie so many bytes further on."""
    moved_entries, at = bytearray(entries), 0
    while at < len(entries):
        lengths = struct.unpack("<HHH", entries[at + 28 : at + 34])
        offset = struct.unpack("<I", entries[at + 42 : at + 46])[0]
        moved_entries[at + 42 : at + 46] = struct.pack("<I", offset + by)
        at += 46 + sum(lengths)
    return bytes(moved_entries)


def end_record(count: int, size: int, start: int, comment: bytes = b"") -> bytes:
    return struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, count, count, size, start, len(comment)) + comment


def two_directories() -> bytes:
    """The end record gives the place of the bomb's directory and the size of the plain one.

    torch goes to the place. Python takes the bytes right before the end record, and shifts all offsets accordingly.
    """
    hidden, plain = bomb(), packed(members(saved(STATE)))
    (start, size), (plain_start, plain_size) = directory(hidden), directory(plain)
    entries = moved(plain[plain_start : plain_start + plain_size], start - plain_start)
    front = hidden[: start + size] + plain[:plain_start] + entries
    return front + end_record(len(members(plain)), plain_size, start)


def two_zip64_records() -> bytes:
    """torch reads the zip64 record that the locator names, Python the one before the locator."""
    hidden, plain = bomb(), packed(members(saved(STATE)))
    (start, size), (plain_start, plain_size) = directory(hidden), directory(plain)
    front = hidden[: start + size]
    front += zip64_record(len(members(hidden)), size, start)
    entries = moved(plain[plain_start : plain_start + plain_size], len(front))
    count, place = len(members(plain)), len(front) + plain_start
    return (
        front
        + plain[:plain_start]
        + entries
        + zip64_record(count, plain_size, place)
        + struct.pack("<IIQI", 0x07064B50, 0, start + size, 1)
        + end_record(count, plain_size, place)
    )


def comment() -> bytes:
    """A plain file whose comment holds the bomb's end record, and one byte."""
    hidden, plain = bomb(), packed(members(saved(STATE)))
    (start, size), (plain_start, plain_size) = directory(hidden), directory(plain)
    front = hidden[: start + size]
    entries = moved(plain[plain_start : plain_start + plain_size], len(front))
    record = end_record(len(members(hidden)), size, start)
    place = len(front) + plain_start
    return front + plain[:plain_start] + entries + end_record(len(members(plain)), plain_size, place, record + b" ")


def prefix() -> bytes:
    """A local header before the plain file, so that it still begins as a zip does."""
    return bomb()[:10_000] + packed(members(saved(STATE)))


def zip64_record(count: int, size: int, start: int) -> bytes:
    return struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, count, count, size, start)


def overlapping() -> bytes:
    """Members that share their bytes: 64 storages of 1 MB in a file of 1 MB."""
    state = {str(i): torch.full((MEGABYTE // 4,), float(i)) for i in range(64)}
    parts = members(saved(state))
    big = "archive/data/0"
    data = packed({name: b"" if "/data/" in name and name != big else content for name, content in parts.items()})
    start, size = directory(data)
    entries, at, out = data[start : start + size], 0, b""
    target = entries[: entries.index(big.encode())][-46:]  # that member's entry: its sizes, checksum and offset
    while at < len(entries):
        lengths = struct.unpack("<HHH", entries[at + 28 : at + 34])
        entry = entries[at : at + 46 + sum(lengths)]
        if b"archive/data/" in entry:
            entry = entry[:16] + target[16:28] + entry[28:42] + target[42:46] + entry[46:]
        out += entry
        at += 46 + sum(lengths)
    return data[:start] + out + end_record(len(parts), size, start)


def with_numel(data: bytes, numel: int) -> bytes:
    """A saved tensor of 6 floats that declares another number of elements, its storage as it was."""
    old, new = b"K\x06tq", b"\x8a\x05" + numel.to_bytes(5, "little") + b"tq"
    shape = b"K\x02K\x03\x86", b"\x8a\x05" + (numel // 3).to_bytes(5, "little") + b"K\x03\x86"
    assert data.count(old) == data.count(shape[0]) == 1
    return data.replace(old, new).replace(*shape)


def declared_size() -> bytes:
    parts = members(saved(STATE))
    name = "archive/data.pkl"
    return packed(parts | {name: with_numel(parts[name], 3 << 26)})


def declared_member_size() -> bytes:
    """A member that claims 2 GB in its headers and the pickle alike."""
    parts = members(saved(STATE))
    name = "archive/data.pkl"
    data = packed(parts | {name: with_numel(parts[name], (1 << 29) // 3 * 3)})
    return data.replace(
        struct.pack("<II", 24, 24), struct.pack("<II", 4 * ((1 << 29) // 3 * 3), 4 * ((1 << 29) // 3 * 3))
    )


def older_declared_size() -> bytes:
    data = saved(STATE, older=True)
    at = data.index(b"K\x06Ntq")
    return (data[:at] + b"\x8a\x05" + (3 << 26).to_bytes(5, "little") + data[at + 2 :]).replace(
        b"K\x02K\x03\x86", b"\x8a\x05" + (1 << 26).to_bytes(5, "little") + b"K\x03\x86"
    )


def older_without_numbers() -> bytes:
    """The list of storages that follow is empty: torch leaves their memory as it was."""
    data = older_declared_size()
    return data[: data.rindex(b"\x80\x02]")] + b"\x80\x02]q\x00."


def duplicates() -> bytes:
    """Two members of one name: torch and Python may take either."""
    parts = members(saved(STATE))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as pack:
        for name, content in parts.items():
            pack.writestr(name, content)
        pack.writestr(zipfile.ZipInfo("archive/data/0"), bytes(48))
    return stream.getvalue()


# What each file holds by the one reading, or the words that refuse it.
ATTACKS: dict[str, tuple[Callable[[], bytes], str | None]] = {
    "two directories": (two_directories, None),
    "two zip64 records": (two_zip64_records, None),
    "prefix": (prefix, None),
    "comment": (comment, "damaged"),
    "compressed": (bomb, "is compressed"),
    "overlapping members": (overlapping, "declares more bytes than it has"),
    "declared size": (declared_size, "stores 24 bytes for tensors of 805306368 bytes"),
    "declared member size": (declared_member_size, "declares more bytes than it has"),
    "older, declared size": (older_declared_size, "stores 6 numbers for tensors of 201326592"),
    "older, without numbers": (older_without_numbers, "stores no numbers for tensors of 805306368 bytes"),
    "duplicates": (duplicates, "stores 48 bytes for tensors of 24 bytes"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ATTACKS)
def test_what_is_checked_is_what_is_loaded(name: str) -> None:
    make, words = ATTACKS[name]
    stream = io.BytesIO(make())
    if words is None:
        assert torch.equal(read_saved(stream, refuse)["w"], STATE["w"])
        return
    with pytest.raises(WeightsCorruptError, match=words):
        read_saved(stream, refuse)


@pytest.mark.parametrize("name", ["two directories", "two zip64 records", "older, without numbers"])
def test_the_attacks_are_real_ones(name: str) -> None:
    make, _ = ATTACKS[name]
    data = make()
    loaded = torch.load(io.BytesIO(data), weights_only=True)["w"]
    assert loaded.numel() * 4 > 500 * len(data)


def network(*, older: bool = False) -> dict[str, Any]:
    """A whole training checkpoint: parameters, buffers, an optimiser that has stepped, options."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Flatten())
    optimiser = torch.optim.Adam(model.parameters())
    model(torch.rand(2, 3, 5, 5)).sum().backward()
    optimiser.step()
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, [3, 5])
    return {
        "model": model.state_dict(),
        "parameters": dict(model.named_parameters()),
        "optimiser": optimiser.state_dict(),
        "schedule": schedule.state_dict(),
        "args": argparse.Namespace(lr=0.1, size=torch.Size([3, 4]), dtype=torch.bfloat16),
        "epoch": 7,
        "seen": {1, 2},
        "text": ("ä", b"\x00\xff", None, 1 << 70, 1e-9),
    }


def layouts(*, older: bool = False) -> dict[str, torch.Tensor]:
    """Views and kinds; without those that the older format does not know."""
    base = torch.arange(24.0).view(2, 3, 4)
    kinds = (torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int32, torch.uint8, torch.bool)
    return {
        "transposed": base.transpose(0, 2),
        "part": base[1, 1:, ::2],
        "same part": base[1, 1:, ::2],
        "expanded": torch.ones(1).expand(5),
        "scalar": torch.tensor(3.5),
        "empty": torch.empty(0, 3),
        "channels last": torch.rand(1, 2, 3, 3).to(memory_format=torch.channels_last),
        **(
            {} if older else {"float8": torch.ones(3).to(torch.float8_e4m3fn), "uint16": torch.ones(2).to(torch.uint16)}
        ),
        **{str(kind): torch.arange(5).to(kind) for kind in kinds},
    }


def assert_same(value: Any, expected: Any) -> None:
    if isinstance(value, Inert):
        assert isinstance(expected, set | Counter | bytes | argparse.Namespace)
    elif isinstance(expected, torch.Tensor):
        assert value.dtype == expected.dtype
        assert value.shape == expected.shape
        assert value.stride() == expected.stride()
        assert torch.equal(value.double(), expected.double())
    elif isinstance(expected, dict):
        assert value.keys() == expected.keys()
        for key in expected:
            assert_same(value[key], expected[key])
    elif isinstance(expected, list | tuple):
        assert type(value) is type(expected)
        for item, other in zip(value, expected, strict=True):
            assert_same(item, other)
    else:
        assert value == expected


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("make", [network, layouts])
def test_sound_files_give_what_torch_load_gives(make: Callable[..., dict[str, Any]], older: bool) -> None:
    data = saved(make(older=older), older=older)
    with torch.serialization.safe_globals([argparse.Namespace]):
        expected = torch.load(io.BytesIO(data), weights_only=True)
    value = read_saved(io.BytesIO(data), refuse)
    assert_same(value, dict(expected))
    if make is layouts:
        assert value["part"].untyped_storage().data_ptr() == value["transposed"].untyped_storage().data_ptr()


def test_a_big_endian_file_is_refused() -> None:
    parts = members(saved(STATE)) | {"archive/byteorder": b"big"}
    with pytest.raises(WeightsCorruptError, match="big-endian"):
        read_saved(io.BytesIO(packed(parts)), refuse)


def test_a_torchscript_archive_is_named(tmp_path: Path) -> None:
    parts = members(saved(STATE)) | {"archive/constants.pkl": b"", "archive/code/a.py": b""}
    with pytest.raises(WeightsCorruptError, match="TorchScript"):
        read_saved(io.BytesIO(packed(parts)), refuse)


def safetensors(header: dict[str, Any] | bytes, numbers: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + numbers


def entry(shape: list[int], start: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


CRAFTED = {
    "overlap": safetensors({"a": entry([4], 0, 16), "b": entry([4], 0, 16)}, bytes(16)),
    "hole": safetensors({"a": entry([2], 0, 8), "b": entry([2], 12, 20)}, bytes(20)),
    "longer than the file": safetensors({"a": entry([1 << 40], 0, 4 << 40)}, bytes(16)),
    "shape and bytes differ": safetensors({"a": entry([1 << 30], 0, 16)}, bytes(16)),
    "shape overflows": safetensors({"a": entry([1 << 40, 1 << 40, 1 << 40], 0, 16)}, bytes(16)),
    "two of one name": safetensors(
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}',
        bytes(20),
    ),
    "rest": safetensors({"a": entry([2], 0, 8)}, bytes(1000)),
    "header beyond the file": (1 << 62).to_bytes(8, "little") + b"{}",
    "header of 5 MB": safetensors(json.dumps({str(i): entry([0], 0, 0) for i in range(80_000)}).encode()),
    "header of blanks": safetensors(b"{" + b" " * (5 << 20) + b"}"),
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", CRAFTED)
def test_crafted_safetensors_are_refused(name: str, stream: bool, tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(CRAFTED[name])
    source = io.BytesIO(CRAFTED[name]) if stream else tmp_path / "a.safetensors"
    with pytest.raises(WeightsCorruptError, match=r"no safetensors file, or damaged|declares a header of"):
        read_saved(source, refuse, safetensors=True)


PICKLES = {
    "nested calls": (
        b"\x80\x02" + b"cargparse\nNamespace\n" * 20_000 + b")R" + b"\x85R" * 19_999 + b".",
        "a PickledObject",
    ),
    "a call for 1 TB": (b"\x80\x02c__builtin__\nbytearray\n\x8a\x06\0\0\0\0\0\1\x85R.", "a PickledObject"),
    "bytes of 1 TB": (b"\x80\x04\x8e\0\0\0\0\0\1\0\0.", "too early"),
    "a memo place": (b"\x80\x02}r\xff\xff\xff\x7f.", "memo place"),
    "shared lists": (
        b"\x80\x02]"
        + b"q\0]("
        + b"h\0" * 9
        + b"e"
        + b"".join(b"q%c](" % i + b"h%c" % i * 9 + b"e" for i in range(1, 9))
        + b".",
        "200000 items",
    ),
    "a class as a key": (b"\x80\x02}cargparse\nNamespace\nK\1s.", "a type where"),
    "attributes of a class": (b"\x80\x02cargparse\nNamespace\nN}X\1\0\0\0aK\1s\x86b.", "damaged"),
    "a module": (b"\x80\x02ctorch\nhub\n.", r"more than tensors \(torch\.hub\)"),
    "torch.load": (b"\x80\x02ctorch\nload\nX\1\0\0\0a\x85R.", r"more than tensors \(torch\.load\)"),
    "a dotted name": (b"\x80\x04\x8c\x05torch\x8c\x0cSize.__mro__\x93.", "more than tensors"),
    "a storage alone": (b"\x80\x02((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\x000X\3\0\0\0cpuK\6tQl.", "LIST"),
    "another persistent id": (b"\x80\x02X\6\0\0\0moduleQ.", "damaged"),
}


@pytest.mark.parametrize("name", PICKLES)
def test_crafted_pickles_are_refused(name: str) -> None:
    pickled, words = PICKLES[name]
    data = packed(members(saved(STATE)) | {"archive/data.pkl": pickled})
    with pytest.raises(WeightsCorruptError, match=words):
        checked_tensors(read_saved(io.BytesIO(data), refuse), refuse)


class Numbers:
    """Stands for the storage of STATE in `Crafted`."""


class Crafted(pickle.Pickler):
    def persistent_id(self, item: Any) -> Any:
        return ("storage", torch.FloatStorage, "0", "cpu", 6) if isinstance(item, Numbers) else None


class Rebuilt:
    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return torch._utils._rebuild_tensor_v2, (Numbers(), *self.arguments, False, OrderedDict())


@pytest.mark.parametrize(
    ("offset", "shape", "strides", "words"),
    [
        (6, (2, 3), (3, 1), "stores 24 bytes"),
        (0, (2, 3), (1 << 62, 1), "stores 24 bytes"),
        (0, (1 << 40, 1 << 40), (1 << 40, 1), "stores 24 bytes"),
        (1 << 80, (), (), "stores 24 bytes"),
        (-1, (2, 3), (3, 1), "another kind"),
        (5, (2, 3), (-3, 1), "another kind"),
        (0, (2, 3), (3, 1, 1), "another kind"),
        (0, (2.0, 3), (3, 1), "another kind"),
    ],
)
def test_a_tensor_stays_within_its_storage(offset: int, shape: Any, strides: Any, words: str) -> None:
    stream = io.BytesIO()
    Crafted(stream, protocol=2).dump({"w": Rebuilt(offset, shape, strides)})
    data = packed(members(saved(STATE)) | {"archive/data.pkl": stream.getvalue()})
    with pytest.raises(WeightsCorruptError, match=words):
        read_saved(io.BytesIO(data), refuse)
