"""Every kind of discovery alone, dead servers, lies about addresses, links that come and go."""

from __future__ import annotations

import random

import pytest

from support.discovery import BOOTSTRAP, FindingNetwork, far_address
from support.elections import key_of
from votenet.protocol.peers.address_manager import (
    LOCAL_SIZE,
    LONGEST_RETRY,
    QUARANTINE_AFTER,
    QUARANTINE_SECONDS,
    AddressManager,
    CachedPeer,
    group_of,
)
from votenet.protocol.peers.bootstrap_servers import MAX_LEARNT, POLL_WHEN_CUT_OFF_SECONDS, AskBootstrap
from votenet.protocol.peers.dial_planner import MAX_DIALS
from votenet.protocol.peers.dial_rates import DIALS_OF_HOST, DIALS_OF_NAMES, DIALS_OF_NAMES_PER_SECOND
from votenet.protocol.peers.discovery import (
    ANNOUNCE,
    BROADCAST,
    CUT_OFF_AFTER_SECONDS,
    GOSSIP,
    KINDS,
    MAX_CLAIMS_OF_NAMES,
    NO_ROOM_REST,
    POLL,
    START_PATIENCE,
    CheckClaim,
    ConfirmAddress,
    DialPeer,
    Disconnect,
    Discovery,
    TellNotReached,
)
from votenet.protocol.peers.named_nodes import NamedNodes
from votenet.protocol.peers.selection import OUTBOUND
from votenet.protocol.wire.address import Address, parse_address
from votenet.protocol.wire.connection import PeerInfo
from votenet.protocol.wire.peer_messages import GetPeers, Peers

TEN = [far_address(number) for number in range(1, 11)]
BOUNDS = {BROADCAST: 5.0, POLL: 40.0, ANNOUNCE: 10.0, GOSSIP: 120.0}
"""Virtual seconds after the last start in which all know all: a line or two; a poll; a dial-back; rounds."""


def grown(kinds: tuple[str, ...], seed: int = 1) -> FindingNetwork:
    """Ten nodes that started one after the other."""
    net = FindingNetwork(seed, kinds)
    for name in TEN:
        net.find(name)
        net.run(2.0)
    return net


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_discovery_is_enough_alone(kind: str, seed: int) -> None:
    net = grown((kind,), seed)
    assert net.run_until(net.all_know_all, BOUNDS[kind]), {
        n.name: sorted(n.knows()) for n in net.finding_nodes()
    }


def test_without_discovery_the_first_node_never_learns_of_the_last() -> None:
    """What the tests of the four kinds would show if a switch did nothing."""
    net = grown(())
    net.run(300.0)
    assert net.nodes[TEN[0]].knows() == set()  # type: ignore[attr-defined]


# -- bootstrap servers that are not there ----------------------------------------------------------


def test_no_bootstrap_server_is_needed_once_a_node_is_known() -> None:
    net = FindingNetwork()
    net.bootstrap_up = False
    for number, name in enumerate(TEN):
        net.find(name, peers=TEN[number - 1 : number])
    assert net.run_until(net.all_know_all, 120.0)


def test_a_server_that_stays_dead_stops_no_node_and_late_nodes_join_by_cache_or_peer() -> None:
    net = grown(KINDS)
    assert net.run_until(net.all_know_all, 40.0)
    net.bootstrap_up = False
    cache = net.finding_nodes()[0].addresses.cached(net.finding_nodes()[0].discovery.anchors())
    by_cache = net.find(far_address(11), cache=cache)
    by_peer = net.find(far_address(12), peers=TEN[4:5])
    assert net.run_until(lambda: bool(by_cache.peers()) and bool(by_peer.peers()), 10.0)
    assert net.run_until(net.all_know_all, 240.0)


def test_a_server_that_comes_late_is_found_and_registered_with() -> None:
    net = FindingNetwork()
    net.bootstrap_up = False
    for name in TEN[:3]:
        net.find(name)
    net.run(60.0)
    net.bootstrap_up = True
    assert net.run_until(net.all_know_all, 70.0)


def test_one_of_several_servers_is_enough_and_others_are_learnt_from_peers() -> None:
    second = Address("10.254.0.1", 4000)
    net = FindingNetwork()
    one = net.find(TEN[0], bootstraps=(BOOTSTRAP, second))
    two = net.find(TEN[1], bootstraps=(second,))
    net.run(10.0)
    three = net.find(TEN[2], bootstraps=(), peers=TEN[:1])
    assert net.run_until(lambda: set(three.discovery.servers.answering()) == {BOOTSTRAP, second}, 60.0)
    assert net.run_until(net.all_know_all, 60.0)
    assert one.discovery.servers.answering() == [BOOTSTRAP, second]
    assert two.knows() == {TEN[0], TEN[2]}


