"""Help: panels, examples, no types of flags; completion; metrics named alike everywhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.core import TyperGroup, TyperOption

from semetric.cli import app, main
from semetric.cli._choices import words
from semetric.cli._help import PANELS
from semetric.errors import did_you_mean
from semetric.metrics.registry import names_of


def verbs(group: Any = None, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every verb that runs something, by its words."""
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        words_ = f"{path} {name}".strip()
        if isinstance(command, TyperGroup):
            yield from verbs(command, words_)
        else:
            yield words_, command


VERBS = dict(verbs())


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_shows_an_example_of_itself_and_no_types_of_flags(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert main([*verb.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    _, found, examples = shown.rpartition("Example")
    assert found
    assert f"semetric {verb} " in examples + " "
    assert "bool" not in shown


@pytest.mark.parametrize("verb", VERBS)
def test_examples_name_options_that_exist(verb: str) -> None:
    command = VERBS[verb]
    known = {word for one in command.params for word in (*one.opts, *one.secondary_opts)}
    assert set(re.findall(r"--[a-z-]+", command.epilog)) <= known


def test_an_option_of_several_verbs_is_in_the_same_panel_everywhere() -> None:
    """What several verbs share has a panel; what one alone has stands first, without."""
    count: dict[str, int] = {}
    for command in VERBS.values():
        for one in command.params:
            if isinstance(one, TyperOption):
                count[one.name or ""] = count.get(one.name or "", 0) + 1
    inside = [name for names in PANELS.values() for name in names]
    assert len(inside) == len(set(inside))
    assert set(inside) <= set(count)
    own = {"name", "images", "kind", "fix", "form", "rows", "columns", "codecs", "strengths", "study"}
    shared = {name for name, times in count.items() if times > 3}
    assert shared - own <= set(inside)


@pytest.mark.parametrize(
    "given",
    [["--metric", "psnr", "--metric", "sess"], ["--metric", "psnr,sess"], ["--metrics", "psnr, sess"]],
    ids=" ".join,
)
@pytest.mark.parametrize("verb", [name for name, one in VERBS.items() if any("--metric" in p.opts for p in one.params)])
def test_metrics_are_named_alike_on_every_verb(verb: str, given: list[str]) -> None:
    context = VERBS[verb].make_context("semetric", list(given), resilient_parsing=True)
    value = context.params.get("metric", context.params.get("metrics"))
    assert words(value) == ["psnr", "sess"]


def test_every_verb_that_takes_metrics_takes_both_spellings() -> None:
    spellings = {name: {word for p in one.params for word in p.opts} for name, one in VERBS.items()}
    both = {name for name, known in spellings.items() if {"--metric", "--metrics"} <= known}
    assert both == {name for name, known in spellings.items() if {"--metric", "--metrics"} & known}
    assert {"score", "explain", "lab compression", "lab levels", "learn evaluate"} <= both


def test_a_list_of_metrics_is_no_mistyped_name() -> None:
    assert names_of("psnr, sess") == ["psnr", "sess"]
    assert did_you_mean("psnr,sess", ("psnr", "sess")) == ""


def test_one_mistyped_metric_of_a_list_is_the_one_that_is_guessed_at(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "a.png", "b.png", "--metric", "psnr,lipps"]) == 2
    assert "found 'lipps'. Did you mean lpips?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("semetric sc", ["score"]),
        ("semetric score a.png b.png --metric ss", ["ssim"]),
        ("semetric score a.png b.png --metric psnr,ss", ["psnr,ssim"]),
        ("semetric score a.png b.png --profile st", ["standard"]),
        ("semetric lab comp", ["compression"]),
    ],
)
def test_the_shell_completes(typed: str, completed: list[str]) -> None:
    environment = os.environ | {
        "_SEMETRIC_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-m", "semetric"], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert [done.returncode, done.stderr] == [0, ""]
    assert done.stdout.split() == completed


def test_completion_is_installed(tmp_path: Path) -> None:
    environment = os.environ | {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "semetric", "--install-completion", "bash"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    script = tmp_path / ".bash_completions" / "semetric.sh"
    assert "_SEMETRIC_COMPLETE=complete_bash" in script.read_text(encoding="utf-8")
    assert str(script) in (tmp_path / ".bashrc").read_text(encoding="utf-8")
