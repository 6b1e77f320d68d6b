"""Buckets for each client, and who the client is."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from support.secret_definitions import SecretSetup, contest
from votenet.protocol.wire.limits import ballot_units
from votenet.web import limits
from votenet.web.limits import (
    POSTS_AT_ONCE,
    POSTS_PER_SECOND,
    PROOFS_AT_ONCE,
    PROOFS_PER_SECOND,
    REQUESTS_AT_ONCE,
    REQUESTS_PER_SECOND,
    Shares,
    TokenBuckets,
    client_address,
    client_of,
)

PROXIES = (ip_network("10.0.0.0/8"), ip_network("::1/128"))


def test_a_bucket_is_filled_again_and_says_when() -> None:
    buckets = TokenBuckets(3, 0.5)
    assert [buckets.wait("a", 0.0) for _ in range(4)] == [0, 0, 0, 2]
    assert buckets.wait("b", 0.0) == 0
    assert buckets.wait("a", 1.0) == 1
    assert buckets.wait("a", 2.0) == 0
    assert [buckets.wait("a", 1e6) for _ in range(4)] == [0, 0, 0, 2]


def test_the_addresses_that_are_remembered_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_ADDRESSES", 2)
    buckets = TokenBuckets(1, 1)
    for key in ("a", "b", "c"):
        assert buckets.wait(key, 0.0) == 0
    assert buckets.wait("c", 0.0) == 1
    assert buckets.wait("a", 0.0) == 0


def test_five_hundred_voters_of_a_hall_vote_within_ten_seconds() -> None:
    """Each sends a vote in these seconds, and looks after it each second until it is final, five later."""
    requests = TokenBuckets(REQUESTS_AT_ONCE, REQUESTS_PER_SECOND)
    posts = TokenBuckets(POSTS_AT_ONCE, POSTS_PER_SECOND)
    for second in range(15):
        for _ in range(50 if second < 10 else 0):
            assert posts.wait("hall", second) == requests.wait("hall", second) == 0
        for _ in range(50 * min(second + 1, 5)):
            assert requests.wait("hall", second) == 0


def test_forty_phones_behind_one_router_vote_within_a_minute() -> None:
    """Each asks for the page and its files, votes, and looks after its vote every second."""
    requests, posts = TokenBuckets(REQUESTS_AT_ONCE, REQUESTS_PER_SECOND), TokenBuckets(
        POSTS_AT_ONCE, POSTS_PER_SECOND
    )  # fmt: skip
    for second in range(60):
        for _ in range(40):
            for _ in range(12 if second == 0 else 1):
                assert requests.wait("hall", second) == 0
            if second in (5, 6):  # all press at once; half of the votes are sent twice
                assert posts.wait("hall", second) == 0


def test_five_hundred_voters_of_a_hall_may_have_their_secret_ballots_checked_at_once() -> None:
    candidates = SecretSetup([contest(names=[f"Candidate {number}" for number in range(20)])])
    proofs = TokenBuckets(PROOFS_AT_ONCE, PROOFS_PER_SECOND)
    price = ballot_units(candidates.ballot("voter-1", [[1] + [0] * 19]))
    assert price > 100
    assert [proofs.wait("hall", 0.0, price) for _ in range(500)] == [0.0] * 500
    flood = [proofs.wait("flood", 0.0, price) for _ in range(1000)]
    assert 0 < flood[-1] < 1, "it is told when the next one is checked"
    assert flood.count(0.0) == PROOFS_AT_ONCE // price


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.5", [], "203.0.113.5"),
        ("203.0.113.5", ["198.51.100.1"], "203.0.113.5"),
        ("10.1.1.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.1.1.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        ("10.1.1.1", ["6.6.6.6", "198.51.100.1, 10.2.2.2"], "198.51.100.1"),
        ("10.1.1.1", ["rubbish"], "10.1.1.1"),
        ("10.1.1.1", [], "10.1.1.1"),
        ("::ffff:10.1.1.1", ["198.51.100.1"], "198.51.100.1"),
        ("2001:db8:1:2:3:4:5:6", [], "2001:db8:1:2::/64"),
        ("::1", ["[2001:db8:1:2::9]"], "2001:db8:1:2::/64"),
        ("", [], ""),
    ],
)
def test_whose_request_it_is(peer: str, forwarded: list[str], client: str) -> None:
    assert client_address(peer, forwarded, PROXIES) == client


def test_one_client_is_an_ipv4_address_or_a_64_of_ipv6() -> None:
    same = ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "[2001:db8:1:2::]")
    assert {client_of(host) for host in same} == {"2001:db8:1:2::/64"}
    assert client_of("2001:db8:1:3::1") == "2001:db8:1:3::/64"
    assert client_of("::ffff:192.0.2.1") == client_of("192.0.2.1") == "192.0.2.1"
    assert client_of("no address") == "no address"


def test_a_hall_has_hundreds_of_streams_and_few_addresses_never_have_all() -> None:
    shares = Shares(limits.MAX_STREAMS)
    taken = [sum(shares.take(who) for _ in range(2000)) for who in ("hall", "b", "c", "d", "e")]
    assert taken == [500, 250, 125, 63, 31]
    assert [shares.take(f"home {n}") for n in range(31)] == [True] * 31, "a reader alone has a stream"
    assert not shares.take("hall")
    for _ in range(500):
        shares.give_back("hall")
    assert sum(shares.take("hall") for _ in range(2000)) == 250


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1"])
def test_loopback_stands_for_all_readers_and_may_have_all(host: str) -> None:
    shares = Shares(10)
    assert [shares.take(client_of(host)) for _ in range(11)] == [True] * 10 + [False]


def test_a_place_instead_of_another_is_taken_where_that_helps() -> None:
    shares = Shares(4)
    assert [shares.take(who) for who in "aabc"] == [True] * 4
    assert not shares.take("b", "a"), "b has one, and would have two of four"
    assert not shares.take("a", "a")
    assert shares.take("d", "a")
    assert [shares.take(who) for who in "abcd"] == [False] * 4