def test_servers_that_strangers_name_are_not_asked_and_learnt_ones_are_few() -> None:
    found = discovery()
    up(found, 1, dialled="")
    found.bootstrap_named(BOOTSTRAP, 1)
    assert found.servers.known() == []
    up(found, 2, dialled="10.7.0.1:3000")
    for number in range(9):
        found.bootstrap_named(Address("10.9.0.1", 4000 + number), 2)
    assert len(found.servers.known()) == MAX_LEARNT


def test_anchors_are_dialled_first_after_a_restart() -> None:
    net = grown(KINDS)
    node = net.finding_nodes()[-1]
    assert net.run_until(lambda: len(node.outbound()) == OUTBOUND, 60.0)
    anchors = node.discovery.anchors()
    again = FindingNetwork()
    started = again.find(node.name, cache=node.addresses.cached(anchors[:2]), bootstraps=())
    again.run(0.3)
    assert set(started.dials[:2]) == set(anchors[:2])


def test_anchors_that_are_names_are_dialled_first_after_a_restart_too() -> None:
    anchors = some_names(OUTBOUND)
    found = discovery()
    met = 1_700_000_000
    rows = [CachedPeer(far_address(number), "", met) for number in range(2, 12)]
    found.addresses.restore(rows + [CachedPeer(name, "", met, anchor=True) for name in anchors], met)
    assert set(dials(found, 0.0)) == set(anchors)


# -- places ----------------------------------------------------------------------------------------


def test_outbound_places_are_filled_and_no_more_are_kept() -> None:
    net = FindingNetwork()
    names = [far_address(number) for number in range(1, 31)]
    for name in names:
        net.find(name)
    assert net.run_until(net.all_know_all, 300.0)
    net.run(60.0)
    for node in net.finding_nodes():
        assert len(node.outbound()) <= OUTBOUND
    last = net.find(far_address(31))
    assert net.run_until(lambda: len(last.outbound()) == OUTBOUND, 30.0)
    net.crash(last.outbound()[0])
    assert net.run_until(lambda: len([o for o in last.outbound() if net.nodes[o].alive]) == OUTBOUND, 120.0)


# -- health ----------------------------------------------------------------------------------------


def discovery(
    *peers: str,
    kinds: tuple[str, ...] = KINDS,
    servers: tuple[Address, ...] = (),
    named: NamedNodes | None = None,
) -> Discovery:
    addresses = AddressManager("10.0.0.1:3000")
    for peer in peers:
        assert addresses.add(peer)
    made: Discovery

    def joined() -> set[str]:
        return set(made.anchors()) if named is not None else set()

    made = Discovery(
        addresses, servers, kinds=kinds, open_addresses=joined, dice=random.Random(1), named=named
    )
    return made


def up(
    found: Discovery,
    link: int,
    *,
    dialled: str,
    listen: str = "",
    now: float = 0.0,
    key: str = "",
    proven: bool = True,
) -> None:
    peer_info = PeerInfo(key_of(key or f"peer {link}").public_hex, listen, 0, 0, proven=proven)
    found.peer_up(link, f"10.{link}.0.1", dialled, peer_info, now, 1_700_000_000)


def dials(found: Discovery, now: float) -> list[str]:
    return [str(action.address) for action in found.actions(now) if isinstance(action, DialPeer)]


def test_a_link_that_flaps_is_dialled_ever_more_rarely_and_then_rests() -> None:
    peer, now = "10.7.0.1:3000", 0.0
    found = discovery(peer)
    up(found, 99, dialled="10.9.0.1:3000")  # another one stays
    waits = []
    for link in range(1, QUARANTINE_AFTER + 1):
        began = now
        while dials(found, now) != [peer]:
            now += 0.25
        waits.append(now - began)
        found.link_opened(peer, now)
        up(found, link, dialled=peer, now=now)
        found.peer_down(link, now + 0.1)
        now += 0.1
    assert waits == sorted(waits)
    assert dials(found, now + QUARANTINE_SECONDS - 1.0) == []
    assert dials(found, now + QUARANTINE_SECONDS) == [peer]


def test_a_node_that_is_alone_lets_no_address_rest_for_long() -> None:
    """Its clock was hours off, say, and no link lasted; now it is set."""
    found = discovery(HERE)
    now = 0.0
    for link in range(1, QUARANTINE_AFTER + 2):
        while dials(found, now) != [HERE]:
            now += 0.25
        found.link_opened(HERE, now)
        up(found, link, dialled=HERE, now=now)
        found.peer_down(link, now)
    began = now
    while dials(found, now) != [HERE]:
        now += 0.25
    assert now - began <= LONGEST_RETRY + 0.25


def test_a_link_that_lasted_is_dialled_again_at_once() -> None:
    peer = "10.7.0.1:3000"
    found = discovery(peer)
    assert dials(found, 0.0) == [peer]
    found.link_opened(peer, 0.0)
    up(found, 1, dialled=peer)
    found.peer_down(1, 100.0)
    assert dials(found, 100.0) == [peer]


