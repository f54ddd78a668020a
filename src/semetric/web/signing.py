"""Signed links, sessions and form tokens, with a secret that stays in the study file."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from semetric.errors import MissingExtraError, UsageError
from semetric.learn.judgements.records import Annotator, Study
from semetric.learn.judgements.store import JudgementStore

try:
    import itsdangerous
except ImportError as error:
    raise MissingExtraError(
        "Expected itsdangerous for signed links; it is not installed. pip install 'semetric[serve]'"
    ) from error

__all__ = ["DAY_S", "Signer", "annotator_link", "study_secret"]

DAY_S = 86_400
_MOST_DAYS = 3650
_SECRET_BYTES = 32
_TOKEN_CHARACTERS = 2000
_HMAC: dict[str, Any] = {"key_derivation": "hmac", "digest_method": hashlib.sha256}


class Signer:
    """Signs small values for one purpose and a time, and reads back what it signed.

    Args:
        secret: at least 16 random bytes.
        clock: seconds since 1970; for tests.

    Example:
        >>> signer = Signer(bytes(32))
        >>> token = signer.sign("link", {"annotator": 1}, lifetime_s=60)
        >>> signer.read("link", token), signer.read("admin", token)
        ({'annotator': 1}, None)
    """

    def __init__(self, secret: bytes, clock: Callable[[], float] = time.time) -> None:
        if len(secret) < 16:
            raise UsageError(f"Expected a secret of at least 16 bytes; found {len(secret)}.")
        self._secret = secret
        self._clock = clock

    @property
    def label(self) -> str:
        """Eight letters, digits, "-" or "_" that tell signers apart and give nothing of the secret away."""
        return self._signer("label").get_signature("").decode()[:8]

    def sign(self, purpose: str, values: Mapping[str, Any], *, lifetime_s: float) -> str:
        """A token for a URL or a cookie: the values, readable by whoever holds it, and their signature."""
        return self._dumped(purpose, {"values": dict(values), "until": self._clock() + lifetime_s})

    def exchange(self, purpose: str, token: str, other: str) -> tuple[str, float] | None:
        """A token of the same values and end for another purpose, always the same one; and how long it holds, in s.

        None where `read` gives None.
        """
        body = self._loaded(purpose, token)
        return None if body is None else (self._dumped(other, body), float(body["until"]) - self._clock())

    def read(self, purpose: str, token: str | None) -> dict[str, Any] | None:
        """The values of a token; None where it is none, was signed for something else, or has run out."""
        body = self._loaded(purpose, token)
        return None if body is None else dict(body["values"])

    def form_token(self, session: str) -> str:
        """What a form of that session has to send along: nobody else can know it."""
        return self._signer("form").get_signature(session).decode()

    def form_token_holds(self, session: str, token: str | None) -> bool:
        """Whether a form of that session sent the token."""
        return bool(token) and str(token).isascii() and self._signer("form").verify_signature(session, str(token))

    def _signer(self, purpose: str) -> itsdangerous.Signer:
        return itsdangerous.Signer(self._secret, salt=purpose.encode(), **_HMAC)

    def _serializer(self, purpose: str) -> itsdangerous.URLSafeSerializer:
        return itsdangerous.URLSafeSerializer(self._secret, salt=purpose.encode(), signer_kwargs=_HMAC)

    def _dumped(self, purpose: str, body: Mapping[str, Any]) -> str:
        return str(self._serializer(purpose).dumps(body))

    def _loaded(self, purpose: str, token: str | None) -> dict[str, Any] | None:
        if not token or len(token) > _TOKEN_CHARACTERS or not token.isascii():
            return None
        try:
            body: dict[str, Any] = self._serializer(purpose).loads(token)
        except itsdangerous.BadData:
            return None
        return body if body["until"] > self._clock() else None


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
