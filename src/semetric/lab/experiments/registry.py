"""The experiments by name."""

from __future__ import annotations

from semetric.lab.experiments.base import Experiment
from semetric.lab.experiments.channel import Channel
from semetric.lab.experiments.compression import Compression
from semetric.lab.experiments.deformation import Deformation
from semetric.lab.experiments.edits import Edits
from semetric.lab.experiments.levels import Levels
from semetric.lab.experiments.transform import Transform
from semetric.plugins import Registry

__all__ = ["EXPERIMENTS"]

EXPERIMENTS: Registry[type[Experiment]] = Registry(
    "experiment",
    "semetric.experiments",
    {each.kind: each for each in (Compression, Channel, Transform, Deformation, Edits, Levels)},
)
"""Name of the command → its configuration."""