def test_a_node_with_a_false_address_is_told_so_and_its_address_is_not_passed_on() -> None:
    net = FindingNetwork(kinds=KINDS)
    net.find(TEN[0], bootstraps=())
    liar = net.find(TEN[1], bootstraps=(), peers=TEN[:1], claims="10.99.0.1:3000")
    assert net.run_until(lambda: bool(liar.told), 120.0)
    (told,) = liar.told
    assert (told.address, told.seen) == ("10.99.0.1:3000", "10.2.0.1")
    client = net.client(TEN[0])
    client.ask(GetPeers())
    net.run(1.0)
    assert client.answers() == [Peers(addresses=(TEN[0],))]


def test_silent_wires_are_given_up_and_the_network_is_whole_after_it_heals() -> None:
    net = grown(KINDS)
    assert net.run_until(net.all_know_all, 60.0)
    net.partition(TEN[:5], TEN[5:], silent=True)
    net.run(120.0)
    assert not net.nodes[TEN[0]].peers() & set(TEN[5:])
    net.heal()
    assert net.run_until(lambda: bool(net.nodes[TEN[0]].peers() & set(TEN[5:])), 400.0)


def test_a_claim_that_a_peer_left_is_believed_only_after_a_dial() -> None:
    peer = "10.7.0.1:3000"
    found = discovery(peer)
    assert not found.peer_left(peer)
    assert peer in found.addresses
    assert dials(found, 0.0) == [peer]
    found.dial_failed(peer, 0.0)
    assert peer not in found.addresses


# -- bounds ----------------------------------------------------------------------------------------


def test_a_host_that_others_name_again_and_again_is_dialled_a_few_times_a_second_at_most() -> None:
    """Naming a victim's addresses must not turn the network on it."""
    found = discovery()
    for port in range(1, 120):
        found.address_named(GOSSIP, f"10.66.0.1:{port}", "10.5.0.0/16", 0.0)
    count, seconds = 0, 30
    for tick in range(seconds * 4):
        for address in dials(found, tick / 4):
            count += 1
            found.dial_failed(address, tick / 4)
    assert DIALS_OF_HOST <= count <= DIALS_OF_HOST + seconds


def test_names_of_many_domains_are_dialled_a_few_times_a_second_at_most() -> None:
    """All of them may lead to one victim."""
    found = discovery()
    for number in range(1, 120):
        found.address_named(GOSSIP, f"a.liar{number}:3000", f"10.{number}.0.0/16", 0.0)
    count, seconds = 0, 30
    for tick in range(seconds * 4):
        for address in dials(found, tick / 4):
            count += 1
            found.dial_failed(address, tick / 4)
    assert DIALS_OF_HOST < count <= DIALS_OF_NAMES + DIALS_OF_NAMES_PER_SECOND * seconds


def test_names_of_one_domain_are_dialled_as_one_host() -> None:
    found = discovery()
    for number in range(1, 120):
        found.address_named(GOSSIP, f"n{number}.liar.example:3000", f"10.{number}.0.0/16", 0.0)
    count = 0
    for _ in range(10):
        for address in dials(found, 0.0):
            count += 1
            found.dial_failed(address, 0.0)
    assert count == DIALS_OF_HOST


def test_names_that_wait_for_their_rate_take_no_places_from_others() -> None:
    found = discovery()
    for number in range(200):
        found.address_named(GOSSIP, f"n{number}.liar.example:3000", f"10.{number}.0.0/16", 0.0)
    while new := dials(found, 0.0):
        for address in new:
            found.dial_failed(address, 0.0)
    honest = [f"10.70.{number}.1:3000" for number in range(1, OUTBOUND + 1)]
    assert all(map(found.addresses.add, honest))
    assert set(dials(found, 0.0)) == set(honest)


def some_names(count: int) -> list[str]:
    return [f"node.liar{number}:3000" for number in range(1, count + 1)]


def test_names_of_eight_domains_get_one_place_while_other_networks_wait() -> None:
    honest = [far_address(number) for number in range(2, 2 + OUTBOUND)]
    chosen = dials(discovery(*some_names(8), *honest), 0.0)
    assert len(chosen) == OUTBOUND
    assert len(set(chosen) - set(honest)) == 1


def test_a_link_by_a_name_counts_for_all_names_and_for_the_network_it_leads_to() -> None:
    first, second = some_names(2)
    found = discovery(first, second, "10.1.0.9:3000", "10.2.0.9:3000")
    up(found, 1, dialled=first)  # it leads to 10.1.0.1
    for link in range(2, OUTBOUND):
        up(found, link + 20, dialled=far_address(link + 20))
    found.addresses.postpone(first, 0.0)
    assert dials(found, 0.0) == ["10.2.0.9:3000"]


