"""Places go to different networks first; a network of one group fills them all the same."""

from __future__ import annotations

from votenet.protocol.address import Address
from votenet.protocol.outbound import choose


def at(*hosts: str) -> list[Address]:
    return [Address(host, 3000) for host in hosts]


def test_s15_groups_that_nobody_is_joined_to_come_first() -> None:
    due = at("10.1.0.1", "10.1.0.2", "10.2.0.1", "10.3.0.1")
    assert choose(due, ["10.1.9.9"], 2) == at("10.2.0.1", "10.3.0.1")
    assert choose(due, [], 3) == at("10.1.0.1", "10.2.0.1", "10.3.0.1")


def test_one_group_fills_all_places_where_there_is_no_other() -> None:
    due = [Address("127.0.0.1", port) for port in range(1, 11)]
    assert choose(due, ["127.0.0.1"], 4) == due[:4]


def test_a_thousand_addresses_in_one_network_get_one_place_of_three() -> None:
    crowd = [Address(f"10.66.{n // 250}.{n % 250 + 1}", 3000) for n in range(1000)]
    chosen = choose([*crowd, *at("10.1.0.1", "10.2.0.1")], [], 3)
    assert len([address for address in chosen if address in crowd]) == 1


def test_nothing_due_or_nothing_free_is_nothing_to_dial() -> None:
    assert choose([], [], 5) == []
    assert choose(at("10.1.0.1"), [], 0) == []
