import subprocess
import sys
from dataclasses import FrozenInstanceError, asdict

import pytest

from semetric.scene.settings import ADAPTIVE, GRID, AdaptiveSettings, MaskSettings


def test_the_grids_defaults_are_segment_anythings_and_sess_own() -> None:
    assert asdict(GRID) == {
        "points_per_side": 32,
        "min_iou": 0.88,
        "min_stability": 0.95,
        "stability_offset": 1.0,
        "max_box_iou": 0.7,
        "max_mask_iou": 0.8,
        "max_masks": 512,
    }


def test_adaptive_stays_within_a_quarter_of_the_grids_prompts() -> None:
    assert ADAPTIVE.start_per_side**2 <= ADAPTIVE.max_prompts <= GRID.points_per_side**2 / 4
    # A graph's settings hold both side by side; adaptive's stability stands in for the grid's.
    assert asdict(ADAPTIVE).keys() & asdict(GRID).keys() == {"min_stability"}


def test_settings_do_not_change_and_name_no_stranger() -> None:
    with pytest.raises(FrozenInstanceError):
        GRID.min_iou = 0.5  # type: ignore[misc]
    with pytest.raises(TypeError):
        MaskSettings(min_overlap=0.5)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        AdaptiveSettings(4)  # type: ignore[misc]


def test_importing_them_needs_no_torch() -> None:
    program = "import sys, semetric.scene.settings, semetric.scene.rle; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