def test_a_name_that_was_met_counts_for_the_network_it_led_to() -> None:
    new, known, joined = some_names(3)
    found = discovery(new, known, joined)
    up(found, 1, dialled=known)
    found.peer_down(1, 100.0)
    up(found, 2, dialled=joined)
    for link in range(3, OUTBOUND + 1):
        up(found, link + 20, dialled=far_address(link + 20))
    found.addresses.postpone(joined, 100.0)
    assert dials(found, 200.0) == [known]


def test_names_fill_all_places_where_there_is_nothing_else() -> None:
    """A network whose nodes are known by names only works as any other."""
    assert len(dials(discovery(*some_names(8)), 0.0)) == OUTBOUND


def test_names_that_the_operator_gives_count_for_their_own_domains() -> None:
    found = discovery(*some_names(8))
    own = [f"node.friend{number}:3000" for number in range(1, 8)]
    for name in own:
        found.addresses.add_configured(name)
    assert set(own) <= set(dials(found, 0.0))


def test_few_dials_are_under_way_at_one_time() -> None:
    found = discovery(*(far_address(number) for number in range(1, 40)))
    assert len(dials(found, 0.0)) == MAX_DIALS
    assert dials(found, 0.0) == []


def test_a_visit_is_a_handshake_and_goodbye() -> None:
    found = discovery()
    for link in range(1, OUTBOUND + 1):
        up(found, link, dialled=far_address(link))
    found.address_named(POLL, "10.77.0.1:3000", "", 0.0)
    assert dials(found, 0.0) == ["10.77.0.1:3000"]
    found.link_opened("10.77.0.1:3000", 0.0)
    up(found, 99, dialled="10.77.0.1:3000")
    assert Disconnect(99) in found.actions(0.0)
    assert found.addresses.is_met("10.77.0.1:3000")
    assert dials(found, 1000.0) == []


@pytest.mark.parametrize("kind", KINDS)
def test_hints_of_a_kind_that_is_off_are_ignored(kind: str) -> None:
    found = discovery(kinds=tuple(other for other in KINDS if other != kind))
    found.address_named(kind, "10.7.0.1:3000", "", 0.0)
    if kind == ANNOUNCE:
        up(found, 1, dialled="", listen="10.7.0.1:3000")
    assert len(found.addresses) == 0


def test_a_server_is_asked_once_at_a_time_renewed_in_time_and_tried_again_with_back_off() -> None:
    found = discovery(servers=(BOOTSTRAP,))
    assert not found.settled(0.0)
    assert found.actions(0.0) == [AskBootstrap(BOOTSTRAP, True)]
    assert found.actions(5.0) == []
    assert found.bootstrap_failed(BOOTSTRAP, 5.0)
    assert not found.settled(5.0), "no server has answered, and no node is known: it may be cut off"
    assert AskBootstrap(BOOTSTRAP, True) in found.actions(5.2)
    assert not found.bootstrap_failed(BOOTSTRAP, 5.2)
    assert AskBootstrap(BOOTSTRAP, True) in found.actions(6.0)
    found.bootstrap_answered(BOOTSTRAP, True, ["10.7.0.1:3000", "junk"], 6.0)
    assert parse_address("10.7.0.1:3000") in found.addresses.due(6.0, set())
    found.dial_failed("10.7.0.1:3000", 6.0)
    assert found.settled(6.1)
    asked = [action for action in found.actions(60.0) if isinstance(action, AskBootstrap)]
    assert asked == [AskBootstrap(BOOTSTRAP, False)]


# -- when a start is over ----------------------------------------------------------------------------


def test_a_start_waits_for_nodes_named_by_servers_and_cache() -> None:
    found = discovery(servers=(BOOTSTRAP,))
    found.addresses.add("10.9.0.1:3000")
    found.actions(0.0)
    found.bootstrap_answered(BOOTSTRAP, True, ["10.7.0.1:3000"], 1.0)
    assert not found.settled(1.0)
    assert dials(found, 1.0) == ["10.7.0.1:3000"]
    found.dial_failed("10.9.0.1:3000", 1.1)
    found.link_opened("10.7.0.1:3000", 1.2)
    assert found.settled(1.3)


def test_hints_of_strangers_hold_up_no_start() -> None:
    found = discovery(servers=(BOOTSTRAP,))
    found.actions(0.0)
    found.bootstrap_answered(BOOTSTRAP, True, [], 1.0)
    for number in range(1000):
        found.address_named(BROADCAST, f"10.{number % 250}.0.{number % 99}:3000", "junk", 1.0)
        found.actions(1.0)  # some of them are being dialled all the time
        assert found.settled(1.0)


def test_a_registry_full_of_silent_peers_holds_up_a_start_for_some_seconds_only() -> None:
    found = discovery(servers=(BOOTSTRAP,))
    found.actions(0.0)
    dead = [f"10.{number}.0.1:3000" for number in range(200)]
    found.bootstrap_answered(BOOTSTRAP, True, dead, 1.0)
    found.actions(1.0)
    assert not found.settled(1.0 + START_PATIENCE)
    assert found.settled(1.1 + START_PATIENCE)


