from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks.distortions import HARMLESS, Label
from benchmarks.meaning_statistics import EDITS, STRENGTHS, UNRELATED, Scored

from benchmarks import meaning, meaning_page
from semetric.image import Picture
from semetric.metrics.base import Metric, Score
from semetric.models.runtime import Runtime


def photo(seed: int, objects: int = 2, size: tuple[int, int] = (60, 80)) -> np.ndarray:
    """Dark noise with up to three bright boxes, each of a value of its own."""
    image = np.random.default_rng(seed).integers(0, 60, (*size, 3), dtype=np.uint8)
    for i in range(objects):
        image[10 + 15 * i : 22 + 15 * i, 10 + 20 * i : 28 + 20 * i] = 200 + i
    return image


def masks_of(pixels: np.ndarray) -> np.ndarray:
    masks = np.stack([(pixels == 200 + i).all(-1) for i in range(3)])
    return masks[masks.any((1, 2))]


class Fake(Metric):
    """The mean absolute difference, under the name of a metric that needs equal sizes."""

    name = "psnr"
    higher_is_better = True
    range = (0.0, None)

    def _score(self, reference: Picture, image: Picture) -> Score:
        difference = np.abs(reference.to_float() - image.to_float()).mean()
        return self._make(float(1 - difference), {"pixels": reference.size[0]})


@pytest.fixture(scope="module")
def images() -> meaning.Images:
    others = [("empty", photo(1, 0)), ("wide", photo(2, 1, (50, 90)))]
    return meaning.compared_images("name", photo(0), others, masks_of)


def test_a_photo_is_compared_with_copies_edits_and_others(images: meaning.Images) -> None:
    labels = set(images.pixels)
    assert set(HARMLESS) <= labels
    assert {(edit, strength) for edit in EDITS for strength in STRENGTHS} <= labels
    assert {level for kind, level in labels if kind == UNRELATED} == {"empty", "wide"}
    assert {level for kind, level in labels if kind == "removal"} == {1.0, 2.0}  # as many as there are objects
    assert images.left_out == {}
    own = [pixels for (kind, _), pixels in images.pixels.items() if kind != UNRELATED]
    assert {pixels.shape for pixels in own} == {(60, 80, 3)}
    assert all((pixels != photo(0)).any() for pixels in own)
    again = meaning.compared_images(
        "name", photo(0), [("empty", photo(1, 0)), ("wide", photo(2, 1, (50, 90)))], masks_of
    )
    assert again.sha256 == images.sha256
    other = meaning.compared_images("other name", photo(0), [("empty", photo(1, 0)), ("wide", photo(2, 1))], masks_of)
    assert other.sha256 != images.sha256


def test_a_photo_without_enough_objects_is_named_as_left_out() -> None:
    found = meaning.compared_images("name", photo(0, 1), [("empty", photo(1, 0))], masks_of)
    assert set(found.left_out) == {"swap", "replace", "insert"}
    assert "found 1 among 1 masks" in found.left_out["swap"]
    assert {edit for edit, _ in found.pixels} & set(EDITS) == {"remove"}


def test_scores_survive_the_work_folder(images: meaning.Images, tmp_path: Path) -> None:
    part = meaning.scored(photo(0), images, Fake(Runtime("lite")))
    assert part.labels == list(images.pixels)
    assert part.scores[part.labels.index(("jpeg", 60.0))] > part.scores[part.labels.index(("jpeg", 3.0))]
    assert part.details == {}  # psnr has no options
    part.write(tmp_path / "a.psnr.json")
    assert meaning.Part.read(tmp_path / "a.psnr.json") == part
    assert meaning.Part.read(tmp_path / "b.psnr.json") is None
    assert [file.name for file in tmp_path.iterdir()] == ["a.psnr.json"]


def part(sha256: str = "1", **changes: object) -> meaning.Part:
    fields = {"labels": [("jpeg", 60.0)], "left_out": {}, "weights": {"a": "b"}, "details": {}, "scores": [0.5]}
    return meaning.Part(images_sha256=sha256, **{**fields, **changes})  # type: ignore[arg-type]


