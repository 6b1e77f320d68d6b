"""Faults on links, over real sockets: a cut holds everything back in silence, a slow link delays it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from votenet.errors import Unreachable, VotenetError
from votenet.network import link_faults
from votenet.network.link_faults import Faults, LinkFaults, Wire, decode, encode, read
from votenet.network.link_limits import LinkLimits
from votenet.network.listener import Listener
from votenet.network.transport import Link, connect
from votenet.protocol.wire.address import Address

LIMITS = LinkLimits(max_line=64 * 1024, max_unsent=256 * 1024)
PEER = "127.0.0.1:3001"


class End:
    """One end of a link: what it has heard."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.link: Link | None = None
        self.closed = False
        self.heard = asyncio.Event()

    def link_opened(self, link: Link) -> None:
        self.link = link
        self.heard.set()

    def line_received(self, link: Link, line: bytes) -> None:
        self.lines.append(line)
        self.heard.set()

    def link_closed(self, link: Link, reason: VotenetError | None) -> None:
        self.closed = True
        self.heard.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                self.heard.clear()
                await self.heard.wait()


@contextlib.asynccontextmanager
async def joined(limits: LinkLimits = LIMITS) -> AsyncIterator[tuple[End, End]]:
    """Two ends of one connection: who dialled, who was dialled."""
    near, far = End(), End()
    async with Listener(far, Address("127.0.0.1", 0), limits) as listener:
        link = await connect(near, listener.address, limits)
        await far.until(lambda: far.link is not None)
        try:
            yield near, far
        finally:
            link.abort()
            await far.until(lambda: far.closed)