# -- what counts -------------------------------------------------------------------------------------

HERE, THERE = "10.7.0.1:3000", "10.8.0.1:3000"


def look(found: Discovery, now: float, *truths: tuple[str, str]) -> list[CheckClaim]:
    """Carry out every check that is due; those of `truths` (address, name of a key) hold."""
    done = [action for action in found.actions(now) if isinstance(action, CheckClaim)]
    for check in done:
        holds = any((check.address, check.node_key) == (a, key_of(k).public_hex) for a, k in truths)
        found.claim_checked(check.address, check.node_key, holds, now, 1_700_000_000)
    return done


def test_a_claimed_address_counts_after_it_was_dialled_back() -> None:
    found = discovery()
    up(found, 1, dialled="", listen=HERE, key="them")
    assert found.counted() == []
    assert dials(found, 0.05) == [], "the link may lead there: a look is due in a moment"
    assert [check.address for check in look(found, 0.1, (HERE, "them"))] == [HERE]
    assert found.counted() == [1]
    assert found.busy_addresses() == {HERE}
    assert ConfirmAddress(1, HERE) in found.actions(0.2)
    assert found.peer_info(1) is not None
    found.peer_down(1, 9.0)
    assert found.counted() == []


def test_only_this_machine_and_the_operators_servers_name_addresses_of_this_machine() -> None:
    """Else anybody could have a node dial each port of its own machine."""
    near, ours, learnt = Address("127.0.0.1", 4000), Address("10.255.0.1", 4000), Address("10.6.6.6", 4000)
    found = discovery(servers=(near, ours))
    found.servers.learn(learnt)
    up(found, 1, dialled="", listen="127.0.0.1:21")
    actions = found.actions(0.0)
    assert TellNotReached(1, "127.0.0.1:21") in actions
    found.address_named(GOSSIP, "localhost:22", group_of("10.6.0.1"), 0.0)
    found.bootstrap_answered(learnt, True, ["127.0.0.1:23", "10.7.0.1:3000"], 0.0)
    assert set(found.addresses) == {"10.7.0.1:3000"}
    assert not [one for one in found.actions(60.0) if isinstance(one, CheckClaim)]
    found.address_named(GOSSIP, "localhost:24", group_of("127.0.0.1"), 0.0)
    found.bootstrap_answered(ours, True, ["127.0.0.1:25"], 0.0)
    found.bootstrap_answered(near, True, ["127.0.0.1:26"], 0.0)
    mine = {"localhost:24", "127.0.0.1:25", "127.0.0.1:26"}
    assert mine < set(found.addresses)
    peer_info = PeerInfo(key_of("near").public_hex, "127.0.0.1:27", 0, 0)
    found.peer_up(2, "127.0.0.1", "", peer_info, 0.0, 1_700_000_000)
    assert [one.address for one in found.actions(61.0) if isinstance(one, CheckClaim)] == ["127.0.0.1:27"]


def test_false_claims_to_an_address_do_not_stop_dials_to_it() -> None:
    """Eight idle links that say they are the honest nodes."""
    honest = [far_address(number) for number in range(1, 9)]
    found = discovery(*honest)
    for link, address in enumerate(honest, start=1):
        up(found, link, dialled="", listen=address)
    assert dials(found, 0.05) == []
    look(found, 0.1)
    assert set(dials(found, 0.1)) == set(honest)
    for link, address in enumerate(honest, start=1):
        found.dial_failed(address, 0.2)
        up(found, 100 + link, dialled="", listen=address)  # again, with keys of their own
    assert set(dials(found, 5.0)) == set(honest), (
        "a claim to an address that was claimed falsely holds up no more"
    )
    assert found.counted() == []


def test_a_false_claim_neither_forgets_the_true_one_nor_harms_the_address() -> None:
    found = discovery()
    up(found, 1, dialled="", listen=HERE, key="liar")
    up(found, 2, dialled="", listen=HERE, key="them")
    for now in (0.1, 1.2, 6.3, 37.0):
        look(found, now, (HERE, "them"))
    assert found.counted() == [2]
    assert found.addresses.is_met(HERE)
    assert dials(found, 100.0) == []


def test_a_claim_whose_checks_find_no_room_is_neither_false_nor_forgotten() -> None:
    name = "pod.honest.example:3000"
    found = discovery()
    up(found, 1, dialled="", listen=name, key="them")
    for number in range(20):
        now = 0.1 + number * NO_ROOM_REST
        actions = found.actions(now)
        assert [one.address for one in actions if isinstance(one, CheckClaim)] == [name]
        assert not [one for one in actions if isinstance(one, TellNotReached)]
        found.claim_postponed(name, key_of("them").public_hex, now)
        assert not look(found, now + NO_ROOM_REST - 0.1)
    assert look(found, 20 * NO_ROOM_REST + 0.1, (name, "them"))
    assert found.counted() == [1]


