"""The papers' experiments on real photos, by the commands that a user has: what docs/findings.md rests on.

    python -m benchmarks.findings OUT [--photos 20] [--jobs 2] [--only NAME]…

Writes the photos into OUT/photos, runs `semetric lab` into OUT/compression, OUT/channel, OUT/transform and
OUT/deformation, writes each one's report, notes how long each took, and brings the figures to docs/images/findings.
Killed and started again it goes on; a run that is finished is only reported anew. The notes of times are kept in
OUT/seconds.json and add up over interruptions.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from benchmarks.machine import machine
from benchmarks.photos import photos

__all__ = ["EXPERIMENTS", "times"]

SEMETRIC = Path(sys.executable).with_name("semetric")
DOCS = Path(__file__).resolve().parents[1] / "docs"
METRICS = "psnr,ssim,ms_ssim,lpips,vitscore,samscore,sess"

# Fig. 13 at the amounts of docs/meaning.md; the others at the commands' own rates, SNRs and strengths.
EXPERIMENTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "compression": ("--codecs", "jpeg,jpeg2000,webp,avif"),
        "channel": ("--codecs", "jpeg", "--modulations", "16qam", "--deepjscc", "plain"),
        "transform": tuple(
            word
            for strength in (
                "translation=0.06",
                "rotation=8",
                "reflection=1",
                "scaling=0.06",
                "colour_filter=0.25",
            )
            for word in ("--strengths", strength)
        ),
        "deformation": ("--deformations", "0.01,0.02,0.04,0.06,0.08", "--noises", "5,10,25,50,100"),
    }
)


def export(folder: Path, count: int) -> list[Path]:
    """Writes the benchmark photos as PNG, those that are not there yet."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, pixels in photos(count):
        place = folder / f"{name}.png"
        if not place.exists():
            temporary = folder / f".{name}.tmp"
            Image.fromarray(pixels).save(temporary, "PNG")
            temporary.replace(place)
        written.append(place)
    return sorted(written)


def run(name: str, files: list[Path], out: Path, jobs: int) -> float:
    """Runs one experiment to its end and its report; returns the seconds that this took now."""
    begin = time.perf_counter()
    images = [str(file) for file in files]
    common = ["--out", str(out / name), "--jobs", str(jobs), "--metrics", METRICS, "--examples", "3"]
    done = subprocess.run([str(SEMETRIC), "lab", name, *images, *common, *EXPERIMENTS[name]])
    if done.returncode not in (0, 1):  # 1: some rows failed, and are named
        raise SystemExit(done.returncode)
    seconds = time.perf_counter() - begin
    subprocess.run([str(SEMETRIC), "lab", "report", str(out / name)], check=True)
    return seconds


def times(notes: Mapping[str, float], rows: Mapping[str, int]) -> str:
    """A table of how long each experiment took.

    Args:
        notes: experiment → seconds, over all its interruptions.
        rows: experiment → images that were scored.
    """
    lines = ["| experiment | received images | minutes |", "|---|--:|--:|"]
    lines += [f"| {name} | {rows[name]} | {seconds / 60:.1f} |" for name, seconds in notes.items()]
    lines.append(f"| all | {sum(rows.values())} | {sum(notes.values()) / 60:.1f} |")
    return "\n".join(lines)


def _bring(name: str, run_folder: Path) -> None:
    """Copies the figure of all metrics, which docs/findings.md shows."""
    target = DOCS / "images" / "findings"
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(run_folder / "report" / "figures" / "overview.png", target / f"{name}.png")


def main() -> None:
    """Runs what is asked for, and prints how long it took."""
    parser = argparse.ArgumentParser(description="The papers' experiments on real photos.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--photos", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", action="append", choices=list(EXPERIMENTS), help="only this one; repeat for more")
    asked = parser.parse_args()
    files = export(asked.out / "photos", asked.photos)
    place = asked.out / "seconds.json"
    notes: dict[str, float] = json.loads(place.read_text(encoding="utf-8")) if place.exists() else {}
    for name in asked.only or EXPERIMENTS:
        finished = (asked.out / name / "summary.json").exists()
        seconds = run(name, files, asked.out, asked.jobs)
        if not finished:
            notes[name] = notes.get(name, 0.0) + seconds
            place.write_text(json.dumps(notes, indent=2) + "\n", encoding="utf-8")
        _bring(name, asked.out / name)
    received = {
        name: int(json.loads((asked.out / name / "summary.json").read_text(encoding="utf-8"))["units"])
        for name in notes
    }
    print(f"{machine()}\n{times(notes, received)}")


if __name__ == "__main__":
    main()
