"""Named nodes come first, then free places, then feelers; each dial is counted until it ends."""

from __future__ import annotations

import pytest

from votenet.protocol.peers.address_manager import AddressManager, CachedPeer
from votenet.protocol.peers.dial_planner import FEELERS_AT_ONCE, FEELERS_PER_SECOND, MAX_DIALS, DialPlanner
from votenet.protocol.peers.dial_rates import DIALS_OF_HOST
from votenet.protocol.peers.named_nodes import NamedNodes

KEY = "ab" * 32
NAMED = "10.99.0.1:3000"
WALL = 1_700_000_000


def far(count: int) -> list[str]:
    return [f"10.{number}.0.1:3000" for number in range(1, count + 1)]


def planner(*known: str, decides: bool = False) -> DialPlanner:
    """A planner that knows these addresses, and one named node."""
    addresses = AddressManager("10.0.0.1:3000")
    assert all(map(addresses.add, known))
    return DialPlanner(addresses, NamedNodes({KEY: "north"}, decides=decides))


def dials(
    made: DialPlanner,
    *,
    free: int,
    now: float = 0.0,
    first: frozenset[str] = frozenset(),
    avoided: frozenset[str] = frozenset(),
    links: tuple[tuple[str, str], ...] = (),
) -> list[str]:
    """The addresses that are dialled next; those that are being dialled are avoided, as a node does."""
    avoid = set(made.under_way() | avoided)
    return [str(one) for one in made.plan(now, first=first, avoided=avoid, links=links, free=free)]


def test_a_dial_is_under_way_until_it_fails_or_opens_a_link() -> None:
    one, other = far(2)
    made = planner(one, other)
    assert set(dials(made, free=8)) == {one, other}
    assert made.under_way() == {one, other}
    made.dial_ended(one)
    assert made.under_way() == {other}
    made.link_opened(other)
    assert made.under_way() == set()


@pytest.mark.parametrize("free", [0, 100])
def test_few_dials_are_under_way_at_one_time(free: int) -> None:
    made = planner(*far(2 * MAX_DIALS))
    begun = dials(made, free=free)
    assert len(begun) == MAX_DIALS
    assert dials(made, free=free) == []
    made.dial_ended(begun[0])
    assert len(dials(made, free=free, avoided=frozenset(begun))) == 1


def test_avoided_addresses_are_not_dialled() -> None:
    one, other = far(2)
    assert dials(planner(one, other), free=8, avoided=frozenset({one})) == [other]


def test_dials_under_way_take_the_free_places() -> None:
    made = planner(*far(6))
    assert len(dials(made, free=2)) == 2
    feelers = dials(made, free=2)
    assert len(feelers) == 4, "the rest get feelers"
    for address in feelers:
        made.link_opened(address)
        assert made.end_feeler(address)


def test_only_a_dial_without_a_free_place_is_a_feeler_and_it_ends_once() -> None:
    one, other = far(2)
    made = planner(one, other)
    (kept,) = dials(made, free=1)
    (feeler,) = dials(made, free=1)
    for address in (kept, feeler):
        assert not made.end_feeler(address), "no link is open yet"
        made.link_opened(address)
    assert not made.end_feeler(kept)
    assert made.end_feeler(feeler)
    assert not made.end_feeler(feeler)
    assert not made.end_feeler("")


def test_a_feeler_without_a_handshake_does_not_make_a_later_dial_a_feeler() -> None:
    (address,) = far(1)
    made = planner(address)
    assert dials(made, free=0) == [address]
    made.link_opened(address)
    assert dials(made, free=1) == [address]
    made.link_opened(address)
    assert not made.end_feeler(address)


def test_feelers_go_on_slowly_after_the_first_ones() -> None:
    known = far(FEELERS_AT_ONCE + 10)
    made = planner(*known)
    begun = list[str]()
    while new := dials(made, free=0, avoided=frozenset(begun)):
        begun += new
        for address in new:
            made.dial_ended(address)
    assert len(begun) == FEELERS_AT_ONCE
    later = 2.0 / FEELERS_PER_SECOND
    assert len(dials(made, free=0, now=later, avoided=frozenset(begun))) == 2


def test_feelers_do_not_go_where_a_node_was_met() -> None:
    met, new = far(2)
    addresses = AddressManager("10.0.0.1:3000")
    assert all(map(addresses.add, (met, new)))
    addresses.succeeded(met, 0.0, WALL)
    assert dials(DialPlanner(addresses, NamedNodes()), free=0) == [new]


