"""A listening socket: its caps, its addresses, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import socket

import pytest

from support.links import LIMITS, Recorder, code_at_end, listening, run
from support.ports import free_port
from votenet.errors import ConfigError, Locked, RemoteProtocolError, Unreachable
from votenet.network.listener import Listener, room_for_links
from votenet.network.transport import Link, connect
from votenet.protocol.wire.address import Address


def test_a_gate_keeps_an_address_out_with_its_own_reason() -> None:
    async def test() -> None:
        server = Recorder()
        refusal = RemoteProtocolError("rate-limited", "in 7 s")
        shut: list[str] = []
        gate = lambda host: refusal if host in shut else None  # noqa: E731
        async with listening(server, gate=gate) as address:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"x\n")
            assert await reader.readline() == b"echo x\n"
            shut.append("127.0.0.1")
            late_reader, late_writer = await asyncio.open_connection(*address)
            assert await code_at_end(late_reader) == "rate-limited"
            late_writer.close()
            writer.close()

    run(test)


@pytest.mark.parametrize("caps", [{"max_links": 2}, {"max_links_per_host": 2}])
def test_a_full_server_makes_room_at_once_when_a_link_can_go(caps: dict[str, int]) -> None:
    async def test() -> None:
        server = Recorder()
        async with listening(server, victim=lambda links: min(links, key=lambda link: link.id), **caps) as at:
            held = []
            for number in range(4):
                reader, writer = await asyncio.open_connection(*at)
                writer.write(b"%d\n" % number)
                assert await reader.readline() == b"echo %d\n" % number
                held.append((reader, writer))
            codes = [await code_at_end(reader) for reader, _ in held[:2]]
            assert codes == ["too-many-connections"] * 2
            for reader, writer in held[2:]:
                writer.write(b"still here\n")
                assert await reader.readline() == b"echo still here\n"
            for _, writer in held:
                writer.close()

    run(test)


def test_caps_on_connections_free_themselves() -> None:
    async def test() -> None:
        server = Recorder()
        async with listening(server, max_links=10, max_links_per_host=2) as address:
            held = [await asyncio.open_connection(*address) for _ in range(2)]
            for reader, writer in held:
                writer.write(b"x\n")
                assert await reader.readline() == b"echo x\n"
            reader, writer = await asyncio.open_connection(*address)
            assert await code_at_end(reader) == "too-many-connections"
            writer.close()
            held[0][1].close()
            await server.ends.get()
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"y\n")
            assert await reader.readline() == b"echo y\n"
            writer.close()
            held[1][1].close()

    run(test)


def test_one_who_has_a_network_of_ipv6_has_one_address() -> None:
    listener = Listener(Recorder(), Address("::1", 0), LIMITS, max_links_per_host=2)

    def admitted(host: str) -> Link | None:
        link = Link(Recorder(), LIMITS)
        link.host = host
        return link if listener._admit(link) is None else None

    first, other = admitted("2001:db8::1"), admitted("2001:db8::2")
    assert first is not None
    assert other is not None
    assert admitted("2001:db8::3") is None
    assert admitted("2001:db8:0:1::3") is not None
    listener._release(first)
    assert admitted("2001:db8::3") is not None
    assert [admitted("::1") is not None for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize(
    ("files", "links"), [(1024, 824), (4096, 1024), (resource.RLIM_INFINITY, 1024), (100, 1)]
)
def test_a_listener_never_lacks_a_file_for_a_connection(
    monkeypatch: pytest.MonkeyPatch, files: int, links: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (files, files))
    assert room_for_links(1024) == links


def test_a_closing_listener_says_goodbye_to_its_links() -> None:
    async def test() -> None:
        server = Recorder()
        async with listening(server) as address:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"x\n")
            await reader.readline()
        assert await reader.read() == b""
        writer.close()
        with pytest.raises(Unreachable):
            await connect(Recorder(), address, LIMITS)

    run(test)


@pytest.mark.parametrize("turns", range(8))
def test_a_connection_that_comes_as_the_listener_closes_breaks_nothing(turns: int) -> None:
    """asyncio had taken it, and then raised in the loop and left the socket open."""

    async def test() -> None:
        server = Recorder()
        async with listening(server) as address:
            socket.create_connection(address).close()
            for _ in range(turns):
                await asyncio.sleep(0)
        assert server.ends.qsize() == len(server.links), "none is left behind"

    run(test)
    gc.collect()  # finds a socket that is open still, which fails this test


def test_a_taken_port_names_its_holder() -> None:
    async def test() -> None:
        async with listening(Recorder()) as address:
            with pytest.raises(Locked) as caught:
                await Listener(Recorder(), address, LIMITS).__aenter__()
            assert caught.value.code == "port-taken"
            assert caught.value.exit_code == 75
            assert f"pid {os.getpid()}" in caught.value.message
        with pytest.raises(ConfigError) as elsewhere:
            await Listener(Recorder(), Address("192.0.2.1", 0), LIMITS).__aenter__()
        assert elsewhere.value.code == "cannot-listen"

    run(test)


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".example", "."])
def test_a_text_that_is_no_hosts_name_is_no_defect(host: str) -> None:
    async def test() -> None:
        with pytest.raises(ConfigError) as caught:
            await Listener(Recorder(), Address(host, 0), LIMITS).__aenter__()
        assert caught.value.code == "cannot-listen"
        assert "no host's name" in caught.value.message
        with pytest.raises(Unreachable):
            await connect(Recorder(), Address(host, 1), LIMITS)

    run(test)


async def seen_from(server: Recorder, host: str, port: int) -> str:
    """How a client that dials this address is known."""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"hello\n")
    await reader.readline()
    writer.close()
    return server.links[-1].host


def test_two_colons_are_all_addresses_of_ipv4_too_and_those_look_as_ever() -> None:
    async def test() -> None:
        server = Recorder()
        async with Listener(server, Address("::", 0), LIMITS) as listener:
            port = listener.address.port
            assert [await seen_from(server, host, port) for host in ("127.0.0.1", "::1")] == [
                "127.0.0.1",
                "::1",
            ]

    run(test)


def test_several_addresses_have_one_port() -> None:
    async def test() -> None:
        server = Recorder()
        async with Listener(
            server, Address("127.0.0.1", 0), LIMITS, more_hosts=["127.0.0.9", "::1"]
        ) as listener:
            port = listener.address.port
            for host in ("127.0.0.1", "127.0.0.9", "::1"):
                await seen_from(server, host, port)
            with pytest.raises(OSError, match=r"refused|Connect call failed"):
                await seen_from(server, "127.0.0.10", port)
        port = free_port()
        both = Listener(server, Address("127.0.0.1", port), LIMITS, more_hosts=["127.0.0.9"])
        taken = pytest.raises(Locked, match=f"port {port} is taken")
        with socket.create_server(("127.0.0.9", port)), taken:
            await both.__aenter__()
        with socket.create_server(("127.0.0.1", port)):  # the first address is free again
            pass

    run(test)
