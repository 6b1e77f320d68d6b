"""Which listed nodes the page watches, and which it leaves."""

from __future__ import annotations

import asyncio

import pytest

from support.elections import keys_of_node, make_election, named_nodes
from support.ports import free_port
from support.posed_nodes import PosedNode, listed, posed_server
from votenet.client.network_view import MAX_PLACES
from votenet.protocol.bootstrap.bootstrap_messages import KnownPeer
from votenet.protocol.wire.address import Address
from votenet.web import found_nodes
from votenet.web.found_nodes import BootstrapList, leave_first, places_of_named

ELECTION = make_election(nodes=named_nodes(4))


def place(port: int) -> Address:
    return Address("192.0.2.1", port)


def entry(port: int, node: int, network_id: str | None = ELECTION.network_hex) -> KnownPeer:
    return KnownPeer(str(place(port)), keys_of_node(node).node.public_hex, network_id)


def test_only_entries_with_the_keys_of_named_nodes_of_the_network_are_places_of_them() -> None:
    entries = [
        KnownPeer(str(place(1))),
        KnownPeer(str(place(2)), "00" * 32, ELECTION.network_hex),
        entry(3, 0, network_id="00" * 32),
        entry(4, 0, network_id=None),
        KnownPeer("no address", keys_of_node(0).node.public_hex),
        entry(5, 1),
    ]
    assert places_of_named(ELECTION, entries) == [place(4), place(5)]


def test_a_named_node_has_few_places_and_none_keeps_another_from_its_first() -> None:
    entries = [*(entry(1 + count % 50, 0) for count in range(100)), entry(90, 1), entry(91, 2)]
    expected = [place(1), place(90), place(91), *(place(1 + rank) for rank in range(1, MAX_PLACES))]
    assert places_of_named(ELECTION, entries) == expected


def test_silent_strangers_are_left_before_those_that_answer_and_places_of_named_nodes_last() -> None:
    strangers = [place(port) for port in range(1, 7)]
    told = {
        "tried": [place(1), place(2), place(3), place(5)],
        "answering": [place(1)],
        "listed_as_named": [place(5), place(6)],
    }
    assert leave_first(strangers, **told, for_named=False) == [place(2), place(3), place(1)]
    for_named = leave_first(strangers, **told, for_named=True)
    assert for_named == [place(2), place(3), place(1), place(4), place(5)]


def test_the_whole_list_of_a_server_is_read_seldom_and_only_for_an_election_that_names_nodes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    named = [PosedNode(ELECTION, index) for index in (0, 1)]
    peers = [{"address": str(PosedNode(ELECTION).address)}, listed(named[0])]

    async def scenario() -> None:
        with posed_server(lambda: peers) as address:
            server = BootstrapList(address)
            for election in (None, make_election()):
                assert await server.find_named(election) == []
            assert await server.find_named(ELECTION) == server.places_of_named == [named[0].address]
            peers.append(listed(named[1]))
            assert await server.find_named(ELECTION) == []
            assert server.places_of_named == [named[0].address]
            monkeypatch.setattr(found_nodes, "WHOLE_LIST_SECONDS", 0.0)
            assert await server.find_named(ELECTION) == [node.address for node in named]
        assert await server.find_named(ELECTION) == []
        assert server.places_of_named == [node.address for node in named], "those of the last list stay"

    asyncio.run(scenario())


def test_some_nodes_of_a_server_are_those_of_the_network_and_none_where_it_is_silent() -> None:
    node, other = PosedNode(ELECTION, 0), PosedNode(make_election(title="Another one"))

    async def scenario() -> None:
        with posed_server(lambda: [listed(node), listed(other)]) as address:
            assert await BootstrapList(address).find_some(ELECTION.network_hex) == [node.address]
        assert await BootstrapList(Address("127.0.0.1", free_port())).find_some(None) == []

    asyncio.run(scenario())
