"""Links and listeners on real sockets: lines, ends, limits, and every way to break off."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import socket
import struct
import weakref

import pytest

from support.links import LIMITS, Recorder, code_at_end, listening, run
from support.peers import deaf
from votenet.errors import Rejected, RemoteProtocolError, Unreachable
from votenet.network.link_limits import LinkLimits
from votenet.network.transport import LINGER_SECONDS, PIECE, Link, connect, error_line
from votenet.protocol.wire.address import Address

QUICK = LinkLimits(max_line=1000, first_line=0.15, partial_line=0.15, idle=0.3)


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


def test_a_refused_line_leaves_nothing_in_memory() -> None:
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


def test_a_client_that_does_not_read_is_not_read_and_gets_all_answers_later() -> None:
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


def test_a_link_that_never_reads_is_cut() -> None:
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


def test_a_slow_reader_gets_the_end_of_a_long_line_that_asyncio_holds() -> None:
    long = b"x" * (8 * PIECE)

    def answer(link: Link, line: bytes) -> None:
        link._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
        link.close(long)

    async def test() -> None:
        server = Recorder(answer)
        async with listening(server) as address:
            with socket.socket() as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
                client.connect(address)
                client.setblocking(False)
                loop, got = asyncio.get_running_loop(), 0
                await loop.sock_sendall(client, b"question\n")
                await server.lines.get()
                while server.links[0].sending:
                    got += len(await loop.sock_recv(client, 4096))
                assert server.links[0].unsent > 0
                await asyncio.sleep(LINGER_SECONDS + 0.2)  # longer than a farewell
                while data := await loop.sock_recv(client, 2**16):
                    got += len(data)
            assert got == len(long) + 1

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
            assert not server.links[0].sending

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


def test_the_owner_counts_every_byte_in_and_out() -> None:
    async def test() -> None:
        moved: list[int] = []
        async with listening(Recorder(), moved=moved.append) as address:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"hello\n")
            assert await reader.readline() == b"echo hello\n"
            assert sum(moved) == len(b"hello\n") + len(b"echo hello")
            writer.close()

    run(test)


def test_a_closed_or_silent_port_is_unreachable() -> None:
    async def test() -> None:
        with pytest.raises(Unreachable, match="cannot be reached"):
            await connect(Recorder(), Address("127.0.0.1", 1), LIMITS)
        with deaf() as address, pytest.raises(Unreachable, match="did not answer"):
            await connect(Recorder(), address, LIMITS, timeout=0.2)

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


def test_little_of_a_link_is_read_in_a_turn_before_its_handshake() -> None:
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