def test_claims_to_names_that_wait_leave_room_for_claims_to_addresses() -> None:
    found = discovery()
    for number, name in enumerate(some_names(2 * MAX_CLAIMS_OF_NAMES)):
        up(found, 1000 + number, dialled="", listen=name)
    up(found, 1, dialled="", listen=HERE, key="them")
    look(found, 0.1, (HERE, "them"))
    assert found.counted() == [1]


def test_a_link_that_is_unproven_works_and_does_not_count() -> None:
    found = discovery()
    up(found, 1, dialled=HERE, proven=False)
    up(found, 2, dialled="", listen=THERE, key="them", proven=False)
    look(found, 0.1, (THERE, "them"))
    assert found.counted() == []
    assert found.peer_keys() == {key_of("peer 1").public_hex, key_of("them").public_hex}
    assert found.unproven() == {HERE}
    assert THERE in found.busy_addresses(), "a stranger may stand between: it is dialled all the same"


def test_unproven_links_take_no_place_and_their_addresses_are_not_met() -> None:
    """A relay that passes on the lines of others, under many addresses."""
    relays = [far_address(number) for number in range(1, OUTBOUND + 3)]
    there = "10.200.0.1:3000"
    found = discovery(*relays, there)
    for link, address in enumerate(relays, start=1):
        up(found, link, dialled=address, proven=False)
    assert found.anchors() == []
    assert not any(found.addresses.is_met(address) for address in relays)
    assert set(found.addresses.due(0.0, set(relays))) == {parse_address(there)}
    done = found.actions(0.0)
    assert {action.link for action in done if isinstance(action, Disconnect)} == {OUTBOUND + 1, OUTBOUND + 2}
    assert DialPeer(parse_address(there)) in done, "no place is taken"
    found.bootstrap_named(BOOTSTRAP, 1)
    assert found.servers.known() == []


def test_our_own_dial_shows_that_the_claim_of_another_link_holds() -> None:
    found = discovery(HERE, kinds=(BROADCAST,))
    up(found, 1, dialled="", listen=HERE, key="them")
    assert dials(found, 0.0) == [HERE], "without announce no claim is looked at"
    found.link_opened(HERE, 0.1)
    up(found, 2, dialled=HERE, listen=HERE, key="them")
    found.peer_down(2, 0.2)  # two links join the same nodes: one goes
    assert found.counted() == [1]


def test_silent_links_do_not_count() -> None:
    addresses = AddressManager("10.0.0.1:3000")
    silent: set[int] = set()
    found = Discovery(
        addresses, (), open_addresses=set, dice=random.Random(1), live=lambda link: link not in silent
    )
    up(found, 1, dialled=HERE)
    assert found.counted() == [1]
    silent.add(1)
    assert found.counted() == []


# -- cut off -----------------------------------------------------------------------------------------


def test_a_node_that_knows_of_no_other_is_not_cut_off() -> None:
    assert discovery().cut_off(0.0) == ""
    found = discovery(servers=(BOOTSTRAP,))
    found.bootstrap_answered(BOOTSTRAP, True, ["10.0.0.1:3000"], 1.0, ["10.0.0.1:3000"])
    found.actions(1.0)
    assert found.cut_off(1.0) == ""
    assert found.settled(1.0)


def test_hints_of_strangers_cut_no_node_off() -> None:
    found = discovery()
    found.address_named(BROADCAST, HERE, "junk", 0.0)
    found.address_named(GOSSIP, THERE, "junk", 0.0)
    assert found.cut_off(0.0) == ""


def test_a_node_whose_servers_name_others_is_cut_off_until_one_is_joined() -> None:
    found = discovery(servers=(BOOTSTRAP,))
    assert "no bootstrap server has answered" in found.cut_off(0.0)
    found.actions(0.0)
    found.bootstrap_answered(BOOTSTRAP, True, [HERE, "10.9.0.1:3000"], 1.0, [HERE])
    assert "none of the 1 other nodes" in found.cut_off(1.0)
    up(found, 1, dialled="", listen=THERE)
    assert "1 open links do not count" in found.cut_off(1.0)
    assert not found.settled(1000.0), "however long it waits"
    up(found, 2, dialled=HERE)
    assert found.cut_off(1000.0) == ""
    assert found.settled(1000.0)


def test_a_link_that_breaks_is_no_news_for_some_seconds() -> None:
    found = discovery()
    found.addresses.add_configured(HERE)
    up(found, 1, dialled=HERE)
    assert found.cut_off(0.0) == ""
    found.peer_down(1, 0.1)
    assert found.cut_off(0.1) != "", "it was no link to speak of"
    up(found, 2, dialled=HERE, now=1.0)
    assert found.cut_off(100.0) == ""
    found.peer_down(2, 100.0)
    assert found.cut_off(100.0 + CUT_OFF_AFTER_SECONDS - 0.1) == ""
    assert found.cut_off(100.0 + CUT_OFF_AFTER_SECONDS) != ""


