"""Machine code of the matching kernel: compiled once by numba, kept on disk, loaded by llvmlite alone.

Numba takes half a second to import and ready itself even where it finds its work in its own cache, which would be most
of what scoring two cached graphs costs. So the kernel is compiled to an object file, and a process that finds that file
needs only llvmlite (which numba brings along) to link it, a few hundredths of a second. The file's name holds a digest
of the kernel's source, of llvmlite's version and of the processor; its first lines a digest of its content. It lies in
the cache folder (`SEMETRIC_CACHE`); where nothing can be written the kernel is compiled in each process.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib
import importlib.metadata
import os
import platform
import re
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from semetric.cache import cache_root

__all__ = ["graph_match", "prepare"]

_MAGIC = b"semetric kernel 1\n"
_lock = threading.Lock()
_kernel: Callable[..., None] | None = None
_keep: list[Any] = []  # what owns the code while the process lives

# How `_kernels.graph_match` takes its arguments: f double, i int64, d and q pointers to them, s pointer to int32.
_SIGNATURE = "ii dqqqd dqqqd id ff ii ddd i sd q dd ddd qqq qqq d".replace(" ", "")
_C: dict[str, Any] = {
    "f": ctypes.c_double,
    "i": ctypes.c_int64,
    "d": ctypes.c_void_p,
    "q": ctypes.c_void_p,
    "s": ctypes.c_void_p,
}


def graph_match(*arguments: Any) -> None:
    """`_kernels.graph_match`: numbers as numbers, arrays as addresses. Releases the GIL; safe in threads."""
    (_kernel or _load())(*arguments)


def prepare() -> None:
    """Loads the kernel, and compiles it before where that was never done."""
    _load()


def _load() -> Callable[..., None]:
    global _kernel
    with _lock:
        if _kernel is None:
            _kernel = _linked(*_machine_code())
        return _kernel


def _machine_code() -> tuple[str, bytes]:
    """Symbol and object file: from disk, else compiled and put there."""
    path = _path()
    found = _read(path)
    if found is None:
        found = _compiled()
        with contextlib.suppress(OSError):  # a full disk or a folder that cannot be written: compile again next time
            _write(path, *found)
    return found


def _path() -> Path:
    llvm = _llvm()
    digest = hashlib.sha256((Path(__file__).parent / "_kernels.py").read_bytes())
    features = llvm.get_host_cpu_features().flatten()
    for part in (
        _SIGNATURE,
        importlib.metadata.version("llvmlite"),
        platform.platform(),
        llvm.get_host_cpu_name(),
        features,
    ):
        digest.update(part.encode() + b"\n")
    return cache_root() / "kernels" / f"matching-{digest.hexdigest()[:24]}.o"


def _read(path: Path) -> tuple[str, bytes] | None:
    """What `_write` wrote, or None where there is no file or not the whole of it."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if not content.startswith(_MAGIC):
        return None
    parts = content[len(_MAGIC) :].split(b"\n", 2)
    if len(parts) != 3 or hashlib.sha256(parts[2]).hexdigest() != parts[0].decode("ascii", "replace"):
        return None
    return parts[1].decode(), parts[2]


def _write(path: Path, symbol: str, code: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(_MAGIC + hashlib.sha256(code).hexdigest().encode() + b"\n" + symbol.encode() + b"\n" + code)
        Path(temporary).replace(path)  # readers see the whole file or none
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _llvm() -> Any:
    """llvmlite's binding, which carries no types."""
    return importlib.import_module("llvmlite.binding")


def _target_machine() -> Any:
    llvm = _llvm()
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=3,
        codemodel="jitdefault",
        jit=True,
    )


def _compiled() -> tuple[str, bytes]:
    """Numba's code of the kernel without the wrapper that would call back into Python; seconds."""
    numba: Any = importlib.import_module("numba")
    from semetric.scene import _kernels

    llvm = _llvm()
    types = numba.types
    kinds = {"f": types.float64, "i": types.int64}
    kinds |= {c: types.CPointer(t) for c, t in (("d", types.float64), ("q", types.int64), ("s", types.int32))}
    signature = types.void(*(kinds[c] for c in _SIGNATURE))
    text = numba.cfunc(signature, error_model="numpy")(_kernels.graph_match).inspect_llvm()
    symbol = re.search(r"^define [^@]*@(_ZN[^(]*graph_match[^(]*)\(", text, re.MULTILINE)
    if symbol is None:
        raise RuntimeError("Expected the kernel among what numba compiled; found no such function.")
    name = symbol[1].strip('"')
    module = llvm.parse_assembly(text)
    machine = _target_machine()
    for function in module.functions:
        if not function.is_declaration and function.name != name:
            function.linkage = llvm.Linkage.internal
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options()))
    return name, machine.emit_object(module)


def _linked(symbol: str, code: bytes) -> Callable[..., None]:
    """The function in an object file."""
    llvm = _llvm()
    machine = _target_machine()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    # numba's own convention: places for a result and an exception, then the arguments; this kernel uses neither place
    places: tuple[Any, ...] = (ctypes.c_void_p, ctypes.c_void_p)
    kind = ctypes.CFUNCTYPE(ctypes.c_int32, *places, *(_C[c] for c in _SIGNATURE))
    function = kind(engine.get_function_address(symbol))
    unused = (ctypes.c_void_p * 2)()
    _keep.extend([engine, machine, unused])
    place = ctypes.addressof(unused)

    def call(*arguments: Any) -> None:
        function(place, place + ctypes.sizeof(ctypes.c_void_p), *arguments)

    return call
