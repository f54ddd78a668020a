"""A system of one's own that gives the received image in one go: one command line, or one Python function."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from semetric.errors import CodecError, ImageError, SemetricError, UsageError
from semetric.lab.codecs.base import Quality, check_pixels, check_scale, check_size
from semetric.lab.codecs.commands import (
    TIMEOUT_S,
    Command,
    received_pixels,
    stream_bytes,
    temporary_folder,
    write_png,
)
from semetric.lab.codecs.functions import function_name, load_function
from semetric.lab.codecs.rate import TOLERANCE, check_rate, nearest_step, rate_note
from semetric.lab.systems import Pixels, Received, System

__all__ = ["Counts", "ExternalSystem"]

Counts: TypeAlias = Literal["bytes", "uses"]
"""What a number beside the pixels is: bytes of a stream, or complex channel symbols."""

_USUAL_BPP = (0.05, 6.0)


class ExternalSystem(System):
    """Whatever takes an image and a number and gives an image, and perhaps what it took to carry it.

    With `steps`, the level is a rate in bits per pixel, met by search over them as for a codec; the system has to
    give its stream then. Without, the level is handed over as it is, as the quality, the SNR or whatever it means.

    Args:
        run: a command line with {input}, a PNG to read, and {output}, the image to write; it may have {level}
            (or {quality}, the same number), {seed}, {stream}, a file to write, whose bytes count, and {uses}, a
            file to write the number of channel uses to. Or a function ("module:function" or "file.py:function"
            as well) of (pixels, level, rng) that gives the pixels, or (pixels, spent), where spent is the stream
            as bytes, or a number as `counts` says, or a `Received`.
        name: of the curve.
        label: in the legend; the name if None.
        steps: qualities to search, or None.
        tolerance: of a target rate.
        timeout_s: seconds that a program may take for one image.
        counts: what a number beside a function's pixels is.
        uses_per_pixel: complex channel symbols per pixel that it takes for every image; None where it gives its
            own number, or has no channel.
        unit: of its levels, in words.

    Raises:
        UsageError: a wrong command line, no such function, steps that are no scale, or steps with a command line
            that writes no {stream}.

    Examples:
        >>> system = ExternalSystem(lambda pixels, level, rng: (pixels // 2 * 2, 100), name="halves")
        >>> system.send(np.ones((8, 8, 3), np.uint8), 1.0, np.random.default_rng(0)).rate_bpp
        12.5
    """

    def __init__(
        self,
        run: str | Callable[..., Any],
        *,
        name: str = "external",
        label: str | None = None,
        steps: Sequence[Quality] | None = None,
        tolerance: float = TOLERANCE,
        timeout_s: float = TIMEOUT_S,
        counts: Counts = "bytes",
        uses_per_pixel: float | None = None,
        unit: str = "",
    ) -> None:
        check_rate(1.0, tolerance)
        self.name, self.label = name, label or name
        self.steps = None if steps is None else check_scale(steps)
        self.tolerance = tolerance
        self.unit = unit
        self._counts = counts
        if uses_per_pixel is not None and (
            isinstance(uses_per_pixel, bool)
            or not isinstance(uses_per_pixel, int | float)
            or not 0 < uses_per_pixel < math.inf
        ):
            raise UsageError(f"Expected uses_per_pixel above 0; found {uses_per_pixel!r}.")
        self.uses_per_pixel = None if uses_per_pixel is None else float(uses_per_pixel)
        self._run = function_name(run)
        self._line: Command | None = None
        if isinstance(run, str) and "{" in run:
            may = ("level", "quality", "stream", "uses", "seed")
            self._line = Command(run, needs=("input", "output"), may=may, timeout_s=timeout_s)
            if self.steps is not None and "stream" not in self._line.placeholders:
                raise UsageError(f"Expected {{stream}} in {run!r}: a rate is searched for, and the stream gives it.")
        else:
            self._function = load_function(run)

    @property
    def states_uses(self) -> bool:
        """Whether channel uses can come from it: a command line needs {uses} or the number for every image."""
        return self._line is None or "uses" in self._line.placeholders or self.uses_per_pixel is not None

    def send(self, image: Pixels, level: float, rng: np.random.Generator) -> Received:
        """Sends one image.

        Args:
            image: (H, W, 3) uint8 RGB.
            level: bits per pixel with `steps`; else what the system takes as its level.
            rng: handed to a function; a command line gets a {seed} drawn from it. Every try of a search gets
                the same.

        Raises:
            CodecError: the system fails, or gives no image of this size, or no stream where a rate is searched for.
            UsageError: no such rate.
        """
        check_pixels(image)
        seed = int(rng.integers(2**31))
        if self.steps is None:
            received = self._once(image, level, seed)
            return replace(received, details={"quality": level, "seed": seed, **received.details})
        check_rate(level, self.tolerance)
        steps = self.steps
        tries: dict[int, Received] = {}

        def rate(step: int) -> float:
            received = tries[step] = self._once(image, steps[step], seed)
            if received.rate_bpp is None:
                raise CodecError(f"{self.label} gave no stream, and a rate is searched for. Return (pixels, stream).")
            return received.rate_bpp

        middle = len(steps) // 2
        best, rates = nearest_step(
            rate, len(steps), level, tolerance=self.tolerance, start=middle, usual_bpp=_USUAL_BPP
        )
        note = rate_note(steps, rates, best, level, self.tolerance)
        details = {"quality": steps[best], "target_bpp": level, "met": not note, "encodes": len(rates), "seed": seed}
        received = tries[best]
        notes = "; ".join(filter(None, (received.note, note)))
        return replace(received, note=notes, details={**details, **received.details})

    def to_dict(self) -> dict[str, Any]:
        """With the command line or the function's name, the steps, and what the level is."""
        own = {
            "run": self._run,
            "steps": None if self.steps is None else list(self.steps),
            "tolerance": self.tolerance,
            "unit": self.unit,
            "uses_per_pixel": self.uses_per_pixel,
        }
        return super().to_dict() | {key: value for key, value in own.items() if value not in ("", None)}

    def _once(self, image: Pixels, level: float, seed: int) -> Received:
        """The received image and what carried it."""
        size = (image.shape[0], image.shape[1])
        try:
            if self._line is not None:
                return self._command(self._line, image, level, seed)
            answer = self._function(image, level, np.random.default_rng(seed))
            received = answer if isinstance(answer, Received) else self._counted(answer, size)
            check_pixels(received.pixels)
            check_size(received.pixels.shape[:2], size)
            if received.uses_per_pixel is None and self.uses_per_pixel is not None:
                received = replace(received, uses_per_pixel=self.uses_per_pixel)
            return received
        except (CodecError, ImageError) as error:
            raise CodecError(f"{self.label} failed at {level:g}: {error}") from error
        except SemetricError:
            raise
        except Exception as error:  # a foreign function raises what it likes; a run of many images has to survive it
            raise CodecError(f"{self.label} failed at {level:g}: {type(error).__name__}: {error}") from error

    def _counted(self, answer: Any, size: tuple[int, int]) -> Received:
        """What a function returned: pixels, or (pixels, spent)."""
        pixels, spent = answer if isinstance(answer, tuple) else (answer, None)
        pixels = np.asarray(pixels)
        if isinstance(spent, (bytes, bytearray, memoryview)):
            return Received(pixels=pixels, size_bytes=len(spent))
        if spent is None:
            return Received(pixels=pixels)
        whole = isinstance(spent, (int, np.integer)) and not isinstance(spent, bool)
        if self._counts == "uses" and (whole or isinstance(spent, (float, np.floating))):
            if 0 <= spent < math.inf:
                return Received(pixels=pixels, uses_per_pixel=float(spent) / (size[0] * size[1]))
        elif whole and spent >= 0:
            return Received(pixels=pixels, size_bytes=int(spent))
        expected = "bytes, or the number of channel uses" if self._counts == "uses" else "bytes or their number"
        raise TypeError(f"expected {expected} beside the pixels; found {spent!r}")

    def _command(self, line: Command, image: Pixels, level: float, seed: int) -> Received:
        size = (image.shape[0], image.shape[1])
        with temporary_folder() as folder:
            write_png(image, folder / "input.png")
            stream, uses = folder / "stream.bin", folder / "uses.txt"
            values = {
                "input": folder / "input.png",
                "output": folder / "output.png",
                "stream": stream,
                "uses": uses,
                "level": level,
                "quality": level,
                "seed": seed,
            }
            line.run(folder, values)
            pixels = received_pixels(folder / "output.png", size)
            named = line.placeholders
            return Received(
                pixels=pixels,
                size_bytes=len(stream_bytes(stream)) if "stream" in named else None,
                uses_per_pixel=_read_uses(uses) / (size[0] * size[1]) if "uses" in named else self.uses_per_pixel,
            )


def _read_uses(path: Path) -> float:
    """The number of channel uses that a program wrote.

    Raises:
        CodecError: none was written, or it is no such number.
    """
    text = path.read_bytes()[:100].decode(errors="replace").strip() if path.is_file() else ""
    try:
        uses = float(text)
    except ValueError:
        uses = math.nan
    if not 0 <= uses < math.inf:
        raise CodecError(f"the program ended well and wrote no number of channel uses to {{uses}}; found {text!r}.")
    return uses
