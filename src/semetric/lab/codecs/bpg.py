"""BPG by its author's programs, `bpgenc` and `bpgdec`."""

from __future__ import annotations

import shutil
import struct
from typing import Any, ClassVar

from semetric.errors import CodecError, UsageError
from semetric.lab.codecs.base import Codec, Quality, Size, check_size
from semetric.lab.codecs.commands import (
    TIMEOUT_S,
    Command,
    received_pixels,
    stream_bytes,
    temporary_folder,
    write_png,
)
from semetric.lab.systems import Pixels

__all__ = ["BPG"]


class BPG(Codec):
    """Better Portable Graphics: HEVC intra frames behind a header of some 20 bytes.

    Args:
        effort: bpgenc's compression level, 1 (fast) to 9.
        timeout_s: seconds that a program may take.

    Raises:
        UsageError: another effort, or the programs are not on the PATH.
    """

    name = "bpg"
    label = "BPG"
    unit = "quantiser, 51–0"
    steps = range(51, -1, -1)
    usual_bpp: ClassVar[tuple[float, float]] = (0.04, 7.0)

    def __init__(self, *, effort: int = 8, timeout_s: float = TIMEOUT_S) -> None:
        if effort not in range(1, 10):
            raise UsageError(f"Expected an effort from 1 to 9 for BPG; found {effort!r}.")
        for program in ("bpgenc", "bpgdec"):
            if shutil.which(program) is None:
                raise UsageError(
                    f"BPG needs the programs bpgenc and bpgdec on the PATH; {program} is not there. Build them from "
                    "https://bellard.org/bpg, or use 'heic', which codes with the same tools (HEVC intra)."
                )
        self.effort = int(effort)
        self._encoder = Command(
            f"bpgenc -q {{quality}} -f 420 -m {self.effort} -o out.bpg in.png", needs=("quality",), timeout_s=timeout_s
        )
        self._decoder = Command("bpgdec -o out.png in.bpg", timeout_s=timeout_s)

    def to_dict(self) -> dict[str, Any]:
        """With the effort."""
        return super().to_dict() | {"effort": self.effort, "chroma": "4:2:0"}

    def _encode(self, pixels: Pixels, quality: Quality) -> bytes:
        with temporary_folder() as folder:
            write_png(pixels, folder / "in.png")
            self._encoder.run(folder, {"quality": quality}, inside=True)
            return stream_bytes(folder / "out.bpg")

    def _decode(self, stream: bytes, size: Size | None) -> Pixels:
        check_size(_claimed(stream), size)
        with temporary_folder() as folder:
            (folder / "in.bpg").write_bytes(stream)
            self._decoder.run(folder, {}, inside=True)
            return received_pixels(folder / "out.png", size)


def _claimed(stream: bytes) -> Size:
    """(H, W) in the header: the magic number, two bytes of flags, then width and height as ue7 (BPG, section 3)."""
    if stream[:4] != struct.pack(">I", 0x425047FB):
        raise CodecError("it does not begin as a BPG file does.")
    w, at = _ue7(stream, 6)
    h, _ = _ue7(stream, at)
    if not (w and h):
        raise CodecError(f"its header claims {w} × {h} px.")
    return h, w


def _ue7(stream: bytes, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, of which the last has the top bit clear; and where the next one starts."""
    value = 0
    for place in range(at, min(at + 5, len(stream))):
        value = value << 7 | stream[place] & 0x7F
        if stream[place] < 0x80:
            return value, place + 1
    raise CodecError("its header is cut off.")
