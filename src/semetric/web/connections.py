"""Connections of the server: none waits for ever, and no peer takes all places."""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter

from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["Connection", "ProxiedConnection"]


class Connection(H11Protocol):
    """One connection, which always has a deadline: for its first request, between two requests, for an answer.

    Bytes that arrive do not move a deadline, so that a header sent a byte at a time is late as silence is. Where
    there are too many connections, the one that has waited longest without a complete request makes room: whoever
    sends one is answered, also from the address that silent connections come from.

    Attributes:
        first_s: seconds until the headers of the first request are complete.
        next_s: the same after an answer, in seconds.
        answer_s: seconds from a request's headers until its answer is sent whole, for readers that do not read.
        total_limit: connections at a time.
        peer_limit: connections of one address at a time; an IPv6 network of 64 bits counts as one.
    """

    first_s = 10.0
    next_s = 40.0
    answer_s = 600.0
    total_limit = 200
    peer_limit = 64

    _timer: asyncio.TimerHandle | None = None
    _opened_s = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Starts the first deadline."""
        super().connection_made(transport)
        self._opened_s = self.loop.time()
        self._set_deadline(self.first_s)
        self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the deadline."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Moves the deadline where the headers of a request have become complete."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._set_deadline(self.answer_s)

    def on_response_complete(self) -> None:
        """Starts the deadline of the next request, which may lie in the buffer already."""
        self._set_deadline(self.next_s)
        super().on_response_complete()

    @property
    def peer(self) -> str:
        """Where it comes from: an IPv4 address, or an IPv6 network; empty where that is not known."""
        if self.client is None:
            return ""
        address = ipaddress.ip_address(self.client[0].partition("%")[0])
        if address.version == 4:
            return str(address)
        return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False))

    @property
    def waiting(self) -> bool:
        """Whether no request of it is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _set_deadline(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self.transport.abort)

    def _make_room(self) -> None:
        alive = [each for each in self.connections if isinstance(each, Connection) and not each.transport.is_closing()]
        counts = Counter(each.peer for each in alive)
        if counts[self.peer] > self.peer_limit:
            crowd = self.peer
        elif len(alive) > self.total_limit:
            crowd = counts.most_common(1)[0][0]
        else:
            return
        waiting = [each for each in alive if each.peer == crowd and each.waiting and each is not self]
        min(waiting, key=lambda each: each._opened_s, default=self).transport.abort()


class ProxiedConnection(Connection):
    """A connection behind a proxy, which is everybody's peer."""

    peer_limit = Connection.total_limit
