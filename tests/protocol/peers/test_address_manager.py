"""Addresses are new until a handshake: kept, dialled ever more rarely, forgotten."""

from __future__ import annotations

import pytest

from votenet.protocol.peers.address_manager import (
    ALIAS_REST,
    BUCKET_SIZE,
    BUCKETS_OF_NAMES,
    BUCKETS_OF_SOURCE,
    DOUBT_TRIES,
    EVICT_AFTER,
    FIRST_RETRY,
    FORGET_AFTER,
    FORGET_MET_SECONDS,
    LOCAL_SIZE,
    LONG_GONE_RETRY,
    LONGEST_RETRY,
    AddressManager,
    CachedPeer,
    group_of,
    is_own_host_of_another,
)

NOW = 1_700_000_000
OWN = "127.0.0.1:3000"
PEER = "127.0.0.1:3001"


def manager(*addresses: str) -> AddressManager:
    found = AddressManager(OWN)
    for address in addresses:
        assert found.add(address)
    return found


def met(found: AddressManager) -> list[str]:
    return [row.address for row in found.cached([]) if row.met]


def due(found: AddressManager, now: float = 0.0, *busy: str) -> list[str]:
    return [str(address) for address in found.due(now, set(busy))]


def test_a_node_keeps_all_but_itself() -> None:
    found = manager(PEER)
    assert not found.add(OWN)
    assert not found.add(PEER)
    assert (len(found), PEER in found, OWN in found) == (1, True, False)


@pytest.mark.parametrize("junk", ["", "x", "host:0", "host:99999", "a b:1", ":1", "[::1:1", "\x00:1", "é:1"])
def test_junk_is_passed_over(junk: str) -> None:
    assert not manager().add(junk)


def test_only_this_machine_may_name_hosts_that_are_the_own_machine_of_all() -> None:
    far = group_of("10.6.0.1")
    for address in ("localhost:1", "node.localhost:1", "127.0.0.2:1", "[::1]:1", "0.0.0.0:1"):
        assert is_own_host_of_another(address, far)
        assert not is_own_host_of_another(address, group_of("127.0.0.1"))
    assert not is_own_host_of_another("10.7.0.1:1", far)
    assert not is_own_host_of_another("node.example:1", far)


def test_one_address_in_two_spellings_is_one() -> None:
    assert not manager("[::1]:3000").add("[::1]:03000")


def test_a_new_address_is_due_at_once_unless_it_is_busy() -> None:
    found = manager(PEER)
    assert due(found) == [PEER]
    assert due(found, 0.0, PEER) == []
    assert found.untried({PEER, "10.0.0.9:3000"})
    assert not found.untried({"10.0.0.9:3000"})


def test_met_and_operator_addresses_differ_from_new_ones() -> None:
    found = manager()
    found.add_configured(PEER)
    found.add("10.7.0.1:3000", "10.1.0.0/16"), found.add("10.8.0.1:3000", "10.1.0.0/16")
    found.succeeded("10.8.0.1:3000", 0.0, NOW)
    assert found.trusted() == {PEER, "10.8.0.1:3000"}
    for _ in range(FORGET_AFTER + 1):
        found.failed(PEER, 0.0), found.failed("10.8.0.1:3000", 0.0), found.failed("10.7.0.1:3000", 0.0)
    assert found.trusted() == {PEER, "10.8.0.1:3000"}, "whom the operator names is never forgotten"
    assert found.unreachable() == {"10.8.0.1:3000"}
    found.add_configured("nonsense")


def test_where_none_is_joined_those_that_were_met_or_named_by_the_operator_wait_for_half_a_minute() -> None:
    found = manager()
    found.add(PEER), found.add("10.7.0.1:3000", "source"), found.add_configured("10.8.0.1:3000")
    found.succeeded(PEER, 0.0, NOW)
    for address in (PEER, "10.7.0.1:3000", "10.8.0.1:3000"):
        found.postpone(address, 0.0)
    found.shorten_waits(0.0), found.shorten_waits(10.0)
    assert due(found, LONGEST_RETRY) == [PEER, "10.8.0.1:3000"]