def test_only_metrics_that_have_all_photos_of_these_images_are_results(tmp_path: Path) -> None:
    digests = {"a": "1", "b": "2"}
    for photo, metric, sha256 in (("a", "psnr", "1"), ("b", "psnr", "2"), ("a", "ssim", "1"), ("b", "ssim", "old")):
        part(sha256).write(tmp_path / f"{photo}.{metric}.json")
    results, missing = meaning.results_of(tmp_path, digests)
    assert [each.name for each in results] == ["psnr"]
    assert missing["ssim"] == ["b"]
    assert missing["sess"] == ["a", "b"]
    part("2", weights={"a": "c"}).write(tmp_path / "b.psnr.json")
    with pytest.raises(SystemExit, match=r"Run again with --metric psnr --again"):
        meaning.results_of(tmp_path, digests)


def test_a_run_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def made(metric: str, shared: object) -> Metric:
        calls.append(metric)
        return Fake(Runtime("lite"))

    monkeypatch.setattr(meaning, "photos", lambda count: [(f"photo {i}", photo(i)) for i in range(count)])
    monkeypatch.setattr(meaning, "PhotoMasks", lambda runtime: masks_of)
    monkeypatch.setattr(meaning, "_made", made)
    name, sha256 = meaning._do(meaning.Job(0, ("psnr",), tmp_path, False))
    assert (name, calls) == ("photo 0", ["psnr"])
    assert meaning._do(meaning.Job(0, ("psnr", "ssim"), tmp_path, False)) == (name, sha256)
    assert calls == ["psnr", "ssim"]
    meaning._do(meaning.Job(0, ("ssim",), tmp_path, True))
    assert calls == ["psnr", "ssim", "ssim"]
    scores = meaning.Part.read(tmp_path / "photo 0.psnr.json")
    assert scores is not None
    assert [level for kind, level in scores.labels if kind == UNRELATED] == [f"photo {i}" for i in range(1, 9)]


def results(*names: str) -> list[meaning_page.Result]:
    scored: Scored = dict.fromkeys(HARMLESS, 0.9)
    scored = {**scored, ("removal", 1.0): 0.8, ("removal", 2.0): 0.7, (UNRELATED, "a"): 0.1, (UNRELATED, "b"): 0.3}
    changed: Scored = {**scored, **{(edit, strength): 1 - strength for edit in EDITS for strength in STRENGTHS}}
    without: Scored = {label: value for label, value in changed.items() if label[0] != "swap"}
    return [
        meaning_page.Result(
            name=name,
            metric=name.partition("_")[0],
            weights={"vit": "img.1@abc"},
            details={"variant": "demo"} if "_" in name else {},
            scores={"cow": changed, "canyon": without},
            left_out={"canyon": {"swap": "Expected 2 or more objects"}},
        )
        for name in names
    ]


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    digests = {"cow": "1", "canyon": "2"}
    meaning.save(results("sess_demo", "psnr"), digests, tmp_path / "r.json")
    text = (tmp_path / "r.json").read_text(encoding="utf-8")
    assert json.loads(text)["photos"]["cow"]["images"][0] == ["jpeg", 60.0]
    assert meaning.load(tmp_path / "r.json") == (results("sess_demo", "psnr"), digests)


