"""Runs the application with uvicorn, and says where it is."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable

from semetric.errors import MissingExtraError, StoreError
from semetric.web.settings import ServerSettings

__all__ = ["serve"]

_KEEP_ALIVE_S = 30


def serve(settings: ServerSettings, *, announce: Callable[[str], None]) -> None:
    """Serves until Ctrl-C or a termination signal; what was acknowledged by then is in the file.

    Args:
        settings: what to serve, and where.
        announce: is told the administrator's link, once.

    Raises:
        MissingExtraError: Starlette, uvicorn or itsdangerous is not installed.
        StoreError: the study file cannot be used, or the address is taken.
    """
    try:
        import uvicorn

        from semetric.web.app import create_app
        from semetric.web.connections import Connection, ProxiedConnection
        from semetric.web.sessions import ADMIN_LIFETIME_S
    except MissingExtraError:
        raise
    except ImportError as error:
        raise MissingExtraError(
            f"Expected Starlette and uvicorn for the server; {error.name} is not installed. "
            "pip install 'semetric[serve]'"
        ) from error
    log = logging.getLogger("semetric")
    listening = _listen(settings)
    with listening:
        application = create_app(settings)
        application.port = int(listening.getsockname()[1])
        base_url = settings.base_url(application.port)
        if not settings.loopback:
            log.warning(
                "listening on %s, which other machines can reach: whoever sees a link, or the traffic, can judge in "
                "its holder's name and read the study's images. Put a proxy with TLS in front and give its address "
                "with --public-url.",
                settings.host,
            )
        token = application.signer.sign("admin", {"role": "admin"}, lifetime_s=ADMIN_LIFETIME_S)
        announce(f"{base_url}/admin/enter/{token}")
        config = uvicorn.Config(
            application.asgi,
            log_level="warning",
            access_log=False,  # it would hold everybody's links
            server_header=False,
            http=Connection if settings.public_url is None else ProxiedConnection,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=5,
            ws="none",
        )
        try:
            uvicorn.Server(config).run(sockets=[listening])
        except KeyboardInterrupt:  # uvicorn passes the signal on when all is closed; here it is the way to end
            return


def _listen(settings: ServerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # named, since asyncio turns Nagle's algorithm off for sockets of this protocol alone: a response is two packets,
    # and the second would wait for the other side's acknowledgement, which comes 40 ms late
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host, settings.port))
        listening.listen()  # from here on nobody is refused: who comes early waits
    except (OSError, UnicodeError, TypeError) as error:  # the latter two of names that cannot be any
        listening.close()
        why = getattr(error, "strerror", None) or error
        raise StoreError(
            f"Expected to listen on {settings.host}, port {settings.port}; {why}. Choose another --port."
        ) from error
    return listening
