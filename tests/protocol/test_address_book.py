"""Addresses are rumours until a handshake: kept, dialled ever more rarely, forgotten."""

from __future__ import annotations

import pytest

from votenet.protocol.address_book import (
    ALIAS_REST,
    FIRST_RETRY,
    FORGET_AFTER,
    LONGEST_RETRY,
    MAX_KNOWN,
    AddressBook,
)

OWN = "127.0.0.1:3000"
PEER = "127.0.0.1:3001"


def book(*addresses: str) -> AddressBook:
    found = AddressBook(OWN)
    for address in addresses:
        assert found.add(address)
    return found


def due(found: AddressBook, now: float = 0.0, *busy: str) -> list[str]:
    return [str(address) for address in found.due(now, set(busy))]


def test_s06_a_node_keeps_all_but_itself() -> None:
    found = book(PEER)
    assert not found.add(OWN)
    assert not found.add(PEER)
    assert (len(found), PEER in found, OWN in found) == (1, True, False)


@pytest.mark.parametrize("junk", ["", "x", "host:0", "host:99999", "a b:1", ":1", "[::1:1", "\x00:1", "é:1"])
def test_junk_is_passed_over(junk: str) -> None:
    assert not book().add(junk)


def test_one_address_in_two_spellings_is_one() -> None:
    assert not book("[::1]:3000").add("[::1]:03000")


def test_a_new_address_is_due_at_once_unless_it_is_busy() -> None:
    found = book(PEER)
    assert due(found) == [PEER]
    assert due(found, 0.0, PEER) == []
    assert found.untried(set())
    assert not found.untried({PEER})


def test_failures_make_the_next_try_wait_twice_as_long() -> None:
    found, now, waits = book(), 0.0, []
    found.add(PEER, met=True)
    for _ in range(12):
        found.failed(PEER, now)
        before = now
        while not due(found, now):
            now += 0.25
        waits.append(now - before)
    assert waits[:3] == [FIRST_RETRY, 2 * FIRST_RETRY, 4 * FIRST_RETRY]
    assert waits[-1] == LONGEST_RETRY
    assert not found.untried(set())


def test_those_with_fewer_failures_come_first() -> None:
    found = book("a:1", "b:1")
    found.failed("a:1", 0.0)
    assert due(found, 100.0) == ["b:1", "a:1"]


def test_a_rumour_that_keeps_failing_is_forgotten_and_an_acquaintance_is_not() -> None:
    found = book(PEER, "friend:1")
    found.succeeded("friend:1")
    for _ in range(FORGET_AFTER):
        found.failed(PEER, 0.0)
        found.failed("friend:1", 0.0)
    assert PEER not in found
    assert found.met() == ["friend:1"]
    found.failed(PEER, 0.0)  # forgotten: no matter


def test_success_forgives_all_failures() -> None:
    found = book(PEER)
    for _ in range(5):
        found.failed(PEER, 0.0)
    found.succeeded(PEER)
    assert due(found) == [PEER]
    assert found.met() == [PEER]
    found.succeeded("nobody:1")
    assert len(found) == 1


def test_an_alias_rests() -> None:
    found = book(PEER)
    found.rest(PEER, 10.0)
    found.rest("nobody:1", 10.0)
    assert due(found, 10.0 + ALIAS_REST - 1) == []
    assert due(found, 10.0 + ALIAS_REST) == [PEER]


def test_s13_a_peer_that_is_said_to_have_left_is_dialled_once_more() -> None:
    found = book(PEER)
    found.succeeded(PEER)
    found.failed(PEER, 0.0)
    found.doubt(PEER)
    assert due(found, 0.0) == [PEER]
    found.failed(PEER, 0.0)
    assert PEER not in found
    found.doubt(PEER)


def test_a_doubted_peer_that_answers_stays() -> None:
    found = book(PEER)
    found.doubt(PEER)
    found.succeeded(PEER)
    found.failed(PEER, 0.0)
    assert found.met() == [PEER]


def test_a_full_book_makes_room_only_for_what_failed() -> None:
    found = book(*(f"h{n}:1" for n in range(MAX_KNOWN)))
    assert not found.add("new:1")
    found.failed("h7:1", 0.0), found.failed("h8:1", 0.0), found.failed("h8:1", 0.0)
    assert found.add("new:1")
    assert ("h8:1" in found, "h7:1" in found, len(found)) == (False, True, MAX_KNOWN)


def test_a_book_full_of_old_acquaintances_that_are_gone_takes_new_addresses() -> None:
    """Anybody can claim a thousand addresses in hello: they must not lock the book for ever."""
    found = book()
    for n in range(MAX_KNOWN):
        found.add(f"h{n}:1", met=True)
    assert not found.add("new:1")
    found.failed("h3:1", 0.0)
    assert found.add("new:1")
    assert "h3:1" not in found
