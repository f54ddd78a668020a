"""Markup stays markup, and what is not is escaped."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semetric.markup import Markup, fill, plain, script_json, tag


def test_what_is_added_to_markup_stays_markup_or_is_escaped() -> None:
    both = Markup(" · ") + tag("b", "1 < 2")
    assert isinstance(both, Markup)
    assert tag("p", both) == "<p> · <b>1 &lt; 2</b></p>"
    assert tag("p", tag("b", "a") + "<i>") == "<p><b>a</b>&lt;i&gt;</p>"


def test_other_text_is_escaped_once() -> None:
    assert plain(plain("<&>")) == "&lt;&amp;&gt;"
    assert plain(None) == ""


@settings(max_examples=50)
@given(st.text(max_size=40))
def test_json_cannot_leave_its_element(text: str) -> None:
    written = script_json({"name": text})
    assert not set(written) & set("<>&\u2028\u2029")
    assert json.loads(written) == {"name": text}


def test_json_has_no_infinity() -> None:
    with pytest.raises(ValueError, match="JSON"):
        script_json([float("nan")])


def test_markup_escapes_text_and_keeps_markup() -> None:
    inner = tag("b", "<i>")
    assert tag("p", inner, "&", None, class_='a"b', hidden=True, title=None, open=False) == (
        '<p class="a&quot;b" hidden><b>&lt;i&gt;</b>&amp;</p>'
    )
    assert tag("br") == "<br>"
    assert fill("{{a}}{{b}}", {"a": Markup("{{b}}"), "b": "2"}) == "{{b}}2"
