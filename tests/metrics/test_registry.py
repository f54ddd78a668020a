"""The metrics by name; one that another package adds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semetric.errors import UsageError
from semetric.metrics.base import Scale
from semetric.metrics.registry import METRICS, names_of

TOY = '''
import numpy as np
from semetric.metrics.base import Metric

class ToyError(Metric):
    """Mean absolute error, times a factor."""
    name = "toy"
    label = "Toy"
    summary = "absolute error"
    higher_is_better = False
    range = (0.0, 255.0)
    differentiable = True

    def __init__(self, runtime, *, factor=1.0):
        super().__init__(runtime)
        self.factor = factor

    def _values(self, references, images):
        return (references - images).abs().mean((1, 2, 3)) * 255 * self.factor

    def _score(self, reference, image):
        return self._make(float(np.abs(reference.to_float() - image.to_float()).mean()) * 255 * self.factor)
'''

USE = """
import json, sys, torch
import semetric, semetric.losses
from semetric.lab.experiments import RunSettings, Transform, run_experiment
from semetric.metrics.registry import METRICS
from semetric.report.bars import bar_of
from semetric.report.lab import write_report

scores = semetric.score("a.png", "b.png", ["psnr", "toy"], store=None, factor=2.0)
run = run_experiment(
    Transform(transformations=("translation",), strengths={"translation": [0.1]}), ["a.png"], "run",
    RunSettings(metrics=("toy",), device="cpu", examples=0),
)
page = write_report(["run"], None)
images, references = torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 0.2)
json.dump({
    "place": list(METRICS)[-1],
    "value": scores["toy"],
    "bar": bar_of(scores.scores["toy"]).fraction,
    "lab": list(run.summary["metrics"]),
    "label": "Toy" in page.read_text(),
    "loss": float(semetric.losses.ToyError()(images, references)),
    "torchmetrics": None if len(sys.argv) < 2 else __import__("semetric.torchmetrics").torchmetrics.ToyError.name,
}, sys.stdout)
"""


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A folder on the import path with a package that adds a metric, and two images."""
    (tmp_path / "toy_metric.py").write_text(TOY)
    info = tmp_path / "toy_metric-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-metric\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[semetric.metrics]\ntoy = toy_metric:ToyError\n")
    for name, level in (("a.png", 0), ("b.png", 51)):
        Image.fromarray(np.full((32, 32, 3), level, np.uint8)).save(tmp_path / name)
    return tmp_path


def test_a_package_adds_a_metric(toy: Path) -> None:
    """It scores, in an experiment too, and has a bar, a row of the report, a loss and a torchmetrics class."""
    path = os.pathsep.join([str(toy), *sys.path])
    has_torchmetrics = [] if __import__("importlib.util").util.find_spec("torchmetrics") is None else ["torchmetrics"]
    command = [sys.executable, "-c", USE, *has_torchmetrics]
    done = subprocess.run(command, cwd=toy, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "place": "toy",
        "value": pytest.approx(102, rel=1e-6),  # 51 · 2, from float32
        "bar": pytest.approx(0.6, rel=1e-6),  # 1 − 102 / 255
        "lab": ["toy"],
        "label": True,
        "loss": pytest.approx(51, rel=1e-6),
        "torchmetrics": "toy" if has_torchmetrics else None,
    }
    command = [sys.executable, "-m", "semetric", "score", "a.png", "b.png", "--metric", "toy", "--json"]
    done = subprocess.run(command, cwd=toy, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)
    assert json.loads(done.stdout)["scores"]["toy"]["value"] == pytest.approx(51, rel=1e-6)


def test_names_without_repetitions() -> None:
    assert names_of("psnr, mse,psnr") == ["psnr", "mse"]
    assert names_of(["mse"]) == ["mse"]
    assert names_of(None) is None
    with pytest.raises(UsageError, match=r"found 'lipps'\. Did you mean lpips\?"):
        names_of("psnr,lipps")


def test_options_are_the_keyword_arguments() -> None:
    assert METRICS["sess"].options == ("variant", "matching", "settings")
    assert METRICS["samscore"].options == ("padding",)
    assert METRICS["psnr"].options == ()


@pytest.mark.parametrize(
    ("scale", "value", "share"),
    [
        (Scale(empty=-1, full=1), 0.0, 0.5),
        (Scale(empty=1, full=0), 2.0, 0.0),
        (Scale(empty=0, full=50), float("inf"), 1.0),
        (Scale(empty=100, full=1, logarithmic=True), 10.0, pytest.approx(0.5)),  # of two decades
        (Scale(empty=100, full=1, logarithmic=True), 0.0, 1.0),
        (Scale(empty=0, full=1), float("nan"), None),
    ],
)
def test_scales_of_bars(scale: Scale, value: float, share: float | None) -> None:
    assert scale.fraction(value) == share
