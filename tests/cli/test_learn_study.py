"""`semetric learn study`: made, filled, shown, written, read back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semetric.cli import main
from semetric.learn.judgements import Answer, JudgementStore

ITEMS = "key,reference,a,b\nx,0.png,1.png,2.png\ny,1.png,2.png,0.png\n"
VERB = ["learn", "study"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with images and a table of two items."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    for k in range(3):
        Image.fromarray(np.full((8, 8, 3), 50 * k, np.uint8)).save(f"images/{k}.png")
    (tmp_path / "items.csv").write_text(ITEMS)
    (tmp_path / "words.txt").write_text("Look well.")
    return tmp_path


def run(*words: str) -> int:
    return main([*VERB, *words])


def create(kind: str = "choice", *more: str) -> int:
    return run("create", "s.db", "--study", "first", "--kind", kind, "--images", "images", *more)


def test_a_study_from_the_table_to_a_copy(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = "--instructions words.txt --judgements-per-item 3 --items-per-annotator 9 --check-every 0 --lease-s 60"
    assert create("choice", *options.split()) == 0
    assert run("import", "s.db", "items.csv") == 0
    with JudgementStore("s.db") as store:
        study = store.study()
        assert (study.instructions, study.settings.judgements_per_item, study.settings.lease_s) == ("Look well.", 3, 60)
        assert study.image_root == str(place / "images")
        ada = store.annotator(study, "Ada")
        store.judge(study, "x", ada, Answer(choice="b"), shown_left="a", seconds=1.0)
    assert run("import", "s.db", "items.csv") == 0
    assert "2 were there" in capsys.readouterr().err
    for form, out in (("jsonl", "o.jsonl"), ("csv", "o.csv"), ("nights", "o.nights.csv"), ("bapps", "o.bapps")):
        assert run("export", "s.db", "--out", out, "--format", form) == 0
        assert capsys.readouterr().out == f"{out}\n"
        assert Path(out).exists()
    assert run("import", "copy.db", "o.jsonl", "--format", "jsonl") == 0
    capsys.readouterr()
    found = []
    for file in ("s.db", "copy.db"):
        assert run("info", file, "--json") == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0] == found[1]
    (facts,) = found[0]["studies"]
    assert (facts["items"], facts["judgements"], facts["alpha"]) == (2, 1, None)  # one annotator: not defined
    assert facts["annotators"][0]["name"] == "Ada"
    assert run("info", "s.db") == 0
    assert "first" in capsys.readouterr().out


def test_nights_and_bapps_go_in(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    create()
    columns = "id,left_vote,right_vote,votes,ref_path,left_path,right_path,split,is_imagenet,prompt"
    Path("data.csv").write_text(f"{columns}\n0,1,0,7,0.png,1.png,2.png,train,True,x\n")
    assert run("import", "s.db", "data.csv", "--format", "nights") == 0
    for name in ("ref", "p0", "p1"):
        folder = place / "images" / "2afc" / "val" / "cnn" / name
        folder.mkdir(parents=True)
        (folder / "000000.png").write_bytes((place / "images" / "0.png").read_bytes())
    judge = place / "images" / "2afc" / "val" / "cnn" / "judge"
    judge.mkdir()
    np.save(judge / "000000.npy", np.array([0.4], np.float32))
    assert run("import", "s.db", "--format", "bapps") == 0
    with JudgementStore("s.db") as store:
        assert [item.key for item in store.items(store.study())] == ["0", "val/cnn/000000"]


def test_a_link_is_printed_alone(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    create()
    capsys.readouterr()
    assert run("link", "s.db", "--annotator", "Ada", "--url", "https://x.org/", "--days", "3") == 0
    out = capsys.readouterr().out
    assert out.startswith("https://x.org/join/")
    assert len(out.split()) == 1


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        ("create s.db --name first --kind vote --images images", 2, "vote"),
        ("create s.db --name first --kind same --images absent", 3, "absent"),
        ("create s.db --name first --kind same --images images --instructions absent.txt", 3, "absent.txt"),
        ("create s.db --name first --kind same --images images --judgements-per-item 0", 2, "at least 1"),
        ("import absent.db items.csv", 1, "learn study create"),
        ("import made.db items.csv --format xml", 2, "xml"),
        ("import made.db --format csv", 2, "a file to import"),
        ("import made.db absent.csv", 2, "absent.csv"),
        ("import made.db items.csv --format jsonl", 2, "line 1"),
        ("import made.db items.csv --name other", 2, "'first'"),
        ("export made.db --out absent/x.csv --format csv", 1, "absent"),
        ("link made.db --annotator Ada --days 0", 2, "days"),
        ("info absent.db", 1, "absent.db"),
    ],
)
def test_what_cannot_be_done_is_said(
    place: Path, argv: str, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run("create", "made.db", "--name", "first", "--kind", "choice", "--images", "images")
    assert run(*argv.split()) == code
    said = capsys.readouterr()
    assert words in said.err
    assert "Traceback" not in said.err
    with JudgementStore("made.db") as store:
        assert list(store.items(store.study())) == []


def test_letters_that_look_like_line_ends_come_back(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON leaves some of them as they are, and an editor may put a byte order mark before the first line."""
    words = "one\u2028two\u2029three\x85four\x0cfive"
    Path("words.txt").write_text(words, encoding="utf-8")
    create("choice", "--instructions", "words.txt")
    assert run("import", "s.db", "items.csv") == 0
    assert run("export", "s.db", "--out", "o.jsonl") == 0
    Path("o.jsonl").write_bytes(b"\xef\xbb\xbf" + Path("o.jsonl").read_bytes())
    assert run("import", "copy.db", "o.jsonl", "--format", "jsonl") == 0
    with JudgementStore("copy.db") as store:
        assert store.study().instructions == words


def test_an_annotator_is_excluded_and_their_links_are_revoked(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    create()
    run("link", "s.db", "--annotator", "Rene\u0301")
    assert run("exclude", "s.db", "--annotator", "Ren\u00e9", "--study", "first") == 0
    assert run("revoke", "s.db", "--annotator", "Ren\u00e9") == 0
    capsys.readouterr()
    assert run("info", "s.db", "--study", "first", "--json") == 0
    (person,) = json.loads(capsys.readouterr().out)["studies"][0]["annotators"]
    assert person["excluded_utc"]
    assert run("exclude", "s.db", "--annotator", "Ren\u00e9", "--count-again") == 0
    with JudgementStore("s.db") as store:
        (annotator,) = store.annotators(store.study())
        assert (annotator.excluded_utc, annotator.revocations) == (None, 1)
    assert run("exclude", "s.db", "--annotator", "Eve") == 2
    assert "found 'Eve'" in capsys.readouterr().err


def test_one_of_two_studies_is_shown(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("first", "second"):
        run("create", "s.db", "--study", name, "--kind", "same", "--images", "images")
    capsys.readouterr()
    assert run("info", "s.db", "--study", "second", "--json") == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)["studies"]] == ["second"]
    assert run("info", "s.db", "--study", "third") == 2
