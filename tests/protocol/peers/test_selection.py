"""Outbound places go to different networks first; a flood of inbound peers pushes out its own."""

from __future__ import annotations

import random

from votenet.protocol.peers.selection import KEPT_OLDEST, Inbound, choose_outbound, inbound_to_evict
from votenet.protocol.wire.address import Address

SECRET = b"secret"


def peers(prefix: str, count: int, *, first: int, since: float) -> list[Inbound]:
    return [Inbound(first + n, f"{prefix}.{n % 250 + 1}", since + n) for n in range(count)]


def test_the_youngest_of_the_largest_network_goes() -> None:
    honest = [Inbound(n, f"10.{n}.0.1", float(n)) for n in range(40)]
    crowd = peers("66.6.6", 60, first=100, since=50.0)
    assert inbound_to_evict([*honest, *crowd], SECRET) == 159


def test_a_newcomer_from_a_quiet_network_is_let_in_for_one_of_the_crowd() -> None:
    crowd = peers("66.6.6", 255, first=100, since=0.0)
    assert inbound_to_evict([*crowd, Inbound(1, "10.1.0.1", 999.0)], SECRET) == 354


def test_a_flood_from_a_thousand_networks_does_not_push_out_older_peers() -> None:
    here = [Inbound(n, f"10.{n}.0.1", float(n)) for n in range(KEPT_OLDEST)]
    dice, sitting = random.Random(7), list(here)
    for n in range(1000):
        sitting.append(Inbound(1000 + n, f"{dice.randint(20, 220)}.{dice.randint(0, 255)}.0.1", 100.0 + n))
        if len(sitting) > 256:
            worst = inbound_to_evict(sitting, SECRET)
            assert worst is not None
            sitting = [peer for peer in sitting if peer.link != worst]
    assert set(here) <= set(sitting)


def test_few_peers_are_all_kept() -> None:
    assert inbound_to_evict([Inbound(1, "10.0.0.1", 0.0)], SECRET) is None


# -- outbound places -------------------------------------------------------------------------------


def at(*hosts: str) -> list[Address]:
    return [Address(host, 3000) for host in hosts]


def test_groups_without_a_link_come_first() -> None:
    due = at("10.1.0.1", "10.1.0.2", "10.2.0.1", "10.3.0.1")
    assert choose_outbound(due, ["10.1.0.0/16"], 2) == at("10.2.0.1", "10.3.0.1")
    assert choose_outbound(due, [], 3) == at("10.1.0.1", "10.2.0.1", "10.3.0.1")


def test_one_group_fills_all_places_where_there_is_no_other() -> None:
    due = [Address("127.0.0.1", port) for port in range(1, 11)]
    assert choose_outbound(due, ["local"], 4) == due[:4]


def test_a_thousand_addresses_in_one_network_get_one_place_of_three() -> None:
    crowd = [Address(f"10.66.{n // 250}.{n % 250 + 1}", 3000) for n in range(1000)]
    chosen = choose_outbound([*crowd, *at("10.1.0.1", "10.2.0.1")], [], 3)
    assert len([address for address in chosen if address in crowd]) == 1


def test_nothing_due_or_nothing_free_is_nothing_to_dial() -> None:
    assert choose_outbound([], [], 5) == []
    assert choose_outbound(at("10.1.0.1"), [], 0) == []
