"""Experiments: images through systems at many levels, scored by every metric, into a folder that can be resumed."""

from __future__ import annotations

from semetric.lab.experiments.base import Axis, Context, Experiment, Report, Sweep
from semetric.lab.experiments.channel import Channel
from semetric.lab.experiments.compression import Compression
from semetric.lab.experiments.deformation import Deformation
from semetric.lab.experiments.edits import Edits
from semetric.lab.experiments.images import ImageFile, pair_images
from semetric.lab.experiments.levels import Levels
from semetric.lab.experiments.registry import EXPERIMENTS
from semetric.lab.experiments.run import run_experiment
from semetric.lab.experiments.settings import RunSettings
from semetric.lab.experiments.transform import Transform

__all__ = [
    "EXPERIMENTS",
    "Axis",
    "Channel",
    "Compression",
    "Context",
    "Deformation",
    "Edits",
    "Experiment",
    "ImageFile",
    "Levels",
    "Report",
    "RunSettings",
    "Sweep",
    "Transform",
    "pair_images",
    "run_experiment",
]
