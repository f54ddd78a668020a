"""Reading what torch.save wrote, both its formats, without torch.load.

torch.load finds its way through a zip by another reader than Python's, so that a crafted file shows one content to
whoever checks it and another to torch; its older format allocates whatever size is declared. Here one reader checks
and loads: every storage is as long as its tensor says, lies uncompressed in the file, and all of them together are no
longer than the file. Nothing that the pickle names is run.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from semetric.weights.pickles import Inert, Refusal, build, unpickle

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["read_torch"]

_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "UntypedStorage": "uint8",
}
_LEGACY = (0x1950A86A20F9469CFC6C, 1001)  # the first two pickles of the older format: a mark and a version


class _Tensor(Inert):
    """Storage, offset, shape, strides, and what no weights need; from torch 2.1 on possibly a dtype at the seventh."""

    __slots__ = ()


class _Parameter(Inert):
    __slots__ = ()


class PickledObject(Inert):
    """Stands for what training leaves beside the weights, such as options and counters."""

    __slots__ = ()


class _Names(dict[Any, Any]):
    """An OrderedDict whose attributes, such as the versions of modules, are dropped."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        pass


_NAMES: Mapping[tuple[str, str], type] = {
    ("torch._utils", "_rebuild_tensor"): _Tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _Tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _Tensor,
    ("torch._utils", "_rebuild_parameter"): _Parameter,
    ("collections", "OrderedDict"): _Names,
    ("collections", "Counter"): PickledObject,
    ("argparse", "Namespace"): PickledObject,  # SynCLR's file is a whole training checkpoint, with its options
    ("torch", "Size"): PickledObject,
    ("torch", "device"): PickledObject,
    ("_codecs", "encode"): PickledObject,
    ("builtins", "bytearray"): PickledObject,
    ("builtins", "set"): PickledObject,
    ("builtins", "complex"): PickledObject,
    ("__builtin__", "bytearray"): PickledObject,  # as protocol 2, torch.save's, spells them
    ("__builtin__", "set"): PickledObject,
    ("__builtin__", "complex"): PickledObject,
}


@dataclass(frozen=True, kw_only=True)
class _Storage:
    """What a pickle says of the numbers behind a tensor."""

    key: str
    dtype: str
    numel: int


def read_torch(stream: IO[bytes], refuse: Refusal) -> Any:
    """What torch.save wrote.

    Args:
        stream: the file; seekable, at its start.
        refuse: makes the error.

    Returns:
        Dictionaries, lists and tuples of plain values, of dense tensors on the CPU, which share memory where they
        did, and of records of whatever else lay beside.

    Raises:
        WeightsCorruptError: what `refuse` makes of other files.
        Exception: nearly any, where the file is damaged.
    """
    start = stream.read(4)
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    if start == b"PK\x03\x04":  # torch goes by the same four bytes
        return _from_zip(stream, size, refuse)
    return _from_sequence(stream, size, refuse)


def _from_zip(stream: IO[bytes], size: int, refuse: Refusal) -> Any:
    """The format since torch 1.6: <folder>/data.pkl and one member a storage, <folder>/data/<key>."""
    with zipfile.ZipFile(stream) as pack:
        members = {info.filename: info for info in pack.infolist()}
        folder = next(iter(members), "").partition("/")[0]
        if f"{folder}/constants.pkl" in members:
            raise refuse("is a TorchScript archive: save the state_dict() alone")
        left = size

        def opened(name: str) -> tuple[IO[bytes], int]:
            nonlocal left
            info = members.get(f"{folder}/{name}")
            if info is None:
                raise refuse(
                    f"lacks its part {name[:80]!r}: it is cut short, damaged, or no file that torch.save wrote"
                )
            if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
                raise refuse("is compressed, which torch.save never does")
            left -= info.file_size
            if left < 0:  # overlapping members: one part of the file stands for several
                raise refuse("declares more bytes than it has")
            return pack.open(info), info.file_size

        def numbers(storage: _Storage, size_bytes: int) -> Tensor:
            part, stored = opened(f"data/{storage.key}")
            if stored != size_bytes:
                raise refuse(f"stores {stored} bytes for tensors of {size_bytes} bytes")
            with part:
                return _filled(part, size_bytes)

        if f"{folder}/byteorder" in members:
            part, length = opened("byteorder")
            if length > 6 or part.read() != b"little":
                raise refuse("stores its numbers big-endian: save it on another machine")
        part, length = opened("data.pkl")
        pickled = io.BytesIO(part.read(length))
        return _built(unpickle(pickled, _resolve, refuse, persistent=_storage), numbers, refuse)


