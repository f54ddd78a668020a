"""The pages in a browser: keys alone, two people at once, a closed tab, phones, and what goes wrong on the way."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from PIL import Image
from web_clients import link_for

from semetric.learn.judgements import Item, JudgementStore
from semetric.web.app import create_app
from semetric.web.settings import ServerSettings
from semetric.web.signing import Signer, study_secret

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

DESK, PHONE = (1280, 800), (390, 844)  # px
SHOWN = "body[data-shown]"


class Site:
    """A server in a thread, and browsers that visit it."""

    def __init__(self, browser: Any, path: Path) -> None:
        self.browser = browser
        self.path = path
        self.listening = socket.create_server(("127.0.0.1", 0))
        port = self.listening.getsockname()[1]
        self.base = f"http://127.0.0.1:{port}"
        made = create_app(ServerSettings(study=path, port=port, compare=False))
        self.server = uvicorn.Server(uvicorn.Config(made.asgi, log_level="warning", ws="none"))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listening]})
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        self.complaints: list[str] = []
        self.contexts: list[Any] = []

    def context(self, size: tuple[int, int] = DESK) -> Any:
        context = self.browser.new_context(
            viewport={"width": size[0], "height": size[1]}, has_touch=size == PHONE, is_mobile=size == PHONE
        )
        self.contexts.append(context)
        return context

    def open(self, link: str, context: Any = None, size: tuple[int, int] = DESK) -> Any:
        page = (context or self.context(size)).new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(link)
        return page

    def begin(self, name: str, context: Any = None, size: tuple[int, int] = DESK) -> Any:
        page = self.open(link_for(self.path, name, self.base), context, size)
        page.keyboard.press("Enter")  # the button that begins has the focus
        page.wait_for_selector(SHOWN)
        return page

    def admin(self, size: tuple[int, int] = DESK) -> Any:
        with JudgementStore(self.path) as store:
            token = Signer(study_secret(store)).sign("admin", {"role": "admin"}, lifetime_s=600)
        return self.open(f"{self.base}/admin/enter/{token}", size=size)

    def judged(self, standing: bool = True) -> list[Any]:
        with JudgementStore(self.path) as store:
            return list(store.judgements(store.study(), standing=standing))

    def close(self) -> None:
        for context in self.contexts:
            context.close()
        self.server.should_exit = True
        self.thread.join(30)
        self.listening.close()


@pytest.fixture
def site(browser: Any, study_file: Callable[..., Path]) -> Iterator[Callable[..., Site]]:
    """Starts a server on a new study; at the end no page may have complained of anything."""
    made: list[Site] = []

    def start(*args: Any, **options: Any) -> Site:
        made.append(Site(browser, study_file(*args, **options)))
        return made[-1]

    yield start
    for found in made:
        found.close()
    assert [words for found in made for words in found.complaints] == []


def uid(page: Any) -> str:
    shown: str = page.get_attribute("body", "data-shown")
    return shown


def press(page: Any, *keys: str) -> None:
    """Keys that answer, and the wait for the next item or the end."""
    before = uid(page)
    for key in keys:
        page.keyboard.press(key)
    page.wait_for_function("before => document.body.dataset.shown !== before", arg=before)


def stored(page: Any, count: int) -> None:
    page.wait_for_function("count => document.getElementById('bar').value === count", arg=count)


@pytest.mark.parametrize(
    ("kind", "keys", "key"),
    [
        ("choice", ("1",), "choice"),
        ("choice", ("ArrowRight",), "choice"),
        ("same", ("d",), "same"),
        ("score", ("7", "f", "Enter"), "score_a"),
        ("score", ("3", "ArrowUp", "ArrowRight", "0", "Enter"), "score_a"),
    ],
)
def test_a_study_is_judged_with_keys_alone(
    site: Callable[..., Site], kind: str, keys: tuple[str, ...], key: str
) -> None:
    found = site(kind, items=3)
    page = found.begin("Ada")
    for _ in range(3):
        press(page, *keys)
    page.wait_for_selector("#done:visible")
    judged = found.judged()
    assert sorted(one.key for one in judged) == ["i0", "i1", "i2"]
    for one in judged:
        left_is_a = one.shown_left == "a"
        if kind == "choice":
            assert one.answer.choice == ("a" if left_is_a == (keys == ("1",)) else "b")
        elif kind == "same":
            assert one.answer.same is False
        else:
            left, right = (0.7, 1.0) if keys[0] == "7" else (0.3, 0.0)
            if len(keys) == 5:  # the arrow went to the image on the right, which had got the focus after the digit
                right = 0.0
            assert (one.answer.score_a, one.answer.score_b) == ((left, right) if left_is_a else (right, left))
        assert 0 < one.seconds < 20
    assert getattr(judged[0].answer, key) is not None


def test_two_annotators_at_once_and_a_tab_that_is_closed(site: Callable[..., Site]) -> None:
    found = site(items=4)
    context = found.context()
    ada, grace = found.begin("Ada", context), found.begin("Grace")
    for _ in range(2):
        press(ada, "1")
        press(grace, "2")
    stored(ada, 2)
    before, images = uid(ada), ada.eval_on_selector_all(".frame img", "all => all.map(image => image.src)")
    ada.close()
    press(grace, "2")
    ada = found.open(f"{found.base}/annotate", context)  # the same browser, no link
    ada.keyboard.press("Enter")
    ada.wait_for_selector(SHOWN)
    assert uid(ada) == before
    assert ada.eval_on_selector_all(".frame img", "all => all.map(image => image.src)") == images
    assert ada.inner_text("#count") == "2 of 4"
    for _ in range(2):
        press(ada, "1")
    press(grace, "2")
    for page in (ada, grace):
        page.wait_for_selector("#done:visible")
    pairs = sorted((one.annotator, one.key) for one in found.judged(standing=False))
    assert pairs == sorted((name, f"i{k}") for name in ("Ada", "Grace") for k in range(4))


def test_undo_brings_the_images_back(site: Callable[..., Site]) -> None:
    found = site(items=2)
    page = found.begin("Ada")
    pixels = "all => all.map(image => { const c = document.createElement('canvas').getContext('2d');" + (
        "c.drawImage(image, 0, 0); return c.getImageData(0, 0, 1, 1).data[0]; })"
    )
    first = page.eval_on_selector_all(".frame img", pixels)
    press(page, "1")
    assert page.eval_on_selector_all(".frame img", pixels) != first
    press(page, "u")
    assert page.eval_on_selector_all(".frame img", pixels) == first
    press(page, "2")
    press(page, "2")
    page.wait_for_selector("#done:visible")
    page.keyboard.press("u")  # from the end, too
    page.wait_for_selector("#stage:visible")
    page.wait_for_selector(SHOWN)
    press(page, "1")
    page.wait_for_selector("#done:visible")
    assert [one.retracted_utc is None for one in found.judged(standing=False)] == [False, True, False, True]


def test_an_undo_while_images_load_never_shows_one_item_and_stores_another(site: Callable[..., Site]) -> None:
    """The second item's images come late, and after those of the first, which was undone meanwhile."""
    found = site(items=2)
    page = found.begin("Ada")
    first = uid(page)
    page.wait_for_timeout(200)  # the images of both items are loaded ahead
    page.evaluate("() => { window.late = []; queue[0].ready = new Promise(done => { window.late.push(done); }); }")
    page.keyboard.press("1")
    stored(page, 1)
    page.wait_for_timeout(300)  # the page waits for the second item now
    page.keyboard.press("u")
    page.wait_for_function("first => document.body.dataset.shown !== first", arg=first)
    again = uid(page)
    page.evaluate("() => window.late.forEach(done => done())")
    page.wait_for_timeout(200)
    assert uid(page) == again  # what was asked for first came last, and shows nothing
    page.keyboard.press("2")
    stored(page, 1)
    undone, stands = found.judged(standing=False)
    assert (undone.uid, stands.uid, undone.key) == (first, again, stands.key)