def test_an_address_whose_node_does_not_know_it_is_reached_and_not_met() -> None:
    found = manager()
    found.add(PEER)
    for _ in range(FORGET_AFTER - 1):
        found.failed(PEER, 0.0)
    found.reached(PEER), found.reached("10.9.9.9:1")
    assert due(found, 0.0)
    assert not found.is_met(PEER)


def test_failures_make_the_next_try_wait_twice_as_long() -> None:
    found, now, waits = manager(), 0.0, []
    found.add(PEER)
    found.succeeded(PEER, now, NOW)
    for _ in range(12):
        found.failed(PEER, now)
        before = now
        while not due(found, now):
            now += 0.25
        waits.append(now - before)
    assert waits[:3] == [FIRST_RETRY, 2 * FIRST_RETRY, 4 * FIRST_RETRY]
    assert waits[-1] == LONGEST_RETRY
    assert not found.untried({PEER})


def test_those_with_fewer_failures_come_first() -> None:
    found = manager("a:1", "b:1")
    found.failed("a:1", 0.0)
    assert due(found, 100.0) == ["b:1", "a:1"]


def test_a_new_address_that_keeps_failing_is_forgotten_and_an_acquaintance_is_not() -> None:
    found = manager(PEER, "friend:1")
    found.succeeded("friend:1", 0.0, NOW)
    for _ in range(FORGET_AFTER):
        found.failed(PEER, 0.0)
        found.failed("friend:1", 0.0)
    assert PEER not in found
    assert met(found) == ["friend:1"]
    found.failed(PEER, 0.0)  # forgotten: no matter


def test_success_forgives_all_failures() -> None:
    found = manager(PEER)
    for _ in range(5):
        found.failed(PEER, 0.0)
    found.succeeded(PEER, 0.0, NOW)
    assert due(found) == [PEER]
    assert met(found) == [PEER]
    found.succeeded("nobody:1", 0.0, NOW)
    assert len(found) == 1


def test_an_alias_rests() -> None:
    found = manager(PEER)
    found.postpone(PEER, 10.0)
    found.postpone("nobody:1", 10.0)
    assert due(found, 10.0 + ALIAS_REST - 1) == []
    assert due(found, 10.0 + ALIAS_REST) == [PEER]


def test_a_peer_that_is_said_to_have_left_is_dialled_and_then_forgotten() -> None:
    found = manager(PEER)
    found.succeeded(PEER, 0.0, NOW)
    found.failed(PEER, 0.0)
    found.doubt(PEER)
    assert due(found, 0.0) == [PEER]
    for dial in range(DOUBT_TRIES):
        assert PEER in found
        found.failed(PEER, 30.0 * dial)
    assert PEER not in found
    found.doubt(PEER)


def test_of_a_new_address_one_dial_is_enough() -> None:
    found = manager(PEER)
    found.doubt(PEER)
    found.failed(PEER, 0.0)
    assert PEER not in found


def test_a_doubted_peer_that_answers_stays() -> None:
    found = manager(PEER)
    found.doubt(PEER)
    found.succeeded(PEER, 0.0, NOW)
    found.failed(PEER, 0.0)
    assert met(found) == [PEER]


def test_an_acquaintance_that_is_long_gone_is_dialled_every_five_minutes() -> None:
    found = manager(PEER)
    found.succeeded(PEER, 0.0, NOW)
    for _ in range(FORGET_AFTER + 1):
        found.failed(PEER, 100.0)
    assert due(found, 99.0 + LONG_GONE_RETRY) == []
    assert due(found, 100.0 + LONG_GONE_RETRY) == [PEER]
    found.failed(PEER, 1000.0)
    found.retry_soon(PEER, 1000.0)  # a peer says that it is back
    assert due(found, 1010.0) == [PEER]


