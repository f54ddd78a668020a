"""What a server is started with."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from semetric.errors import UsageError

__all__ = ["ServerSettings"]

_LOCAL = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """Where a server listens, what it serves, and by which names it goes.

    Attributes:
        study: the study file; None serves the compare page alone.
        host: the address to listen on.
        port: 1 to 65535; 0 takes a free one.
        public_url: the address that annotators use, where a proxy stands in between; None makes one of host and port.
        allowed_hosts: further names that may stand in the Host header.
        profile: of the compare page.
        compare: offer that page.
    """

    study: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    public_url: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    profile: str = "lite"
    compare: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise UsageError(f"Expected a port of 0 to 65535; found {self.port}.")
        if self.study is None and not self.compare:
            raise UsageError("Expected a study file or the compare page to serve; found neither.")
        if self.public_url is not None:
            parts = _split(self.public_url)
            if parts is None or parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc:
                raise UsageError(
                    f"Expected a public URL such as https://example.org, without a path; found {self.public_url!r}."
                )

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host in _LOCAL:
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def everywhere(self) -> bool:
        """Whether it listens on all of the machine's addresses."""
        return self.host in ("0.0.0.0", "::", "")

    @property
    def secure(self) -> bool:
        """Whether annotators come by HTTPS, so that cookies may say so."""
        return self.public_url is not None and urlsplit(self.public_url).scheme == "https"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names for the Host header."""
        public = urlsplit(self.public_url).hostname if self.public_url else None
        return tuple({*_LOCAL, *self.allowed_hosts, *([public] if public else []), *([self.host] if self.host else [])})

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins of our pages beside the server's own address."""
        if self.public_url is None:
            return ()
        parts = urlsplit(self.public_url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        usual = parts.port in (None, 443 if parts.scheme == "https" else 80)  # browsers leave it out
        return (f"{parts.scheme}://{host}" if usual else f"{parts.scheme}://{host}:{parts.port}",)

    def base_url(self, port: int) -> str:
        """The address to put into links."""
        if self.public_url is not None:
            return self.public_url.rstrip("/")
        host = "127.0.0.1" if self.everywhere else self.host
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _split(url: str) -> SplitResult | None:
    """The parts of a web address; None where it is none."""
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:  # a port that is no number, a bracket that is not closed
        return None
    return parts if whole else None
