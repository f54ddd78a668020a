from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.paper_profile import random_clip, random_relations, random_sam, scored
from torch import Tensor, nn

from benchmarks import paper_profile
from semetric.image import Picture, read_image
from semetric.models.clip import Clip
from semetric.models.frame import Frame
from semetric.models.relate_anything import load_relate_anything
from semetric.models.runtime import Runtime
from semetric.models.sam.model import prepare
from semetric.scene.masks import distinct, grid_masks
from semetric.scene.predicates import PREDICATES
from semetric.scene.settings import MaskSettings

TOWER = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 4}


class Patches(nn.Module):
    """An image encoder of one layer, normalised as SAM's are."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 256, 16, 16)
        self.norm = nn.LayerNorm(256)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.patches(x).permute(0, 2, 3, 1))
        return y.permute(0, 3, 1, 2)


def photo() -> Picture:
    return read_image(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))


@pytest.mark.slow
def test_the_crafted_decoder_finds_a_few_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    few = MaskSettings(points_per_side=12)
    monkeypatch.setattr(paper_profile, "GRID", few)
    monkeypatch.setattr(paper_profile, "PASSING", 6)
    picture = photo()
    torch.manual_seed(0)
    sam = random_sam(Patches(), picture, seed=1)
    with torch.inference_mode():
        embedding = sam.encode(prepare(picture.to_uint8())[None])[0]
        found = distinct(grid_masks(sam, embedding, Frame.of(picture.size), few), few)
    assert 3 <= len(found) <= 18  # 6 prompts pass for each of 3 masks; some are unstable or overlap
    assert found.iou.min() > 0.88
    assert found.stability.min() >= 0.95
    assert found.masks.mean(axis=(1, 2)).max() < 0.5  # spots, not the whole image


def test_random_relations_have_the_published_layout(tmp_path: Path) -> None:
    state = random_relations(0, words=11, hidden=48, intermediate=96, embedding=8, positions=16)
    assert state["model.embeddings.word_embeddings.weight"].shape == (11, 48)
    torch.save(state, tmp_path / "ram.pth")
    head = load_relate_anything(tmp_path / "ram.pth")
    tokens = torch.randn(3, 256)
    assert head(tokens).shape == (56, 3, 3)
    assert torch.equal(head(tokens), head(tokens))  # eval mode: no dropout


def test_random_clip_is_a_folder_that_embeds_phrases_and_crops(tmp_path: Path) -> None:
    text = {**TOWER, "max_position_embeddings": 20}
    vision = {**TOWER, "image_size": 12, "patch_size": 6}
    random_clip(tmp_path / "clip", 0, text=text, vision=vision, projection=16, words=80)
    clip = Clip(Runtime("lite", device="cpu", store=None), str(tmp_path / "clip"))
    assert clip.embed_texts(PREDICATES[:3]).shape == (3, 16)
    crops = np.random.default_rng(0).integers(0, 256, (2, 20, 20, 3), np.uint8)
    assert clip.embed_crops(list(crops), batch=2).shape == (2, 16)


def test_the_same_seed_gives_the_same_files(tmp_path: Path) -> None:
    one, two, three = (random_relations(seed, words=3, hidden=12, embedding=2) for seed in (0, 0, 1))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["cls_sub.weight"], three["cls_sub.weight"])
    small = {"text": {**TOWER, "max_position_embeddings": 5}, "vision": {**TOWER, "image_size": 12, "patch_size": 6}}
    for name in ("a", "b"):
        random_clip(tmp_path / name, 0, **small, projection=4, words=60)
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("a", "b")]
    assert len({hashlib.sha256(data).hexdigest() for data in files}) == 1


def test_a_run_tells_its_scores_and_its_memory(tmp_path: Path) -> None:
    code = 'print(\'{"scores": {"sess": {"value": 0.5}}}\')'
    ours = np.ones(40_000_000)  # 320 MB, beside what torch holds: not the measured process's
    run = scored([sys.executable, "-c", code], tmp_path / "out.json")
    assert run.scores == {"sess": {"value": 0.5}}
    assert run.wall_s > 0
    assert 1e6 < run.peak_bytes < ours.nbytes / 2  # an interpreter takes some 10 MB


def test_a_failed_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ended with 4"):
        scored([sys.executable, "-c", "raise SystemExit(4)"], tmp_path / "out.json")


def test_only_what_was_written_is_removed(tmp_path: Path) -> None:
    for name in ("mine", "yours"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    (tmp_path / "single").touch()
    paper_profile._remove([tmp_path / "mine", tmp_path / "single", tmp_path / "never there"])
    assert [place.name for place in tmp_path.iterdir()] == ["yours"]
