"""Nodes to ask: from addresses, from the list of a bootstrap server, from the node that is asked."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest
from tests.cli.conftest import RunningNode

from support.elections import make_election
from support.lying_node import lying_node, results_info
from support.ports import free_port
from votenet.client.election_client import AsyncElectionClient
from votenet.client.nodes import nodes_at_bootstrap, parse_addresses
from votenet.errors import Rejected, VotenetError
from votenet.protocol.wire.address import Address

ONE, TWO = make_election(), make_election(title="Other")


@contextlib.asynccontextmanager
async def bootstrap_listing(*peers: tuple[object, str | None]) -> AsyncIterator[Address]:
    """A bootstrap server that lists these peers: address, network id."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = json.loads(await reader.readline())
        assert request["type"] == "GET_PEERS"
        found = [
            {"address": str(address)}
            | ({} if network is None else {"network_id": network, "node_key": "ab" * 32})
            for address, network in peers
        ]
        writer.write(json.dumps({"peers": found, "next": None}).encode() + b"\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield Address("127.0.0.1", server.sockets[0].getsockname()[1])
        await asyncio.sleep(0)


def test_one_address_or_several() -> None:
    address = Address("10.0.0.1", 3000)
    assert parse_addresses("10.0.0.1:3000") == parse_addresses(address) == [address]
    assert parse_addresses(["a:1", address]) == [Address("a", 1), address]
    with pytest.raises(Rejected) as refused:
        parse_addresses(["a:1", "nonsense"])
    assert refused.value.code == "bad-address"


def listed(*peers: tuple[object, str | None], network: str | None = None) -> list[str]:
    async def main() -> list[str]:
        async with bootstrap_listing(*peers) as bootstrap:
            return [str(address) for address in await nodes_at_bootstrap(bootstrap, network)]

    return asyncio.run(main())


def test_nodes_of_the_network_are_taken_and_those_that_do_not_say_theirs() -> None:
    peers = (("a:1", ONE.network_hex), ("b:2", TWO.network_hex), ("c:3", None), ("1.2.3:4", ONE.network_hex))
    assert listed(*peers, network=ONE.network_hex) == ["a:1", "c:3"]
    assert listed(("a:1", ONE.network_hex), ("c:3", None)) == ["a:1", "c:3"]


@pytest.mark.parametrize(
    ("peers", "code"),
    [
        ((("a:1", ONE.network_hex), ("b:2", TWO.network_hex)), "several-networks"),
        ((), "no-nodes"),
    ],
)
def test_which_network_is_meant_must_be_clear(peers: tuple[tuple[str, str | None]], code: str) -> None:
    with pytest.raises(VotenetError) as refused:
        listed(*peers)
    assert refused.value.code == code


def test_a_client_finds_its_node_by_a_bootstrap_server(node: RunningNode) -> None:
    dead = Address("127.0.0.1", free_port())

    async def main() -> Address:
        network = node.election.network_hex
        async with (
            bootstrap_listing((dead, network), (node.address, network)) as bootstrap,
            AsyncElectionClient(bootstrap=str(bootstrap), network_id=network) as election,
        ):
            await election.results()
            return election.node

    assert asyncio.run(main()) == node.address


def test_a_bootstrap_server_that_is_away_matters_only_where_no_node_is_named(node: RunningNode) -> None:
    dead = Address("127.0.0.1", free_port())

    async def main(*addresses: Address) -> Address:
        async with AsyncElectionClient(addresses, bootstrap=dead) as election:
            return election.node

    assert asyncio.run(main(node.address)) == node.address
    with pytest.raises(VotenetError) as refused:
        asyncio.run(main())
    assert refused.value.code == "unreachable"


def test_a_client_learns_of_other_nodes_from_the_first_only_if_it_is_told_to() -> None:
    async def main(discover: bool) -> Address:
        alive.append(True)
        async with AsyncElectionClient(first, discover=discover) as election:
            alive.clear()
            await election.results()
            return election.node

    alive: list[bool] = []

    def dies(_: object) -> dict[str, object]:
        if not alive:
            raise ConnectionError
        return {"type": "peers", "addresses": ["10.0.0.1", str(first), str(second)]}

    def results(_: object) -> dict[str, object]:
        if not alive:
            raise ConnectionError
        return results_info(ONE)

    with (
        lying_node(ONE, {"get_results": lambda _: results_info(ONE)}) as second,
        lying_node(ONE, {"get_peers": dies, "get_results": results}) as first,
    ):
        assert asyncio.run(main(True)) == second
        with pytest.raises(VotenetError) as refused:
            asyncio.run(main(False))
        assert refused.value.code == "unreachable"
