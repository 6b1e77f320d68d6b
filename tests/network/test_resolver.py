"""Names become addresses, bounded in time and number; a connection tries each of them."""

from __future__ import annotations

import asyncio
import threading

import pytest

from support.peers import deaf, listening
from votenet.errors import Rejected, Unreachable
from votenet.network import resolver as names_module
from votenet.network.link_limits import LinkLimits
from votenet.network.resolver import LineQueue, LookUpLimit, Names, dial
from votenet.protocol.wire.address import Address


def test_a_name_is_asked_for_once_and_an_ip_address_never() -> None:
    asked: list[str] = []

    def resolve(host: str) -> list[str]:
        asked.append(host)
        if host == "nowhere.example":
            raise OSError
        return ["10.0.0.1", "10.0.0.1", "::1"]

    async def test() -> None:
        names = Names(resolve, seconds=60.0)
        assert await names.look_up("a.example") == ("10.0.0.1", "::1")
        assert await names.look_up("A.example") == ("10.0.0.1", "::1")
        assert await names.look_up("10.1.1.1") == ("10.1.1.1",)
        assert await names.look_up("nowhere.example") == ()

    asyncio.run(test())
    assert asked == ["a.example", "nowhere.example"]


def test_hanging_names_are_given_up_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names_module, "MAX_RESOLVING", 2)
    release = threading.Event()

    def resolve(host: str) -> list[str]:
        release.wait(60)
        return ["10.0.0.1"]

    async def test() -> None:
        names = Names(resolve, seconds=0.1)
        assert await asyncio.gather(names.look_up("a.example"), names.look_up("b.example")) == [(), ()]
        with pytest.raises(Rejected) as caught:
            await names.look_up("c.example")
        assert caught.value.code == "busy"
        release.set()

    asyncio.run(test())


def test_names_that_hang_in_one_lane_leave_the_others_their_places_until_their_threads_end() -> None:
    release = threading.Event()

    def resolve(host: str) -> list[str]:
        if host.startswith("slow"):
            release.wait(60)
        return ["10.0.0.1"]

    async def test() -> None:
        names, few = Names(resolve, seconds=0.1), LookUpLimit("strangers", 2)
        assert await asyncio.gather(names.look_up("slow1", [few]), names.look_up("slow2", [few])) == [(), ()]
        with pytest.raises(Rejected) as caught:
            await names.look_up("quick1", [LookUpLimit("others", 5), few])
        assert caught.value.code == "busy"
        assert await names.look_up("quick2", [LookUpLimit("others", 5)]) == ("10.0.0.1",)
        assert await names.look_up("quick2", [few]) == ("10.0.0.1",), "what is known needs no place"
        release.set()
        while names._lanes:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert await names.look_up("quick1", [few]) == ("10.0.0.1",)

    asyncio.run(test())


def test_no_thread_left_is_busy_not_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def test() -> None:
        monkeypatch.setattr(threading.Thread, "start", start)
        with pytest.raises(Rejected, match="no name"):
            await Names().look_up("a.example")

    asyncio.run(test())


def test_dialling_a_name_tries_its_addresses_in_turn() -> None:
    async def test() -> None:
        async with listening(lambda line: b"hello\n") as (address, _):
            names = Names(lambda host: ["::1", "127.0.0.1"], seconds=60.0)
            lines = LineQueue()
            limits = LinkLimits(max_line=100)
            link = await dial(names, lines, Address("a.example", address.port), limits, timeout=150)
            link.send_line(b"x")
            assert await lines.next(60.0) == b"hello"
            link.abort()
        with pytest.raises(Unreachable):
            await dial(Names(lambda host: []), lines, Address("a.example", 1), limits, timeout=150)
        with deaf() as silent, pytest.raises(Unreachable, match="did not answer"):
            await dial(Names(), lines, silent, limits, timeout=0.2)

    asyncio.run(test())
