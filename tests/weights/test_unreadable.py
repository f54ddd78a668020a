from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from semetric.errors import WeightsCorruptError
from semetric.models.sam import load_checkpoint
from semetric.weights.tensors import _why_unreadable as why_unreadable


def text(file: Path) -> None:
    file.write_text("no weights at all\n" * 20)


def noise(file: Path) -> None:
    file.write_bytes(bytes(range(256)) * 4)


def nothing(file: Path) -> None:
    file.write_bytes(b"")


def cut(file: Path) -> None:
    torch.save({"a": torch.zeros(1000)}, file)
    file.write_bytes(file.read_bytes()[:1500])


def more_than_tensors(file: Path) -> None:
    torch.save({"a": Path("x")}, file)


@pytest.mark.parametrize(
    ("make", "suffix", "words"),
    [
        (text, ".pth", "is not a file that torch.save wrote, or damaged"),
        (noise, ".pth", "is not a file that torch.save wrote, or damaged"),
        (nothing, ".pth", "is empty or ends too early"),
        (cut, ".pth", "is cut short or damaged"),
        (more_than_tensors, ".pth", "holds more than tensors (pathlib"),
        (noise, ".safetensors", "is no safetensors file, or damaged"),
    ],
)
def test_a_file_that_cannot_be_read_gets_a_sentence(
    make: Callable[[Path], None], suffix: str, words: str, tmp_path: Path
) -> None:
    file = tmp_path / f"junk{suffix}"
    make(file)
    with pytest.raises(WeightsCorruptError) as raised:
        load_checkpoint(file)
    said = str(raised.value)
    assert f"in {file}; it {words}" in said
    assert "sam_vit_b_01ec64.pth" in said
    assert "weights_only" not in said  # torch's own words advise to switch the protection off
    assert not re.search(r"\(\d+\)", said)  # a bare number, which is all that torch says of text


def test_what_the_disk_says_is_passed_on() -> None:
    assert why_unreadable(PermissionError(13, "Permission denied")) == "cannot be read (Permission denied)"