def test_nodes_that_have_left_for_good_cut_no_node_off() -> None:
    """ConfirmAddress in an earlier run: they do not answer, and the server lists them no more."""
    found = discovery(servers=(BOOTSTRAP,))
    found.addresses.restore([CachedPeer(HERE, "", 1_700_000_000)], 1_700_000_100)
    found.actions(0.0)
    found.bootstrap_answered(BOOTSTRAP, True, [], 1.0, [])
    assert found.cut_off(1.0) != ""
    for now in (1.0, 2.0, 3.0):
        found.dial_failed(HERE, now)
    assert found.cut_off(4.0) == ""
    found.bootstrap_failed(BOOTSTRAP, 5.0)
    assert found.cut_off(5.0) != "", "without a server it is not known that they have left"


def test_a_node_that_is_cut_off_asks_its_servers_more_often() -> None:
    found = discovery(servers=(BOOTSTRAP,))
    found.actions(0.0)
    found.bootstrap_answered(BOOTSTRAP, True, [HERE], 1.0, [HERE])
    ask = AskBootstrap(BOOTSTRAP, False)
    assert ask not in found.actions(1.0 + POLL_WHEN_CUT_OFF_SECONDS - 1.1)
    assert ask in found.actions(1.0 + POLL_WHEN_CUT_OFF_SECONDS)
    found.bootstrap_answered(BOOTSTRAP, False, [], 7.0, [])
    assert found.cut_off(7.0) == "", "they have left"
    assert ask not in found.actions(20.0)


def test_a_server_that_refuses_our_record_is_asked_again_and_its_list_is_kept() -> None:
    found = discovery(servers=(BOOTSTRAP,))
    assert found.actions(0.0) == [AskBootstrap(BOOTSTRAP, True)]
    found.bootstrap_answered(BOOTSTRAP, False, [HERE], 1.0, [HERE])
    assert HERE in found.addresses
    up(found, 1, dialled=HERE, now=2.0)
    assert not [action for action in found.actions(20.0) if isinstance(action, AskBootstrap)]
    assert AskBootstrap(BOOTSTRAP, True) in found.actions(40.0)


# -- named nodes -----------------------------------------------------------------------------------

NAMED = {key_of(f"named {number}").public_hex: f"node-{number}" for number in range(1, OUTBOUND + 4)}
NAMED_AT = [far_address(100 + number) for number in range(1, OUTBOUND + 4)]


def among_named(*, decides: bool, others: int = 0) -> Discovery:
    """One whose bootstrap server lists all named nodes after `others` other nodes."""
    found = discovery(servers=(BOOTSTRAP,), named=NamedNodes(NAMED, decides=decides))
    found.actions(0.0)
    plain = [far_address(number) for number in range(1, others + 1)]
    keys = dict(zip(NAMED_AT, NAMED, strict=True))
    found.bootstrap_answered(BOOTSTRAP, True, [*plain, *keys], 0.0, [*plain, *keys], keys)
    return found


def join_all(found: Discovery, now: float) -> list[str]:
    """Dial and join whatever is to be dialled, until nothing is; the addresses in order."""
    dialled: list[str] = []
    while new := dials(found, now + len(dialled)):
        for address in new:
            found.link_opened(address, now)
            key = f"named {NAMED_AT.index(address) + 1}" if address in NAMED_AT else address
            up(found, 1 + len(dialled), dialled=address, key=key, now=now)
            dialled.append(address)
    return dialled


def test_a_named_node_dials_all_named_nodes_first_and_others_beside_them() -> None:
    found = among_named(decides=True, others=2 * OUTBOUND)
    dialled = join_all(found, 1.0)
    assert set(dialled[: len(NAMED)]) == set(NAMED_AT)
    kept = [address for address in found.anchors() if address not in NAMED_AT]
    assert len(kept) == OUTBOUND, "named nodes take no outbound place"
    assert set(found.anchors()[: len(NAMED)]) == set(NAMED_AT), "and are dialled first after a restart"


def test_a_relay_dials_some_named_nodes_first_within_its_places() -> None:
    found = among_named(decides=False, others=2 * OUTBOUND)
    first = dials(found, 1.0)
    assert set(first) <= set(NAMED_AT)
    assert len(first) == MAX_DIALS


def test_a_relay_is_cut_off_until_a_named_node_is_joined() -> None:
    found = discovery(named=NamedNodes(NAMED))
    up(found, 1, dialled=far_address(1), now=0.0)
    assert "none of the 11 named nodes" in found.cut_off(10.0)
    found.actions(0.0)
    assert not found.settled(10.0)
    up(found, 2, dialled=NAMED_AT[0], key="named 1", now=10.0)
    assert found.cut_off(10.0) == ""
    assert found.settled(10.0)


