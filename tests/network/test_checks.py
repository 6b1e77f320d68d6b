"""Names, owners and the living, each bounded in time and number."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from votenet.errors import Rejected, Unreachable
from votenet.network import checks
from votenet.network.bootstrap_client import _Lines
from votenet.network.checks import AliveCheck, Names, OwnerCheck, dial
from votenet.network.transport import LinkLimits
from votenet.protocol.address import Address
from votenet.protocol.token_bucket import TokenBucket


def test_a_name_is_asked_for_once_and_an_ip_address_never() -> None:
    asked: list[str] = []

    def resolve(host: str) -> list[str]:
        asked.append(host)
        if host == "nowhere.example":
            raise OSError
        return ["10.0.0.1", "10.0.0.1", "::1"]

    async def test() -> None:
        names = Names(resolve)
        assert await names.look_up("a.example") == ("10.0.0.1", "::1")
        assert await names.look_up("A.example") == ("10.0.0.1", "::1")
        assert await names.look_up("10.1.1.1") == ("10.1.1.1",)
        assert await names.look_up("nowhere.example") == ()
        owners = OwnerCheck(names)
        assert await owners.owns("::ffff:10.0.0.1", "a.example")
        assert not await owners.owns("10.0.0.2", "a.example")
        assert not await owners.owns("10.0.0.2", "nowhere.example")

    asyncio.run(test())
    assert asked == ["a.example", "nowhere.example"]


def test_hanging_names_are_given_up_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MAX_RESOLVING", 2)
    release = threading.Event()

    def resolve(host: str) -> list[str]:
        release.wait(20)
        return ["10.0.0.1"]

    async def test() -> None:
        names = Names(resolve, seconds=0.1)
        assert await asyncio.gather(names.look_up("a.example"), names.look_up("b.example")) == [(), ()]
        with pytest.raises(Rejected) as caught:
            await names.look_up("c.example")
        assert caught.value.code == "busy"
        release.set()

    asyncio.run(test())


def test_no_thread_left_is_busy_not_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def test() -> None:
        monkeypatch.setattr(threading.Thread, "start", start)
        with pytest.raises(Rejected, match="no name"):
            await Names().look_up("a.example")

    asyncio.run(test())


@contextlib.contextmanager
def deaf() -> Iterator[Address]:
    """A socket whose queue of connections is full: the next one gets no answer at all."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield Address("127.0.0.1", listening.getsockname()[1])


@contextlib.asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[tuple[Address, list[bytes]]]:
    got: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readline())
        writer.write(answer)
        await reader.read()
        writer.close()

    listening = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield Address("127.0.0.1", listening.sockets[0].getsockname()[1]), got
    finally:
        listening.close()
        await asyncio.sleep(0)


def test_alive_is_who_answers_a_line() -> None:
    async def test() -> None:
        check = AliveCheck(Names(), dial_seconds=0.3, answer_seconds=0.3, again_seconds=0.0)
        async with answering(b'{"error":{}}\n') as (address, got):
            assert await check.alive(address)
            assert got == [b'{"type":"ping"}\n']
        async with answering(b"half a line") as (address, _):
            assert not await check.alive(address)
        with deaf() as address:
            assert not await check.alive(address)
        assert not await check.alive(Address("127.0.0.1", 1))
        assert not await check.alive(Address("does-not-exist.invalid", 1))

    asyncio.run(test())


def test_checks_are_limited_per_address_and_in_all() -> None:
    async def test() -> None:
        check = AliveCheck(Names(), again_seconds=60.0, bucket=TokenBucket(0.001, 3.0))
        codes: list[str] = []
        for port in (1, 1, 2, 3, 4):
            try:
                await check.alive(Address("127.0.0.1", port))
            except Rejected as error:
                codes.append(error.code)
            else:
                codes.append("dead")
        assert codes == ["dead", "busy", "dead", "dead", "busy"]
        assert not await check.alive(Address("127.0.0.1", 1), trusted=True)

    asyncio.run(test())


def test_only_so_many_are_dialled_at_one_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MAX_PROBING", 1)

    async def test() -> None:
        check = AliveCheck(Names(), dial_seconds=0.3, again_seconds=0.0)
        with deaf() as address:
            first, second = await asyncio.gather(
                check.alive(address), check.alive(Address("127.0.0.1", 1)), return_exceptions=True
            )
        assert first is False
        assert isinstance(second, Rejected)

    asyncio.run(test())


def test_dialling_a_name_tries_its_addresses_in_turn() -> None:
    async def test() -> None:
        async with answering(b"hello\n") as (address, _):
            names = Names(lambda host: ["::1", "127.0.0.1"])
            lines = _Lines()
            limits = LinkLimits(max_line=100)
            link = await dial(names, lines, Address("a.example", address.port), limits, timeout=5.0)
            link.send_line(b"x")
            assert await lines.next(address, 5.0) == b"hello"
            link.abort()
        with pytest.raises(Unreachable):
            await dial(Names(lambda host: []), lines, Address("a.example", 1), limits, timeout=5.0)
        with deaf() as silent, pytest.raises(Unreachable, match="did not answer"):
            await dial(Names(), lines, silent, limits, timeout=0.2)

    asyncio.run(test())