def test_an_undo_that_fails_while_images_load_leaves_the_keys_off(site: Callable[..., Site]) -> None:
    found = site(items=2)
    page = found.begin("Ada")
    page.wait_for_timeout(200)
    page.evaluate("() => { queue[0].ready = new Promise(done => { window.late = done; }); }")
    page.keyboard.press("1")
    stored(page, 1)
    page.wait_for_timeout(300)
    page.route("**/annotate/undo", lambda route: route.abort())
    page.keyboard.press("u")
    page.wait_for_selector("#status:has-text('nothing was undone')")
    page.keyboard.press("2")  # the first item is on the screen still
    page.wait_for_timeout(300)
    assert len(found.judged(standing=False)) == 1
    page.evaluate("() => window.late()")
    press(page, "2")
    page.wait_for_selector("#done:visible")
    assert len(found.judged()) == 2
    found.complaints.clear()


def test_a_session_that_runs_out_is_not_the_end_of_the_work(site: Callable[..., Site]) -> None:
    found = site(items=1)
    page = found.begin("Ada")
    page.route("**/annotate/next", lambda route: route.fulfill(status=401, json={"error": "Your link has run out."}))
    page.keyboard.press("1")
    page.wait_for_selector("#status:has-text('run out')")
    page.wait_for_timeout(900)  # the page asks again after half a second at most
    assert page.is_hidden("#done")
    found.complaints.clear()  # of status 401


