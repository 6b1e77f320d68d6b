"""Connections are counted from the moment when they are accepted until they are gone, by TLS as well."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Final

import pytest

from support.page import Page, read_to_end, serving, until
from support.tls import certificate
from votenet.web.serving import connections, http_protocol
from votenet.web.serving.connections import Connections

GET: Final = b"GET /static/style.css HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
STREAM: Final = b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n"
HALF_A_HELLO: Final = b"\x16\x03\x01\x02\x00\x01\x00"
CUT: Final = struct.pack("ii", 1, 0)
"""Of SO_LINGER: a closed socket resets its connection."""

Writer = asyncio.StreamWriter


class Served:
    """A page with TLS, and what is counted of its connections."""

    def __init__(self, page: Page, room: Connections, cert: Path) -> None:
        self.page, self.room = page, room
        self.trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.trust.load_verify_locations(cert)

    async def link(self, data: bytes = b"", host: str = "127.0.0.1") -> tuple[asyncio.StreamReader, Writer]:
        """A connection from a host of this machine, without TLS so far."""
        there = self.page.address
        reader, writer = await asyncio.open_connection(there.host, there.port, local_addr=(host, 0))
        writer.write(data)
        return reader, writer

    async def answer(self, link: tuple[asyncio.StreamReader, Writer], request: bytes = GET) -> bytes:
        """The first line that comes by TLS on this connection."""
        reader, writer = link
        await writer.start_tls(self.trust, server_hostname="127.0.0.1", ssl_handshake_timeout=60)
        writer.write(request)
        return await reader.readline()


async def nothing() -> None:
    """What most scenarios do after their page has ended."""


def play(
    folder: Path,
    patch: pytest.MonkeyPatch,
    scenario: Callable[[Served], Awaitable[None]],
    after: Callable[[], Awaitable[None]] = nothing,
) -> Connections:
    """Run a scenario against a page with TLS, and `after` when it has ended. Returns what counted."""
    cert, key = certificate(folder)
    made: list[Connections] = []

    class Seen(Connections):
        def __init__(self, *given: object) -> None:
            super().__init__(*given)  # type: ignore[arg-type]
            made.append(self)

    async def main() -> None:
        async with asyncio.timeout(120):
            async with serving(tls_cert=cert, tls_key=key) as page:
                await scenario(Served(page, made[0], cert))
            await after()

    patch.setattr(http_protocol, "Connections", Seen)
    asyncio.run(main())
    return made[0]


def test_the_addresses_of_one_ipv6_network_are_counted_as_one_client() -> None:
    room = Connections(10, 2, (ip_network("2001:db8:9::/64"),))
    hosts = [f"2001:db8:1:2::{n}" for n in range(3)]
    assert [room.add(host) for host in hosts] == [True, True, False]
    assert room.add("2001:db8:1:3::1")
    for host in reversed(hosts):
        room.remove(host)
    assert room.add("2001:db8:1:2::7")
    assert all(room.add(f"2001:db8:9::{n}") for n in range(4)), "a trusted proxy has what there is"


@pytest.mark.parametrize("limit", ["MAX_BROWSERS", "MAX_BROWSERS_OF_ADDRESS"])
def test_connections_that_send_nothing_are_counted_before_their_tls_handshake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(http_protocol, limit, 3)
    monkeypatch.setattr(connections, "HEAD_SECONDS", 600.0)

    async def scenario(served: Served) -> None:
        silent = [await served.link(data) for data in (b"", b"", HALF_A_HELLO)]
        await until(lambda: len(served.room) == 3)
        reader, writer = await served.link()
        assert await read_to_end(reader) == b"", "it is closed at once: there is no handshake"
        writer.close()
        assert len(served.room) == 3
        if limit == "MAX_BROWSERS":
            silent.pop()[1].close()
            await until(lambda: len(served.room) == 2)
        other = await served.link(host="127.0.0.2")
        assert (await served.answer(other)).startswith(b"HTTP/1.1 200 ")
        assert (await served.answer(silent[0])).startswith(b"HTTP/1.1 200 "), "its place was its own"
        for _, writer in (other, *silent):
            writer.close()
        await until(lambda: not len(served.room))

    assert not len(play(tmp_path, monkeypatch, scenario))


def test_each_end_of_a_connection_by_tls_gives_its_place_back_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 600.0)

    async def scenario(served: Served) -> None:
        links = [await served.link(data) for data in (b"", HALF_A_HELLO, b"", HALF_A_HELLO, b"", b"")]
        await until(lambda: len(served.room) == 6)
        gone, half, ended, cut, answered, streamed = links
        reader, writer = await served.link(GET)
        assert b"HTTP/1.1 " not in await read_to_end(reader), "that is no handshake"
        writer.close()
        await until(lambda: len(served.room) == 6)
        cut[1].get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, CUT)
        for _, writer in (gone, half, cut):
            writer.close()
        ended[1].write_eof()
        await until(lambda: len(served.room) == 2)
        assert (await served.answer(answered)).startswith(b"HTTP/1.1 200 ")
        assert (await served.answer(streamed, STREAM)).startswith(b"HTTP/1.1 200 ")
        await until(lambda: served.page.view.streams == 1)
        await read_to_end(answered[0])
        for _, writer in (answered, ended):
            writer.close()
        await until(lambda: len(served.room) == 1)
        streamed[1].close()
        await until(lambda: not len(served.room))

    assert not len(play(tmp_path, monkeypatch, scenario))


def test_a_handshake_that_does_not_end_in_time_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)

    async def scenario(served: Served) -> None:
        for data in (b"", HALF_A_HELLO):
            reader, writer = await served.link(data)
            assert await read_to_end(reader) == b""
            writer.close()

    assert not len(play(tmp_path, monkeypatch, scenario))


def test_the_end_of_the_server_ends_handshakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 600.0)
    links: list[tuple[asyncio.StreamReader, Writer]] = []

    async def scenario(served: Served) -> None:
        links.extend([await served.link(data) for data in (b"", HALF_A_HELLO)])
        await until(lambda: len(served.room) == 2)

    async def after() -> None:
        for reader, writer in links:
            assert await read_to_end(reader) == b""
            writer.close()

    assert not len(play(tmp_path, monkeypatch, scenario, after))