def run(main: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(main())  # type: ignore[arg-type]


async def quiet() -> None:
    """Long enough for loopback to deliver anything that nothing holds back."""
    for _ in range(20):
        await asyncio.sleep(0.005)


def test_a_cut_loses_nothing_and_says_nothing() -> None:
    async def main() -> None:
        async with joined() as (near, far):
            assert near.link is not None
            assert far.link is not None
            wire = near.link.insert(Wire)
            near.link.send_line(b"before")
            await far.until(lambda: far.lines == [b"before"])
            wire.set(cut=True, delay=0.0)
            near.link.send_line(b"one")
            near.link.send_line(b"two")
            far.link.send_line(b"there")
            await quiet()
            assert far.lines == [b"before"]
            assert near.lines == []
            assert near.link.unsent == len(b"one\ntwo\n")
            wire.set(cut=False, delay=0.0)
            await far.until(lambda: far.lines == [b"before", b"one", b"two"])
            await near.until(lambda: near.lines == [b"there"])
            assert near.link.unsent == 0

    run(main)


def test_a_slow_link_delays_each_line_both_ways_and_keeps_their_order() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with joined() as (near, far):
            assert near.link is not None
            assert far.link is not None
            wire = near.link.insert(Wire)
            wire.set(cut=False, delay=0.1)
            began = loop.time()
            for number in range(5):
                near.link.send_line(b"%d" % number)
            await far.until(lambda: len(far.lines) == 5)
            assert loop.time() - began >= 0.099
            began = loop.time()
            far.link.send_line(b"back")
            await near.until(lambda: near.lines == [b"back"])
            assert loop.time() - began >= 0.099
            near.link.send_line(b"slow")
            wire.set(cut=False, delay=0.0)
            near.link.send_line(b"fast")
            await far.until(lambda: len(far.lines) == 7)
            assert far.lines == [b"0", b"1", b"2", b"3", b"4", b"slow", b"fast"]

    run(main)


def test_an_end_behind_a_cut_is_not_seen_before_it_is_healed() -> None:
    async def main() -> None:
        async with joined() as (near, far):
            assert near.link is not None
            assert far.link is not None
            wire = near.link.insert(Wire)
            wire.set(cut=True, delay=0.0)
            far.link.send_line(b"last words")
            far.link.close()
            await quiet()
            assert not near.closed
            wire.set(cut=False, delay=0.0)
            await near.until(lambda: near.closed)
            assert near.lines == [b"last words"]

    run(main)


def test_a_goodbye_over_a_slow_link_arrives() -> None:
    async def main() -> None:
        async with joined() as (near, far):
            assert near.link is not None
            near.link.insert(Wire).set(cut=False, delay=0.05)
            near.link.close(b"goodbye")
            await far.until(lambda: far.closed)
            assert far.lines == [b"goodbye"]

    run(main)


def test_lines_behind_a_cut_are_bounded() -> None:
    async def main() -> None:
        async with joined() as (near, far):
            assert near.link is not None
            near.link.insert(Wire).set(cut=True, delay=0.0)
            for _ in range(2 * LIMITS.max_unsent // 1024):
                near.link.send_line(b"x" * 1023)
            await near.until(lambda: near.closed)
            assert far.lines == []

    run(main)


def test_incoming_delayed_lines_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_faults, "MAX_DELAYED", 4096)

    async def main() -> None:
        async with joined(LinkLimits(max_line=64 * 1024)) as (near, far):
            assert near.link is not None
            assert far.link is not None
            wire = near.link.insert(Wire)
            wire.set(cut=False, delay=30.0)
            for _ in range(1024):
                far.link.send_line(b"x" * 1023)
            async with asyncio.timeout(60):
                while wire._inward.size < 4096:  # noqa: ASYNC110  nobody is told
                    await asyncio.sleep(0.005)
            await quiet()
            assert wire._inward.size < 4096 + 256 * 1024  # what one read of the socket gives
            assert not near.lines

    run(main)


def test_the_file_is_followed_and_a_broken_one_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / link_faults.LINK_FAULTS_FILE
    faults = Faults(file)
    assert not faults.look()
    assert not faults.now
    wanted = LinkFaults(cut=(PEER,), delay=0.2)
    file.write_bytes(encode(wanted))
    assert faults.look()
    assert faults.now == wanted
    assert not faults.look()
    for broken in (b"{", b'{"cut": 3}', b'{"delay": -1}', b'{"delay": 1e9}', b'{"other": 1}', b"[" * 10_000):
        file.unlink()
        file.write_bytes(broken)
        assert not faults.look()
        assert faults.now == wanted
        assert "is not followed" in caplog.text
        caplog.clear()
    file.unlink()
    assert faults.look()
    assert not faults.now


def test_words_and_bytes() -> None:
    both = LinkFaults(cut=(PEER, "127.0.0.1:3002"), delay=0.2)
    assert str(both) == "cut off from 127.0.0.1:3001, 127.0.0.1:3002; slowed by 200 ms"
    assert str(LinkFaults()) == "whole"
    assert encode(LinkFaults()) == encode(LinkFaults(delay=float(0))) == b'{"cut":[],"delay":0.0}'
    assert decode(encode(both)) == both
    assert read(Path("/nowhere/at/all")) == LinkFaults()


def test_only_links_to_those_that_are_cut_off_are_cut(tmp_path: Path) -> None:
    async def main() -> None:
        faults = Faults(tmp_path / link_faults.LINK_FAULTS_FILE)
        async with joined() as (near, far), joined() as (other, beyond):
            assert near.link is not None
            assert other.link is not None
            peers = [(near.link, {PEER}), (other.link, {"127.0.0.1:3002"})]
            faults.apply(peers)
            faults.now = LinkFaults(cut=(PEER,))
            faults.apply(peers)
            near.link.send_line(b"held")
            other.link.send_line(b"through")
            await beyond.until(lambda: beyond.lines == [b"through"])
            await quiet()
            assert far.lines == []
            faults.now = LinkFaults()
            faults.apply(peers)
            await far.until(lambda: far.lines == [b"held"])

    run(main)


def test_a_dial_over_a_cut_gets_no_answer_until_it_is_healed(tmp_path: Path) -> None:
    async def main() -> None:
        faults = Faults(tmp_path / link_faults.LINK_FAULTS_FILE)
        address = Address("127.0.0.1", 3001)
        await faults.passable(address, 0.0)
        faults.now = LinkFaults(cut=(PEER,))
        with pytest.raises(Unreachable):
            await faults.passable(address, 0.1)
        asyncio.get_running_loop().call_later(0.1, setattr, faults, "now", LinkFaults())
        await faults.passable(address, 30.0)

    run(main)