def test_a_key_held_down_answers_once(site: Callable[..., Site]) -> None:
    found = site(items=6)
    page = found.begin("Ada")
    for _ in range(10):
        page.keyboard.down("1")  # the second and later ones are repeats
        page.wait_for_timeout(50)
    page.keyboard.up("1")
    stored(page, 1)
    assert len(found.judged()) == 1


def test_an_answer_waits_for_the_connection_and_is_stored_once(site: Callable[..., Site]) -> None:
    found = site(items=3)
    context = found.context()
    page = found.begin("Ada", context)
    lost = []

    def lose(route: Any) -> None:
        """The first answer reaches the server, and its reply gets lost; the second does not even reach it."""
        lost.append(route.request.post_data)
        if len(lost) == 1:
            route.fetch()
        if len(lost) <= 2:
            route.abort()
        else:
            route.continue_()

    page.route("**/annotate/answer", lose)
    page.keyboard.press("1")
    page.wait_for_selector("#status:has-text('Trying again')")
    page.wait_for_selector("#status:has-text('already')")
    stored(page, 1)
    assert lost[0] == lost[1] == lost[2]
    assert len(found.judged(standing=False)) == 1
    refused = [words for words in found.complaints if "ERR_FAILED" in words]
    assert len(refused) == 2
    found.complaints.clear()


