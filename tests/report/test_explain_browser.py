"""The page in a browser: pointer, keys, touch, maps, and what the browser refuses to run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from explain_pages import LPIPS, explanation, samscore, scores_of
from fake_graphs import discs, photo, sess_score

from semetric.report.explain.data import Explanation, gather
from semetric.report.explain.page import render

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

DESK, PHONE = (1280, 900), (390, 844)  # px
Open = Callable[..., Any]


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Open]:
    """Opens a page from disk without a network; at the end nothing may have been complained of or asked for."""
    wrong: list[str] = []
    contexts = []

    def open_(found: Explanation | str, size: tuple[int, int] = DESK, scheme: str = "light") -> Any:
        text = found if isinstance(found, str) else render(found)
        file = tmp_path / "a report.html"
        file.write_text(text, encoding="utf-8")
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, has_touch=size == PHONE, offline=True
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: wrong.append(request.url) if not local(request.url, file) else None)
        page.goto(file.as_uri())
        page.complaints = wrong
        return page

    yield open_
    for context in contexts:
        context.close()
    assert wrong == []


def local(url: str, file: Path) -> bool:
    return url == file.as_uri() or url.startswith("data:")


@pytest.fixture(scope="module")
def pair() -> Explanation:
    return explanation(6, 9)


def lit(page: Any) -> list[str]:
    """The identifiers of the objects that stand out."""
    found: list[str] = page.eval_on_selector_all("path.o.on", "paths => paths.map(path => path.id)")
    return sorted(found)


def panel(page: Any) -> str:
    text: str = page.inner_text("#panel")
    return " ".join(text.split())


def centre(page: Any, identifier: str) -> tuple[float, float]:
    box = page.locator(identifier).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE])
def test_it_opens_from_disk_and_fits_the_screen(
    opened: Open, pair: Explanation, size: tuple[int, int], scheme: str
) -> None:
    page = opened(pair, size, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    for view in page.locator("svg.view").all():
        box = view.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= size[0]
        assert box["width"] >= 170  # px; two images share a phone's width
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 23, 27)")
    smallest = page.evaluate("""Math.min(...[...document.querySelectorAll("main *, header *")]
        .filter(e => !e.closest("svg") && [...e.childNodes].some(c => c.nodeType === 3 && c.data.trim()))
        .map(e => parseFloat(getComputedStyle(e).fontSize)))""")
    assert smallest >= 11  # px


def test_pointing_at_an_object_lights_its_match_and_says_why(opened: Open, pair: Explanation) -> None:
    page = opened(pair)
    one, two = pair.sides
    assert lit(page) == []
    for each in (one.objects[-1], one.objects[-2]):  # the smallest lie on top
        page.mouse.move(*centre(page, f"#o0-{each.index}"))
        assert lit(page) == [f"o0-{each.index}", f"o1-{each.match}"]
        words = panel(page)
        assert each.match is not None
        assert f"Object {each.number} of the reference" in words
        assert f"{each.before:.3f} before → {each.after:.3f} after".replace("-", "−") in words
        assert each.adds is not None
        assert f"{each.adds:+.3f} to SeSS".replace("-", "−") in words
        assert f"gives {each.gain:.3f} of {each.bound:.3f}".replace("-", "−") in words
        assert pair.account is not None
        assert f"{100 * each.adds / pair.account.matching.score:.1f}% of it".replace("-", "−") in words
        assert (
            f"Importance {100 * each.importance:.1f}%, its match {100 * two.objects[each.match].importance:.1f}%"
            in words
        )
        own = [r for r in one.relations if each.index in (r.subject, r.target)]
        assert page.locator("#panel .rels li").count() == len(own)
        for relation in own:
            ends = one.objects[relation.subject].number, one.objects[relation.target].number
            assert f"{ends[0]} {relation.predicate} {ends[1]} {relation.probability:.2f}" in words
        assert page.locator("svg.view[data-s='0'] .links path.head").count() == len(own)
    page.mouse.move(5, 5)
    assert lit(page) == []
    assert "Point at an object" in panel(page)


def test_objects_without_a_match_light_alone(opened: Open, pair: Explanation) -> None:
    page = opened(pair)
    alone = next(each for each in pair.sides[1].objects if each.match is None)
    page.locator(f"#o1-{alone.index}").dispatch_event("click")
    assert lit(page) == [f"o1-{alone.index}"]
    assert "Match no real counterpart" in panel(page)
    assert alone.nearest is not None
    assert f"similarity {alone.nearest[1]:.2f}".replace("-", "−") in panel(page)


def test_a_click_keeps_an_object_until_it_is_let_go(opened: Open, pair: Explanation) -> None:
    page = opened(pair)
    each = pair.sides[0].objects[-1]
    both = [f"o0-{each.index}", f"o1-{each.match}"]
    page.mouse.click(*centre(page, f"#o0-{each.index}"))
    page.mouse.move(5, 5)
    assert lit(page) == both
    page.click(".release")
    assert lit(page) == []
    page.mouse.click(*centre(page, f"#o0-{each.index}"))
    page.keyboard.press("Escape")
    page.mouse.move(5, 5)
    assert lit(page) == []


def test_every_object_is_reached_by_keys(opened: Open, pair: Explanation) -> None:
    page = opened(pair)
    page.focus("#outlines")
    for side, other in ((0, 1), (1, 0)):
        objects = pair.sides[side].objects
        page.keyboard.press("Tab")
        seen = []
        for _ in objects:
            seen.append(page.evaluate("document.activeElement.id"))
            each = objects[int(seen[-1].partition("-")[2])]
            expected = [seen[-1]] + ([] if each.match is None else [f"o{other}-{each.match}"])
            assert lit(page) == sorted(expected)
            page.keyboard.press("ArrowRight")
        assert sorted(seen) == sorted(f"o{side}-{each.index}" for each in objects)
        assert objects[int(seen[0].partition("-")[2])].rank == 0  # the one that adds most comes first
    page.keyboard.press("Enter")
    page.evaluate("document.activeElement.blur()")
    assert len(lit(page)) > 0
    page.keyboard.press("Escape")
    assert lit(page) == []


def test_keys_go_on_into_the_panel_and_back(opened: Open, pair: Explanation) -> None:
    page = opened(pair)
    page.focus("path.o[data-i='0'] >> nth=1")  # of the second image
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    kept = lit(page)
    assert len(kept) >= 1
    assert page.evaluate("document.activeElement.matches('#panel .chip')")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "release"
    page.keyboard.press("Tab")  # the match, or the nearest
    name = page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Enter")
    assert f"Object {name} of the reference" in panel(page)
    assert page.evaluate("document.activeElement.matches('#panel .chip')")
    page.click(".release")
    assert page.evaluate("document.activeElement.id").startswith("o0-")


def test_a_tap_on_a_phone_shows_the_object(opened: Open, pair: Explanation) -> None:
    page = opened(pair, PHONE)
    each = pair.sides[0].objects[-1]
    page.touchscreen.tap(*centre(page, f"#o0-{each.index}"))
    assert lit(page) == [f"o0-{each.index}", f"o1-{each.match}"]
    assert f"Object {each.number}" in panel(page)


@pytest.mark.parametrize("height", [844, 667])
def test_on_a_phone_the_lit_match_stays_in_sight(opened: Open, pair: Explanation, height: int) -> None:
    wide = gather(scores_of(sess_score(discs(6, (400, 600)), discs(9, (400, 600), seed=1))), *[photo((400, 600))] * 2)
    for found in (pair, wide):
        page = opened(found, (390, height))
        page.locator("path.o >> nth=0").dispatch_event("click")
        sheet = page.locator("#panel").bounding_box()
        assert sheet["height"] <= 0.4 * height
        for view in page.locator("svg.view").all():
            box = view.bounding_box()
            assert box["y"] >= 0
            assert box["y"] + box["height"] <= sheet["y"] + 0.5  # px; fractions of a pixel
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_on_a_phone_a_relation_takes_one_line(opened: Open, pair: Explanation) -> None:
    page = opened(pair, PHONE)
    cell = page.locator(".relations tbody td:first-child").first
    chips = [chip.bounding_box()["y"] for chip in cell.locator(".chip").all()]
    assert max(chips) - min(chips) < 2  # px
    words = "[...document.querySelectorAll('.predicate')].map(e => e.getClientRects().length)"
    assert set(page.evaluate(words)) <= {0, 1}  # 0: folded away


def test_rows_light_what_they_speak_of(opened: Open, pair: Explanation) -> None:
    page = opened(pair)
    relation = pair.sides[0].relations[0]
    page.locator(".relations tr[data-s='0']").first.hover()
    assert {f"o0-{relation.subject}", f"o0-{relation.target}"} <= set(lit(page))
    page.locator(".parts:not(.lost) .chip").first.click()
    first = next(each for each in pair.sides[0].objects if each.rank == 0)
    assert lit(page) == [f"o0-{first.index}", f"o1-{first.match}"]
    box = page.locator("svg.view").first.bounding_box()
    assert box["y"] + box["height"] > 60  # the images are in sight again
    assert box["y"] < DESK[1]


def test_maps_lie_over_both_images(opened: Open, pair: Explanation) -> None:
    page = opened(pair)
    assert page.locator("image.map:visible").count() == 0
    page.check("input[value=samscore]")
    assert page.locator("image.map:visible").count() == 2
    assert page.locator(".legend:visible").count() == 1
    for level in ("25", "90"):
        page.fill("#opacity", level)
        shown = page.eval_on_selector_all("image.map.shown", "maps => maps.map(map => getComputedStyle(map).opacity)")
        assert [float(value) for value in shown] == [int(level) / 100] * 2
    box = page.locator("svg.view").nth(1).bounding_box()
    cells = samscore().artefacts["map"]  # 48 × 64 cells
    for row, column in ((0, 0), (24, 32), (47, 63)):
        page.mouse.move(box["x"] + box["width"] * (column + 0.5) / 64, box["y"] + box["height"] * (row + 0.5) / 48)
        said = page.inner_text(".legend.shown .here")
        assert said.startswith("Here ")
        # two decimals of one of 255 levels
        assert float(said.removeprefix("Here ").rstrip(".")) == pytest.approx(cells[row, column], abs=0.008)
    page.check("input[value=lpips]")
    assert page.locator("image.map:visible").count() == 2
    page.check("input[value=none]")
    assert page.locator("image.map:visible").count() == 0


def test_outlines_can_be_taken_away(opened: Open, pair: Explanation) -> None:
    page = opened(pair)
    width = "getComputedStyle(document.querySelector('path.o')).strokeOpacity"
    assert float(page.evaluate(width)) == 1
    page.uncheck("#outlines")
    assert float(page.evaluate(width)) == 0


def test_a_page_without_sess_and_maps_works(opened: Open) -> None:
    page = opened(gather(scores_of(LPIPS), photo((50, 400)), photo((400, 50))), PHONE)
    assert page.locator("svg.view").count() == 2
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    assert page.locator("#panel, .controls, path.o").count() == 0
    page.locator("svg.view").first.click()
    page.keyboard.press("Escape")


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 2), (2, 0)])
def test_an_image_without_objects_breaks_nothing(opened: Open, n: int, m: int) -> None:
    page = opened(explanation(n, m))
    for view in page.locator("svg.view").all():
        view.click()
    for shape in page.locator("path.o").all():
        shape.dispatch_event("click")
        assert len(lit(page)) == 1
    page.keyboard.press("Escape")
    page.check("input[value=samscore]")
    assert lit(page) == []


def test_hostile_names_run_nothing(opened: Open) -> None:
    name = "</script><img src=x onerror='window.hit=1'><script>window.hit=1</script>\"'.png"
    shown = name.rpartition("/")[2]
    page = opened(explanation(3, 3, names=(name, name), notes={"image": [name]}))
    assert page.evaluate("window.hit") is None
    assert page.locator("h1 bdi").first.inner_text() == shown


def test_the_browser_refuses_what_the_policy_does_not_name(opened: Open, pair: Explanation) -> None:
    text = render(pair)
    added = "<script>window.hit=1</script><p style='color:red' id=styled>x</p><img src='https://example.com/a.png'>"
    page = opened(text.replace("</main>", added + "</main>"))
    assert page.evaluate("window.hit") is None
    assert page.evaluate("getComputedStyle(document.getElementById('styled')).color") != "rgb(255, 0, 0)"
    refused = [complaint for complaint in page.complaints if "Content Security Policy" in complaint]
    assert {kind for kind in ("script", "style", "image") if any(kind in words for words in refused)} == {
        "script",
        "style",
        "image",
    }
    page.complaints.clear()
