"""Machine code of the matching kernel: compiled once by numba, kept on disk, loaded by llvmlite alone.

Numba takes half a second to import and ready itself even where it finds its work in its own cache, which would be most
of what scoring two cached graphs costs. So the kernel is compiled to an object file, and a process that finds that file
needs only llvmlite (which numba brings along) to link it, a few hundredths of a second. The file's name holds a digest
of the kernel's source, of llvmlite's version and of the processor; its first lines a digest of its content. It lies in
the cache folder (`SEMETRIC_CACHE`); where nothing can be written the kernel is compiled in each process.

The digest guards against damage. It cannot guard against people: whoever may write that file has this process run
whatever it holds. So on systems with file owners the file, and the folder `kernels` that it lies in, count only if they
belong to the user of this process or to root and nobody else may write to them; otherwise the kernel is compiled anew,
and the file replaced where the folder is the user's.
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
import stat
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from semetric.cache import cache_root

__all__ = ["graph_match", "prepare"]

_MAGIC = b"semetric kernel 2\n"
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
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


def _renew_lock() -> None:
    """In a forked process there is none of the threads that may have held the lock."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


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
            _kernel = _linked(*_machine_code()) or _linked(*_machine_code(anew=True))
            if _kernel is None:
                raise RuntimeError("Expected the kernel in what was compiled; found no such function.")
        return _kernel


def _machine_code(*, anew: bool = False) -> tuple[str, bytes]:
    """Symbol and object file: from disk, else (or where they are wanted anew) compiled and put there."""
    path = _path()
    found = None if anew else _read(path)
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
        _MAGIC.decode(),
        _SIGNATURE,
        importlib.metadata.version("llvmlite"),
        platform.platform(),
        llvm.get_host_cpu_name(),
        features,
    ):
        digest.update(part.encode() + b"\n")
    return cache_root() / "kernels" / f"matching-{digest.hexdigest()[:24]}.o"


def _read(path: Path) -> tuple[str, bytes] | None:
    """What `_write` wrote, or None where there is no file, not the whole of it, or one that others may write to."""
    try:
        if not _private(path.parent.stat()):
            return None
        with path.open("rb") as stream:
            if not _private(os.fstat(stream.fileno())):  # of what was opened, whatever the name stands for by now
                return None
            content = stream.read()
    except OSError:
        return None
    digest, _, rest = content.removeprefix(_MAGIC).partition(b"\n")
    if not content.startswith(_MAGIC) or _digest(rest) != digest:
        return None
    symbol, _, code = rest.partition(b"\n")
    return symbol.decode("utf-8", "replace"), code


def _private(status: os.stat_result) -> bool:
    """Whether a file or folder is the user's or root's, and nobody else's to write to."""
    if sys.platform == "win32":
        return True  # its profiles are private, and its modes say nothing
    return status.st_uid in {0, os.geteuid()} and not status.st_mode & _OTHERS_WRITE


def _digest(content: bytes) -> bytes:
    """Of the format, the symbol and the code."""
    return hashlib.sha256(_MAGIC + content).hexdigest().encode()


def _write(path: Path, symbol: str, code: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = path.parent.stat()
    if not _private(status):
        path.parent.chmod(stat.S_IMODE(status.st_mode) & ~_OTHERS_WRITE)  # OSError where the folder is another's
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        content = symbol.encode() + b"\n" + code
        with os.fdopen(handle, "wb") as stream:
            stream.write(_MAGIC + _digest(content) + b"\n" + content)
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


def _linked(symbol: str, code: bytes) -> Callable[..., None] | None:
    """The function in an object file; None where there is none of that name."""
    llvm = _llvm()
    machine = _target_machine()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    address = engine.get_function_address(symbol)
    if not address:
        return None
    # numba's own convention: places for a result and an exception, then the arguments; this kernel uses neither place
    places: tuple[Any, ...] = (ctypes.c_void_p, ctypes.c_void_p)
    kind = ctypes.CFUNCTYPE(ctypes.c_int32, *places, *(_C[c] for c in _SIGNATURE))
    function = kind(address)
    unused = (ctypes.c_void_p * 2)()
    _keep.extend([engine, machine, unused])
    place = ctypes.addressof(unused)

    def call(*arguments: Any) -> None:
        function(place, place + ctypes.sizeof(ctypes.c_void_p), *arguments)

    return call
