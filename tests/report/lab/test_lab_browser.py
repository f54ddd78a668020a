"""The page of a run in a browser: it fits, asks for nothing, complains of nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fake_runs as fake
import pytest

from semetric.report.lab import write_report

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

DESK, PHONE = (1280, 900), (390, 844)  # px
EVIL = "</title><script>window.hit=1</script><img src=x onerror='window.hit=1'>"


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page from disk without a network; at the end nothing may have been complained of or asked for."""
    wrong: list[str] = []
    contexts = []

    def open_(file: Path, size: tuple[int, int], scheme: str = "light") -> Any:
        width, height = size
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=size == PHONE, offline=True
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: None if own(request.url, file) else wrong.append(request.url))
        page.goto(file.as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()
    assert wrong == []


def own(url: str, file: Path) -> bool:
    return url.partition("#")[0] == file.as_uri() or url.startswith("data:")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("runs")
    plain = fake.channel(root / "plain", metrics=("sess",), examples=2)
    systems = [
        {"name": f"s{i}", "label": f"{EVIL} a long name of a system {'x' * 60} {i}", "levels": fake.RATES}
        for i in range(12)
    ]
    hostile = fake.write_run(
        root / "hostile",
        "edits",
        systems,
        lambda s, m, level: 0.2 * level,
        metrics=("sess",),
        images=[f"{EVIL.replace('/', '')}{'long' * 30}.png", "b.png"],
        edit=lambda row: row.update(error=EVIL * 5, value=None) if row["system"] == "s3" else None,
    )
    wide = fake.transform(root / "wide", metrics=("psnr", "sess"))
    return {"plain": write_report(plain), "hostile": write_report(hostile), "wide": write_report(wide)}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE])
@pytest.mark.parametrize("name", ["plain", "hostile"])
def test_it_opens_from_disk_and_fits_the_screen(
    opened: Callable[..., Any], pages: dict[str, Path], name: str, size: tuple[int, int], scheme: str
) -> None:
    page = opened(pages[name], size, scheme)
    page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true; })")
    assert page.evaluate("window.hit") is None
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 23, 27)")
    smallest = page.evaluate("""Math.min(...[...document.querySelectorAll("main *, header *")]
        .filter(e => [...e.childNodes].some(c => c.nodeType === 3 && c.data.trim()))
        .map(e => parseFloat(getComputedStyle(e).fontSize)))""")
    assert smallest >= 10.5  # px; intervals under their means
    broken = page.eval_on_selector_all("img", "all => all.filter(i => !i.complete || !i.naturalWidth).length")
    assert broken == 0


def test_wide_figures_and_tables_scroll_in_their_own_boxes(opened: Callable[..., Any], pages: dict[str, Path]) -> None:
    page = opened(pages["wide"], PHONE)
    assert page.locator(".wide .hint").first.is_visible()
    box = page.locator(".wide .scrolled").first
    assert box.evaluate("e => e.scrollWidth > e.clientWidth")
    plot = page.locator(".wide .plot").first.bounding_box()
    assert plot["width"] >= 7 * 96  # px: 7 inches, so that 7-point letters are as large as on paper
    page = opened(pages["plain"], PHONE)
    narrow = page.locator(".plots .plot").first.bounding_box()
    assert narrow["x"] + narrow["width"] <= PHONE[0]
    page.keyboard.press("Tab")
    page.locator("nav a").first.click()
    assert page.evaluate("location.hash") == "#found"


def test_headers_of_a_table_do_not_overlap(opened: Callable[..., Any], tmp_path: Path) -> None:
    page = opened(write_report(fake.deformation(tmp_path / "run", metrics=("sess",), images=("a.png", "b.png"))), DESK)
    boxes = page.eval_on_selector_all(
        "#found thead th",
        """all => all.map(e => { const r = document.createRange(); r.selectNodeContents(e);
            const b = r.getBoundingClientRect(); return [b.left, b.right]; })""",
    )
    assert len(boxes) == 5
    assert all(right <= left for (_, right), (left, _) in itertools.pairwise(boxes))
