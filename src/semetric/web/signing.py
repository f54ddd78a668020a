"""Signed links, sessions and form tokens: HMAC-SHA256 with a secret that stays in the study file."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from semetric.errors import UsageError
from semetric.learn.judgements.records import Annotator, Study
from semetric.learn.judgements.store import JudgementStore

__all__ = ["DAY_S", "Signer", "annotator_link", "study_secret"]

DAY_S = 86_400
_MOST_DAYS = 3650
_SECRET_BYTES = 32
_TOKEN_CHARACTERS = 2000


class Signer:
    """Signs small values for one purpose and a time, and reads back what it signed.

    Args:
        secret: at least 16 random bytes.
        clock: seconds since 1970; for tests.
    """

    def __init__(self, secret: bytes, clock: Callable[[], float] = time.time) -> None:
        if len(secret) < 16:
            raise UsageError(f"Expected a secret of at least 16 bytes; found {len(secret)}.")
        self._secret = secret
        self._clock = clock

    @property
    def label(self) -> str:
        """Eight letters, digits, "-" or "_" that tell signers apart and give nothing of the secret away."""
        return self._mac("label", "")[:8]

    def sign(self, purpose: str, values: Mapping[str, Any], *, lifetime_s: float) -> str:
        """A token for a URL or a cookie: the values, readable by whoever holds it, and the proof that they are ours."""
        return self._signed(purpose, {"values": dict(values), "until": self._clock() + lifetime_s})

    def exchange(self, purpose: str, token: str, other: str) -> tuple[str, float] | None:
        """A token of the same values and end for another purpose, always the same one; and how long it holds, in s.

        None where `read` gives None.
        """
        found = self._body(purpose, token)
        return None if found is None else (self._signed(other, found), float(found["until"]) - self._clock())

    def read(self, purpose: str, token: str | None) -> dict[str, Any] | None:
        """The values of a token; None where it is none, was signed for something else, or has run out."""
        found = self._body(purpose, token)
        return None if found is None else dict(found["values"])

    def form_token(self, session: str) -> str:
        """What a form of that session has to send along: nobody else can know it."""
        return self._mac("form", session)

    def form_token_holds(self, session: str, token: str | None) -> bool:
        """Whether the form was ours."""
        return token is not None and hmac.compare_digest(self.form_token(session).encode(), _bytes(token))

    def _signed(self, purpose: str, body: Mapping[str, Any]) -> str:
        text = _encode(json.dumps(body, separators=(",", ":")).encode())
        return f"{text}.{self._mac(purpose, text)}"

    def _body(self, purpose: str, token: str | None) -> dict[str, Any] | None:
        if not token or len(token) > _TOKEN_CHARACTERS:
            return None
        text, _, mac = token.rpartition(".")
        if not hmac.compare_digest(self._mac(purpose, text).encode(), _bytes(mac)):
            return None
        body: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))  # signed by us
        return body if body["until"] > self._clock() else None

    def _mac(self, purpose: str, text: str) -> str:
        message = _bytes(f"{purpose}\n{text}")
        return _encode(hmac.new(self._secret, message, hashlib.sha256).digest())


def study_secret(store: JudgementStore) -> bytes:
    """The file's secret, made where there is none. No export has it."""
    with store.transaction() as connection:
        connection.execute(
            "INSERT OR IGNORE INTO secrets (name, value) VALUES ('links', ?)", (secrets.token_bytes(_SECRET_BYTES),)
        )
        row = store.row("SELECT value FROM secrets WHERE name = 'links'")
    return bytes(row[0]) if row else b""


def annotator_link(signer: Signer, study: Study, annotator: Annotator, base_url: str, *, days: float) -> str:
    """The link with which an annotator comes in. Whoever has it judges in that name until it runs out or is revoked.

    Raises:
        UsageError: days that are not above 0 and at most ten years.
    """
    if not 0 < days <= _MOST_DAYS:
        raise UsageError(f"Expected a link to hold for more than 0 and at most {_MOST_DAYS} days; found {days}.")
    values = {"study": study.id, "annotator": annotator.id, "revocations": annotator.revocations}
    token = signer.sign("link", values, lifetime_s=days * DAY_S)
    return f"{base_url.rstrip('/')}/join/{token}"


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")


def _bytes(text: str) -> bytes:
    """Of any text at all, half surrogates included: it may come from a stranger."""
    return text.encode("utf-8", "surrogatepass")
