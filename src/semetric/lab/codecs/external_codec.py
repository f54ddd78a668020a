"""A codec of one's own: two command lines, or two Python functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from semetric.errors import UsageError
from semetric.lab.codecs.base import Codec, Quality, Size, check_scale
from semetric.lab.codecs.commands import (
    TIMEOUT_S,
    Command,
    received_pixels,
    stream_bytes,
    temporary_folder,
    write_png,
)
from semetric.lab.codecs.functions import function_name, load_function
from semetric.lab.systems import Pixels

__all__ = ["ExternalCodec"]


class ExternalCodec(Codec):
    """An encoder and a decoder of somebody else's. Command lines find the files between them in a temporary folder.

    Examples:
        >>> codec = ExternalCodec(
        ...     encode=lambda pixels, quality: pixels.tobytes(),
        ...     decode=lambda stream: np.frombuffer(stream, np.uint8).reshape(2, 2, 3),
        ...     steps=[1],
        ... )
        >>> codec.decode(codec.encode(np.ones((2, 2, 3), np.uint8), 1)).sum().item()
        12
    """

    def __init__(
        self,
        *,
        encode: str | Callable[[Pixels, Quality], bytes],
        decode: str | Callable[[bytes], Pixels],
        steps: Sequence[Quality],
        name: str = "external",
        label: str | None = None,
        unit: str = "quality",
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Checks command lines and imports functions; runs nothing.

        Args:
            encode: a command line with {input}, a PNG to read, {stream}, the file to write, and {quality}; or a
                function ("module:function" and "file.py:function", too) of (pixels, quality) that gives bytes.
            decode: a command line with {stream}, the file to read, and {output}, the image to write (a PNG by its
                name), perhaps with {width} and {height} of the image; or a function of the bytes that gives pixels.
            steps: qualities, from the lowest rate to the highest.
            name: of the curve.
            label: in the legend; the name if None.
            unit: what a quality is.
            timeout_s: seconds that a program may take for one image; functions have none.

        Raises:
            UsageError: a command line beside a function, a wrong command line, no such function, steps that are no
                scale, or a time limit that is none.
        """
        self.name, self.label, self.unit, self.steps = name, label or name, unit, check_scale(steps)
        self._parts = {"encode": function_name(encode), "decode": function_name(decode)}
        lines = [isinstance(part, str) and "{" in part for part in (encode, decode)]
        if any(lines) and not all(lines):
            raise UsageError("Expected two command lines or two Python callables; found one of each.")
        self._commands: tuple[Command, Command] | None = None
        if all(lines):
            self._commands = (
                Command(str(encode), needs=("input", "stream"), may=("quality",), timeout_s=timeout_s),
                Command(str(decode), needs=("stream", "output"), may=("width", "height"), timeout_s=timeout_s),
            )
        else:
            self._functions = load_function(encode), load_function(decode)

    def to_dict(self) -> dict[str, Any]:
        """With the command lines, or the names of the functions."""
        return super().to_dict() | {"functions" if self._commands is None else "commands": self._parts}

    def _encode(self, pixels: Pixels, quality: Quality) -> bytes:
        if self._commands is None:
            stream = self._functions[0](pixels, quality)
            if not isinstance(stream, bytes | bytearray | memoryview):
                raise TypeError(f"expected bytes of the function; found {type(stream).__name__}")
            return bytes(stream)
        with temporary_folder() as folder:
            write_png(pixels, folder / "input.png")
            values = {"input": folder / "input.png", "stream": folder / "stream.bin", "quality": quality}
            self._commands[0].run(folder, values)
            return stream_bytes(folder / "stream.bin")

    def _decode(self, stream: bytes, size: Size | None) -> Pixels:
        if self._commands is None:
            return np.asarray(self._functions[1](stream))
        with temporary_folder() as folder:
            (folder / "stream.bin").write_bytes(stream)
            h, w = size or (0, 0)
            values = {"stream": folder / "stream.bin", "output": folder / "output.png", "width": w, "height": h}
            self._commands[1].run(folder, values)
            return received_pixels(folder / "output.png", size)
