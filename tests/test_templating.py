"""What goes into a page is escaped, and JSON stays inside its element."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import UndefinedError

from semetric.templating import _environment, page, source, source_digest


def filled(template: str, **content: object) -> str:
    return _environment().from_string(template).render(**content)


def test_text_is_escaped_in_elements_and_attributes() -> None:
    assert filled('<p title="{{ a }}">{{ a }}</p>', a="<b>\"'&") == (
        '<p title="&lt;b&gt;&#34;&#39;&amp;">&lt;b&gt;&#34;&#39;&amp;</p>'
    )
    assert filled("{{ a }}", a="{{ b }}") == "{{ b }}"  # a name that looks like a place in a template


@settings(max_examples=50)
@given(st.text(max_size=40))
def test_json_cannot_leave_its_element(text: str) -> None:
    written = filled("{{ data | tojson }}", data={"name": text})
    assert not set(written) & set("<>&\u2028\u2029")
    assert json.loads(written) == {"name": text}


def test_json_has_no_infinity() -> None:
    with pytest.raises(ValueError, match="JSON"):
        filled("{{ data | tojson }}", data=[float("nan")])


def test_a_name_that_is_missing_is_no_empty_text() -> None:
    with pytest.raises(UndefinedError, match="expired"):
        page("web/no_link.html")


def test_styles_and_scripts_stand_as_they_are_and_are_named_by_their_digest() -> None:
    script = source("explain/page.js")
    assert filled("{{ script }}", script=script) == script
    assert "=>" in script
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", source_digest(script))
