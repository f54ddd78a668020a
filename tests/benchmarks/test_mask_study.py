from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import masks as study
from semetric.models.sam import Decoded
from semetric.scene.masks import Masks
from semetric.scene.settings import ADAPTIVE


def bars(*lengths: int) -> np.ndarray:
    """Masks of the first so many of 20 pixels."""
    return np.array([[np.arange(20) < length] for length in lengths])


def test_recovered_means_above_three_quarters() -> None:
    wanted = bars(12, 16, 4)
    # 12 of 16 is exactly 0.75 and not above it; 13 of 16 is
    assert study.recovered(wanted, bars(12)).tolist() == [True, False, False]
    assert study.recovered(wanted, bars(13)).tolist() == [True, True, False]
    assert study.recovered(wanted, bars(20)).tolist() == [False, True, False]
    assert study.recovered(wanted, bars()[:0].reshape(0, 1, 20)).tolist() == [False] * 3
    assert study.recovered(np.zeros((0, 1, 20), bool), wanted).shape == (0,)


class FakeSam:
    def decode(self, embedding: torch.Tensor, points: torch.Tensor, labels: torch.Tensor, **options: object) -> Decoded:
        sum(i * i for i in range(300_000))  # some processor time
        return Decoded(points, points, points, points)


def some(timed: study.Timed) -> Masks:
    for _ in range(3):
        timed.decode(torch.zeros(1), torch.zeros(1), torch.zeros(1), min_iou=0.5)
    one = np.ones((2, 1, 20), bool)
    zeros = np.zeros(2, np.float32)
    return Masks(
        masks=one, tokens=np.zeros((2, 256), np.float32), iou=zeros, stability=zeros, points=one[:, 0, :2], prompts=3
    )


def test_costs_count_decoding_apart_and_masks_after_the_clean_up() -> None:
    kept, cost = study.generated(FakeSam(), some)  # type: ignore[arg-type]
    assert len(kept) == cost.masks == 1
    assert cost.prompts == 3
    assert 0 < cost.decoder_s <= cost.whole_s


def rows(share: int, adaptive_s: float) -> list[study.Row]:
    cost = study.Cost(1024, 40.0, 50.0, 60)
    return [
        study.Row("a", cost, study.Cost(100, adaptive_s, 6.0, 50), 10, share),
        study.Row("b", cost, study.Cost(200, adaptive_s, 6.0, 50), 30, 30),
        study.Row("c", cost, study.Cost(16, adaptive_s, 1.0, 1), 0, 0),
    ]


@pytest.mark.parametrize(("share", "adaptive_s", "verdict"), [(7, 9.0, "met"), (6, 9.0, "missed"), (7, 11.0, "missed")])
def test_the_page_says_whether_the_goal_is_met(share: int, adaptive_s: float, verdict: str) -> None:
    text = study.page(rows(share, adaptive_s), ADAPTIVE)
    assert f"is {verdict}." in text
    assert f"**{(share / 10 + 1) / 2:.1%}** on average" in text  # the photo without large masks has no share
    assert f"**{(share + 30) / 40:.1%}** of all masks together" in text
    assert f"**{adaptive_s / 40:.2f}** of grid's" in text
    assert f"max_prompts {ADAPTIVE.max_prompts}" in text
    assert text.count("\n| ") == 4  # a header and three photos
    assert "| c | 60 | 0 | 0 | – |" in text


def test_grids_masks_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def grid(sam: object, embedding: object, frame: object, settings: object) -> Masks:
        calls.append("grid")
        return some(FakeSam())  # type: ignore[arg-type]

    class Encoding(FakeSam):
        def encode(self, prepared: torch.Tensor) -> torch.Tensor:
            return prepared

    monkeypatch.setattr(study, "grid_masks", grid)
    monkeypatch.setattr(study, "adaptive_masks", lambda *_: some(FakeSam()))  # type: ignore[arg-type]
    pixels = np.zeros((1, 20, 3), np.uint8)
    first, second = (study.measured(Encoding(), "dark", pixels, ADAPTIVE, tmp_path) for _ in range(2))  # type: ignore[arg-type]
    assert calls == ["grid"]
    assert first.grid == second.grid
    assert first.large == first.recovered == second.recovered == 1
