from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semetric.cli import main
from semetric.cli._choices import flags
from semetric.lab.experiments import EXPERIMENTS, RunSettings
from semetric.metrics.registry import METRICS
from semetric.metrics.sess_settings import SessSettings

QUICK = ["--metrics", "psnr,mse", "--examples", "0", "--device", "cpu", "--no-cache"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with `photos`: three smooth images of mixed sizes."""
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for i, size in enumerate([(48, 64), (64, 48), (40, 40)]):
        noise = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        noise.resize(size, Image.Resampling.BICUBIC).save(tmp_path / "photos" / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEMETRIC_CACHE", str(tmp_path / "cache"))
    return tmp_path


def lab(*words: str) -> int:
    return main(["lab", *words])


def test_compression_prints_a_table_and_writes_rows(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compression", "photos", "--codecs", "jpeg,webp", "--rates-bpp", "2,4", "--out", "run", *QUICK]
    assert lab(*words) == 0
    said = capsys.readouterr()
    head, *lines = [line.split() for line in said.out.splitlines() if line.strip() and "─" not in line]
    assert head == ["system", "target", "rate", "bits", "per", "pixel", "fallbacks", "psnr", "↑", "mse", "↓"]
    assert [line[0] for line in lines if len(line) == 6] == ["jpeg", "webp"]
    assert said.err == f"semetric: rows: {Path('run', 'scores.csv')}\n"
    assert len((here / "run" / "scores.csv").read_text().splitlines()) == 1 + 3 * 2 * 2 * 2
    assert lab(*words) == 0
    assert "12 of 12 units were finished before" in capsys.readouterr().err


def test_a_file_of_options_and_flags_that_win(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "a.toml").write_text(
        'metrics = ["psnr"]\nseed = 4\ntransformations = ["rotation", "noise"]\n[strengths]\nnoise = [5, 10]\n'
    )
    words = ["--config", "a.toml", "--seed", "5", "--out", "run", "--json", "--device", "cpu", "--no-cache"]
    assert lab("transform", "photos", *words) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary == json.loads((here / "run" / "summary.json").read_text())
    record = json.loads((here / "run" / "run.json").read_text())
    config = record["config"]
    assert (config["seed"], config["metrics"], config["strengths"]) == (5, ["psnr"], {"noise": [5, 10]})
    assert [one["levels"] for one in record["systems"]][1] == [5.0, 10.0]
    assert lab("transform", "photos", "--config", "run/run.json", "--out", "again", "--no-cache") == 0
    for name in ("scores.parquet", "run.json"):
        assert (here / "again" / name).read_bytes() == (here / "run" / name).read_bytes()


def test_flags_of_the_other_experiments(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--strengths", "blur=1,2", "--strengths", "hue=20", "--transformations", "blur", "--transformations=hue"]
    assert lab("transform", "photos/0.png", *flags, "--out", "t", *QUICK) == 0
    assert lab("deformation", "photos/0.png", "--deformations", "0.02", "--noises", "5,9", "--out", "d", *QUICK) == 0
    found = [json.loads((here / name / "run.json").read_text()) for name in "td"]
    assert [one["levels"] for one in found[0]["systems"]] == [[1.0, 2.0], [20.0]]
    assert [one["levels"] for one in found[1]["systems"]] == [[0.02], [5.0, 9.0]]
    capsys.readouterr()


def test_strengths_may_be_given_one_by_one(here: Path) -> None:
    strengths = ["--strengths", "blur=1", "--strengths", "blur=2,4"]
    assert lab("transform", "photos/0.png", "--transformations", "blur", *strengths, "--out", "t", *QUICK) == 0
    record = json.loads((here / "t" / "run.json").read_text())
    assert record["systems"][0]["levels"] == [1.0, 2.0, 4.0]


@pytest.mark.parametrize("name", ["deep.json", "deep.toml"])
def test_a_file_of_options_that_is_nested_too_deeply(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / name).write_text(("" if name.endswith("json") else "x = ") + "[" * 50_000 + "]" * 50_000)
    assert lab("compression", "photos", "--config", name, "--out", "run", *QUICK) == 2
    assert f"in {name}; it is nested too deeply" in capsys.readouterr().err


@pytest.mark.parametrize("kind", EXPERIMENTS)
def test_the_documentation_has_every_option(kind: str) -> None:
    """Help texts and defaults come from the record; so does the page."""
    page = (Path(__file__).parents[2] / "docs" / "lab" / "README.md").read_text(encoding="utf-8")
    section = page.split(f"`{kind}`:\n\n", 1)[1].split("\n\n", 1)[0]
    rows = [
        f"| `--{flag.name.replace('_', '-')}` | {flag.annotation.__metadata__[0].help} |"
        for flag in flags(EXPERIMENTS[kind])
    ]
    assert section.splitlines()[2:] == rows


def test_a_file_of_options_holds_the_hyper_parameters_of_sess(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "a.toml").write_text('metrics = ["psnr"]\n[sess]\nalpha = 0.5\n')
    words = ["compression", "photos", "--codecs", "jpeg", "--rates-bpp", "2", "--device", "cpu", "--no-cache"]
    assert lab(*words, "--config", "a.toml", "--out", "run") == 0
    record = json.loads((here / "run" / "run.json").read_text())
    assert record["config"]["sess"] == {"alpha": 0.5}
    settings = RunSettings.from_dict({"sess": record["config"]["sess"]})
    assert settings.options_of(METRICS["sess"].options) == {"settings": SessSettings(alpha=0.5)}
    assert lab(*words, "--config", "run/run.json", "--out", "again") == 0
    (here / "b.toml").write_text("[sess]\nomega = 0.5\n")
    capsys.readouterr()
    assert lab(*words, "--config", "b.toml", "--out", "none") == 2
    assert "Expected in [sess] of the options: alpha, " in capsys.readouterr().err


def test_levels_are_folders(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (5, 20):
        (here / f"noise_{number}").mkdir()
        for file in (here / "photos").iterdir():
            Image.open(file).point(lambda v, n=number: max(0, v - n)).save(here / f"noise_{number}" / file.name)
    (here / "noise_20" / "2.png").rename(here / "noise_20" / "new.png")
    assert lab("levels", "photos", "noise_5", "noise_20", "--out", "run", *QUICK) == 1
    said = capsys.readouterr()
    assert "images of noise_20 without an original: 1\n  new.png" in said.err
    assert "1 of 6 units failed:\n  2.png, levels at 20: Expected an image of the name of 2.png at level 20" in said.err


def test_a_broken_image_costs_its_own_rows_and_the_exit_code(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "photos" / "1.png").write_bytes(b"broken")
    assert lab("compression", "photos", "--codecs", "jpeg", "--rates-bpp", "2", "--out", "run", *QUICK) == 1
    err = capsys.readouterr().err
    assert "images that cannot be read: 1\n  1.png: " in err
    assert "units failed" not in err  # its units are not told again one by one
    assert len(json.loads((here / "run" / "summary.json").read_text())["failed"]) == 1


def test_a_codec_that_fails_on_an_image(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "failing.py").write_text(
        "def run(pixels, quality, rng):\n"
        "    if pixels.shape[0] == 64:\n        raise RuntimeError('too tall')\n"
        "    return pixels, bytes(int(quality))\n"
    )
    (here / "a.toml").write_text(
        'codecs = ["ours"]\nrates_bpp = [0.5]\n[codec_options.ours]\ncodec = "external"\nrun = "failing:run"\n'
        "steps = [50, 100, 200, 400]\n"
    )
    sys.path.insert(0, str(here))
    try:
        assert lab("compression", "photos", "--config", "a.toml", "--out", "run", *QUICK) == 1
    finally:
        sys.path.remove(str(here))
    err = capsys.readouterr().err
    assert "1 of 3 units failed:\n  0.png, ours at 0.5: " in err
    assert "too tall" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compression", "photos", "--rates-bpp", "0"], "found 0"),
        (["compression", "photos", "--rates-bpp", "x"], "Expected numbers with commas between them for --rates-bpp"),
        (["compression", "photos", "--codecs", "gif"], "found 'gif'"),
        (["compression", "nowhere"], "nowhere is not there"),
        (["compression", "empty"], "empty has none"),
        (["compression", "photos", "--jobs", "0"], "jobs to be at least 1"),
        (["compression", "photos", "--metrics", "nothing"], "nothing"),
        (["compression", "photos", "--profile", "huge"], "huge"),
        (["compression", "photos", "--config", "none.toml"], "none.toml: No such file"),
        (["compression", "photos", "--config", "bad.toml"], "Expected TOML"),
        (["compression", "photos", "--config", "odd.toml"], "bitrate"),
        (["compression", "photos", "--config", "other.toml"], "other.toml is of edits"),
        (["compression", "photos", "--config", "list.json"], "found list"),
        (["channel", "photos", "--deepjscc", "none", "--modulations", "8psk"], "found '8psk'"),
        (["channel", "photos", "--deepjscc", "none", "--snr-kind", "cn0"], "cn0"),
        (["transform", "photos", "--transformations", "melt"], "found 'melt'"),
        (["transform", "photos", "--strengths", "rotation"], "--strengths NAME=NUMBER"),
        (["deformation", "photos", "--noises", "-5"], "found -5"),
        (["edits", "photos", "--edits", "burn"], "burn"),
        (["levels", "photos", "nowhere"], "nowhere is not there"),
        (["levels", "photos", "empty"], "no common name"),
        (["report", "empty"], "holds no run"),
    ],
)
def test_what_does_not_exist_is_2_before_the_first_image(
    words: list[str], message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "empty").mkdir()
    (here / "bad.toml").write_text("= 1")
    (here / "odd.toml").write_text("bitrate = 1")
    (here / "other.toml").write_text('experiment = "edits"')
    (here / "list.json").write_text("[]")
    rest = [] if words[0] == "report" else ["--out", "run", "--no-cache", "--device", "cpu"]
    assert lab(*words, *rest) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.out == ""
    assert not (here / "run").exists()


def test_unknown_keys_of_a_file_name_the_known_ones(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "a.toml").write_text("bitrate = 1")
    assert lab("compression", "photos", "--config", "a.toml", "--out", "run") == 2
    err = capsys.readouterr().err
    assert "Expected options among systems, system_options, codecs, rates_bpp, tolerance, codec_options, " in err
    assert ", background, max_pixels, metrics, seed, examples, resize_longest, sess; a.toml has 'bitrate'" in err
    assert "a.toml has 'bitrate'" in err


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
@pytest.mark.parametrize("jobs", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_ctrl_c_is_5_and_says_how_to_go_on(jobs: str, here: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from semetric.results.database import Database\n"
        "add, seen = Database.add, []\n"
        "def interrupt(self, rows):\n"
        "    add(self, rows)\n"
        "    seen.extend(rows)\n"
        "    if len(seen) == 3:\n"
        "        os.killpg(0, signal.SIGINT)\n"  # as a terminal does, to workers too
        "Database.add = interrupt\n"
        "from semetric.cli import main\n"
        "if __name__ == '__main__':\n    sys.exit(main(sys.argv[1:]))\n"
    )
    (here / "interrupted.py").write_text(code)
    words = ["lab", "compression", "photos", "--codecs", "jpeg,webp", "--rates-bpp", "2,4", "--out", "run", *QUICK]
    ended = subprocess.run(
        [sys.executable, "interrupted.py", *words, "--jobs", jobs],
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
        timeout=120,
    )
    assert (ended.returncode, ended.stdout) == (5, ""), ended.stderr
    assert "3 units are finished and kept in run; the same command goes on from there" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert main(words) == 0


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are POSIX")
def test_progress_is_shown_on_a_terminal(here: Path) -> None:
    import pty

    terminal, end = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    words = ["lab", "compression", "photos", "--codecs", "jpeg", "--rates-bpp", "2,4", "--out", "run", *QUICK]
    code = "import sys\nfrom semetric.cli import main\nsys.exit(main(sys.argv[1:]))"
    with subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=end, env=environment
    ) as process:
        os.close(end)
        said = b""
        while True:
            try:
                block = os.read(terminal, 4096)
            except OSError:  # Linux says so when the other end is closed
                break
            if not block:
                break
            said += block
        process.wait()
    os.close(terminal)
    assert process.returncode == 0
    assert b"6/6 units" in said
    assert b"s/unit" in said or b"units/s" in said


def test_a_report_is_written(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lab("compression", "photos", "--codecs", "jpeg", "--rates-bpp", "2,4", "--out", "run", *QUICK) == 0
    capsys.readouterr()
    assert lab("report", "run") == 0
    page = Path(capsys.readouterr().out.strip())
    assert page.is_file()
    assert lab("report", "run", "--out", "there", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"page": str(Path("there", "index.html"))}


def test_a_network_is_trained_and_used(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Four steps: the numbers mean nothing, the files do."""
    (here / "t.toml").write_text("longest_sides = [64]\nvalidation_share = 0.3\n[network]\nwidth = 16\nblocks = 1\n")
    words = ["--config", "t.toml", "--steps", "4", "--batch", "2", "--patch", "32", "--symbols", "8", "--device", "cpu"]
    assert lab("train-deepjscc", "photos", "--out", "trained", *words, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["step"] == 4
    assert (said["config"]["network"]["symbols"], said["config"]["network"]["width"]) == (8, 16)
    words = ["--deepjscc", said["weights"], "--snrs-db", "-5,20", "--codecs", "none", "--out", "run", *QUICK]
    assert lab("channel", "photos", *words) == 0
    rows = (here / "run" / "scores.csv").read_text().splitlines()
    assert len(rows) == 1 + 3 * 2 * 2
    record = json.loads((here / "run" / "run.json").read_text())
    assert record["systems"][0]["levels"] == [-5.0, 20.0]
    assert lab("train-deepjscc", "photos", "--out", "trained", "--symbols", "0") == 2
    assert "symbols to be at least 1" in capsys.readouterr().err


def test_systems_of_ones_own_on_the_command_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "own.py").write_text("def same(pixels, level, rng):\n    return pixels, int(level * 100)\n")
    words = ["--system", "same=own.py:same", "--system-levels", "same=1,2", "--transformations", "none"]
    assert lab("transform", "photos", *words, "--out", "t", *QUICK) == 0
    record = json.loads((here / "t" / "run.json").read_text())
    assert [(one["name"], one["levels"]) for one in record["systems"]] == [("same", [1.0, 2.0])]
    (here / "a.toml").write_text('systems = [{name = "same", run = "own.py:same", level = "quality", levels = [3]}]\n')
    assert lab("compression", "photos", "--config", "a.toml", "--codecs", "none", "--out", "c", *QUICK) == 0
    rows = (here / "c" / "scores.csv").read_text().splitlines()
    assert rows[1].split(",")[1:5] == ["same", "3.0", "0.78125", "300"]  # 8 · 300 bytes over 48 × 64 pixels
    capsys.readouterr()
    for words, message in (
        (["--system", "own.py:same"], "Expected --system NAME=…; found 'own.py:same'"),
        (["--system-levels", "other=1"], "--system-levels of a system that takes part; found those of 'other'"),
    ):
        assert lab("transform", "photos", *words, "--out", "n", *QUICK) == 2
        assert message in capsys.readouterr().err


def test_folders_with_names_are_systems(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for system, number in (("a", 5), ("a", 20), ("b", 7)):
        (here / system / f"q{number}").mkdir(parents=True)
        for file in (here / "photos").iterdir():
            Image.open(file).save(here / system / f"q{number}" / f"{file.stem}.webp", quality=number)
    words = ["levels", "photos", "a=a/q*", "b=b/q7", "--rates", "files", "--codecs", "jpeg", "--rates-bpp", "4"]
    assert lab(*words, "--out", "run", *QUICK) == 0
    record = json.loads((here / "run" / "run.json").read_text())
    found = [(one["name"], one["levels"]) for one in record["systems"]]
    assert found == [("a", [5.0, 20.0]), ("b", [7.0]), ("jpeg", [4.0])]  # q5 before q20
    rows = [line.split(",") for line in (here / "run" / "scores.csv").read_text().splitlines()[1:]]
    assert int(rows[0][4]) == (here / "a" / "q5" / "0.webp").stat().st_size
    capsys.readouterr()
    assert lab("levels", "photos", "a=c/q*", "--out", "none", *QUICK) == 2
    assert "Expected folders that fit 'c/q*'; there is none" in capsys.readouterr().err


def test_deformation_of_translations(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = here / "results" / "h2z" / "test_latest" / "images"
    place.mkdir(parents=True)
    (here / "translated").mkdir()
    for file in (here / "photos").iterdir():
        image = Image.open(file)
        image.save(place / f"{file.stem}_real_A.png")
        darker = image.point(lambda v: v // 2)
        darker.save(place / f"{file.stem}_fake_B.png")
        darker.save(here / "translated" / file.name)
    quick = ["--deformations", "none", "--noises", "5", *QUICK]
    assert lab("deformation", "photos", "--translated", "translated", "--out", "t", *quick) == 0
    assert lab("deformation", "--dataset", "cyclegan", "--root", "results", "--out", "d", *quick) == 0
    tables = [(here / name / "summary.json").read_text() for name in "td"]
    points = [json.loads(text)["points"] for text in tables]
    assert [one["level"] for one in points[0]] == [0.0, 5.0]
    assert points[0][0]["metrics"] == points[1][0]["metrics"]  # the same pairs under other names
    assert main(["score", "--dataset", "cyclegan", "--root", "results", "--metric", "mse", "--out", "s"]) == 0
    header, first, *_ = (here / "s" / "scores.csv").read_text().splitlines()
    assert header == "reference,image,mse,error,group"
    assert first.startswith("h2z/test_latest/images/0_real_A.png,h2z/test_latest/images/0_fake_B.png,")
    capsys.readouterr()
    for words, message in (
        (["lab", "deformation", "--out", "n"], "Missing argument"),
        (
            ["lab", "deformation", "photos", "--dataset", "cyclegan", "--root", "results", "--out", "n"],
            "either images or",
        ),
        (["lab", "deformation", "--translated", "translated", "--out", "n"], "one folder of sources beside"),
        (["score", "--dataset", "cyclegan", "--out", "n"], "Expected --root, the folder of cyclegan"),
        (["score", "--root", "results", "--out", "n"], "Expected --dataset NAME beside --root"),
        (["score", "--dataset", "cyclegan", "--root", "results"], "Expected --out DIR"),
        (["score", "photos", "translated", "--dataset", "cyclegan", "--root", "results"], "either --dataset or"),
    ):
        assert main(words) == 2
        assert message in capsys.readouterr().err
