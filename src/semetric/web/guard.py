"""What every request must be before any page sees it, and what every answer tells the browser."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["POLICY", "Guard"]

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
_MOST_REFUSED = 8  # hosts that the log names


class Guard:
    """The outermost layer: hosts, methods and origins are checked, headers added.

    A page of another site whose name was pointed at this machine (DNS rebinding) still says its own name in the Host
    header, and is refused by Starlette's TrustedHostMiddleware. A request that changes something must come from the
    server's own pages: the browser says so in Origin.

    Args:
        app: what is guarded.
        hosts: names that may stand in the Host header; an IPv6 address without brackets.
        origins: further origins than the request's own host, such as that of a proxy with TLS.
        any_address: take every IP address in the Host header, too: for servers that listen on all of them.
    """

    def __init__(
        self, app: ASGIApp, *, hosts: Collection[str], origins: Collection[str] = (), any_address: bool = False
    ) -> None:
        self.app = app
        names = [f"[{host}]" if ":" in host else host for host in hosts]
        self.hosts = TrustedHostMiddleware(self._own_host, allowed_hosts=names, www_redirect=False)
        self.origins = frozenset(origins)
        self.any_address = any_address
        self._refused: set[str] = set()  # names that the log has

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
                if scope["path"].startswith("/static/"):
                    headers.setdefault("Cache-Control", "no-cache")  # browsers ask whether it has changed
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if "semetric.own_host" not in scope:
                    self._log_refusal(Headers(scope=scope).get("host", ""))
            await send(message)

        app = self._own_host if self.any_address and _is_address(Headers(scope=scope)) else self.hosts
        await app(scope, receive, add_headers)

    async def _own_host(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request whose host is right."""
        scope["semetric.own_host"] = True
        headers = Headers(scope=scope)
        own = f"{scope['scheme']}://{headers['host'].lower()}"
        app = self.app
        if scope["method"] not in (*_SAFE, "POST"):
            app = PlainTextResponse("There is no such method here.\n", 405)
        elif scope["method"] == "POST" and headers.get("origin") not in {own, *self.origins}:
            app = PlainTextResponse("Only pages of this server may send this.\n", 403)
        await app(scope, receive, send)

    def _log_refusal(self, host: str) -> None:
        if host not in self._refused and len(self._refused) < _MOST_REFUSED:
            self._refused.add(host)
            logging.getLogger("semetric").warning(
                "refused a request for the host %r; start the server with --allow-host NAME if it goes by that name",
                host[:80],
            )


def _is_address(headers: Headers) -> bool:
    """Whether the Host header is an IP address, with or without a port."""
    try:
        ipaddress.ip_address(urlsplit(f"//{headers['host']}").hostname or "")
    except (KeyError, ValueError):
        return False
    return True
