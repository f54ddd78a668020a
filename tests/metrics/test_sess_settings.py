"""The file that `score --config` takes, and a SeSS with settings of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semetric.errors import UsageError
from semetric.metrics.sess import SeSS
from semetric.metrics.sess_settings import SessSettings, Settings, read_sess_settings, sess_settings_toml
from semetric.models.runtime import Runtime
from semetric.scene.graded import GradedSettings
from semetric.scene.matching import MatchingSettings

UNIT = st.floats(0, 1)
SETTINGS = st.builds(
    SessSettings,
    alpha=UNIT,
    beta=UNIT,
    gamma=UNIT,
    location=UNIT,
    iterations=st.integers(0, 50),
    in_place=st.booleans(),
    saliency_root=st.floats(0.1, 100),
    relation_root=st.floats(0.1, 100),
    relation_share=UNIT,
)
GRADED = st.builds(
    GradedSettings,
    midpoint=st.floats(-1, 1),
    scale=st.floats(0.005, 10),
    image_midpoint=st.floats(-1, 1),
    image_scale=st.floats(0.005, 10),
    beta=UNIT,
    gamma=UNIT,
)


@given(settings=SETTINGS | GRADED)
def test_a_file_gives_back_the_same_settings(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> None:
    path = tmp_path_factory.mktemp("settings") / "sess.toml"
    path.write_text(sess_settings_toml(settings, comments=["tuned on\n[evil]\nthis"]), encoding="utf-8")
    assert read_sess_settings(path) == settings


def test_the_defaults_are_the_papers_and_the_demo_is_the_codes() -> None:
    assert SessSettings().matching == MatchingSettings.PAPER
    assert SessSettings.DEMO.matching == MatchingSettings.DEMO
    assert (SessSettings.DEMO.importance.saliency_root, SessSettings.DEMO.importance.relation_share) == (2.5, 0.2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[sess]\nalhpa = 0.3\n", "'alhpa'.*Did you mean alpha"),
        ("[sess]\nalpha = 1.5\n", "alpha between 0 and 1"),
        ("[sess]\niterations = 7.0\n", "iterations as int"),
        ("[sess]\nin_place = 1\n", "in_place as bool"),
        ('[sess]\nbeta = "much"\n', "beta as float"),
        ("[sess]\ngamma = nan\n", "gamma between 0 and 1"),
        ('[sess]\nvariant = "demo"\n', "variant among graded, paper; found 'demo'"),
        ('[sess]\nvariant = "graded"\nbeta = 0.2\nscale = 0.06\n', "Expected midpoint, image_midpoint, image_scale in"),
        ('[sess]\nvariant = "graded"\nalpha = 0.2\n', "midpoint, .*found 'alpha'"),
        (
            '[sess]\nvariant = "graded"\nmidpoint = "far"\nscale = 1\nimage_midpoint = 0\nimage_scale = 1\n',
            "midpoint between -1 and 1; found 'far'",
        ),
        ("alpha = 0.3\n", r"one table, \[sess\].*found alpha"),
        ("[sess]\n[lab]\n", r"one table, \[sess\].*sess, lab"),
        ("", "found nothing"),
        ("[sess\n", "Expected TOML"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "sess.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        read_sess_settings(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_sess_settings(tmp_path / "none.toml")


def test_settings_stand_in_for_a_variant() -> None:
    runtime = Runtime("lite", device="cpu")
    own: Any = SessSettings(alpha=0.4, saliency_root=1.5)
    assert SeSS(runtime, settings=own).variant == "tuned"
    assert SeSS(runtime, settings=own).matching.alpha == 0.4
    assert SeSS(runtime, settings=SessSettings()).variant == "tuned"
    assert SeSS(runtime, matching=MatchingSettings(alpha=0.4)).variant == "custom"
    assert (SeSS(runtime).variant, SeSS(runtime, variant="demo").variant) == ("graded", "demo")
    graded = GradedSettings(midpoint=0.5, scale=0.1, image_midpoint=0.5, image_scale=0.1)
    assert SeSS(runtime, settings=graded).variant == "graded_tuned"
    with pytest.raises(UsageError, match="found both"):
        SeSS(runtime, variant="demo", settings=own)
    with pytest.raises(UsageError, match="as SessSettings or GradedSettings; found dict"):
        SeSS(runtime, settings=own.to_dict())
