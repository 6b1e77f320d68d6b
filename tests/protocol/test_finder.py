"""S12 to S15: every kind of discovery alone, dead servers, lies about addresses, links that come and go."""

from __future__ import annotations

import random

import pytest

from discovery_support import BOOTSTRAP, FindingNetwork, far_address
from support import key_of
from votenet.protocol.address import Address, parse_address
from votenet.protocol.address_book import (
    LONGEST_RETRY,
    QUARANTINE_AFTER,
    QUARANTINE_SECONDS,
    AddressBook,
    CachedPeer,
)
from votenet.protocol.connection import Greeted
from votenet.protocol.finder import (
    ALONE_SECONDS,
    ANNOUNCE,
    BROADCAST,
    CUT_OFF_SECONDS,
    DIALS_OF_HOST,
    GOSSIP,
    KINDS,
    MAX_DIALS,
    MAX_LEARNT,
    POLL,
    START_PATIENCE,
    AskBootstrap,
    Check,
    Dial,
    Finder,
    Met,
    Part,
)
from votenet.protocol.messages import GetPeers, Peers
from votenet.protocol.outbound import OUTBOUND

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
def test_s12_each_kind_of_discovery_is_enough_alone(kind: str, seed: int) -> None:
    net = grown((kind,), seed)
    assert net.run_until(net.all_know_all, BOUNDS[kind]), {n.name: sorted(n.knows()) for n in net.finders()}


def test_s12_without_any_of_them_the_first_node_never_hears_of_the_last() -> None:
    """What the tests of the four kinds would show if a switch did nothing."""
    net = grown(())
    net.run(300.0)
    assert net.nodes[TEN[0]].knows() == set()  # type: ignore[attr-defined]


# -- bootstrap servers that are not there ----------------------------------------------------------


def test_s14_no_bootstrap_server_is_needed_once_somebody_is_known() -> None:
    net = FindingNetwork()
    net.bootstrap_up = False
    for number, name in enumerate(TEN):
        net.find(name, peers=TEN[number - 1 : number])
    assert net.run_until(net.all_know_all, 120.0)


def test_s14_a_server_that_dies_and_stays_dead_stops_nobody_and_late_nodes_join_by_cache_or_peer() -> None:
    net = grown(KINDS)
    assert net.run_until(net.all_know_all, 40.0)
    net.bootstrap_up = False
    cache = net.finders()[0].book.cached(net.finders()[0].finder.anchors())
    by_cache = net.find(far_address(11), cache=cache)
    by_peer = net.find(far_address(12), peers=TEN[4:5])
    assert net.run_until(lambda: bool(by_cache.peers()) and bool(by_peer.peers()), 10.0)
    assert net.run_until(net.all_know_all, 240.0)


def test_s14_a_server_that_comes_late_is_found_and_registered_with() -> None:
    net = FindingNetwork()
    net.bootstrap_up = False
    for name in TEN[:3]:
        net.find(name)
    net.run(60.0)
    net.bootstrap_up = True
    assert net.run_until(net.all_know_all, 70.0)


def test_s14_one_of_several_servers_is_enough_and_others_are_learnt_from_peers() -> None:
    second = Address("10.254.0.1", 4000)
    net = FindingNetwork()
    one = net.find(TEN[0], bootstraps=(BOOTSTRAP, second))
    two = net.find(TEN[1], bootstraps=(second,))
    net.run(10.0)
    three = net.find(TEN[2], bootstraps=(), peers=TEN[:1])
    assert net.run_until(lambda: set(three.finder.servers) == {BOOTSTRAP, second}, 60.0)
    assert net.run_until(net.all_know_all, 60.0)
    assert one.finder.servers == [BOOTSTRAP, second]
    assert two.knows() == {TEN[0], TEN[2]}


def test_servers_that_strangers_name_are_not_asked_and_learnt_ones_are_few() -> None:
    found = finder()
    up(found, 1, dialled="")
    found.heard_bootstrap(BOOTSTRAP, 1)
    assert found.known_servers == []
    up(found, 2, dialled="10.7.0.1:3000")
    for number in range(9):
        found.heard_bootstrap(Address("10.9.0.1", 4000 + number), 2)
    assert len(found.known_servers) == MAX_LEARNT


