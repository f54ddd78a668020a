from __future__ import annotations

import base64
import io
import math
from pathlib import Path

import fake_runs as fake
import numpy as np
import pytest
from PIL import Image

from semetric.report.lab import examples as module
from semetric.report.lab.examples import MOST_IMAGES, MOST_LEVELS, chosen, examples
from semetric.report.lab.results import read_lab_run


def picture(address: str) -> Image.Image:
    kind, _, data = address.partition(",")
    assert kind == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_levels_are_the_ends_and_what_lies_evenly_between() -> None:
    assert chosen([3.0, 1.0, 2.0]) == [1.0, 2.0, 3.0]
    assert chosen([float(i) for i in range(10)]) == [0.0, 3.0, 6.0, 9.0]
    assert chosen([]) == []


def test_the_first_images_come_with_their_levels_rates_and_scores(tmp_path: Path) -> None:
    run = read_lab_run(fake.compression(tmp_path / "run", examples=4))
    found = examples(run)
    assert [one.image for one in found] == ["a.png", "b.png", "c.png"][:MOST_IMAGES]
    assert [label for label, _ in found[0].systems] == ["JPEG", "JPEG 2000", "WebP", "AVIF"]
    assert picture(found[0].original).size == (96, 64)  # never enlarged
    shown = found[1].systems[2][1]
    assert len(shown) == MOST_LEVELS
    assert [one.level for one in shown] == ["0.1 bpp", "0.33 bpp", "0.6 bpp", "2 bpp"]
    rows = run.rows
    here = (rows.image == 1) & (rows.system == 2) & (rows.level == 0.33)
    assert shown[1].rate == f"{rows.rate_bpp[here][0]:.3g} bpp"
    assert dict(shown[1].scores)["SeSS"] == f"{rows.value[here][2]:.3f}"
    assert not shown[1].failed


def test_failed_and_missing_and_infinite_are_said(tmp_path: Path) -> None:
    def edit(row: dict[str, object]) -> None:
        if row["metric"] == "psnr":
            row["value"] = math.inf
        if row["metric"] == "lpips":
            row["value"], row["error"] = None, "no"

    run = read_lab_run(fake.channel(tmp_path / "run", examples=1, edit=edit))
    (one,) = examples(run)
    first = one.systems[0][1][0]
    assert first.failed
    assert first.scores[:2] == (("PSNR", "∞"), ("LPIPS", "–"))


def test_names_lead_nowhere_else(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    fake.compression(tmp_path / "run", examples=1)
    for folder in (secret, tmp_path / "run" / "examples" / "a" / "x"):
        folder.mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(folder / "original.png")
    for name in ("../../secret", "..", "/etc", str(secret), "a\\b", "", "."):
        fake.change_record(tmp_path / "run", lambda record, name=name: record["images"][0].update(example=name))
        assert examples(read_lab_run(tmp_path / "run")) == []
    fake.change_record(tmp_path / "run", lambda record: record["images"][0].update(example="a"))
    assert len(examples(read_lab_run(tmp_path / "run"))) == 1


def test_pictures_that_cannot_be_read_are_passed_over(tmp_path: Path) -> None:
    folder = fake.compression(tmp_path / "run", examples=1)
    (folder / "examples" / "a" / "jpeg" / "0.1.png").write_bytes(b"no picture")
    (folder / "examples" / "a" / "jpeg" / "notes.png").write_bytes(b"")
    (one,) = examples(read_lab_run(folder))
    assert len(one.systems[0][1]) == MOST_LEVELS - 1


def test_pictures_shrink_until_all_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = read_lab_run(fake.compression(tmp_path / "run", examples=1))
    large = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    for file in (tmp_path / "run" / "examples").rglob("*.png"):
        Image.fromarray(large).save(file, compress_level=0)
    monkeypatch.setattr(module, "_BUDGET", 150_000)
    found = examples(run)
    sizes = {max(picture(shown.picture).size) for one in found for _, own in one.systems for shown in own}
    assert len(sizes) == 1
    assert sizes < {288, 224, 160, 112, 80} - {288}
    total = sum(len(shown.picture) for one in found for _, own in one.systems for shown in own)
    assert total < 150_000 * 4 / 3 + 10_000  # base64, and an address each
