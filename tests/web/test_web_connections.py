"""Silent, slow and many connections: none of them keeps a place, and nobody is shut out."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="needs uvicorn: pip install 'semetric[serve]'")

import uvicorn
from starlette.exceptions import HTTPException
from starlette.requests import Request

from semetric.web import sessions
from semetric.web.connections import Connection, ProxiedConnection

PATIENCE_S = 60  # a busy machine may take that long; what is tested ends by itself in well under a second
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def hello(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/stuck":
        await asyncio.Event().wait()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


def with_server(
    kind: type[Connection], scenario: Callable[[Callable[[], Awaitable[Streams]]], Awaitable[None]]
) -> None:
    """Runs the scenario against a server whose connections are of that kind."""

    async def run() -> None:
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            server = uvicorn.Server(
                uvicorn.Config(hello, http=kind, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
            )
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await scenario(lambda: asyncio.open_connection(*listening.getsockname()))
            finally:
                server.should_exit = True
                await serving

    asyncio.run(run())


async def ends(reader: asyncio.StreamReader) -> bytes:
    """What comes until the server closes the connection."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


class Hasty(Connection):
    first_s = 0.05
    next_s = 0.05
    answer_s = 0.05


def test_a_silent_connection_ends() -> None:
    async def scenario(connect: Callable[[], Awaitable[Streams]]) -> None:
        reader, writer = await connect()
        assert await ends(reader) == b""
        writer.close()

    with_server(Hasty, scenario)


@pytest.mark.parametrize("before", [b"", REQUEST], ids=["the first request", "the next request"])
def test_a_header_that_comes_byte_by_byte_is_late_as_well(before: bytes) -> None:
    async def scenario(connect: Callable[[], Awaitable[Streams]]) -> None:
        reader, writer = await connect()
        writer.write(before + b"GET / HTTP/1.1\r\nX-Slow: ")

        async def drip() -> None:
            while True:
                writer.write(b"x")
                await asyncio.sleep(0.005)  # ten times as often as the deadline

        dripping = asyncio.create_task(drip())
        answers = await ends(reader)
        dripping.cancel()
        assert answers.count(b"200 OK") == len(before) // len(REQUEST)
        writer.close()

    with_server(Hasty, scenario)


def test_a_body_that_nobody_waits_for_does_not_keep_a_connection() -> None:
    async def scenario(connect: Callable[[], Awaitable[Streams]]) -> None:
        reader, writer = await connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n")

        async def drip() -> None:
            while True:
                writer.write(b"x")
                await asyncio.sleep(0.005)

        dripping = asyncio.create_task(drip())
        await ends(reader)
        dripping.cancel()
        writer.close()

    with_server(Hasty, scenario)


def test_an_answer_that_is_not_read_or_never_comes_ends() -> None:
    async def scenario(connect: Callable[[], Awaitable[Streams]]) -> None:
        reader, writer = await connect()
        writer.write(REQUEST.replace(b"GET /", b"GET /stuck"))
        assert await ends(reader) == b""
        writer.close()

    with_server(Hasty, scenario)


@pytest.mark.parametrize("limit", ["peer_limit", "total_limit"])
def test_silent_connections_make_room_for_a_request(limit: str) -> None:
    kind = type("Few", (Connection,), {limit: 3})

    async def scenario(connect: Callable[[], Awaitable[Streams]]) -> None:
        silent = [await connect() for _ in range(10)]
        reader, writer = await connect()
        writer.write(REQUEST)
        assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 OK")
        first = silent[0][0]
        assert await ends(first) == b""  # the oldest made room
        last = silent[-1][1]
        last.write(REQUEST)
        assert (await silent[-1][0].readuntil(b"hello")).startswith(b"HTTP/1.1 200 OK")
        for _, each in [*silent, (reader, writer)]:
            each.close()

    with_server(kind, scenario)


def test_requests_that_are_being_answered_stay() -> None:
    kind = type("Few", (Connection,), {"peer_limit": 2})

    async def scenario(connect: Callable[[], Awaitable[Streams]]) -> None:
        busy = [await connect() for _ in range(2)]
        for _, writer in busy:
            writer.write(REQUEST.replace(b"GET /", b"GET /stuck"))
        await asyncio.sleep(0.1)  # until they are known to be busy
        reader, writer = await connect()
        assert await ends(reader) == b""
        assert not any(reader.at_eof() for reader, _ in busy)
        for _, each in [*busy, (reader, writer)]:
            each.close()

    with_server(kind, scenario)


@pytest.mark.parametrize(
    ("address", "peer"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_who_a_peer_is(address: str, peer: str) -> None:
    connection = Connection.__new__(Connection)
    connection.client = (address, 1)
    assert connection.peer == peer


def test_behind_a_proxy_everybody_has_its_address() -> None:
    assert ProxiedConnection.peer_limit == ProxiedConnection.total_limit


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "_BODY_S", 0.01)

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    request = Request({"type": "http", "headers": [(b"content-length", b"7")]}, receive)
    with pytest.raises(HTTPException) as raised:
        asyncio.run(asyncio.wait_for(sessions.body_of(request, 100), PATIENCE_S))
    assert raised.value.status_code == 408
