"""Registries: names of this package, and entry points of others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semetric.errors import UnknownNameError, UsageError
from semetric.plugins import Registry, create

GROUP = "semetric.tests_of_plugins"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with a class, a module that cannot be imported, and no entry point yet."""
    code = "class Circle:\n    def __init__(self, *, radius=1.0):\n        self.r = radius\n"
    (tmp_path / "toy_shapes.py").write_text(code)
    (tmp_path / "toy_broken.py").write_text("raise RuntimeError('no licence')\n")
    info = tmp_path / "toy_shapes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-shapes\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return info / "entry_points.txt"


def shapes() -> Registry[object]:
    return Registry("shape", GROUP, {"square": 4})


def test_entry_points_stand_beside_what_the_package_has(package: Path) -> None:
    package.write_text(f"[{GROUP}]\ncircle = toy_shapes:Circle\nlost = toy_broken:Shape\n")
    registry = shapes()
    assert list(registry) == ["square", "circle", "lost"]  # which imports neither
    assert len(registry) == 3
    assert registry["circle"].__name__ == "Circle"  # type: ignore[attr-defined]
    assert registry["circle"] is registry["circle"]
    with pytest.raises(UsageError, match=r"shape 'lost' at toy_broken:Shape.* package toy-shapes.*no licence"):
        registry["lost"]


def test_unknown_names_name_the_known_ones() -> None:
    registry = shapes()
    with pytest.raises(UnknownNameError, match=r"^Expected a shape of square; found 'sqare'\. Did you mean square\?$"):
        registry["sqare"]
    assert "sqare" not in registry
    assert registry.get("sqare") is None


def test_a_name_that_is_taken_is_refused(package: Path) -> None:
    package.write_text(f"[{GROUP}]\nsquare = toy_shapes:Circle\n")
    with pytest.raises(UsageError, match="there is a shape 'square' already"):
        list(shapes())


def test_options_are_keyword_arguments(package: Path) -> None:
    package.write_text(f"[{GROUP}]\ncircle = toy_shapes:Circle\n")
    registry: Registry[type] = Registry("shape", GROUP, {})
    assert create(registry, "circle", radius=2.0).r == 2.0
    with pytest.raises(UsageError, match="options of the shape circle among radius; found 'side'"):
        create(registry, "circle", side=1.0)


TOYS = '''
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from semetric.lab.channels import ChannelModel
from semetric.lab.codecs import Codec
from semetric.lab.experiments import Axis, Experiment, Report, Sweep
from semetric.lab.systems import Received, System
from semetric.settings import setting


class Plain(Codec):
    """The pixels as they are, each rounded to a multiple of the quality."""

    name, label, steps = "plain", "Plain", tuple(range(64, 0, -1))

    def _encode(self, pixels, quality):
        import zlib
        return zlib.compress(np.array(pixels.shape[:2], np.uint32).tobytes() + (pixels // quality * quality).tobytes())

    def _decode(self, stream, size):
        import zlib
        data = zlib.decompress(stream)
        return np.frombuffer(data[8:], np.uint8).reshape(*np.frombuffer(data[:8], np.uint32), 3)


@dataclass(frozen=True, kw_only=True)
class Half(ChannelModel):
    """Every gain is i."""

    name = "half"
    label = "half turn"

    def normals(self, symbols):
        return 0

    def gains(self, normals, symbols):
        return np.full((len(normals), 1), 1j, np.complex64)


class Posterise(System):
    name, label = "posterise", "fewer colours"

    def send(self, image, level, rng):
        return Received(pixels=image // int(level) * int(level))


@dataclass(frozen=True, kw_only=True)
class Posters(Experiment):
    """Fewer and fewer colours."""

    kind: ClassVar[str] = "posters"
    axis: ClassVar[Axis] = Axis(name="strength", label="step")
    title: ClassVar[str] = "Metrics under fewer colours"
    report: ClassVar[Report] = Report(tables=("overall",), figures=(), findings="extremes")

    steps: tuple[float, ...] = setting((8.0, 32.0), "Widths of the steps, of 255.")

    def sweeps(self, context):
        return (Sweep(system=Posterise(), levels=self.steps),)
'''


def test_a_codec_a_channel_a_system_and_an_experiment_of_another_package(tmp_path: Path) -> None:
    """One file and one entry point each: commands, flags, runs and a report follow."""
    (tmp_path / "toys.py").write_text(TOYS)
    info = tmp_path / "toys-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n")
    points = {"codecs": "plain = toys:Plain", "channels": "half = toys:Half", "experiments": "posters = toys:Posters"}
    (info / "entry_points.txt").write_text("".join(f"[semetric.{group}]\n{line}\n" for group, line in points.items()))
    (tmp_path / "photos").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photos" / "a.png")
    code = (
        "import sys\nfrom semetric.cli import main\n"
        "common = ['photos', '--metric', 'psnr', '--device', 'cpu', '--no-cache', '--out']\n"
        "for words in (\n"
        "    ['lab', 'posters', *common, 'posters', '--steps', '16,64'],\n"
        "    ['lab', 'report', 'posters'],\n"
        "    ['lab', 'compression', *common, 'plain', '--codecs', 'plain', '--rates-bpp', '12'],\n"
        "    ['lab', 'channel', *common, 'half', '--codecs', 'none', '--fading', 'half', '--snrs-db', '10'],\n"
        "    ['lab', 'transform', *common, 'own', '--transformations', 'none', '--system', 'p=toys:Posterise',\n"
        "     '--system-levels', 'p=64'],\n"
        "):\n"
        "    assert main(words) == 0, words\n"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path, "SEMETRIC_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    records = {
        name: json.loads((tmp_path / name / "run.json").read_text()) for name in ("posters", "plain", "half", "own")
    }
    curves = {name: [(one["name"], one["levels"]) for one in record["systems"]] for name, record in records.items()}
    assert curves == {
        "posters": [("posterise", [16.0, 64.0])],
        "plain": [("plain", [12.0])],
        "half": [("deepjscc-half", [10.0])],
        "own": [("p", [64.0])],
    }
    assert "Metrics under fewer colours" in (tmp_path / "posters" / "report" / "index.html").read_text()