# -- buckets ---------------------------------------------------------------------------------------


def public(number: int) -> str:
    """One address in each /16."""
    return f"{11 + number // 256}.{number % 256}.0.1:3000"


@pytest.mark.parametrize(
    ("host", "group"),
    [
        ("10.1.2.3", "10.1.0.0/16"),
        ("2001:db8:1::5", "2001:db8::/32"),
        ("::ffff:10.1.2.3", "10.1.0.0/16"),
        ("127.0.0.9", "local"),
        ("::1", "local"),
        ("localhost", "local"),
        ("a.b.example.org.", "example.org"),
    ],
)
def test_groups_hold_the_addresses_of_one_owner(host: str, group: str) -> None:
    assert group_of(host) == group


def test_one_source_cannot_fill_the_address_manager() -> None:
    found = AddressManager(OWN, b"secret")
    for number in range(20_000):
        found.add(public(number), "10.66.0.0/16")
    assert len(found) <= BUCKETS_OF_SOURCE * BUCKET_SIZE
    honest = [f"203.{n}.0.1:3000" for n in range(100)]
    kept = sum(found.add(address, f"198.{n}.0.0/16") for n, address in enumerate(honest))
    assert kept > 60, "most buckets are still free for others"


def test_one_network_cannot_push_tried_addresses_out() -> None:
    found = AddressManager(OWN, b"secret")
    friends = [public(n) for n in range(60)]
    for address in friends:
        assert found.add(address, "198.51.0.0/16")
        found.succeeded(address, 0.0, NOW)
    for number in range(5000):
        address = f"66.6.{number // 250}.{number % 250 + 1}:3000"
        found.add(address, "66.6.0.0/16")
        found.succeeded(address, 0.0, NOW + number)
    assert set(friends) <= set(met(found))


def test_names_of_many_domains_reach_a_few_buckets_of_one_source() -> None:
    found = manager()
    for number in range(20_000):
        found.add(f"a.example{number}:3000", "10.66.0.0/16")
    assert len(found) <= BUCKETS_OF_NAMES * BUCKET_SIZE


def test_names_of_many_domains_contest_the_places_of_few_tried_addresses() -> None:
    found = manager()
    friends = [public(n) for n in range(60)]
    for address in friends:
        found.add(address, "198.51.0.0/16")
        found.succeeded(address, 0.0, NOW)
    for number in range(5000):
        name = f"a.example{number}:3000"
        found.add(name, f"{20 + number % 200}.1.0.0/16")
        found.succeeded(name, 0.0, NOW + number)
    assert set(friends) <= set(met(found))
    assert sum(map(found.wants_test, friends)) < len(friends) / 2


def test_addresses_of_the_operator_stay_among_names_of_others_even_while_they_fail() -> None:
    found = manager()
    own = [f"node.friend{number}:3000" for number in range(16)]
    for number in range(5000):
        found.add(f"a.example{number}:3000")
    for name in own:
        found.add_configured(name)
        found.failed(name, 0.0)
    for number in range(5000):
        found.add(f"b.example{number}:3000")
    assert all(name in found for name in own)


def test_addresses_that_are_vouched_for_take_the_places_of_others_and_not_more_room() -> None:
    found = manager(*(f"127.0.0.1:{port}" for port in range(1, LOCAL_SIZE + 1)))
    near = [f"localhost:{port}" for port in range(1, 65)]
    for name in near:
        found.add_named(name)
    assert set(near) <= set(found)
    assert len(found) == LOCAL_SIZE


def test_an_address_that_is_no_longer_vouched_for_gives_its_place_away() -> None:
    near = [f"127.0.0.1:{port}" for port in range(1, LOCAL_SIZE + 1)]
    found = manager(*near)
    for address in near:  # known already
        found.add_named(address)
        found.failed(address, 0.0)
    assert not found.add("127.0.0.1:60000")
    found.unvouch(near[7])
    assert found.add("127.0.0.1:60000")
    assert near[7] not in found