def test_anchors_are_dialled_first_after_a_restart() -> None:
    net = grown(KINDS)
    node = net.finders()[-1]
    assert net.run_until(lambda: len(node.outbound()) == OUTBOUND, 60.0)
    anchors = node.finder.anchors()
    again = FindingNetwork()
    started = again.find(node.name, cache=node.book.cached(anchors[:2]), bootstraps=())
    again.run(0.3)
    assert set(started.dials[:2]) == set(anchors[:2])


# -- places ----------------------------------------------------------------------------------------


def test_outbound_places_are_filled_and_no_more_are_kept() -> None:
    net = FindingNetwork()
    names = [far_address(number) for number in range(1, 31)]
    for name in names:
        net.find(name)
    assert net.run_until(net.all_know_all, 300.0)
    net.run(60.0)
    for node in net.finders():
        assert len(node.outbound()) <= OUTBOUND
    last = net.find(far_address(31))
    assert net.run_until(lambda: len(last.outbound()) == OUTBOUND, 30.0)
    net.crash(last.outbound()[0])
    assert net.run_until(lambda: len([o for o in last.outbound() if net.nodes[o].alive]) == OUTBOUND, 120.0)


# -- health ----------------------------------------------------------------------------------------


def finder(*peers: str, kinds: tuple[str, ...] = KINDS, servers: tuple[Address, ...] = ()) -> Finder:
    book = AddressBook("10.0.0.1:3000")
    for peer in peers:
        assert book.add(peer)
    return Finder(book, servers, kinds=kinds, joined=set, dice=random.Random(1))


def up(
    found: Finder,
    link: int,
    *,
    dialled: str,
    listen: str = "",
    now: float = 0.0,
    key: str = "",
    proven: bool = True,
) -> None:
    greeted = Greeted(key_of(key or f"peer {link}").public_hex, listen, 0, 0, proven=proven)
    found.peer_up(link, f"10.{link}.0.1", dialled, greeted, now, 1_700_000_000)


def dials(found: Finder, now: float) -> list[str]:
    return [str(action.address) for action in found.actions(now) if isinstance(action, Dial)]


def test_s15_a_link_that_flaps_is_dialled_ever_more_rarely_and_then_rests() -> None:
    peer, now = "10.7.0.1:3000", 0.0
    found = finder(peer)
    up(found, 99, dialled="10.9.0.1:3000")  # another one stays
    waits = []
    for link in range(1, QUARANTINE_AFTER + 1):
        began = now
        while dials(found, now) != [peer]:
            now += 0.25
        waits.append(now - began)
        found.opened(peer, now)
        up(found, link, dialled=peer, now=now)
        found.peer_down(link, now + 0.1)
        now += 0.1
    assert waits == sorted(waits)
    assert dials(found, now + QUARANTINE_SECONDS - 1.0) == []
    assert dials(found, now + QUARANTINE_SECONDS) == [peer]


def test_a_node_that_is_alone_lets_no_address_rest_for_long() -> None:
    """Its clock was hours off, say, and no link lasted; now it is set."""
    found = finder(HERE)
    now = 0.0
    for link in range(1, QUARANTINE_AFTER + 2):
        while dials(found, now) != [HERE]:
            now += 0.25
        found.opened(HERE, now)
        up(found, link, dialled=HERE, now=now)
        found.peer_down(link, now)
    began = now
    while dials(found, now) != [HERE]:
        now += 0.25
    assert now - began <= LONGEST_RETRY + 0.25


def test_a_link_that_lasted_is_dialled_again_at_once() -> None:
    peer = "10.7.0.1:3000"
    found = finder(peer)
    assert dials(found, 0.0) == [peer]
    found.opened(peer, 0.0)
    up(found, 1, dialled=peer)
    found.peer_down(1, 100.0)
    assert dials(found, 100.0) == [peer]


def test_s15_a_node_that_is_not_where_it_says_is_told_so_and_its_address_is_not_passed_on() -> None:
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


def test_s15_silent_wires_are_given_up_and_the_network_is_whole_after_it_heals() -> None:
    net = grown(KINDS)
    assert net.run_until(net.all_know_all, 60.0)
    net.partition(TEN[:5], TEN[5:], silent=True)
    net.run(120.0)
    assert not net.nodes[TEN[0]].peers() & set(TEN[5:])
    net.heal()
    assert net.run_until(lambda: bool(net.nodes[TEN[0]].peers() & set(TEN[5:])), 400.0)


