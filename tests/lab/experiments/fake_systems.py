"""Systems and an experiment that need no package and no weights; in a module of its own, so that workers find it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from semetric.errors import CodecError, UsageError
from semetric.lab.experiments import Axis, Context, Experiment, Sweep
from semetric.lab.systems import Pixels, Received, System

FAILS = 3.0  # the level at which "noise" may fail
WRONG = 14.0  # which the system does not have
FOREIGN = 15.0  # at which it raises something of its own


class Noise(System):
    """Adds noise of the level's standard deviation; the stream is a hundred bytes a level."""

    name, label = "noise", "noise"

    def __init__(self, fails: bool, log: str) -> None:
        self.fails, self.log = fails, log

    def send(self, image: Pixels, level: float, rng: np.random.Generator) -> Received:
        if self.log:
            with Path(self.log).open("a") as stream:
                stream.write(f"{int(image[0, 0, 0])}:{level:g}\n")
        if self.fails and level == FAILS:
            raise CodecError("the codec failed on this image.")
        if level == WRONG:
            raise UsageError("no such level.")
        if level == FOREIGN:
            raise ZeroDivisionError("of somebody's own")
        pixels = np.clip(image + rng.normal(0, level, image.shape), 0, 255).astype(np.uint8)
        return Received(pixels=pixels, size_bytes=round(100 * level), uses_per_pixel=0.25, details={"level": level})


class Grey(System):
    """Rejects everything: what arrives is grey at every level."""

    name, label = "grey", "grey"

    def send(self, image: Pixels, level: float, rng: np.random.Generator) -> Received:
        return Received(pixels=np.full_like(image, 128), failed=True, note="grey 128 in its place")


@dataclass(frozen=True, kw_only=True)
class Fake(Experiment):
    """Noise and grey."""

    kind: ClassVar[str] = "compression"  # a name that the report knows
    axis: ClassVar[Axis] = Axis(name="level", label="level")
    title: ClassVar[str] = "fake"

    levels: tuple[float, ...] = (1.0, 2.0, FAILS)
    fails: bool = False
    log: str = ""

    def sweeps(self, context: Context) -> tuple[Sweep, ...]:
        noise = Noise(self.fails, self.log)
        return Sweep(system=noise, levels=self.levels), Sweep(system=Grey(), levels=self.levels)


@dataclass(frozen=True, kw_only=True)
class Nested(Fake):
    """One generator for all levels."""

    nested: ClassVar[bool] = True


def make_images(folder: Path, count: int = 3) -> Path:
    """Files 0.png, 1.png, … of mixed sizes, whose first pixel is their number."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        pixels = rng.integers(0, 256, (20 + 4 * i, 24, 3), dtype=np.uint8)
        pixels[0, 0] = i
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder
