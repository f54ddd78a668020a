"""What every request must be before any page sees it, and what every answer tells the browser."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["POLICY", "Guard", "host_name"]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
_SAFE = ("GET", "HEAD")


class Guard:
    """The outermost layer: hosts, methods and origins are checked, headers added.

    A page of another site whose name was pointed at this machine (DNS rebinding) still says its own name in the Host
    header, and is refused. A request that changes something must come from our own pages: the browser says so in
    Origin.

    Args:
        app: what is guarded.
        hosts: names that may stand in the Host header.
        origins: further origins than the request's own host, such as that of a proxy with TLS.
        any_address: take every IP address in the Host header, too: for servers that listen on all of them.
    """

    def __init__(
        self, app: ASGIApp, *, hosts: Collection[str], origins: Collection[str] = (), any_address: bool = False
    ) -> None:
        self.app = app
        self.hosts = frozenset(host.lower() for host in hosts)
        self.origins = frozenset(origins)
        self.any_address = any_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or answers it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # a web socket: there is none

        async def add_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None:
            await self.app(scope, receive, add_headers)
        else:
            status, words = refusal
            await PlainTextResponse(words, status)(scope, receive, add_headers)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        name = host_name(hosts[0]) if len(hosts) == 1 else None
        if name is None or not (name in self.hosts or (self.any_address and _is_address(name))):
            return 421, "This server does not go by that name. Start it with --allow-host NAME if it should.\n"
        if scope["method"] in _SAFE:
            return None
        if scope["method"] != "POST":
            return 405, "There is no such method here.\n"
        own = f"{scope['scheme']}://{hosts[0].lower()}"
        if headers.get("origin") not in {own, *self.origins}:
            return 403, "Only pages of this server may send this.\n"
        return None


def host_name(host: str) -> str | None:
    """The name in a Host header without its port, in lower case; None where it is malformed."""
    host = host.strip().lower()
    if host.startswith("["):
        name, closed, port = host[1:].partition("]")
        port = port.removeprefix(":")
        return name if closed and _is_address(name) and (not port or port.isdecimal()) else None
    name, _, port = host.partition(":")
    if not name or (port and not port.isdecimal()):
        return None
    return name.removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