def _from_sequence(stream: IO[bytes], size: int, refuse: Refusal) -> Any:
    """The older format: pickles of a mark, a version, the machine, the object and the keys; then the storages."""

    def plain() -> Any:
        return unpickle(stream, lambda module, name: None, refuse)

    if (plain(), plain()) != _LEGACY:
        raise refuse("is not a file that torch.save wrote, or damaged")
    if plain().get("little_endian") is not True:
        raise refuse("stores its numbers big-endian: save it on another machine")
    declared: dict[str, _Storage] = {}

    def persistent(description: Any) -> _Storage:
        storage = _storage(description)
        return declared.setdefault(storage.key, storage)

    value = unpickle(stream, _resolve, refuse, persistent=persistent)
    loaded: dict[str, Tensor] = {}
    for key in plain():
        numel = int.from_bytes(stream.read(8), "little")
        size_bytes = numel * _dtype(declared[key].dtype).itemsize
        if numel != declared[key].numel:
            raise refuse(f"stores {numel} numbers for tensors of {declared[key].numel}")
        if size_bytes > size - stream.tell():
            raise refuse("is cut short, or declares more bytes than it has")
        loaded[key] = _filled(stream, size_bytes)

    def numbers(storage: _Storage, size_bytes: int) -> Tensor:
        if storage.key not in loaded:
            raise refuse(f"stores no numbers for tensors of {size_bytes} bytes")
        return loaded[storage.key]

    return _built(value, numbers, refuse)


def _resolve(module: str, name: str) -> type | str | None:
    """What the pickle gets for a name: a kind of record, a dtype's name, or None for what is not allowed."""
    import torch

    if module in {"torch", "torch.storage"} and name in _STORAGES:
        return _STORAGES[name]
    if module == "torch" and isinstance(vars(torch).get(name), torch.dtype):
        return name
    return _NAMES.get((module, name))


def _storage(description: Any) -> _Storage:
    """The storage that stands in a pickle as ("storage", type, key, device, number of elements), in the older format
    with a sixth entry that is None."""
    match description:
        case ("storage", str(dtype), str(key), str(), int(numel)) | (
            "storage",
            str(dtype),
            str(key),
            str(),
            int(numel),
            None,
        ) if numel >= 0:
            return _Storage(key=key, dtype=dtype, numel=numel)
    raise ValueError("expected the description of a storage")


def _built(value: Any, numbers: Callable[[_Storage, int], Tensor], refuse: Refusal) -> Any:
    """The value with its tensors, whose storages are read as they are met, each once."""
    storages: dict[str, Tensor] = {}

    def tensor(record: _Tensor) -> Tensor:
        match record.arguments:
            case (_Storage() as storage, int(offset), tuple(shape), tuple(strides), *rest) if len(shape) == len(
                strides
            ) and all(type(n) is int and n >= 0 for n in (offset, *shape, *strides)):
                dtype = _dtype(storage.dtype)
            case _:
                raise refuse("holds a tensor of another kind than plain ones")
        size_bytes = storage.numel * dtype.itemsize
        if storage.key not in storages:
            storages[storage.key] = numbers(storage, size_bytes)
        held = storages[storage.key]
        if len(rest) >= 3 and isinstance(rest[2], str):
            dtype = _dtype(rest[2])
        last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
        if held.numel() != size_bytes or (0 not in shape and (last + 1) * dtype.itemsize > size_bytes):
            raise refuse(f"stores {held.numel()} bytes for a tensor of shape {shape}")
        return held.view(dtype).as_strided(shape, strides, offset)

    def make(record: Inert) -> Any:
        if isinstance(record, _Parameter) and record.arguments and isinstance(record.arguments[0], _Tensor):
            return tensor(record.arguments[0])
        return tensor(record) if isinstance(record, _Tensor) else record

    return build(value, make, refuse)


def _dtype(name: str) -> torch.dtype:
    import torch

    dtype = getattr(torch, name)
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"expected a dtype, got {name}")
    return dtype


def _filled(stream: IO[bytes], size_bytes: int) -> Tensor:
    """The next bytes of a stream as a tensor of uint8."""
    import torch

    held = torch.empty(size_bytes, dtype=torch.uint8)
    rest = memoryview(held.numpy().data)
    while rest:
        count = stream.readinto(rest)  # type: ignore[attr-defined]
        if not count:
            raise EOFError("the file ends inside a storage")
        rest = rest[count:]
    return held