def test_a_named_node_is_not_cut_off_among_relays_alone() -> None:
    found = discovery(named=NamedNodes(NAMED, decides=True))
    up(found, 1, dialled=far_address(1), now=0.0)
    assert found.cut_off(10.0) == ""


def test_the_start_of_a_named_node_waits_for_those_that_answer_and_for_no_quorum() -> None:
    found = among_named(decides=True)
    dialled = dials(found, 0.0)
    for address in dialled[:-1]:
        found.link_opened(address, 0.1)
        up(found, 1 + len(dialled) + NAMED_AT.index(address), dialled=address,
           key=f"named {NAMED_AT.index(address) + 1}", now=0.1)  # fmt: skip
    assert not found.settled(0.2), "one is being dialled, and others were not tried"
    rest = [dialled[-1], *dials(found, 0.2)]
    assert set(dialled + rest) == set(NAMED_AT)
    for address in rest:
        found.dial_failed(address, 0.3)
    assert found.settled(0.3)


def test_a_named_node_that_was_away_for_long_is_dialled_soon_again() -> None:
    found = among_named(decides=True)
    join_all(found, 0.0)
    gone = NAMED_AT[3]
    found.peer_down(next(link for link, peer in enumerate(found.anchors(), 1) if peer == gone), 100.0)
    now = 100.0
    for _ in range(20):
        while gone not in dials(found, now):
            now += 1.0
        found.dial_failed(gone, now)
    waits = next(seconds for seconds in range(1, 400) if gone in dials(found, now + seconds))
    assert waits <= LONGEST_RETRY + 1


def test_another_key_at_the_address_of_a_named_node_is_told() -> None:
    found = among_named(decides=True)
    up(found, 1, dialled=NAMED_AT[0], key="someone else", now=1.0)
    assert found.named.replaced(found.peer_keys()) == [(NAMED_AT[0], "node-1")]
    up(found, 2, dialled=far_address(50), key="named 1", now=2.0)
    assert found.named.replaced(found.peer_keys()) == []


def test_addresses_where_another_key_answers_are_no_longer_vouched_for() -> None:
    """Else a list of the operator's server could fill the address manager for good."""
    found = discovery(servers=(BOOTSTRAP,), named=NamedNodes(NAMED, decides=True))
    key = key_of("named 1").public_hex
    for number in range(1, 3 * LOCAL_SIZE):
        address = f"localhost:{number}"
        found.bootstrap_answered(BOOTSTRAP, True, [address], 0.0, [address], {address: key})
        found.actions(0.0)
        up(found, number % 200, dialled=address, key="someone else", now=1.0)
        found.peer_down(number % 200, 1.0)
    assert len(found.addresses) <= 2 * LOCAL_SIZE


def test_a_named_node_found_by_a_feeler_is_kept() -> None:
    addresses = [far_address(number) for number in range(1, OUTBOUND + 2)]
    found = discovery(*addresses, named=NamedNodes(NAMED, decides=True))
    dialled = join_all(found, 0.0)
    assert len(dialled) == OUTBOUND + 1, "the last is a feeler"
    found.peer_down(len(dialled), 1.0)
    feeler = far_address(60)
    found.address_named(GOSSIP, feeler, "10.1.0.0/16", 100.0)
    assert feeler in dials(found, 100.0)
    found.link_opened(feeler, 100.0)
    up(found, 77, dialled=feeler, key="named 2", now=100.0)
    assert not any(isinstance(action, Disconnect) for action in found.actions(100.1))
    assert feeler in found.anchors()


def test_a_server_that_a_peer_has_named_vouches_for_no_name_under_the_key_of_a_named_node() -> None:
    learnt = Address("10.6.6.6", 4000)
    found = discovery(servers=(BOOTSTRAP,), named=NamedNodes(NAMED, decides=True))
    found.servers.learn(learnt)
    false = {f"slow{number}.liar:3000": key for number, key in enumerate(NAMED)}
    found.bootstrap_answered(learnt, True, false, 0.0, false, false)
    assert all(map(found.is_name_of_others, false))
    true = {f"node{number}.friend:3000": key for number, key in enumerate(NAMED)}
    found.bootstrap_answered(BOOTSTRAP, True, true, 0.0, true, true)
    assert not any(map(found.is_name_of_others, true))


def test_a_named_node_with_a_name_is_dialled_among_thousands_of_names_of_others() -> None:
    key, server = key_of("named").public_hex, Address("10.254.0.1", 4000)
    found = discovery(servers=(server,), named=NamedNodes({key: "north"}, decides=True))
    for number in range(20_000):
        found.addresses.add(f"node.example{number}:3000", group_of(server.host))
    named = [f"north{number}:3000" for number in range(4)]
    found.bootstrap_answered(server, True, named, 0.0, named, dict.fromkeys(named, key))
    assert dials(found, 0.0)[:4] == named