def test_s13_that_a_peer_has_left_is_believed_after_a_dial_only() -> None:
    peer = "10.7.0.1:3000"
    found = finder(peer)
    assert not found.left(peer)
    assert peer in found.book
    assert dials(found, 0.0) == [peer]
    found.dial_failed(peer, 0.0)
    assert peer not in found.book


# -- bounds ----------------------------------------------------------------------------------------


def test_a_host_that_others_name_again_and_again_is_dialled_a_few_times_a_second_at_most() -> None:
    """Whoever names a victim's addresses must not turn the network on him."""
    found = finder()
    for port in range(1, 120):
        found.heard(GOSSIP, f"10.66.0.1:{port}", "10.5.0.0/16", 0.0)
    count, seconds = 0, 30
    for tick in range(seconds * 4):
        for address in dials(found, tick / 4):
            count += 1
            found.dial_failed(address, tick / 4)
    assert DIALS_OF_HOST <= count <= DIALS_OF_HOST + seconds


def test_few_dials_are_under_way_at_one_time() -> None:
    found = finder(*(far_address(number) for number in range(1, 40)))
    assert len(dials(found, 0.0)) == MAX_DIALS
    assert dials(found, 0.0) == []


def test_a_visit_is_a_handshake_and_goodbye() -> None:
    found = finder()
    for link in range(1, OUTBOUND + 1):
        up(found, link, dialled=far_address(link))
    found.heard(POLL, "10.77.0.1:3000", "", 0.0)
    assert dials(found, 0.0) == ["10.77.0.1:3000"]
    found.opened("10.77.0.1:3000", 0.0)
    up(found, 99, dialled="10.77.0.1:3000")
    assert Part(99) in found.actions(0.0)
    assert found.book.is_met("10.77.0.1:3000")
    assert dials(found, 1000.0) == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_by_a_kind_that_is_off_is_passed_over(kind: str) -> None:
    found = finder(kinds=tuple(other for other in KINDS if other != kind))
    found.heard(kind, "10.7.0.1:3000", "", 0.0)
    if kind == ANNOUNCE:
        up(found, 1, dialled="", listen="10.7.0.1:3000")
    assert len(found.book) == 0


def test_a_server_is_asked_once_at_a_time_renewed_in_time_and_tried_again_with_back_off() -> None:
    found = finder(servers=(BOOTSTRAP,))
    assert not found.settled(0.0)
    assert found.actions(0.0) == [AskBootstrap(BOOTSTRAP, True)]
    assert found.actions(5.0) == []
    assert found.bootstrap_failed(BOOTSTRAP, 5.0)
    assert not found.settled(5.0), "no server has answered, and nobody is known: it may be cut off"
    assert AskBootstrap(BOOTSTRAP, True) in found.actions(5.2)
    assert not found.bootstrap_failed(BOOTSTRAP, 5.2)
    assert AskBootstrap(BOOTSTRAP, True) in found.actions(6.0)
    found.bootstrap_answered(BOOTSTRAP, True, ["10.7.0.1:3000", "junk"], 6.0)
    assert parse_address("10.7.0.1:3000") in found.book.due(6.0, set())
    found.dial_failed("10.7.0.1:3000", 6.0)
    assert found.settled(6.1)
    asked = [action for action in found.actions(60.0) if isinstance(action, AskBootstrap)]
    assert asked == [AskBootstrap(BOOTSTRAP, False)]


# -- when a start is over ----------------------------------------------------------------------------


def test_a_start_waits_for_whom_the_servers_and_the_cache_name() -> None:
    found = finder(servers=(BOOTSTRAP,))
    found.book.add("10.9.0.1:3000")
    found.actions(0.0)
    found.bootstrap_answered(BOOTSTRAP, True, ["10.7.0.1:3000"], 1.0)
    assert not found.settled(1.0)
    assert dials(found, 1.0) == ["10.7.0.1:3000"]
    found.dial_failed("10.9.0.1:3000", 1.1)
    found.opened("10.7.0.1:3000", 1.2)
    assert found.settled(1.3)