def run_main(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> None:
    """The command line on two photos, whose scores are in folder/work."""
    work = folder / "work"
    monkeypatch.setattr(meaning, "PHOTOS", 2)
    monkeypatch.setattr(meaning, "RESULTS", folder / "meaning.json")
    monkeypatch.setattr(meaning, "PAGE", folder / "meaning.md")
    monkeypatch.setattr(meaning, "_made", lambda metric, shared: None)
    monkeypatch.setattr(meaning, "run", lambda count, *_, **__: dict(list({"cow": "1", "canyon": "2"}.items())[:count]))
    monkeypatch.setattr(meaning_page, "write_unrelated", lambda results: None)
    monkeypatch.setattr(meaning_page, "draw", lambda results, file: None)
    monkeypatch.setattr("sys.argv", ["meaning", "--work", str(work), *arguments])
    meaning.main()


def test_one_metric_anew_keeps_the_others_of_the_same_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "meaning.json"
    for result in results("ssim"):
        for name, scored in result.scores.items():
            sha256, labels, scores = {"cow": "1", "canyon": "2"}[name], list(scored), list(scored.values())
            part(sha256, labels=labels, scores=scores).write(tmp_path / "work" / f"{name}.ssim.json")
    for old, expected in (({"cow": "1", "canyon": "2"}, ["sess_demo", "ssim"]), ({"cow": "1", "canyon": ""}, ["ssim"])):
        meaning.save(results("sess_demo", "ssim"), old, file)
        run_main(monkeypatch, tmp_path, "--metric", "ssim")
        assert [each.name for each in meaning.load(file)[0]] == expected
        assert meaning.load(file)[1] == {"cow": "1", "canyon": "2"}
    before = file.read_text(encoding="utf-8")
    for arguments, code in ((["--metric", "psnr,ssim"], 1), (["--metric", "ssim", "--photos", "1"], 0)):
        with pytest.raises(SystemExit) as stopped:
            run_main(monkeypatch, tmp_path, *arguments)
        assert stopped.value.code == code
        assert file.read_text(encoding="utf-8") == before
        assert (tmp_path / "work" / "meaning.md").exists()
    with pytest.raises(SystemExit, match="found fid"):
        run_main(monkeypatch, tmp_path, "--metric", "fid")


def test_the_page_keeps_its_text_and_gets_tables_and_picture(tmp_path: Path) -> None:
    page = tmp_path / "meaning.md"
    page.write_text("# Title\n\nBefore.\n\n<!-- tables -->\nold\n<!-- /tables -->\n\nAfter.\n", encoding="utf-8")
    meaning_page.write(results("sess_demo", "psnr"), page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Title\n\nBefore.\n\n<!-- tables -->\n![")
    assert text.endswith("<!-- /tables -->\n\nAfter.\n")
    assert "old" not in text
    assert "- swap: too few objects in canyon.\n" in text
    assert "| JPEG 60 | 0.900<br>0.900 … 0.900 |" in text
    assert "| remove 1 | 0.000<br>" in text
    assert "| sess_demo | 1.00<br>" in text
    assert "| psnr | 1.00<br>1.00 … 1.00 | 1.00<br>1.00 … 1.00 | 100.0%" in text
    assert (tmp_path / "images" / "meaning.png").stat().st_size > 5000
    for table in text.split("\n\n"):
        if table.startswith("| "):
            assert len({line.count("|") for line in table.splitlines() if line.startswith("|")}) == 1


def test_reports_get_the_unrelated_images(tmp_path: Path) -> None:
    meaning_page.write_unrelated(results("sess_demo", "psnr"), tmp_path / "s.json")
    found = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    assert (found["photos"], found["pairs"]) == (2, 4)
    row = {"mean": 0.2, "best": 0.3, "weights": {"vit": "img.1"}}
    assert found["rows"] == [
        {**row, "metric": "sess", "details": {"variant": "demo"}},
        {**row, "metric": "psnr", "details": {}},
    ]


def test_shares_by_rank() -> None:
    scored: dict[Label, float] = dict.fromkeys(HARMLESS[:2], 0.9) | {("insert", 1.0): 0.9, (UNRELATED, "a"): 0.1}
    scored |= {("remove", 0.5): 0.0, ("jpeg", 3.0): 0.0}  # neither is in the picture
    (result,) = results("psnr")
    own = meaning_page.Result(**{**vars(result), "scores": {"x": scored}})
    third = 1 / 3
    assert meaning_page.shares_by_rank(own, 4) == pytest.approx(
        np.array([[1, 0, 0, 0], [0, third, third, third], [0, 2 * third, 2 * third, 2 * third]])
    )


def test_labels_in_words() -> None:
    labels = (("contrast", -0.15), ("gamma", 0.8), ("downscaling", 2.0), ("translation", ""), ("swap", 0.5))
    words = ["contrast −15%", "gamma 0.8", "half size and back", "translation", "swap 0.5"]
    assert [meaning_page.name_of(label) for label in labels] == words


def test_every_metric_is_of_the_profile_lite() -> None:
    from semetric.metrics.registry import METRICS, default_metrics
    from semetric.profiles import profile

    assert {name for name, _ in meaning.METRICS.values()} == set(default_metrics(profile("lite"))) - {"mse"}
    for name, options in meaning.METRICS.values():
        assert set(options) <= set(METRICS[name].options)
