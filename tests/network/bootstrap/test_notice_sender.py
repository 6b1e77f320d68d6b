"""Notices reach live peers; dead peers and floods do not delay them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from support.peers import deaf, listening, run, served, until
from support.ports import free_port
from votenet.network.bootstrap.notice_sender import MAX_QUEUED_EACH, NOTICE_WORKERS, NoticeSender
from votenet.network.resolver import Names
from votenet.protocol.bootstrap.bootstrap_messages import encode_notice
from votenet.protocol.bootstrap.registry import Notice, PeerEntry
from votenet.protocol.wire.address import Address

PEER_JOINED = Notice("new_peer_joined", "a:1")
LINE = encode_notice("new_peer_joined", "a:1") + b"\n"
KEY = "11" * 32


def entry(address: Address | str, *, key: str | None = None) -> PeerEntry:
    return PeerEntry(str(address), key)


@contextlib.asynccontextmanager
async def working(audience: list[PeerEntry], **options: Any) -> AsyncIterator[NoticeSender]:
    sender = NoticeSender(lambda notice: audience, Names(), **options)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(sender.work()) for _ in range(NOTICE_WORKERS)]
        try:
            yield sender
        finally:
            for task in running:
                task.cancel()


def test_reference_nodes_get_each_line_on_a_connection_of_its_own() -> None:
    async def test() -> None:
        connections: list[list[bytes]] = []

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.append((await reader.read()).splitlines(keepends=True))

        async with served(talk) as address, working([entry(address)]) as sender:
            sender.announce(PEER_JOINED)
            sender.announce(PEER_JOINED)
            await until(lambda: sender.lines["told"] == 2 and len(connections) == 2)
        assert connections == [[LINE], [LINE]]

    run(test)


def test_a_keyed_peer_gets_all_waiting_lines_on_one_connection() -> None:
    async def test() -> None:
        async with listening(lambda line: b"") as (address, got):
            async with working([entry(address, key=KEY)]) as sender:
                for _ in range(10):
                    sender.announce(PEER_JOINED)
                await until(lambda: sender.lines["told"] == 10)
                sender.announce(PEER_JOINED)
                await until(lambda: sender.lines["told"] == 11 and len(got) == 11)
            assert got == [LINE] * 11

    run(test)


def test_dead_and_deaf_peers_do_not_keep_the_news_from_the_living() -> None:
    async def test() -> None:
        with contextlib.ExitStack() as stack:
            silent = [entry(stack.enter_context(deaf())) for _ in range(NOTICE_WORKERS - 1)]
            async with listening(lambda line: b"") as (address, got):
                audience = [*silent, entry("127.0.0.1:1"), entry("no-such-host.invalid:1"), entry(address)]
                before = len(asyncio.all_tasks())
                lost: list[str] = []
                options = {"dial_seconds": 1.0, "retry_seconds": (0.01,) * 3, "unreachable": lost.append}
                async with working(audience, **options) as sender:
                    for _ in range(10):
                        sender.announce(PEER_JOINED)
                    assert len(asyncio.all_tasks()) == before + NOTICE_WORKERS
                    await until(lambda: len(got) == 10)
                    await until(lambda: len(lost) == NOTICE_WORKERS + 1)
                assert set(lost) == {peer.address for peer in audience[:-1]}
                assert sender.lines["failed"] == 10 * (NOTICE_WORKERS + 1)

    run(test)


def test_a_peer_that_does_not_listen_yet_is_tried_again() -> None:
    """A reference node registers before it listens."""

    async def test() -> None:
        address = Address("127.0.0.1", free_port())
        async with working([entry(address)], retry_seconds=(0.01, 0.02, 0.2, 1.0, 5.0)) as sender:
            sender.announce(PEER_JOINED)
            await asyncio.sleep(0.02)
            async with listening(lambda line: b"", port=address.port) as (_, got):
                await until(lambda: got == [LINE])
            assert sender.lines["failed"] == 0

    run(test)


def test_an_unreachable_peer_is_skipped_for_a_while() -> None:
    async def test() -> None:
        lost: list[str] = []
        options = {"retry_seconds": (), "unreachable": lost.append}
        async with working([entry("127.0.0.1:1")], **options) as sender:
            sender.announce(PEER_JOINED)
            await until(lambda: sender.lines["failed"] == 1)
            sender.announce(PEER_JOINED)
            await until(lambda: sender.lines["failed"] == 2)
            assert lost == ["127.0.0.1:1"]

    run(test)


def test_a_flood_is_dropped_and_counted_without_asking_for_the_audience() -> None:
    asked = 0

    def audience(notice: Notice) -> list[PeerEntry]:
        nonlocal asked
        asked += 1
        return [entry(f"127.0.0.1:{port}") for port in (1, 2, 3)]

    async def test() -> None:
        sender = NoticeSender(audience, Names(), max_queued=10)
        for _ in range(1000):
            sender.announce(PEER_JOINED)
        assert asked == 4
        assert sender.lines["dropped"] == 997

    run(test)


def test_one_slow_peer_does_not_fill_the_queue() -> None:
    async def test() -> None:
        sender = NoticeSender(lambda notice: [entry("127.0.0.1:1")], Names())
        for _ in range(MAX_QUEUED_EACH + 5):
            sender.announce(PEER_JOINED)
        assert sender.lines["dropped"] == 5

    run(test)
