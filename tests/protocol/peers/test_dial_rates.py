"""Naming the addresses of a victim buys few dials, whatever they are written as."""

from __future__ import annotations

from votenet.protocol.peers.dial_rates import (
    DIALS_OF_HOST,
    DIALS_OF_NAMES,
    DIALS_OF_NAMES_PER_SECOND,
    DialRates,
)


def test_hosts_have_rates_of_their_own() -> None:
    rates = DialRates()
    assert sum(rates.take("10.0.0.1", False, 0.0) for _ in range(100)) == DIALS_OF_HOST
    assert rates.take("10.0.0.2", False, 0.0)


def test_names_of_others_share_the_rate_of_their_domain() -> None:
    rates = DialRates()
    assert sum(rates.take(f"n{n}.a.example", True, 0.0) for n in range(100)) == DIALS_OF_HOST
    assert rates.take("n1.friend", True, 0.0)


def test_names_of_all_domains_share_one_rate_and_leave_other_addresses_theirs() -> None:
    rates = DialRates()
    assert sum(rates.take(f"a.liar{n}", True, 0.0) for n in range(1000)) == DIALS_OF_NAMES
    later = sum(rates.take(f"b.liar{n}", True, 10.0) for n in range(1000))
    assert later == 10 * DIALS_OF_NAMES_PER_SECOND
    assert rates.take("10.0.0.1", False, 10.0)
    assert rates.take("node.friend", False, 10.0)


def test_to_ask_whether_a_dial_is_allowed_counts_none() -> None:
    rates = DialRates()
    for host, name_of_others in (("10.0.0.1", False), ("a.example", True)):
        assert all(rates.ready(host, name_of_others, 0.0) for _ in range(100))
        while rates.ready(host, name_of_others, 0.0):
            assert rates.take(host, name_of_others, 0.0)
        assert not rates.take(host, name_of_others, 0.0)
    for number in range(1000):
        rates.take(f"a.liar{number}", True, 0.0)
    assert not rates.ready("node.friend", True, 0.0)
    assert rates.ready("node.friend", False, 0.0)
