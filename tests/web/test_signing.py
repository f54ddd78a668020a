from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semetric.errors import UsageError
from semetric.learn.judgements import JudgementStore
from semetric.web.signing import Signer, annotator_link, study_secret

SECRET = bytes(range(32))
SIGNER = Signer(SECRET, clock=lambda: 1000.0)


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3))
def test_what_was_signed_is_read_back(values: dict[str, object]) -> None:
    assert SIGNER.read("link", SIGNER.sign("link", values, lifetime_s=1)) == values


@given(st.text(max_size=60), st.integers(0, 200), st.characters())
def test_nothing_else_is(noise: str, place: int, letter: str) -> None:
    assert SIGNER.read("link", noise) is None
    token = SIGNER.sign("link", {"annotator": 1}, lifetime_s=1)
    changed = token[: place % len(token)] + letter + token[place % len(token) + 1 :]
    assert SIGNER.read("link", changed) == ({"annotator": 1} if changed == token else None)


def test_purpose_secret_and_time_count() -> None:
    token = SIGNER.sign("link", {"annotator": 1}, lifetime_s=10)
    assert SIGNER.read("admin", token) is None
    assert Signer(SECRET[::-1], clock=lambda: 1000.0).read("link", token) is None
    assert Signer(SECRET, clock=lambda: 1009.9).read("link", token) == {"annotator": 1}
    assert Signer(SECRET, clock=lambda: 1010.0).read("link", token) is None
    session, lifetime = SIGNER.exchange("link", token, "session") or ("", 0)
    assert (SIGNER.read("session", session), lifetime) == ({"annotator": 1}, 10)
    assert SIGNER.exchange("link", token, "session") == (session, 10)
    assert SIGNER.exchange("admin", token, "session") is None


def test_form_tokens_belong_to_one_session() -> None:
    assert SIGNER.form_token_holds("one", SIGNER.form_token("one"))
    for wrong in (SIGNER.form_token("two"), "", None, "é"):
        assert not SIGNER.form_token_holds("one", wrong)


def test_a_file_keeps_its_secret_and_files_have_their_own(tmp_path: Path) -> None:
    secrets = []
    for name in ("a.db", "a.db", "b.db"):
        with JudgementStore(tmp_path / name, create=True) as store:
            secrets.append(study_secret(store))
    assert secrets[0] == secrets[1] != secrets[2]
    assert len(secrets[0]) == 32


@pytest.mark.parametrize("days", [0, -1, 3651, float("nan")])
def test_links_end(tmp_path: Path, days: float) -> None:
    with JudgementStore(tmp_path / "s.db", create=True) as store:
        study = store.create_study("s", "same", tmp_path)
        with pytest.raises(UsageError, match="days"):
            annotator_link(SIGNER, study, store.annotator(study, "Ada"), "http://x", days=days)
    with pytest.raises(UsageError, match="16 bytes"):
        Signer(b"short")
