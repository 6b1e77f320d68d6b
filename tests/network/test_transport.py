"""Links and listeners on real sockets: lines, ends, limits, and every way to break off."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import socket
import struct
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from votenet.errors import ConfigError, Locked, Rejected, RemoteProtocolError, Unreachable, VotenetError
from votenet.network.transport import (
    LINGER_SECONDS,
    PIECE,
    Link,
    LinkLimits,
    Listener,
    connect,
    error_line,
)
from votenet.protocol.address import Address

LIMITS = LinkLimits(max_line=1000)
QUICK = LinkLimits(max_line=1000, first_line=0.15, partial_line=0.15, idle=0.3)


class Recorder:
    """Remembers what it is told; `on_line` decides what a server does with a line."""

    def __init__(self, on_line: Callable[[Link, bytes], None] | None = None) -> None:
        self.lines: asyncio.Queue[bytes] = asyncio.Queue()
        self.ends: asyncio.Queue[VotenetError | None] = asyncio.Queue()
        self.links: list[Link] = []
        self._on_line = on_line or (lambda link, line: link.send_line(b"echo " + line))

    def link_opened(self, link: Link) -> None:
        self.links.append(link)

    def line_received(self, link: Link, line: bytes) -> None:
        self.lines.put_nowait(line)
        self._on_line(link, line)

    def link_closed(self, link: Link, reason: VotenetError | None) -> None:
        self.ends.put_nowait(reason)


def run(test: Callable[[], Awaitable[None]]) -> None:
    escaped: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: escaped.append(context))
        async with asyncio.timeout(20):
            await test()

    asyncio.run(main())
    assert escaped == []


@contextlib.asynccontextmanager
async def listening(handler: Recorder, limits: LinkLimits = LIMITS, **caps: Any) -> AsyncIterator[Address]:
    async with Listener(handler, Address("127.0.0.1", 0), limits, **caps) as listener:
        yield listener.address


async def code_at_end(reader: asyncio.StreamReader) -> str:
    return str(json.loads((await reader.read()).splitlines()[-1])["error"]["code"])


def test_lines_go_both_ways() -> None:
    async def test() -> None:
        server, client = Recorder(), Recorder(lambda link, line: None)
        async with listening(server) as address:
            link = await connect(client, address, LIMITS)
            assert (link.host, link.port) == tuple(address)
            for line in (b"one", b"", b"three\r"):
                link.send_line(line)
            answers = [await client.lines.get() for _ in range(3)]
            assert answers == [b"echo one", b"echo ", b"echo three"]
            link.close(b"bye")
            assert await client.ends.get() is None
            assert await server.ends.get() is None
            assert [server.lines.get_nowait() for _ in range(4)] == [b"one", b"", b"three", b"bye"]
            (other,) = server.links
            assert (link.bytes_sent, other.bytes_received) == (len(b"one\n\nthree\r\nbye\n"),) * 2
            assert other.bytes_sent == len(b"echo one\necho \necho three\necho bye\n")
            link.send_line(b"after the end")
            link.close()

    run(test)


def test_a_half_closed_client_gets_the_answer_that_it_is_owed() -> None:
    def later(link: Link, line: bytes) -> None:
        link.expect_answer()
        asyncio.get_running_loop().call_later(0.05, link.answer, b"late " + line)

    async def test() -> None:
        async with listening(Recorder(later)) as address:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"question\n")
            writer.write_eof()
            assert await reader.read() == b"late question\n"
            writer.close()

    run(test)


def test_an_answer_to_a_client_that_has_reset_the_connection_breaks_nothing() -> None:
    def answer_and_close(link: Link, line: bytes) -> None:
        link.expect_answer()
        asyncio.get_running_loop().call_later(0.05, link.answer, b"x" * 100)
        asyncio.get_running_loop().call_later(0.05, link.close)

    async def test() -> None:
        server = Recorder(answer_and_close)
        async with listening(server) as address:
            for linger in (None, struct.pack("ii", 1, 0)):
                with socket.create_connection(address) as client:
                    client.sendall(b"question\n")
                    if linger is not None:
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                await server.ends.get()

    run(test)


@pytest.mark.parametrize("sent", [b"x" * 1001, b"x" * 1001 + b"\n", b"ok\n" + b"y" * 5000])
def test_a_line_over_the_limit_is_refused(sent: bytes) -> None:
    async def test() -> None:
        server = Recorder()
        async with listening(server) as address:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(sent)
            assert await code_at_end(reader) == "line-too-long"
            writer.close()
            reason = await server.ends.get()
            assert isinstance(reason, RemoteProtocolError)

    run(test)


def test_the_limit_can_be_raised_for_one_link() -> None:
    async def test() -> None:
        server = Recorder(lambda link, line: link.allow_lines_of(5000))
        async with listening(server) as address:
            _, writer = await asyncio.open_connection(*address)
            writer.write(b"hello\n" + b"x" * 4000 + b"\n")
            assert await server.lines.get() == b"hello"
            assert len(await server.lines.get()) == 4000
            writer.close()

    run(test)


def test_half_a_line_at_the_end_is_named() -> None:
    async def test() -> None:
        async with listening(Recorder()) as address:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"half")
            writer.write_eof()
            assert await code_at_end(reader) == "incomplete-line"
            writer.close()

    run(test)


@pytest.mark.parametrize("begin", [b"", b"half", b"one\n", b"one\nhalf"])
def test_silence_is_ended(begin: bytes) -> None:
    async def test() -> None:
        async with listening(Recorder(), QUICK) as address:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(begin)
            assert await code_at_end(reader) == "idle-timeout"
            writer.close()

    run(test)


class _Large:
    """Stands for a line of a mebibyte, or for a record made of it."""


def test_s17_a_refusal_keeps_nothing_of_what_was_refused() -> None:
    """Links that are being closed kept their last lines until Python looked for cycles: 1.4 GB of them."""
    found: list[weakref.ref[_Large]] = []

    def refuse(link: Link, line: bytes) -> None:
        large = _Large()
        found.append(weakref.ref(large))
        try:
            try:
                json.loads(line)
            except ValueError:
                raise RemoteProtocolError("bad-json", "no JSON")  # noqa: B904
        except RemoteProtocolError as error:
            link.refuse(error)

    async def test() -> None:
        server = Recorder(refuse)
        async with listening(server) as address:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"[\n")
            assert await code_at_end(reader) == "bad-json"
            (link,) = server.links  # it is still there
            assert link.closing
            assert found[0]() is None
            writer.close()

    gc.disable()
    try:
        run(test)
    finally:
        gc.enable()


def test_a_flood_after_the_refusal_is_cut_off() -> None:
    async def test() -> None:
        server = Recorder()
        async with listening(server) as address:
            _, writer = await asyncio.open_connection(*address)
            with contextlib.suppress(ConnectionError):
                while True:
                    writer.write(b"z" * 65536)
                    await writer.drain()
            assert isinstance(await server.ends.get(), RemoteProtocolError)
            writer.close()

    run(test)


def test_a_reader_that_never_reads_is_dropped() -> None:
    limits = LinkLimits(max_line=1000, max_unsent=100_000)

    def much(link: Link, line: bytes) -> None:
        for _ in range(10_000):
            link.send_line(b"y" * 1000)

    async def test() -> None:
        server = Recorder(much)
        async with listening(server, limits) as address:
            _, writer = await asyncio.open_connection(*address)
            writer.write(b"more\n")
            reason = await server.ends.get()
            assert reason is not None
            assert reason.code == "slow-reader"
            writer.close()

    run(test)


def test_a_paused_link_hands_out_nothing_and_then_everything() -> None:
    async def test() -> None:
        server = Recorder(lambda link, line: link.pause())
        async with listening(server) as address:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"1\n2\n3\n")
            assert await server.lines.get() == b"1"
            writer.write(b"4\n")
            writer.write_eof()
            await asyncio.sleep(0.05)
            assert server.lines.empty()
            for expected in (b"2", b"3", b"4"):
                server.links[0].resume()
                assert await server.lines.get() == expected
            server.links[0].resume()
            assert await reader.read() == b""
            writer.close()

    run(test)


def test_s17_whoever_does_not_read_is_not_read_and_gets_everything_once_he_reads() -> None:
    limits = LinkLimits(max_line=1000, unread=100_000)
    big = b"x" * 50_000

    async def test() -> None:
        server = Recorder(lambda link, line: link.send_line(big))
        async with listening(server, limits) as address:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"question\n" * 2000)
            writer.write_eof()
            await asyncio.sleep(0.2)
            answered = server.lines.qsize()
            assert answered < 1000, "the rest waits until the answers are read"
            assert server.links[0].held <= limits.unread + len(big) + 2000 * 9  # type: ignore[operator]
            assert len(await reader.read()) == 2000 * 50_001
            assert await server.ends.get() is None
            writer.close()

    run(test)


def test_whoever_never_reads_is_cut_off() -> None:
    limits = LinkLimits(max_line=1000, unread=100_000, unread_seconds=0.2)

    async def test() -> None:
        server = Recorder(lambda link, line: link.send_line(b"x" * 50_000))
        async with listening(server, limits) as address:
            _, writer = await asyncio.open_connection(*address)
            writer.write(b"question\n" * 2000)
            reason = await server.ends.get()
            assert reason is not None
            assert reason.code == "slow-reader"
            writer.close()

    run(test)


def test_a_long_line_is_not_copied_for_a_link_that_does_not_read_it() -> None:
    long = b"x" * (40 * PIECE)

    async def test() -> None:
        drained: list[int] = []

        def answer(link: Link, line: bytes) -> None:
            link.drained = lambda: drained.append(link.unsent)
            link.send_line(long)
            link.send_line(b"short")

        server = Recorder(answer)
        async with listening(server) as address:
            wires = [await asyncio.open_connection(*address) for _ in range(3)]
            for _, writer in wires:
                writer.write(b"question\n")
            for _ in wires:
                await server.lines.get()
            await asyncio.sleep(0.05)
            for link in server.links:
                assert link.sending
                assert link.unsent > PIECE
                assert link._transport.get_write_buffer_size() <= 2 * PIECE
                assert all(piece.obj in (long, b"\n", b"short") for piece in link._queued)
            for reader, writer in wires:
                assert await reader.readexactly(len(long) + 1) == long + b"\n"
                assert await reader.readline() == b"short\n", "lines keep their order"
                writer.close()
            assert len(drained) == 3
            assert max(drained) <= 2 * PIECE

    run(test)


def test_a_link_that_closes_behind_a_long_line_sends_all_of_it() -> None:
    long = b"x" * (40 * PIECE)

    async def test() -> None:
        async with listening(Recorder(lambda link, line: link.close(long))) as address:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"question\n")
            await asyncio.sleep(LINGER_SECONDS + 0.2)  # longer than a farewell: the line is not all sent yet
            assert await reader.read() == long + b"\n"
            writer.close()

    run(test)


def test_nothing_of_a_long_line_is_kept_for_a_link_that_is_gone() -> None:
    async def test() -> None:
        server = Recorder(lambda link, line: link.send_line(b"x" * (40 * PIECE)))
        async with listening(server) as address:
            _, writer = await asyncio.open_connection(*address)
            writer.write(b"question\n")
            await server.lines.get()
            writer.transport.abort()
            await server.ends.get()
            assert not server.links[0].sending
            assert server.links[0]._queued_bytes == 0

    run(test)


def test_a_peer_that_tells_more_than_it_reads_is_still_read() -> None:
    """Two nodes that send each other blocks must not wait for each other."""
    limits = LinkLimits(max_line=1000, unread=100_000)

    async def test() -> None:
        def answer(link: Link, line: bytes) -> None:
            link.allow_lines_of(5000)
            link.send_line(b"x" * 50_000)

        server = Recorder(answer)
        async with listening(server, limits) as address:
            _, writer = await asyncio.open_connection(*address)
            writer.write(b"news\n" * 200)
            for _ in range(200):
                await server.lines.get()
            writer.close()

    run(test)


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
def test_a_full_server_makes_room_at_once_when_somebody_can_go(caps: dict[str, int]) -> None:
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


def test_the_owner_hears_of_every_byte_in_and_out() -> None:
    async def test() -> None:
        moved: list[int] = []
        async with listening(Recorder(), moved=moved.append) as address:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"hello\n")
            assert await reader.readline() == b"echo hello\n"
            assert sum(moved) == len(b"hello\n") + len(b"echo hello")
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


def test_s03_a_taken_port_names_its_holder() -> None:
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


def test_dialling_nobody_and_the_deaf_is_unreachable() -> None:
    async def test() -> None:
        with pytest.raises(Unreachable, match="cannot be reached"):
            await connect(Recorder(), Address("127.0.0.1", 1), LIMITS)
        with contextlib.ExitStack() as stack:
            deaf = stack.enter_context(socket.socket())
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(0)
            for _ in range(4):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(deaf.getsockname())
            with pytest.raises(Unreachable, match="did not answer"):
                await connect(Recorder(), Address(*deaf.getsockname()), LIMITS, timeout=0.2)

    run(test)


def test_an_error_line_has_its_code_message_and_next_step() -> None:
    line = error_line(Rejected("bad-address", "no: „a“", place=3))
    assert b"\n" not in line
    assert json.loads(line) == {
        "error": {
            "code": "bad-address",
            "kind": "permanent",
            "message": "no: „a“",
            "next_step": "Give an address as host:port with a port from 1 to 65535.",
            "place": 3,
        }
    }


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
        with socket.create_server(("127.0.0.9", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(Locked, match=f"port {port} is taken"):
                await Listener(
                    server, Address("127.0.0.1", port), LIMITS, more_hosts=["127.0.0.9"]
                ).__aenter__()
        with socket.create_server(("127.0.0.1", port)):  # the first address is free again
            pass

    run(test)


def test_s17_of_one_link_little_is_read_in_a_turn_until_it_has_shown_who_it_is() -> None:
    """Sixty links of one address had the loop copy 15 MB before it looked at another's."""

    async def read(handler: Recorder) -> int:
        sizes: list[int] = []
        limits = LinkLimits(max_line=2**20, at_once=8192)
        async with listening(handler, limits, moved=sizes.append) as address:
            _, writer = await asyncio.open_connection(*address)
            for _ in range(2):
                writer.write(b"x" * (2**20 - 1) + b"\n")
                await handler.lines.get()
            writer.close()
        return max(sizes)

    async def test() -> None:
        assert await read(Recorder(lambda link, line: None)) <= 8192
        assert await read(Recorder(lambda link, line: link.allow_lines_of(2**20))) > 8192

    run(test)
