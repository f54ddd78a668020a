"""What tests of several packages share: tiny random model folders as transformers writes them, signals, a browser."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# The same examples on every machine, however slow. HYPOTHESIS_PROFILE=search looks for ones not seen before.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("search", max_examples=1000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CLIP_SIDE = 30  # px
VIT_SIDE = 24
_TOWER = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 4}


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Lets the processes that tests start see Ctrl-C: a shell's background jobs ignore it, and their children too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def unlimited_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables as wide as they need: pytest-xdist gives its workers a COLUMNS."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium that is on this machine; nothing is downloaded."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"needs one of {', '.join(BROWSERS)}: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'semetric[dev]'")
    root = ["--no-sandbox"] if hasattr(os, "getuid") and os.getuid() == 0 else []  # it has no sandbox for root
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=found, args=root)
        yield running
        running.close()


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[Path, str], Path]:
    """(folder, name) → a copy of it that may be spoilt."""

    def copy(folder: Path, name: str) -> Path:
        return Path(shutil.copytree(folder, tmp_path / name))

    return copy


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIPModel of two blocks with a tokenizer of letters and a few words, and a preparation to 30 × 30 px."""
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

    place = tmp_path_factory.mktemp("hub") / "tiny_clip"
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    vocabulary = [
        *letters,
        *(f"{x}</w>" for x in letters),
        "ca",
        "cat</w>",
        "on</w>",
        "<|startoftext|>",
        "<|endoftext|>",
    ]
    end = len(vocabulary) - 1
    config = CLIPConfig(
        text_config={
            **_TOWER,
            "vocab_size": len(vocabulary),
            "max_position_embeddings": 20,
            "bos_token_id": end - 1,
            "eos_token_id": end,
            "pad_token_id": end,
        },
        vision_config={**_TOWER, "image_size": CLIP_SIDE, "patch_size": 6},
        projection_dim=16,
    )
    _save(CLIPModel, config, place)
    merges = [("c", "a"), ("ca", "t</w>"), ("o", "n</w>")]
    with _quiet():
        from transformers import CLIPTokenizer

        CLIPTokenizer(vocab={word: i for i, word in enumerate(vocabulary)}, merges=merges).save_pretrained(place)
        CLIPImageProcessorPil(
            size={"shortest_edge": CLIP_SIDE}, crop_size={"height": CLIP_SIDE, "width": CLIP_SIDE}
        ).save_pretrained(place)
    return place


@pytest.fixture(scope="session")
def tiny_vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ViT with a classifier, as google/vit-base-patch16-224 has one, for 24 × 24 px."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil

    place = tmp_path_factory.mktemp("hub") / "tiny_vit"
    _save(ViTForImageClassification, ViTConfig(**_TOWER, image_size=VIT_SIDE, patch_size=8, num_labels=5), place)
    ViTImageProcessorPil(size={"height": VIT_SIDE, "width": VIT_SIDE}).save_pretrained(place)
    return place


@pytest.fixture(scope="session")
def tiny_dinov2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DINOv2 whose positions are interpolated, as those of facebook/dinov2-base are: made for 42 px, fed 28."""
    from transformers import BitImageProcessorPil, Dinov2Config, Dinov2Model

    place = tmp_path_factory.mktemp("hub") / "tiny_dinov2"
    tower = {name: value for name, value in _TOWER.items() if name != "intermediate_size"}
    _save(Dinov2Model, Dinov2Config(**tower, mlp_ratio=2, image_size=42, patch_size=14), place)
    BitImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 28, "width": 28}).save_pretrained(place)
    return place


def _save(kind: Any, config: Any, place: Path) -> None:
    import torch

    torch.manual_seed(0)
    with _quiet():
        model = kind(config)
        for name, parameter in model.named_parameters():  # the library's own leave all images nearly alike
            if parameter.ndim >= 2:
                torch.nn.init.normal_(parameter, std=0.02 if "position" in name or "cls" in name else 0.3)
        model.save_pretrained(place)


def _quiet() -> Any:
    from semetric.models.hub import quiet

    return quiet()