def test_hints_of_strangers_hold_up_no_start() -> None:
    found = finder(servers=(BOOTSTRAP,))
    found.actions(0.0)
    found.bootstrap_answered(BOOTSTRAP, True, [], 1.0)
    for number in range(1000):
        found.heard(BROADCAST, f"10.{number % 250}.0.{number % 99}:3000", "junk", 1.0)
        found.actions(1.0)  # some of them are being dialled all the time
        assert found.settled(1.0)


def test_a_registry_full_of_silent_peers_holds_up_a_start_for_some_seconds_only() -> None:
    found = finder(servers=(BOOTSTRAP,))
    found.actions(0.0)
    dead = [f"10.{number}.0.1:3000" for number in range(200)]
    found.bootstrap_answered(BOOTSTRAP, True, dead, 1.0)
    found.actions(1.0)
    assert not found.settled(1.0 + START_PATIENCE)
    assert found.settled(1.1 + START_PATIENCE)


# -- what counts -------------------------------------------------------------------------------------

HERE, THERE = "10.7.0.1:3000", "10.8.0.1:3000"


def look(found: Finder, now: float, *truths: tuple[str, str]) -> list[Check]:
    """Carry out every check that is due; those of `truths` (address, name of a key) hold."""
    done = [action for action in found.actions(now) if isinstance(action, Check)]
    for check in done:
        holds = any((check.address, check.node_key) == (a, key_of(k).public_hex) for a, k in truths)
        found.checked(check.address, check.node_key, holds, now, 1_700_000_000)
    return done


def test_a_claimed_address_counts_after_it_was_dialled_back() -> None:
    found = finder()
    up(found, 1, dialled="", listen=HERE, key="them")
    assert found.counted() == []
    assert dials(found, 0.05) == [], "the link may lead there: a look is due in a moment"
    assert [check.address for check in look(found, 0.1, (HERE, "them"))] == [HERE]
    assert found.counted() == [1]
    assert found.busy() == {HERE}
    assert Met(1, HERE) in found.actions(0.2)
    assert found.greeted(1) is not None
    found.peer_down(1, 9.0)
    assert found.counted() == []


def test_claims_to_the_addresses_of_others_keep_nobody_from_dialling_them() -> None:
    """Eight idle links that say they are the honest nodes."""
    honest = [far_address(number) for number in range(1, 9)]
    found = finder(*honest)
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
    found = finder()
    up(found, 1, dialled="", listen=HERE, key="liar")
    up(found, 2, dialled="", listen=HERE, key="them")
    for now in (0.1, 1.2, 6.3, 37.0):
        look(found, now, (HERE, "them"))
    assert found.counted() == [2]
    assert found.book.is_met(HERE)
    assert dials(found, 100.0) == []


def test_a_link_that_is_unproven_works_and_does_not_count() -> None:
    found = finder()
    up(found, 1, dialled=HERE, proven=False)
    up(found, 2, dialled="", listen=THERE, key="them", proven=False)
    look(found, 0.1, (THERE, "them"))
    assert found.counted() == []
    assert found.keys() == {key_of("peer 1").public_hex, key_of("them").public_hex}
    assert found.unproven() == {HERE}
    assert THERE in found.busy(), "a stranger may stand between: it is dialled all the same"


def test_unproven_links_take_no_place_and_their_addresses_are_not_met() -> None:
    """Whoever passes on what others say, under as many addresses as he likes."""
    relays = [far_address(number) for number in range(1, OUTBOUND + 3)]
    there = "10.200.0.1:3000"
    found = finder(*relays, there)
    for link, address in enumerate(relays, start=1):
        up(found, link, dialled=address, proven=False)
    assert found.anchors() == []
    assert not any(found.book.is_met(address) for address in relays)
    assert set(found.book.due(0.0, set(relays))) == {parse_address(there)}
    done = found.actions(0.0)
    assert {action.link for action in done if isinstance(action, Part)} == {OUTBOUND + 1, OUTBOUND + 2}
    assert Dial(parse_address(there)) in done, "no place is taken"
    found.heard_bootstrap(BOOTSTRAP, 1)
    assert found.known_servers == []


