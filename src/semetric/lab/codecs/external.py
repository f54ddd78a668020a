"""A codec of somebody's own: two command lines, or two Python callables."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import math
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from semetric.errors import UsageError
from semetric.lab.codecs._commands import (
    TIMEOUT_S,
    check_template,
    check_timeout,
    received_pixels,
    run_command,
    stream_bytes,
    write_png,
)
from semetric.lab.codecs.base import Codec, Quality, Size
from semetric.lab.systems import Pixels

__all__ = ["CallableCodec", "CommandCodec", "external", "function_name", "loaded", "scale"]

Part: TypeAlias = str | Callable[..., Any]
"""A command line with placeholders, "module:function", "file.py:function", or the function itself."""


class CommandCodec(Codec):
    """Two command lines. Each runs without a shell; the files between them lie in a temporary folder.

    Attributes:
        commands: the encoder's and the decoder's line.
        timeout_s: for one image and one of them.
    """

    def __init__(
        self,
        encode: str,
        decode: str,
        *,
        name: str,
        label: str,
        steps: Sequence[Quality],
        unit: str = "quality",
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Checks the command lines; runs nothing.

        Args:
            encode: with {input}, a PNG to read, {stream}, the file to write, and {quality}.
            decode: with {stream}, the file to read, and {output}, the image to write (a PNG by its name); it may
                have {width} and {height} of the image.
            name: of the curve.
            label: in the legend.
            steps: qualities, from the lowest rate to the highest.
            unit: what a quality is.
            timeout_s: seconds that a program may take.

        Raises:
            UsageError: a placeholder is missing or unknown, the steps are no scale, or a time limit that is none.
        """
        self._encode_words = check_template(encode, needs=("input", "stream"), may=("quality",))
        self._decode_words = check_template(decode, needs=("stream", "output"), may=("width", "height"))
        self.commands = {"encode": encode, "decode": decode}
        self.name, self.label, self.unit, self.steps = name, label, unit, scale(steps)
        self.timeout_s = check_timeout(timeout_s)

    def to_dict(self) -> dict[str, Any]:
        """With the command lines."""
        return super().to_dict() | {"commands": self.commands}

    def _encode(self, pixels: Pixels, quality: Quality) -> bytes:
        with tempfile.TemporaryDirectory(prefix="semetric-") as place:
            folder = Path(place)
            write_png(pixels, folder / "input.png")
            values = {"input": folder / "input.png", "stream": folder / "stream.bin", "quality": quality}
            run_command(self._encode_words, values, folder=folder, timeout_s=self.timeout_s)
            return stream_bytes(folder / "stream.bin")

    def _decode(self, stream: bytes, size: Size | None) -> Pixels:
        with tempfile.TemporaryDirectory(prefix="semetric-") as place:
            folder = Path(place)
            (folder / "stream.bin").write_bytes(stream)
            h, w = size or (0, 0)
            values = {"stream": folder / "stream.bin", "output": folder / "output.png", "width": w, "height": h}
            run_command(self._decode_words, values, folder=folder, timeout_s=self.timeout_s)
            return received_pixels(folder / "output.png", size)


class CallableCodec(Codec):
    """Two Python callables.

    Attributes:
        functions: how they are called in results.
    """

    def __init__(
        self,
        encode: str | Callable[[Pixels, Quality], bytes],
        decode: str | Callable[[bytes], Pixels],
        *,
        name: str,
        label: str,
        steps: Sequence[Quality],
        unit: str = "quality",
    ) -> None:
        """Imports what is named.

        Args:
            encode: (H, W, 3) uint8 and a quality → bytes, as a function or "module:function".
            decode: bytes → (H, W, 3) uint8, likewise.
            name: of the curve.
            label: in the legend.
            steps: qualities, from the lowest rate to the highest.
            unit: what a quality is.

        Raises:
            UsageError: there is no such function, or the steps are no scale.
        """
        self._encoder, self._decoder = loaded(encode), loaded(decode)
        self.functions = {"encode": function_name(encode), "decode": function_name(decode)}
        self.name, self.label, self.unit, self.steps = name, label, unit, scale(steps)

    def to_dict(self) -> dict[str, Any]:
        """With the names of the functions."""
        return super().to_dict() | {"functions": self.functions}

    def _encode(self, pixels: Pixels, quality: Quality) -> bytes:
        stream = self._encoder(pixels, quality)
        if not isinstance(stream, (bytes, bytearray, memoryview)):
            raise TypeError(f"expected bytes of the function; found {type(stream).__name__}")
        return bytes(stream)

    def _decode(self, stream: bytes, size: Size | None) -> Pixels:
        return np.asarray(self._decoder(stream))


