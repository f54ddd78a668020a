"""What every metric does alike."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest

import semetric
from semetric.metrics.registry import METRICS

IMAGE = np.random.default_rng(0).integers(0, 256, (200, 180, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", ["psnr", "ms_ssim", "vitscore"])
def test_pickles_and_copies_score_the_same(name: str, tiny_vit: Path) -> None:
    metric = semetric.create(name, device="cpu", store=None, vit=str(tiny_vit))
    value = metric(IMAGE, 255 - IMAGE).value
    for again in (pickle.loads(pickle.dumps(metric)), copy.deepcopy(metric)):
        assert again(IMAGE, 255 - IMAGE).value == value


@pytest.mark.parametrize("name", [name for name in METRICS if not name.startswith("dreamsim")])
def test_every_metric_can_be_pickled_before_its_networks_are_here(name: str, tiny_clip: Path) -> None:
    metric = semetric.create(name, device="cpu", store=None, clip=str(tiny_clip))
    for again in (pickle.loads(pickle.dumps(metric)), copy.deepcopy(metric)):
        assert type(again) is type(metric)
        assert again.weights == metric.weights


def test_metrics_pickled_together_share_their_runtime() -> None:
    shared = semetric.runtime("lite", device="cpu", store=None)
    both = [semetric.create(name, shared=shared) for name in ("sess", "samscore")]
    sess, samscore = pickle.loads(pickle.dumps(both))
    assert sess.runtime is samscore.runtime is sess.builder.segmenter.runtime