def test_our_own_dial_shows_that_the_claim_of_another_link_holds() -> None:
    found = finder(HERE, kinds=(BROADCAST,))
    up(found, 1, dialled="", listen=HERE, key="them")
    assert dials(found, 0.0) == [HERE], "without announce no claim is looked at"
    found.opened(HERE, 0.1)
    up(found, 2, dialled=HERE, listen=HERE, key="them")
    found.peer_down(2, 0.2)  # two links join the same nodes: one goes
    assert found.counted() == [1]


def test_silent_links_do_not_count() -> None:
    book = AddressBook("10.0.0.1:3000")
    silent: set[int] = set()
    found = Finder(book, (), joined=set, dice=random.Random(1), live=lambda link: link not in silent)
    up(found, 1, dialled=HERE)
    assert found.counted() == [1]
    silent.add(1)
    assert found.counted() == []


# -- cut off -----------------------------------------------------------------------------------------


def test_a_node_that_knows_of_no_other_is_not_cut_off() -> None:
    assert finder().cut_off(0.0) == ""
    found = finder(servers=(BOOTSTRAP,))
    found.bootstrap_answered(BOOTSTRAP, True, ["10.0.0.1:3000"], 1.0, ["10.0.0.1:3000"])
    found.actions(1.0)
    assert found.cut_off(1.0) == ""
    assert found.settled(1.0)


def test_hints_of_strangers_cut_nobody_off() -> None:
    found = finder()
    found.heard(BROADCAST, HERE, "junk", 0.0)
    found.heard(GOSSIP, THERE, "junk", 0.0)
    assert found.cut_off(0.0) == ""


def test_a_node_whose_servers_name_others_is_cut_off_until_one_is_joined() -> None:
    found = finder(servers=(BOOTSTRAP,))
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
    found = finder()
    found.book.appoint(HERE)
    up(found, 1, dialled=HERE)
    assert found.cut_off(0.0) == ""
    found.peer_down(1, 0.1)
    assert found.cut_off(0.1) != "", "it was no link to speak of"
    up(found, 2, dialled=HERE, now=1.0)
    assert found.cut_off(100.0) == ""
    found.peer_down(2, 100.0)
    assert found.cut_off(100.0 + CUT_OFF_SECONDS - 0.1) == ""
    assert found.cut_off(100.0 + CUT_OFF_SECONDS) != ""


def test_nodes_that_have_left_for_good_cut_nobody_off() -> None:
    """Met in an earlier run: they do not answer, and the server lists them no more."""
    found = finder(servers=(BOOTSTRAP,))
    found.book.restore([CachedPeer(HERE, "", 1_700_000_000)], 1_700_000_100)
    found.actions(0.0)
    found.bootstrap_answered(BOOTSTRAP, True, [], 1.0, [])
    assert found.cut_off(1.0) != ""
    for now in (1.0, 2.0, 3.0):
        found.dial_failed(HERE, now)
    assert found.cut_off(4.0) == ""
    found.bootstrap_failed(BOOTSTRAP, 5.0)
    assert found.cut_off(5.0) != "", "without a server nobody says that they have left"


def test_a_node_that_is_cut_off_asks_its_servers_more_often() -> None:
    found = finder(servers=(BOOTSTRAP,))
    found.actions(0.0)
    found.bootstrap_answered(BOOTSTRAP, True, [HERE], 1.0, [HERE])
    ask = AskBootstrap(BOOTSTRAP, False)
    assert ask not in found.actions(1.0 + ALONE_SECONDS - 1.1)
    assert ask in found.actions(1.0 + ALONE_SECONDS)
    found.bootstrap_answered(BOOTSTRAP, False, [], 7.0, [])
    assert found.cut_off(7.0) == "", "they have left"
    assert ask not in found.actions(20.0)


def test_a_server_that_refuses_our_record_is_asked_again_and_its_list_is_kept() -> None:
    found = finder(servers=(BOOTSTRAP,))
    assert found.actions(0.0) == [AskBootstrap(BOOTSTRAP, True)]
    found.bootstrap_answered(BOOTSTRAP, False, [HERE], 1.0, [HERE])
    assert HERE in found.book
    up(found, 1, dialled=HERE, now=2.0)
    assert not [action for action in found.actions(20.0) if isinstance(action, AskBootstrap)]
    assert AskBootstrap(BOOTSTRAP, True) in found.actions(40.0)
