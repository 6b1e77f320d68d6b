"""Finding peers: S6, S12, S13; hints are looked at, dials fail, servers come back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import pytest

from support import key_of, make_election
from votenet.network import discovery as discovery_module
from votenet.network.discovery import Discovery
from votenet.network.link_table import LinkTable
from votenet.protocol.address import Address, parse_address
from votenet.protocol.address_book import AddressBook
from votenet.protocol.connection import Identity

OWN, PEER = "127.0.0.1:3000", "127.0.0.1:3001"
NETWORK = make_election().network_hex


class FakeLinks:
    """What discovery needs of a LinkTable."""

    def __init__(self, *busy: str) -> None:
        self.busy = set(busy)
        self.doubted: list[str] = []
        self.dials: list[str] = []
        self.links: list[Any] = []

    def busy_addresses(self) -> set[str]:
        return self.busy

    def doubt(self, address: str) -> None:
        self.doubted.append(address)

    def dialled(self, link: Any, address: str) -> None:
        self.dials.append(address)

    def link_opened(self, link: Any) -> None:
        self.links.append(link)

    def line_received(self, link: Any, line: bytes) -> None:
        return None

    def link_closed(self, link: Any, reason: Any) -> None:
        return None


def make(links: FakeLinks, *bootstraps: Address) -> Discovery:
    return Discovery(
        AddressBook(OWN), cast(LinkTable, links), Identity(key_of("us"), NETWORK, OWN), bootstraps
    )


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run a test, and wait until every socket that it opened is closed."""

    async def whole() -> None:
        async with asyncio.timeout(20):
            await main()
            loop: Any = asyncio.get_running_loop()
            await until(lambda: len(loop._selector.get_map()) <= 1)  # the loop's own wake-up socket
            await asyncio.sleep(0)

    asyncio.run(whole())


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.002)


class FakeBootstrap:
    """Answers as the bootstrap server does, and keeps what it was sent."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.peers = [{"address": PEER}, {"address": OWN}, {"address": "junk"}]
        self.enough = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = json.loads(await reader.readline())
        self.requests.append(request)
        answers = {
            "REGISTER": "Peer registered successfully",
            "GET_PEERS": json.dumps(self.peers),
            "REMOVE": "Peer removed successfully",
        }
        writer.write(answers[request["type"]].encode() + b"\n")
        if request["type"] != "REGISTER":
            self.enough.set()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def bootstrap() -> AsyncIterator[tuple[FakeBootstrap, Address]]:
    fake = FakeBootstrap()
    async with await asyncio.start_server(fake.serve, "127.0.0.1", 0) as server:
        yield fake, Address("127.0.0.1", server.sockets[0].getsockname()[1])


@contextlib.asynccontextmanager
async def running(work: Any) -> AsyncIterator[None]:
    """A task beside the test, cancelled at its end."""
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work)
        try:
            yield
        finally:
            task.cancel()


def closed_port() -> Address:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return Address("127.0.0.1", found.getsockname()[1])


# -- bootstrap servers -----------------------------------------------------------------------------


def test_s06_a_node_registers_signed_and_adds_all_peers_but_itself() -> None:
    async def main() -> None:
        async with bootstrap() as (fake, address):
            found = make(FakeLinks(), address)
            assert not found.settled
            async with running(found.keep_registered(address)):
                await fake.enough.wait()
                await found._wake.wait()
                await until(lambda: found._asked)
        register, get_peers = fake.requests[:2]
        assert register["type"] == "REGISTER"
        assert register["payload"]["record"]["address"] == OWN
        assert register["payload"]["record"]["network_id"] == NETWORK
        assert register["payload"]["record"]["node_key"] == key_of("us").public_hex
        assert get_peers["type"] == "GET_PEERS"
        assert len(found.book) == 1
        assert PEER in found.book
        assert not found.settled  # the peer was not dialled yet
        found.book.failed(PEER, 0.0)
        assert found.settled

    run(main)


def test_s12_the_list_is_polled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery_module, "POLL_SECONDS", 0.01)

    async def main() -> None:
        async with bootstrap() as (fake, address):
            found = make(FakeLinks(), address)
            async with running(found.keep_registered(address)):
                await fake.enough.wait()
                fake.peers.append({"address": "127.0.0.1:3005"})
                await until(lambda: "127.0.0.1:3005" in found.book)
        assert [r["type"] for r in fake.requests].count("REGISTER") == 1

    run(main)


def test_s14_a_server_that_is_down_is_tried_again_and_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(discovery_module, "RETRY_SECONDS", (0.01,))

    async def main() -> None:
        down = closed_port()
        found = make(FakeLinks(), down)
        fake = FakeBootstrap()
        async with running(found.keep_registered(down)):
            await until(lambda: found.settled)
            async with await asyncio.start_server(fake.serve, down.host, down.port):
                await fake.enough.wait()
        assert fake.requests[0]["type"] == "REGISTER"

    run(main)


def test_s13_a_stopping_node_takes_its_address_out_wherever_it_can() -> None:
    async def main() -> None:
        async with bootstrap() as (fake, address):
            await make(FakeLinks(), closed_port(), address).say_goodbye()
        (removal,) = fake.requests
        assert removal["type"] == "REMOVE"
        assert removal["payload"]["removal"]["address"] == OWN

    run(main)


# -- hints -----------------------------------------------------------------------------------------


def test_s12_a_peer_that_is_said_to_have_joined_is_dialled_before_it_is_believed() -> None:
    found = make(FakeLinks())
    found.hint(True, PEER)
    assert [str(a) for a in found.book.due(0.0, set())] == [PEER]
    assert found.book.met() == []
    for junk in ("", "x", OWN, "host:0", "\udcff:1"):
        found.hint(True, junk)
        found.hint(False, junk)
    assert len(found.book) == 1


def test_s13_a_joined_peer_that_is_said_to_have_left_is_asked() -> None:
    links = FakeLinks(PEER)
    found = make(links)
    found.book.add(PEER, met=True)
    found.hint(False, PEER)
    assert links.doubted == [PEER]
    assert PEER in found.book


def test_s13_anybody_may_say_that_a_peer_has_left_and_it_is_not_forgotten_for_that() -> None:
    found = make(FakeLinks())
    found.book.add(PEER, met=True)
    found.hint(False, PEER)
    assert PEER in found.book
    found.book.failed(PEER, 0.0)  # the dial that the hint leads to
    assert PEER not in found.book


# -- dialling --------------------------------------------------------------------------------------


def test_due_addresses_are_dialled_and_failures_are_noted() -> None:
    async def main() -> None:
        links = FakeLinks()
        found = make(links)
        closed = closed_port()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            there = Address("127.0.0.1", server.sockets[0].getsockname()[1])
            found.book.add(str(there)), found.book.add(str(closed))

            async def work() -> None:
                async with asyncio.TaskGroup() as tasks:
                    await found.keep_dialling(tasks)

            async with running(work()):
                await until(lambda: links.dials and not found.book.untried(set()))
            for link in links.links:
                link.abort()
        assert links.dials == [str(there)] * len(links.dials)
        assert {str(closed), str(there)}.isdisjoint(map(str, found.book.due(0.0, set())))

    run(main)


def test_an_address_that_leads_to_ourselves_or_to_a_friend_rests() -> None:
    found = make(FakeLinks())
    for address, code in (("a:1", "duplicate-connection"), ("b:1", "self-connection"), ("c:1", "busy")):
        found.book.add(address)
        found.refused_by(address, code)
    assert found.book.due(0.0, set()) == [parse_address("c:1")]
