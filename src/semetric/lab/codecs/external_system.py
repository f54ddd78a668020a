"""A system of somebody's own that gives the received image in one go: one command line, or one Python callable."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from semetric.errors import CodecError, ImageError, SemetricError, UsageError
from semetric.lab.codecs._commands import (
    TIMEOUT_S,
    check_template,
    check_timeout,
    received_pixels,
    run_command,
    stream_bytes,
    write_png,
)
from semetric.lab.codecs.base import Quality, check_pixels, check_size
from semetric.lab.codecs.external import loaded, scale
from semetric.lab.codecs.rate import TOLERANCE, check_rate, nearest_step, rate_note
from semetric.lab.systems import Pixels, Received, System

__all__ = ["ExternalSystem"]

_USUAL_BPP = (0.05, 6.0)


class ExternalSystem(System):
    """Whatever takes an image and a number and gives an image, and perhaps the stream between them.

    With `steps`, the level is a rate in bits per pixel, met by search over them as for a codec; the system has to
    give its stream then. Without, the level is handed over as it is, as the quality, the SNR or whatever it means.

    Attributes:
        steps: qualities from the lowest rate to the highest, or None.
        tolerance: of a target rate.
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
    ) -> None:
        """Checks what is to be run; runs nothing.

        Args:
            run: a command line with {input}, a PNG to read, and {output}, the image to write; it may have {quality},
                {stream}, a file to write, and {seed}. Or a function (or "module:function") of (pixels, quality,
                rng) that gives the pixels, or (pixels, stream), where the stream is bytes or their number.
            name: of the curve.
            label: in the legend; the name if None.
            steps: qualities to search, or None.
            tolerance: of a target rate.
            timeout_s: seconds that a program may take for one image.

        Raises:
            UsageError: a wrong command line, no such function, steps that are no scale, or steps with a command line
                that writes no {stream}.
        """
        check_rate(1.0, tolerance)
        self.name, self.label = name, label or name
        self.steps = None if steps is None else scale(steps)
        self.tolerance = tolerance
        self.timeout_s = check_timeout(timeout_s)
        self._what = run if isinstance(run, str) else getattr(run, "__qualname__", type(run).__qualname__)
        self._words: list[str] | None = None
        if isinstance(run, str) and "{" in run:
            self._words = check_template(run, needs=("input", "output"), may=("quality", "stream", "seed"))
            if self.steps is not None and "{stream}" not in run:
                raise UsageError(f"Expected {{stream}} in {run!r}: a rate is searched for, and the stream gives it.")
        else:
            self._function = loaded(run)

    def send(self, image: Pixels, level: float, rng: np.random.Generator) -> Received:
        """Sends one image.

        Args:
            image: (H, W, 3) uint8 RGB.
            level: bits per pixel with `steps`; else what the system takes as its quality.
            rng: handed to a function; a command line gets a {seed} drawn from it. Every try of a search gets
                the same.

        Raises:
            CodecError: the system fails, or gives no image of this size, or no stream where a rate is searched for.
            UsageError: no such rate.
        """
        check_pixels(image)
        seed = int(rng.integers(2**31))
        if self.steps is None:
            pixels, size_bytes = self._once(image, level, seed)
            return Received(pixels=pixels, size_bytes=size_bytes, details={"quality": level, "seed": seed})
        check_rate(level, self.tolerance)
        steps = self.steps
        made: dict[int, tuple[Pixels, int]] = {}

        def rate(step: int) -> float:
            pixels, size_bytes = self._once(image, steps[step], seed)
            if size_bytes is None:
                raise CodecError(f"{self.label} gave no stream, and a rate is searched for. Return (pixels, stream).")
            made[step] = pixels, size_bytes
            return float(8 * size_bytes / (image.shape[0] * image.shape[1]))

        middle = len(steps) // 2
        best, rates = nearest_step(
            rate, len(steps), level, tolerance=self.tolerance, start=middle, usual_bpp=_USUAL_BPP
        )
        note = rate_note(steps, rates, best, level, self.tolerance)
        details = {"quality": steps[best], "target_bpp": level, "met": not note, "encodes": len(rates), "seed": seed}
        return Received(pixels=made[best][0], size_bytes=made[best][1], note=note, details=details)

    def to_dict(self) -> dict[str, Any]:
        """With the command line or the function's name, and the steps."""
        steps = None if self.steps is None else list(self.steps)
        return super().to_dict() | {"run": self._what, "steps": steps, "tolerance": self.tolerance}

    def _once(self, image: Pixels, quality: float, seed: int) -> tuple[Pixels, int | None]:
        """The received pixels and the stream's bytes, if there is one."""
        size = (image.shape[0], image.shape[1])
        try:
            if self._words is not None:
                return self._command(self._words, image, quality, seed)
            given = self._function(image, quality, np.random.default_rng(seed))
            pixels, stream = given if isinstance(given, tuple) else (given, None)
            pixels = np.asarray(pixels)
            check_pixels(pixels)
            check_size(pixels.shape[:2], size)
            return pixels, _length(stream)
        except (CodecError, ImageError) as error:
            raise CodecError(f"{self.label} failed at {quality:g}: {error}") from error
        except SemetricError:
            raise
        except Exception as error:  # a foreign function raises what it likes; a run of many images has to survive it
            raise CodecError(f"{self.label} failed at {quality:g}: {type(error).__name__}: {error}") from error

    def _command(self, words: list[str], image: Pixels, quality: float, seed: int) -> tuple[Pixels, int | None]:
        with tempfile.TemporaryDirectory(prefix="semetric-") as place:
            folder = Path(place)
            write_png(image, folder / "input.png")
            stream = folder / "stream.bin"
            values = {
                "input": folder / "input.png",
                "output": folder / "output.png",
                "stream": stream,
                "quality": quality,
                "seed": seed,
            }
            run_command(words, values, folder=folder, timeout_s=self.timeout_s)
            pixels = received_pixels(folder / "output.png", (image.shape[0], image.shape[1]))
            named = any("{stream" in word for word in words)
            return pixels, len(stream_bytes(stream)) if named else None


def _length(stream: Any) -> int | None:
    """Bytes of a stream, or their number as it was given; None for none."""
    if isinstance(stream, (bytes, bytearray)):
        return len(stream)
    if stream is None or (isinstance(stream, int) and not isinstance(stream, bool) and stream >= 0):
        return stream
    raise TypeError(f"expected bytes or their number beside the pixels; found {stream!r}")
