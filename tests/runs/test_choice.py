"""Whether the weights of chosen metrics are here: asked before the first image."""

from __future__ import annotations

from pathlib import Path

import pytest

from semetric.errors import WeightsMissingError
from semetric.profiles import profile
from semetric.runs.choice import check_weights, make_metrics
from semetric.scene.predicates import similarity_identity
from semetric.score_settings import ScoreSettings
from semetric.scoring import runtime
from semetric.weights import BUNDLES, identity, locate, weights_folder


def test_weights_that_are_not_here_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMETRIC_CACHE", str(tmp_path))
    with pytest.raises(WeightsMissingError, match="lpips_alex"):
        check_weights({"trunk": identity("lpips_alex")})
    check_weights({"trunk": "my_own@0123456789ab"})


def test_a_table_that_ships_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMETRIC_CACHE", str(tmp_path))
    check_weights({"predicates": similarity_identity()})


@pytest.mark.weights
def test_the_lite_weights_are_all_that_lite_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which only the bundle was fetched: a checkpoint that happens to lie here hides what is missing."""
    files = [locate(name) for name in BUNDLES["lite"]]
    monkeypatch.setenv("SEMETRIC_CACHE", str(tmp_path))
    weights_folder().mkdir(parents=True)
    for file in files:
        (weights_folder() / file.name).symlink_to(file)
    used = runtime("lite", device="cpu")
    made, left_out = make_metrics(None, used, ScoreSettings())
    assert "sess" in made
    assert not left_out
    assert used.profile == profile("lite")