def test_what_the_operator_has_named_stays_vouched_for() -> None:
    near = [f"127.0.0.1:{port}" for port in range(1, LOCAL_SIZE + 1)]
    found = manager()
    for address in near:
        found.add_configured(address)
        found.unvouch(address)
    assert not found.add("127.0.0.1:60000")


def test_a_full_bucket_of_tried_ones_tests_its_oldest_before_it_gives_its_place_away() -> None:
    found = manager()
    for port in range(1, LOCAL_SIZE + 1):
        assert found.add(f"127.0.0.1:{port + 10_000}")
        found.succeeded(f"127.0.0.1:{port + 10_000}", 0.0, NOW + port)
    oldest, newcomer = "127.0.0.1:10001", "127.0.0.1:9"
    found.add(newcomer)
    found.succeeded(newcomer, 5.0, NOW + 999)
    assert found.wants_test(oldest)
    assert oldest in due(found, 5.0)
    found.succeeded(oldest, 6.0, NOW + 1000)  # it answers: it stays
    found.succeeded(newcomer, 7.0, NOW + 1001)
    for _ in range(EVICT_AFTER):
        assert "127.0.0.1:10002" in met(found)
        found.succeeded(newcomer, 8.0, NOW + 1001)
        found.failed("127.0.0.1:10002", 8.0)  # the next oldest is dialled and does not answer
    found.succeeded(newcomer, 9.0, NOW + 1002)
    assert oldest in met(found)
    assert newcomer in met(found)
    assert "127.0.0.1:10002" not in met(found)


def test_a_full_bucket_of_new_addresses_keeps_working_addresses_and_then_a_random_choice() -> None:
    found = manager(*(f"127.0.0.1:{port}" for port in range(1, LOCAL_SIZE + 1)))
    failed = "127.0.0.1:7"
    found.failed(failed, 0.0)
    assert found.add("127.0.0.1:60000")
    assert failed not in found
    assert len(found) == LOCAL_SIZE
    before = {row.address for row in found.cached([])}
    for _ in range(3):  # naming them again and again does not help
        for port in range(20_000, 20_200):
            found.add(f"127.0.0.1:{port}")
    after = {row.address for row in found.cached([])}
    for port in range(20_000, 20_200):
        found.add(f"127.0.0.1:{port}")
    assert {row.address for row in found.cached([])} == after
    assert len(before & after) > LOCAL_SIZE // 3


def test_buckets_depend_on_a_secret() -> None:
    kept = []
    for secret in (b"one", b"two"):
        found = AddressManager(OWN, secret)
        for number in range(2000):
            found.add(public(number), "10.66.0.0/16")
        kept.append({row.address for row in found.cached([])})
    assert kept[0] != kept[1]


# -- the cache -------------------------------------------------------------------------------------


def test_cached_addresses_come_back_with_anchors_first() -> None:
    found = manager("10.1.0.1:1", "10.2.0.1:1", "10.3.0.1:1")
    found.succeeded("10.2.0.1:1", 0.0, NOW)
    found.succeeded("10.3.0.1:1", 0.0, NOW)
    assert found.changed
    again = AddressManager(OWN)
    again.restore(found.cached(["10.3.0.1:1"]), NOW + 60)
    assert not again.changed
    assert due(again) == ["10.3.0.1:1", "10.2.0.1:1", "10.1.0.1:1"]
    assert met(again) == ["10.2.0.1:1", "10.3.0.1:1"]


def test_a_cache_with_junk_or_from_another_age_is_passed_over() -> None:
    found = manager()
    rows = [CachedPeer("junk"), CachedPeer("10.1.0.1:1", "", NOW - FORGET_MET_SECONDS - 1), CachedPeer(OWN)]
    found.restore(rows, NOW)
    assert len(found) == 0
