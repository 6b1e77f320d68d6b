"""Requests are counted by address and by network; the operator's are not."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import cast

import pytest

from votenet.errors import RemoteProtocolError
from votenet.network.bootstrap.admission import ClientSession, RateCheck, link_to_evict
from votenet.network.transport import Link
from votenet.protocol.bootstrap.server_core import AdmissionPolicy, is_loopback


def taken(check: RateCheck, host: str, tries: int, now: float = 0.0) -> int:
    """How many of so many requests are let through."""
    found = 0
    for _ in range(tries):
        with contextlib.suppress(RemoteProtocolError):
            check.spend(host, now)
            found += 1
    return found


def test_an_address_and_its_network_may_ask_so_often() -> None:
    check = RateCheck(AdmissionPolicy(host_rate=(1.0, 5.0), group_rate=(1.0, 8.0)))
    assert taken(check, "203.0.113.1", 20) == 5
    assert taken(check, "203.0.113.2", 20) == 3  # the network's are used up
    assert taken(check, "203.0.114.1", 20) == 5
    assert taken(check, "203.0.113.1", 20, now=2.0) == 2
    with pytest.raises(RemoteProtocolError, match="address or network") as caught:
        check.spend("203.0.113.1", 2.0)
    assert caught.value.code == "rate-limited"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_the_operator_is_not_counted_unless_a_proxy_stands_there(host: str) -> None:
    assert taken(RateCheck(AdmissionPolicy(host_rate=(1.0, 5.0), group_rate=(1.0, 8.0))), host, 20) == 20
    assert (
        taken(
            RateCheck(AdmissionPolicy(lambda client: False, host_rate=(1.0, 5.0), group_rate=(1.0, 8.0))),
            host,
            20,
        )
        == 5
    )


def test_the_addresses_of_one_ipv6_network_have_one_purse() -> None:
    check = RateCheck(AdmissionPolicy())
    hosts = [f"2001:db8:1::{n:x}" for n in range(3000)]
    assert sum(taken(check, host, 1) for host in hosts) == 1200


def sessions(*rows: tuple[str, float, bool]) -> list[ClientSession]:
    """(host, when it was heard, whether it is owed an answer)"""
    links = [(cast(Link, SimpleNamespace(host=host, owes=owes)), heard) for host, heard, owes in rows]
    return [ClientSession(link=link, heard=heard) for link, heard in links]


def test_the_largest_network_makes_room_with_the_connection_that_was_silent_for_longest() -> None:
    crowd = [("203.0.113.1", 9.0, False), ("203.0.113.2", 5.0, True), ("203.0.113.3", 7.0, False)]
    found = sessions(("127.0.0.1", 0.0, False), ("198.51.100.1", 1.0, False), *crowd)
    assert link_to_evict(found, is_loopback) is found[4].link
    alone = sessions(("198.51.100.1", 1.0, True), ("198.51.101.1", 2.0, True))
    assert link_to_evict(alone, is_loopback) is None, "each waits for its answer"
    assert link_to_evict(sessions(("127.0.0.1", 0.0, False)), is_loopback) is None
