"""Notices reach the living; the dead and the flood cost nobody anything."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

from votenet.network.announcer import WORKERS, Announcer
from votenet.network.checks import Names
from votenet.protocol.bootstrap import Notice
from votenet.protocol.bootstrap_messages import encode_notice

JOINED = Notice("new_peer_joined", "a:1")
LINE = encode_notice("new_peer_joined", "a:1") + b"\n"


@contextlib.contextmanager
def deaf(number: int) -> Iterator[list[str]]:
    """Peers that never take a connection: their queues are full."""
    with contextlib.ExitStack() as stack:
        found = []
        for _ in range(number):
            listening = stack.enter_context(socket.socket())
            listening.bind(("127.0.0.1", 0))
            listening.listen(0)
            for _ in range(4):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(listening.getsockname())
            found.append(f"127.0.0.1:{listening.getsockname()[1]}")
        yield found


@contextlib.asynccontextmanager
async def peer() -> AsyncIterator[tuple[str, asyncio.Queue[bytes]]]:
    lines: asyncio.Queue[bytes] = asyncio.Queue()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.put_nowait(await reader.read())
        writer.close()

    listening = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{listening.sockets[0].getsockname()[1]}", lines
    finally:
        listening.close()
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def working(announcer: Announcer, workers: int = WORKERS) -> AsyncIterator[None]:
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(announcer.work()) for _ in range(workers)]
        try:
            yield
        finally:
            for task in running:
                task.cancel()


def test_each_peer_gets_the_line_on_a_connection_of_its_own() -> None:
    async def test() -> None:
        async with peer() as (one, told_one), peer() as (two, told_two):
            announcer = Announcer(lambda notice: [one, two], Names())
            async with working(announcer):
                announcer.announce(JOINED)
                announcer.announce(JOINED)
                for told in (told_one, told_two):
                    assert [await told.get(), await told.get()] == [LINE, LINE]

    asyncio.run(test())


def test_dead_and_deaf_peers_do_not_keep_the_news_from_the_living() -> None:
    async def test() -> None:
        with deaf(WORKERS - 1) as silent:
            async with peer() as (one, told):
                audience = [*silent, "127.0.0.1:1", "no-such-host.invalid:1", one]
                announcer = Announcer(lambda notice: audience, Names(), dial_seconds=0.5)
                tasks_before = len(asyncio.all_tasks())
                async with working(announcer):
                    for _ in range(10):
                        announcer.announce(JOINED)
                    assert len(asyncio.all_tasks()) == tasks_before + WORKERS
                    for _ in range(10):
                        assert await told.get() == LINE
                assert announcer.failed >= len(silent)

    asyncio.run(test())


def test_a_flood_is_dropped_and_counted_without_asking_for_the_audience() -> None:
    asked = 0

    def audience(notice: Notice) -> list[str]:
        nonlocal asked
        asked += 1
        return ["127.0.0.1:1"] * 3

    async def test() -> None:
        announcer = Announcer(audience, Names(), max_queued=10)
        for _ in range(1000):
            announcer.announce(JOINED)
        assert asked == 4
        assert announcer.dropped == 997

    asyncio.run(test())
