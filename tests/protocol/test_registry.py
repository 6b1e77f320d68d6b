"""Entries: when they are told of, and where they are dialled. The book of changes."""

from __future__ import annotations

import pytest

from votenet.errors import Rejected
from votenet.protocol.address import Address
from votenet.protocol.registry import LEFT, Book, Notice, PeerEntry
from votenet.storage.memory_peer_store import MemoryPeerStore

NOW = 1000
KEY = "11" * 32


def test_only_what_lives_and_was_proved_is_told_of() -> None:
    assert PeerEntry("a:1").listed(NOW)
    assert PeerEntry("a:1", expires=NOW + 1).listed(NOW)
    assert not PeerEntry("a:1", expires=NOW).listed(NOW)
    assert not PeerEntry("a:1", proved=False).listed(NOW)


def test_a_peer_is_dialled_where_it_came_from() -> None:
    assert PeerEntry("a.example:80").target == Address("a.example", 80)
    assert PeerEntry("a.example:80", source="10.0.0.1").target == Address("10.0.0.1", 80)
    assert PeerEntry("[2001:db8::1]:80", source="2001:db8::1").target == Address("2001:db8::1", 80)


def test_every_change_is_a_revision_and_a_dropped_record_is_spent() -> None:
    store = MemoryPeerStore()
    book = Book(store, max_peers=1)
    entry = PeerEntry("a:1", KEY, "22" * 32, 5, NOW + 60)
    book.add(entry)
    with pytest.raises(Rejected) as caught:
        book.add(PeerEntry("b:2"))
    assert caught.value.code == "registry-full"
    assert book.drop(entry, NOW) == Notice(LEFT, "a:1")
    assert store.retired(KEY, "a:1") == 5
    book.rolled_back()
    assert book.revision == 3


def test_nobody_is_told_that_somebody_unknown_has_left() -> None:
    book = Book(MemoryPeerStore())
    entry = PeerEntry("a:1", proved=False)
    book.put(entry)
    assert book.drop(entry, NOW) is None
