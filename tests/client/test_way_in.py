"""From a page, a node, an id or bootstrap servers to the definition and to addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from tests.cli.conftest import RunningNode

from support.elections import make_election, named_nodes
from support.page import serving
from support.posed_nodes import PosedNode, listed, posed, posed_server
from votenet.client import way_in
from votenet.client.network_view import WayIn
from votenet.client.way_in import way_in_at_node, way_in_at_page, way_in_of_network
from votenet.errors import ConfigError, Rejected, Unreachable, VotenetError
from votenet.protocol.bootstrap.bootstrap_messages import KnownPeer
from votenet.protocol.wire.address import Address

ELECTION = make_election(nodes=named_nodes(4))
OTHER = make_election(nodes=named_nodes(4), title="Other")
NOBODY = Address("127.0.0.1", 1)


def of_network(network_id: str | None, *nodes: Address, servers: tuple[Address, ...] = ()) -> WayIn:
    return asyncio.run(way_in_of_network(network_id, nodes, servers))


def test_a_page_names_its_nodes_as_it_sees_them(node: RunningNode) -> None:
    async def run() -> WayIn:
        async with serving(node.address) as page:
            return await way_in_at_page(f"http://{page.address}", [NOBODY])

    way = asyncio.run(run())
    assert way.election.network_id == node.election.network_id
    assert (way.listed, way.bootstraps, way.page_host) == ((node.address,), (NOBODY,), "127.0.0.1")


def test_a_node_tells_its_election() -> None:
    node = PosedNode(ELECTION, 0)
    with posed(node):
        way = asyncio.run(way_in_at_node(node.address))
    assert (way.election.network_id, way.nodes) == (ELECTION.network_id, (node.address,))


def test_a_bootstrap_server_is_not_a_node_and_the_next_step_says_how_to_name_it() -> None:
    server = PosedNode(ELECTION)
    server.answer = lambda request: {"error": {"code": "unknown-type", "message": "ask REGISTER"}}  # type: ignore[method-assign]
    with posed(server), pytest.raises(ConfigError) as refused:
        asyncio.run(way_in_at_node(server.address))
    assert refused.value.code == "not-a-node"
    assert f"--bootstrap {server.address}" in refused.value.next_step


def test_a_node_that_is_down_says_so() -> None:
    with pytest.raises(Unreachable):
        asyncio.run(way_in_at_node(NOBODY))


def test_an_id_is_looked_for_at_nodes_and_at_servers() -> None:
    ours, others = PosedNode(ELECTION, 0), PosedNode(OTHER, 1)
    with posed(ours, others), posed_server(lambda: [listed(others), listed(ours)]) as server:
        way = of_network(ELECTION.network_hex, servers=(server,))
        at_node = of_network(ELECTION.network_hex, NOBODY, ours.address)
        with pytest.raises(Rejected) as refused:
            of_network(ELECTION.network_hex, others.address)
    assert (way.election.network_id, way.bootstraps) == (ELECTION.network_id, (server,))
    assert at_node.election.network_id == ELECTION.network_id
    # An address at which a network was seen before may be one that a stranger had listed.
    assert (at_node.nodes, at_node.listed) == ((), (NOBODY, ours.address))
    assert refused.value.code == "network-mismatch"


def test_addresses_of_our_own_machine_that_a_server_elsewhere_lists_are_not_dialled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hosts = ("127.0.0.1", "0.0.0.0", "[::]", "localhost.", "[::1%lo]") * way_in.MAX_ASKED
    own = [f"{host}:{port}" for port, host in enumerate(hosts, 1)]
    peers = [KnownPeer(address, None, ELECTION.network_hex) for address in (*own, "10.0.0.7:3000")]
    dialled: list[Address] = []

    async def lists(servers: Iterable[Address]) -> list[tuple[Address, list[KnownPeer]]]:
        return [(server, peers) for server in servers]

    async def ask(addresses: Iterable[Address], _: object) -> list[tuple[Address, Unreachable]]:
        dialled.extend(addresses)
        return [(address, Unreachable("nothing there")) for address in dialled]

    monkeypatch.setattr(way_in, "list_servers", lists)
    monkeypatch.setattr(way_in, "ask_each", ask)
    with pytest.raises(Unreachable):
        of_network(ELECTION.network_hex, servers=(Address("boot.example.org", 4000),))
    assert dialled == [Address("10.0.0.7", 3000)]


def test_a_server_of_one_network_needs_no_id_and_one_of_several_does() -> None:
    ours, others = PosedNode(ELECTION, 0), PosedNode(OTHER, 1)
    unkeyed = {"address": str(others.address)}
    with posed(ours, others):
        with posed_server(lambda: [listed(ours)]) as server:
            assert of_network(None, servers=(server,)).election.network_id == ELECTION.network_id
        for entries in ([listed(ours), listed(others)], [listed(ours), unkeyed]):
            with posed_server(lambda shown=entries: shown) as server, pytest.raises(VotenetError) as refused:  # type: ignore[misc]
                of_network(None, servers=(server,))
            assert refused.value.code == "several-networks"
            assert ELECTION.network_hex in refused.value.message
            assert OTHER.network_hex in refused.value.message


def test_a_server_without_nodes_and_one_that_is_down() -> None:
    with posed_server(list) as server, pytest.raises(VotenetError) as refused:
        of_network(None, servers=(server,))
    assert (refused.value.code, bool(refused.value.next_step)) == ("no-nodes", True)
    with pytest.raises(Unreachable):
        of_network(ELECTION.network_hex, servers=(NOBODY,))
