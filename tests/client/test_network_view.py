"""All nodes of a network as one view, whatever servers and nodes say. Scripted nodes, real sockets."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from support.elections import make_election, named_nodes
from support.peers import deaf
from support.posed_nodes import CERTIFICATE, PosedNode, listed, posed, posed_server
from votenet.client import network_view
from votenet.client.network_view import MAX_DIALLED, MAX_OF_SOURCE, NetworkView, WayIn, look_at_network
from votenet.client.node_probe import Probe
from votenet.errors import Unreachable
from votenet.protocol.wire.address import Address

ELECTION = make_election(nodes=named_nodes(4))
OTHER = make_election(nodes=named_nodes(4), title="Test electiom")
NOBODY = Address("127.0.0.1", 1)


def look(*nodes: Address, servers: tuple[Address, ...] = (), **more: Any) -> NetworkView:
    return asyncio.run(look_at_network(WayIn(ELECTION, nodes, servers, **more)))


def named(count: int = 4) -> list[PosedNode]:
    return [PosedNode(ELECTION, index, seed=index + 1) for index in range(count)]


def names(view: NetworkView) -> list[str]:
    return [node.name for node in view.nodes]


def test_named_nodes_are_found_through_a_bootstrap_server_and_come_first() -> None:
    nodes, relay = named(), PosedNode(ELECTION, name="a relay")
    with posed(*nodes, relay), posed_server(lambda: [listed(one) for one in (relay, *nodes)]) as server:
        view = look(servers=(server,))
    assert names(view) == ["Node 0", "Node 1", "Node 2", "Node 3", "a relay"]
    assert [node.index for node in view.nodes] == [0, 1, 2, 3, None]
    assert all(node.proven and node.status for node in view.nodes)
    assert [node.address for node in view.nodes] == [one.address for one in (*nodes, relay)]
    assert (view.servers[0].address, view.servers[0].error) == (server, None)
    assert (view.oddities, view.silent, view.left_out, view.late) == ((), (), 0, False)


def test_named_nodes_are_found_through_the_peers_of_one_node() -> None:
    nodes = named()
    nodes[2].peers = [one.address for one in nodes]
    with posed(*nodes):
        view = look(nodes[2].address)
    assert [node.proven for node in view.nodes] == [True] * 4


def test_bootstrap_servers_that_a_named_node_uses_are_asked_where_none_was_named() -> None:
    nodes = named()
    with posed(*nodes), posed_server(lambda: [listed(one) for one in nodes]) as server:
        nodes[0].servers = [server]
        view = look(nodes[0].address)
        relay = PosedNode(ELECTION, servers=[server], peers=[])
        with posed(relay):  # the word of a relay is not enough to ask more servers
            of_relay = look(relay.address)
    assert [node.proven for node in view.nodes] == [True] * 4
    assert [node.proven for node in of_relay.nodes] == [False] * 4 + [True]


def test_bootstrap_servers_of_a_node_that_passes_on_a_handshake_are_not_asked() -> None:
    nodes, between = named(), PosedNode(ELECTION, 3, seed=4, knows_itself=False)
    relay = PosedNode(ELECTION, peers=[between.address])
    with posed(*nodes, between, relay), posed_server(lambda: [listed(one) for one in nodes]) as server:
        between.servers = [server]
        view = look(relay.address)
    assert [node.proven for node in view.nodes[:4]] == [False] * 4
    assert view.servers == ()


def test_a_named_node_that_is_down_is_listed_with_the_address_where_it_was() -> None:
    nodes = named()
    away = nodes.pop()
    with posed(*nodes), posed_server(lambda: [listed(one) for one in (*nodes, away)]) as server:
        view = look(servers=(server,))
    last = view.nodes[3]
    assert (last.name, last.address, last.status) == ("Node 3", away.address, None)
    assert last.error is not None
    assert last.error.code == "unreachable"


def test_a_named_node_of_which_nobody_knows_an_address_is_listed() -> None:
    nodes = named(3)
    nodes[0].peers = [one.address for one in nodes]
    with posed(*nodes):
        view = look(nodes[0].address)
    last = view.nodes[3]
    assert (last.name, last.address) == ("Node 3", None)
    assert last.error is not None
    assert last.error.code == "no-address"


def test_a_liar_with_the_name_of_a_named_node_is_no_named_node() -> None:
    nodes = named(3)
    by_name = PosedNode(ELECTION, name="Node 3")
    by_word = PosedNode(ELECTION, name="x", changes={"node_key": ELECTION.definition.nodes[3].node_key})
    by_list = PosedNode(ELECTION, name="y")
    liars = (by_name, by_word, by_list)
    entries = [*map(listed, (*nodes, by_name, by_word)), listed(by_list, index=3)]
    with posed(*nodes, *liars), posed_server(lambda: entries) as server:
        view = look(servers=(server,))
    assert view.nodes[3].status is None
    assert {node.address for node in view.nodes[4:]} == {liar.address for liar in liars}
    found = {(one.kind, one.address, one.index) for one in view.oddities}
    assert found == {("other-key", liar.address, 3) for liar in liars}


def test_an_old_entry_of_a_list_is_no_claim_where_the_node_is_found_elsewhere() -> None:
    nodes, relay = named(), PosedNode(ELECTION)
    entries = [*map(listed, nodes), listed(relay, index=3)]
    with posed(*nodes, relay), posed_server(lambda: entries) as server:
        view = look(servers=(server,))
    assert view.nodes[3].address == nodes[3].address
    assert view.oddities == ()


@pytest.mark.parametrize("field", ["clock", "disk_free"])
def test_a_node_that_tells_a_number_without_end_hides_no_other(field: str) -> None:
    nodes = named()
    nodes[2].changes = {field: 10**400}
    with posed(*nodes), posed_server(lambda: [listed(one) for one in nodes]) as server:
        view = look(servers=(server,))
    assert [node.proven for node in view.nodes] == [True, True, False, True]
    assert (view.nodes[2].address, view.nodes[2].status) == (nodes[2].address, None)
    assert view.nodes[2].error is not None


def test_a_node_whose_handshakes_are_passed_on_is_shown_where_it_really_is() -> None:
    nodes = named()
    between = PosedNode(ELECTION, 3, seed=4, knows_itself=False)
    entries = [listed(between), *map(listed, nodes)]
    with posed(*nodes, between), posed_server(lambda: entries) as server:
        view = look(servers=(server,))
        alone = look(between.address)
    assert (view.nodes[3].address, view.nodes[3].proven) == (nodes[3].address, True)
    assert view.oddities == ()
    assert (alone.nodes[3].address, alone.nodes[3].proven) == (between.address, False)


def test_a_liar_that_passes_on_the_handshakes_of_named_nodes_is_not_believed() -> None:
    """It is the only way in, and so the named nodes are not found where they really are."""
    between = [PosedNode(ELECTION, index, seed=index + 1, knows_itself=False) for index in range(4)]
    with posed(*between), posed_server(lambda: [listed(one) for one in between]) as server:
        view = look(servers=(server,))
    assert [node.node_key for node in view.nodes] == [one.signing_key.public_hex for one in between]
    assert [(node.proven, node.given) for node in view.nodes] == [(False, False)] * 4
    assert (view.believed, view.named_answering, view.taking_part) == ([], 0, 0)


def test_a_given_node_may_be_dialled_at_an_address_that_it_does_not_know_as_its_own() -> None:
    given, found = (PosedNode(ELECTION, 2, seed=3, knows_itself=False) for _ in range(2))
    with posed(given, found), posed_server(lambda: [listed(found)]) as server:
        view = look(given.address, servers=(server,))
    assert [node.address for node in view.believed] == [given.address]
    assert (view.nodes[2].given, view.nodes[2].proven, view.named_answering) == (True, False, 1)


def test_two_processes_with_one_key_are_told_from_one_with_two_addresses() -> None:
    nodes = named()
    same, twin = PosedNode(ELECTION, 1, seed=2), PosedNode(ELECTION, 2, seed=99)
    entries = [*map(listed, nodes), listed(same), listed(twin)]
    with posed(*nodes, same, twin), posed_server(lambda: entries) as server:
        view = look(servers=(server,))
    assert len(view.nodes) == 4
    (oddity,) = view.oddities
    assert (oddity.kind, oddity.address, oddity.index) == ("key-twice", twin.address, 2)
    assert oddity.detail == str(nodes[2].address)


def test_a_named_node_on_a_genesis_file_that_differs_by_a_byte() -> None:
    nodes = named(3)
    astray = PosedNode(ELECTION, 3, network=OTHER)
    with posed(*nodes, astray), posed_server(lambda: [*map(listed, nodes), listed(astray)]) as server:
        view = look(servers=(server,))
    assert view.nodes[3].error is not None
    assert view.nodes[3].error.code == "other-network"
    (oddity,) = view.oddities
    assert (oddity.kind, oddity.index, oddity.detail) == ("other-network", 3, OTHER.network_hex)


def test_nodes_of_other_networks_at_the_same_server_are_left_alone() -> None:
    nodes = named()
    stranger = PosedNode(ELECTION, name="of another election", network=OTHER)
    with posed(*nodes, stranger), posed_server(lambda: [*map(listed, nodes), listed(stranger)]) as server:
        view = look(servers=(server,))
        given = look(stranger.address, servers=(server,))
    assert names(view) == names(given) == ["Node 0", "Node 1", "Node 2", "Node 3"]
    assert view.oddities == ()
    assert [(one.kind, one.index) for one in given.oddities] == [("other-network", None)]


def test_a_named_node_that_refuses_the_handshake_is_shown_without_a_proof() -> None:
    nodes = named()
    nodes[1].greets = False
    with posed(*nodes), posed_server(lambda: [listed(one) for one in nodes]) as server:
        view = look(servers=(server,))
    shown = view.nodes[1]
    assert (shown.name, shown.address, shown.proven) == ("Node 1", nodes[1].address, False)
    assert shown.error is not None
    assert shown.error.code == "too-many-connections"
    assert shown.status is not None
    assert shown.status.height == CERTIFICATE


def test_a_server_that_is_down_and_one_that_is_none_are_named() -> None:
    node = named()[0]
    with posed(node):
        view = look(node.address, servers=(NOBODY, node.address))
    assert [server.error is None for server in view.servers] == [False, False]
    assert view.nodes[0].proven


def test_an_address_that_was_given_and_does_not_answer_has_a_row() -> None:
    node = named()[0]
    with posed(node):
        view = look(node.address, NOBODY)
    assert (view.nodes[-1].name, view.nodes[-1].address, view.nodes[-1].status) == ("?", NOBODY, None)


def test_a_lying_server_makes_us_dial_few_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of addresses, many of them said to be those of a named node; what they are is still found."""
    dialled: list[Address] = []

    async def dial(address: Address, **_: bool) -> Probe:
        dialled.append(address)
        raise Unreachable("nothing there")

    monkeypatch.setattr(network_view, "probe_node", dial)
    key = ELECTION.definition.nodes[0].node_key
    network = ELECTION.network_hex
    said = [{"address": f"10.1.{n // 250}.{n % 250 + 1}:3000", "node_key": key} for n in range(2000)]
    others = [{"address": f"10.2.{n // 250}.{n % 250 + 1}:3000", "network_id": network} for n in range(2000)]
    rubbish = [{"address": text} for text in ("", ":", "x", "0.0.0.0", "a b:1")]
    with posed_server(lambda: [*rubbish, *said, *others]) as one:
        view = look(servers=(one,))
    assert len(dialled) == len(set(dialled)) == network_view.MAX_PLACES + MAX_OF_SOURCE
    assert view.left_out == 2000 - MAX_OF_SOURCE
    assert len(view.silent) + 1 == len(dialled)  # the first is shown as that of Node 0