@pytest.mark.parametrize("kind", ["choice", "score", "same"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_everything_is_in_view_and_nothing_moves(site: Callable[..., Site], kind: str, size: tuple[int, int]) -> None:
    found = site(kind, items=3, name="a study with quite a long name, longer than a phone is wide")
    page = found.begin("Ada", size=size)
    boxes = "['.frame', 'button:not([hidden])', '#status'].map(s => [...document.querySelectorAll(s)].map(e => {" + (
        "const b = e.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom]; }))"
    )
    before = page.evaluate(boxes)
    visible = [box for group in before for box in group if box[2] > box[0]]
    assert len(visible) >= 5
    assert all(box[0] >= 0 and box[2] <= size[0] and box[1] >= 0 and box[3] <= size[1] for box in visible)
    assert page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]") == list(size)
    frames = before[0]
    # images are what the screen is for: more than half of it, here without captions and controls
    assert sum((b[2] - b[0]) * (b[3] - b[1]) for b in frames) > 0.5 * size[0] * size[1]
    press(page, *{"choice": "1", "same": "s", "score": "55"}[kind], *(["Enter"] if kind == "score" else []))
    stored(page, 1)
    assert page.evaluate(boxes)[0] == frames
    names = page.eval_on_selector_all(".frame img", "all => all.map(image => image.alt)")
    assert all(names)
    assert not [name for name in names if re.search(r"\b[ab]\b|png|i\d", name)]
    unlabelled = "all => all.filter(e => !(e.labels?.length || e.ariaLabel || e.textContent.trim())).length"
    assert page.eval_on_selector_all("button, input, progress", unlabelled) == 0


SIZES = """() => [...document.querySelectorAll("figure")].map(figure => {
    const [image, frame] = [figure.querySelector("img"), figure.querySelector(".frame")];
    const below = figure.lastElementChild;
    const [box, space, control] = [image, frame, below].map(each => each.getBoundingClientRect());
    return {scale: [box.width / image.naturalWidth, box.height / image.naturalHeight],
        inside: box.left >= space.left - 1 && box.right <= space.right + 1 && box.top >= space.top - 1,
        gap: control.top - box.bottom, apart: Math.abs(box.left + box.right - control.left - control.right) / 2};
})"""


@pytest.mark.parametrize("kind", ["choice", "score", "same"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("side", [60, 2000], ids=["small", "large"])
def test_images_have_one_scale_and_stand_on_their_buttons(
    site: Callable[..., Site], kind: str, size: tuple[int, int], side: int
) -> None:
    found = site(kind, items=0)
    with JudgementStore(found.path) as store:
        study = store.study()
        for name, shape in (("r", (side, side)), ("x", (side // 2, side // 3)), ("y", (side // 3, side // 2))):
            Image.new("RGB", shape, "teal").save(store.root(study) / f"{name}.png")
        store.add_items(study, [Item(key="i", reference="r.png", a="x.png", b=None if kind == "same" else "y.png")])
    page = found.begin("Ada", size=size)
    shown = page.evaluate(SIZES)
    scales = [scale for each in shown for scale in each["scale"]]
    assert max(scales) == pytest.approx(min(scales), rel=0.02)  # boxes are told in 64ths of a pixel
    assert max(scales) == 1 if side == 60 else max(scales) < 1
    assert all(each["inside"] for each in shown)
    assert all(0 <= each["gap"] < 16 and each["apart"] <= 1 for each in shown)  # px
    page.set_viewport_size({"width": size[0] - 40, "height": size[1] - 200})
    page.wait_for_function(f"() => ({SIZES})().every(each => each.inside)")  # the page lays itself out after the resize


def test_a_slider_without_a_value_has_no_thumb(site: Callable[..., Site]) -> None:
    page = site("score", items=2).begin("Ada")
    left = page.locator("#score-left")
    bare = left.screenshot()
    page.evaluate("document.getElementById('score-left').value = 1")
    assert left.screenshot() == bare  # no place of it is seen
    page.keyboard.press("5")
    assert left.screenshot() != bare
    assert page.inner_text("#value-left") == "0.50"


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_an_annotator_is_excluded_on_the_administrators_page(site: Callable[..., Site], size: tuple[int, int]) -> None:
    found = site(items=2)
    ada = found.begin("Ada")
    press(ada, "1")
    stored(ada, 1)
    page = found.admin(size)
    page.click("[data-change=revoke]")
    page.wait_for_function("document.getElementById('status').textContent.startsWith('No link')")
    page.click("[data-change=exclude]")
    page.wait_for_selector("[data-change=include]")
    assert found.judged() == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert page.evaluate("[...document.querySelectorAll('.scroll')].every(e => e.scrollWidth <= e.clientWidth)")
    page.click("[data-change=include]")
    page.wait_for_selector("[data-change=exclude]")
    assert len(found.judged()) == 1
    found.complaints.clear()  # Ada's page has asked with a link that holds no more


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_light_or_dark_as_the_system_is(site: Callable[..., Site], scheme: str) -> None:
    found = site(items=2)
    page = found.admin()
    page.emulate_media(color_scheme=scheme)
    contrast = """() => [...document.querySelectorAll("h1, h2, p, dt, dd, th, td, button:not(:disabled), .button")]
        .filter(e => e.offsetParent).map(e => {
            const rgb = c => c.match(/[\\d.]+/g).map(Number);
            let ground = e;
            while (rgb(getComputedStyle(ground).backgroundColor)[3] === 0) ground = ground.parentElement;
            return [getComputedStyle(e).color, getComputedStyle(ground).backgroundColor].map(rgb);
        })"""
    seen = page.evaluate(contrast)
    assert len(seen) > 10
    for ink, ground in seen:
        assert ratio(ink[:3], ground[:3]) >= 7  # WCAG's AAA
    light = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).map(Number)"))
    assert (light > 0.5) == (scheme == "light")


def luminance(rgb: list[float]) -> float:
    """WCAG's relative luminance of 8-bit sRGB."""
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (value / 255 for value in rgb)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def ratio(one: list[float], two: list[float]) -> float:
    dark, light = sorted((luminance(one), luminance(two)))
    return (light + 0.05) / (dark + 0.05)


def test_touch_is_enough(site: Callable[..., Site]) -> None:
    found = site(items=2)
    page = found.open(link_for(found.path, "Ada", found.base), size=PHONE)
    page.tap("#begin")
    page.wait_for_selector(SHOWN)
    for target in ("#frame-left", "[data-answer=right]"):
        before = uid(page)
        page.tap(target)
        page.wait_for_function("before => document.body.dataset.shown !== before", arg=before)
    page.wait_for_selector("#done:visible")
    one, two = found.judged()
    assert one.answer.choice == one.shown_left
    assert two.answer.choice != two.shown_left


def test_help_is_one_key_away_and_stops_the_others(site: Callable[..., Site]) -> None:
    found = site(items=2)
    page = found.begin("Ada")
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open]")
    assert "Second <b>line</b>." in page.inner_text("dialog")
    page.keyboard.press("1")
    page.keyboard.press("u")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="hidden")
    assert found.judged() == []
    press(page, "1")
    stored(page, 1)


def test_the_focus_is_seen(site: Callable[..., Site]) -> None:
    page = site("score", items=1).begin("Ada")
    for _ in range(4):
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
        assert float(outline.removesuffix("px")) >= 2
        page.keyboard.press("Tab")


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_the_administrators_pages(site: Callable[..., Site], size: tuple[int, int]) -> None:
    found = site(items=2, name="<img src=x onerror='window.hit=1'> study")
    page = found.admin(size)
    page.fill("#name-1", "<script>window.hit=1</script>")
    page.click(".make")
    page.wait_for_selector("#made-1:visible")
    link = page.input_value("#url-1")
    ada = found.open(link, size=size)
    assert ada.inner_text("h1, h2 >> nth=0")
    ada.keyboard.press("Enter")
    ada.wait_for_selector(SHOWN)
    press(ada, "1")
    stored(ada, 1)
    page.reload()
    assert "<script>window.hit=1</script>" in page.inner_text("table")
    assert page.evaluate("window.hit") is None
    assert ada.evaluate("window.hit") is None
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    with page.expect_download() as download:
        page.click("a[download] >> nth=0")
    assert download.value.suggested_filename.endswith(".jsonl")
    assert '"record": "judgement"' in Path(download.value.path()).read_text(encoding="utf-8")
