"""Several nodes asked as one: dead, busy, silent and foreign ones among them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from support.ports import free_port
from votenet.client.connection import NodeConnection
from votenet.client.failover import Failover, ask_each
from votenet.errors import ConfigError, NotRunning, Rejected, Unreachable, VotenetError
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.peer_messages import Ping, Pong

BUSY = b'{"error":{"code":"busy","message":"later"}}\n'
FOREIGN = b'{"error":{"code":"network-mismatch","message":"of another network"}}\n'
UNKNOWN = b'{"error":{"code":"tired","message":"not today"}}\n'
UNREADABLE = b'{"error":7}\n'
NONSENSE = [b"rubbish\n", b'{"type":"peers","addresses":[],"id":1}\n', b'{"type":"pong","id":"one"}\n']
BAD = b'{"error":{"code":"bad-message","message":"no"}}\n'


@dataclass
class Server:
    """Answers pings, `says` permitting; counts connections and can cut them."""

    address: Address
    connections: int = 0
    says: bytes = b""
    open: list[asyncio.StreamWriter] = field(default_factory=list)

    def hang_up(self) -> None:
        for writer in self.open:
            writer.close()


@contextlib.asynccontextmanager
async def serving(says: bytes = b"") -> AsyncIterator[Server]:
    """A server that says this to each ping; by default it answers it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.connections += 1
        made.open.append(writer)
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                number = line.split(b'"id":')[1].rstrip(b"}\n")
                writer.write(made.says or b'{"type":"pong","id":' + number + b"}\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    made = Server(Address("127.0.0.1", server.sockets[0].getsockname()[1]), says=says)
    async with server:
        yield made
        made.hang_up()


def closed_port() -> Address:
    return Address("127.0.0.1", free_port())


async def ping(node: NodeConnection) -> Address:
    await node.ask(Ping(), Pong)
    return node.address


def play(test: Callable[[], object]) -> None:
    async def main() -> None:
        async with asyncio.timeout(60):
            await test()  # type: ignore[misc]

    asyncio.run(main())


def test_the_first_node_that_answers_is_asked_and_kept() -> None:
    async def test() -> None:
        async with serving() as good, Failover([closed_port(), good.address, closed_port()]) as nodes:
            for _ in range(3):
                assert await nodes.run(ping) == good.address
            assert good.connections == 1

    play(test)


@pytest.mark.parametrize("says", [BUSY, FOREIGN, UNKNOWN, UNREADABLE, *NONSENSE])
def test_a_node_that_refuses_for_now_is_of_another_network_or_talks_nonsense_is_passed_over(
    says: bytes,
) -> None:
    async def test() -> None:
        async with serving(says) as bad, serving() as good, Failover([bad.address, good.address]) as nodes:
            assert await nodes.run(ping) == good.address

    play(test)


def test_a_refusal_for_good_is_not_tried_elsewhere() -> None:
    async def test() -> None:
        async with serving(BAD) as bad, serving() as good, Failover([bad.address, good.address]) as nodes:
            with pytest.raises(Rejected) as refused:
                await nodes.run(ping)
            assert refused.value.code == "bad-message"
            assert good.connections == 0

    play(test)


def test_an_error_of_the_asker_is_not_tried_elsewhere() -> None:
    async def forget(node: NodeConnection) -> Address:
        asked.append(node.address)
        raise ConfigError("no such file", code="unreadable")

    asked: list[Address] = []

    async def test() -> None:
        async with serving() as one, serving() as two, Failover([one.address, two.address]) as nodes:
            with pytest.raises(ConfigError):
                await nodes.run(forget)
            assert asked == [one.address]

    play(test)


def test_without_any_node_that_answers_the_last_failure_is_told() -> None:
    async def test() -> None:
        async with serving(BUSY) as busy:
            with pytest.raises(Unreachable):
                await Failover([busy.address, closed_port()]).run(ping)
            with pytest.raises(Rejected):
                await Failover([closed_port(), busy.address]).run(ping)
        with pytest.raises(NotRunning):
            await Failover([]).run(ping)

    play(test)


def test_a_connection_that_was_closed_while_idle_is_opened_again() -> None:
    async def test() -> None:
        async with serving() as only, Failover([only.address]) as nodes:
            await nodes.run(ping)
            only.hang_up()
            assert await nodes.run(ping) == only.address
            assert only.connections == 2

    play(test)


def test_the_failed_node_is_tried_again_after_all_others() -> None:
    async def test() -> None:
        async with serving() as one, serving() as two, Failover([one.address, two.address]) as nodes:
            found = []
            for bad in (None, one, two):
                one.says = two.says = b""
                if bad is not None:
                    bad.says = BUSY
                found.append(await nodes.run(ping))
            assert found == [one.address, two.address, one.address]

    play(test)


def test_a_node_that_is_not_admitted_is_passed_over_and_closed() -> None:
    refused: list[NodeConnection] = []

    async def test() -> None:
        async with serving() as one, serving() as two:

            async def admit(node: NodeConnection) -> None:
                if node.address == one.address:
                    refused.append(node)
                    raise Rejected("network-mismatch", "of another network")

            async with Failover([one.address, two.address], admit) as nodes:
                assert await nodes.run(ping) == two.address
        assert all(node.broken for node in refused)
        assert len(refused) == 1

    play(test)


def test_tasks_that_ask_at_once_share_a_connection_and_skip_no_node() -> None:
    async def test() -> None:
        async with (
            serving() as one,
            serving(BUSY) as busy,
            serving() as two,
            Failover([one.address, busy.address, two.address]) as nodes,
        ):
            assert set(await asyncio.gather(*(nodes.run(ping) for _ in range(5)))) == {one.address}
            assert one.connections == 1
            one.says = BUSY
            found = await asyncio.gather(*(nodes.run(ping) for _ in range(5)))
            assert set(found) == {two.address}

    play(test)


def test_nodes_that_are_added_are_tried_last_and_once() -> None:
    async def test() -> None:
        async with serving() as added:
            nodes = Failover([closed_port()])
            nodes.add([added.address, added.address])
            nodes.add([added.address, nodes.address])
            async with nodes:
                assert await nodes.run(ping) == added.address

    play(test)


def test_each_node_is_asked_and_the_failures_are_told() -> None:
    async def test() -> None:
        dead = closed_port()
        async with serving() as good:
            found: dict[Address, Address | VotenetError] = dict(await ask_each([dead, good.address], ping))
        assert found[good.address] == good.address
        assert isinstance(found[dead], Unreachable)

    play(test)