def test_many_liars_together_make_us_dial_few_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each node names more nodes, without end."""
    dialled: list[Address] = []
    posing = PosedNode(ELECTION)

    async def dial(address: Address, **_: bool) -> Probe:
        dialled.append(address)
        first = len(dialled) * 100
        peers = tuple(Address(f"10.{n // 250 % 250}.{n % 250}.9", 3000) for n in range(first, first + 100))
        return (await real(posing.address))._replace(address=address, peers=peers)

    real = network_view.probe_node
    with posed(posing):
        monkeypatch.setattr(network_view, "probe_node", dial)
        look(Address("10.0.0.1", 3000))
    assert len(dialled) == len(set(dialled)) == MAX_DIALLED


def liars_first(monkeypatch: pytest.MonkeyPatch, liars: list[PosedNode], *others: PosedNode) -> list[Address]:
    """Each liar names addresses of its own; the other nodes answer after all liars. The addresses dialled."""
    dialled: list[Address] = []
    for number, liar in enumerate(liars):
        liar.peers = [Address(f"10.{number}.0.{n}", 3000) for n in range(MAX_OF_SOURCE)]
    waiting, lied = {liar.address for liar in liars}, asyncio.Event()
    known = waiting | {one.address for one in others}

    async def dial(address: Address, **_: bool) -> Probe:
        dialled.append(address)
        if address not in known:
            raise Unreachable("nothing there")
        found = await real(address)
        waiting.discard(address)
        if not waiting:
            lied.set()
        await lied.wait()
        return found

    real = network_view.probe_node
    monkeypatch.setattr(network_view, "probe_node", dial)
    return dialled


def test_relays_that_name_very_many_addresses_do_not_hide_what_a_named_node_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nodes, liars = named(), [PosedNode(ELECTION) for _ in range(8)]
    nodes[0].peers = [one.address for one in nodes]
    dialled = liars_first(monkeypatch, liars, *nodes)
    with posed(*nodes, *liars):
        view = look(*(liar.address for liar in liars), nodes[0].address)
    assert [node.proven for node in view.nodes[:4]] == [True] * 4
    assert len(dialled) == len(set(dialled)) == MAX_DIALLED
    assert view.left_out == 8 * MAX_OF_SOURCE + 8 + 4 - MAX_DIALLED


def test_relays_that_name_very_many_addresses_do_not_hide_what_servers_of_named_nodes_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nodes, liars = named(), [PosedNode(ELECTION) for _ in range(8)]
    dialled = liars_first(monkeypatch, liars, *nodes)
    with posed(*nodes, *liars), posed_server(lambda: [listed(one) for one in nodes]) as server:
        nodes[0].servers = [server]
        view = look(*(liar.address for liar in liars), nodes[0].address)
    assert [node.proven for node in view.nodes[:4]] == [True] * 4
    assert len(dialled) == len(set(dialled)) == MAX_DIALLED


def test_addresses_of_loopback_that_another_machine_names_are_not_dialled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dialled: list[Address] = []

    async def dial(address: Address, **_: bool) -> Probe:
        dialled.append(address)
        raise Unreachable("nothing there")

    monkeypatch.setattr(network_view, "probe_node", dial)
    hosts = ("127.0.0.1", "127.9.9.9", "::1", "localhost", "0.0.0.0", "::", "localhost.", "::1%lo")
    own = tuple(Address(host, 22) for host in hosts)
    far = Address("10.0.0.7", 3000)
    look(listed=(*own, far), page_host="vote.example.org")
    assert dialled == [far]


def test_a_look_ends_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with deaf() as silent:
        view = asyncio.run(look_at_network(WayIn(ELECTION, (silent,)), seconds=0.05))
    assert view.late
    assert view.nodes[-1].address == silent
    assert view.nodes[-1].error is not None
    assert names(view)[:4] == ["Node 0", "Node 1", "Node 2", "Node 3"]


def test_an_old_node_without_clock_and_disk_is_shown() -> None:
    node = PosedNode(ELECTION, 0, ahead=None)
    with posed(node):
        shown = look(node.address).nodes[0]
    assert shown.status is not None
    assert (shown.status.clock, shown.status.disk_free) == (None, None)
    assert shown.ahead == pytest.approx(0.0, abs=3600)


def test_an_election_without_named_nodes_shows_its_nodes() -> None:
    plain = make_election(title="plain")
    one, two = (PosedNode(plain, name=name) for name in ("one", "two"))
    one.peers = [two.address]
    with posed(one, two):
        view = asyncio.run(look_at_network(WayIn(plain, (one.address,))))
    assert names(view) == ["one", "two"]
    assert view.oddities == ()


def test_a_named_node_is_looked_for_where_it_was_at_the_last_look() -> None:
    nodes = named()
    places = {one.signing_key.public_hex: one.address for one in nodes} | {"ab" * 32: NOBODY}
    with posed(*nodes[:3]):
        view = look(places=places)
    assert [node.proven for node in view.nodes] == [True, True, True, False]
    assert view.nodes[3].address == nodes[3].address
    assert view.silent == ()


def test_the_page_has_the_limits_of_a_look() -> None:
    page = (Path(__file__).parents[2] / "docs" / "supervisor.md").read_text(encoding="utf-8")
    text = " ".join(page.split())
    assert f"takes {network_view.VIEW_SECONDS:g} s at most" in text
    assert f"it dials {MAX_DIALLED} addresses at most, {MAX_OF_SOURCE} of those that one server" in text