def test_named_nodes_are_dialled_first_and_without_a_free_place() -> None:
    made = planner(*far(3), NAMED)
    assert dials(made, free=1, first=frozenset({NAMED}))[0] == NAMED
    made = planner(NAMED)
    assert dials(made, free=0, first=frozenset({NAMED})) == [NAMED]
    made.link_opened(NAMED)
    assert not made.end_feeler(NAMED)


def test_named_nodes_take_no_free_place_at_a_named_node_only() -> None:
    for decides in (True, False):
        made = planner(*far(1), NAMED, decides=decides)
        assert dials(made, free=1, first=frozenset({NAMED})) == [NAMED, *far(1)]
        made.link_opened(far(1)[0])
        assert made.end_feeler(far(1)[0]) is not decides


def test_free_places_go_to_networks_without_a_link_or_a_dial() -> None:
    linked, dialled, new = "10.1.0.2:3000", "10.2.0.2:3000", "10.3.0.2:3000"
    made = planner("10.2.0.1:3000", linked, dialled, new)
    links = (("10.1.0.1:3000", "10.1.0.1"),)
    others = frozenset({linked, dialled, new})
    assert dials(made, free=1, avoided=others) == ["10.2.0.1:3000"]
    assert dials(made, free=2, links=links) == [new]


def test_a_link_by_a_name_counts_for_the_network_it_led_to_and_for_all_names() -> None:
    links = (("node.example:3000", "10.1.0.1"),)
    made = planner("node.other:3000", "10.1.0.2:3000", "10.2.0.2:3000")
    assert dials(made, free=1, links=links) == ["10.2.0.2:3000"]


def test_a_name_counts_for_the_network_it_led_to_or_its_domain_if_it_is_an_anchor() -> None:
    met, anchor, unknown, address = "a.met:3000", "b.anchor:3000", "c.liar:3000", "10.3.0.1:3000"
    addresses = AddressManager("10.0.0.1:3000")
    addresses.restore([CachedPeer(anchor, "", WALL, anchor=True)], WALL)
    assert all(map(addresses.add, (met, unknown, address)))
    addresses.met_at(met, "10.1.0.1")
    made = DialPlanner(addresses, NamedNodes())
    links = (("d.liar:3000", "10.2.0.1"), ("e.liar:3000", "10.4.0.1"), ("10.3.0.2:3000", "10.3.0.2"))
    assert set(dials(made, free=2, links=links)) == {met, anchor}
    assert dials(made, free=3, links=links) == [address], "other names have two links already"


def test_names_that_the_operator_or_a_named_node_vouches_for_are_not_names_of_others() -> None:
    addresses, named = AddressManager("10.0.0.1:3000"), NamedNodes({KEY: "north"})
    addresses.add_configured("node.ours:3000")
    named.listed("north.example:3000", KEY, trusted=True)
    made = DialPlanner(addresses, named)
    names = ["node.ours:3000", "north.example:3000", "node.liar:3000", "10.1.0.1:3000"]
    assert [name for name in names if made.is_name_of_others(name)] == ["node.liar:3000"]


def test_a_host_that_was_never_met_is_dialled_at_a_rate_and_this_machine_and_met_ones_are_not() -> None:
    met = far(1)[0]
    addresses = AddressManager("10.0.0.1:3000")
    assert addresses.add(met)
    addresses.succeeded(met, 0.0, WALL)
    made = DialPlanner(addresses, NamedNodes())
    tries = 2 * DIALS_OF_HOST
    assert sum(made.may_dial("10.66.0.1:3000", 0.0) for _ in range(tries)) == DIALS_OF_HOST
    assert sum(made.may_dial(met, 0.0) for _ in range(tries)) == tries
    assert sum(made.may_dial("127.0.0.1:3000", 0.0) for _ in range(tries)) == tries


def test_feelers_to_one_host_have_its_rate() -> None:
    waiting, ready = "10.66.0.1:3000", "10.77.0.1:3000"
    made = planner(waiting, ready)
    while made.may_dial(waiting, 0.0):
        pass
    assert dials(made, free=0) == [ready]


def test_an_address_that_waits_for_its_rate_takes_no_free_place() -> None:
    waiting, ready = "10.66.0.1:3000", "10.77.0.1:3000"
    made = planner(waiting, ready)
    while made.may_dial(waiting, 0.0):
        pass
    assert dials(made, free=1) == [ready]