def external(
    *,
    encode: Part,
    decode: Part,
    steps: Sequence[Quality],
    name: str = "external",
    label: str | None = None,
    unit: str = "quality",
    timeout_s: float = TIMEOUT_S,
) -> Codec:
    """A codec of somebody's own: a CommandCodec where the parts are command lines, else a CallableCodec.

    Args:
        encode: a command line (it has placeholders), "module:function", or a function.
        decode: likewise, and of the same kind.
        steps: qualities, from the lowest rate to the highest.
        name: of the curve.
        label: in the legend; the name if None.
        unit: what a quality is.
        timeout_s: seconds that a program may take for one image; callables have none.

    Raises:
        UsageError: one part is a command line and the other is not, or as the two classes say.
    """
    label = label or name
    lines = [isinstance(part, str) and "{" in part for part in (encode, decode)]
    if all(lines):
        return CommandCodec(
            str(encode), str(decode), name=name, label=label, steps=steps, unit=unit, timeout_s=timeout_s
        )
    if any(lines):
        raise UsageError("Expected two command lines or two Python callables; found one of each.")
    return CallableCodec(encode, decode, name=name, label=label, steps=steps, unit=unit)


def loaded(function: Part) -> Callable[..., Any]:
    """The function itself, imported if it is named.

    Args:
        function: "module:function", "path/to/file.py:function" or a callable.

    Raises:
        UsageError: nothing of that name, or nothing that can be called.
    """
    target: Any = function
    if isinstance(function, str):
        module, colon, path = function.rpartition(":")  # a drive's letter has a colon, too
        if not (module and colon and path):
            raise UsageError(f"Expected a function as 'module:function' or 'file.py:function'; found {function!r}.")
        try:
            target = _file_module(module) if module.endswith(".py") else importlib.import_module(module)
            for part in path.split("."):
                target = getattr(target, part)
        except (ImportError, AttributeError, OSError, SyntaxError) as error:
            raise UsageError(
                f"Expected a function at {function!r}: {error}. Check the name, and that its folder is on PYTHONPATH "
                "or the file is named."
            ) from error
    if not callable(target):
        raise UsageError(f"Expected a function; {function!r} cannot be called.")
    return target  # type: ignore[no-any-return]


def scale(steps: Sequence[Quality]) -> tuple[Quality, ...]:
    """Steps as a tuple that rises or falls all the way.

    Raises:
        UsageError: none, no finite numbers, or neither rising nor falling.
    """
    try:
        found = tuple(steps)
    except TypeError:
        raise UsageError(f"Expected steps as a list of numbers; found {steps!r}.") from None
    numbers = all(isinstance(s, (int, float)) and not isinstance(s, bool) and math.isfinite(s) for s in found)
    pairs = list(pairwise(found)) if numbers else []
    if not (found and numbers and (all(a < b for a, b in pairs) or all(a > b for a, b in pairs))):
        raise UsageError(
            f"Expected steps that rise or fall all the way, from the lowest rate to the highest; found {found!r}."
        )
    return found


def function_name(function: Part) -> str:
    """How a function is called in records: "module:function", or the text that named it."""
    if isinstance(function, str):
        return function
    return f"{function.__module__}:{getattr(function, '__qualname__', type(function).__qualname__)}"


def _file_module(file: str) -> Any:
    """The module that a Python file holds, loaded once; modules beside it can be imported by it, as by a script."""
    path = os.path.realpath(file)
    name = "semetric_file_" + hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    beside = os.path.dirname(path)
    sys.path.insert(0, beside)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        sys.path.remove(beside)
    return module
