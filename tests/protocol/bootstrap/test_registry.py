"""Entries: when they are told of, and where they are dialled. The writer of changes."""

from __future__ import annotations

import pytest

from support.memory_peer_store import MemoryPeerStore
from votenet.errors import Rejected
from votenet.protocol.bootstrap.registry import PEER_LEFT, Notice, PeerEntry, RegistryWriter
from votenet.protocol.wire.address import Address

NOW = 1000
KEY = "11" * 32


def test_only_live_and_proved_peers_are_listed() -> None:
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
    writer = RegistryWriter(store, max_peers=1)
    entry = PeerEntry("a:1", KEY, "22" * 32, 5, NOW + 60)
    writer.add(entry)
    with pytest.raises(Rejected) as caught:
        writer.add(PeerEntry("b:2"))
    assert caught.value.code == "registry-full"
    assert writer.drop(entry, NOW) == Notice(PEER_LEFT, "a:1")
    assert store.retired(KEY, "a:1") == 5
    writer.rolled_back()
    assert writer.revision == 3


def test_of_records_that_were_never_proved_nothing_is_remembered() -> None:
    """They come from anybody, a few thousand a minute, and no quota counts those that are gone."""
    store = MemoryPeerStore()
    writer = RegistryWriter(store)
    entry = PeerEntry("a:1", KEY, "22" * 32, 5, NOW + 60, "10.0.0.1", proved=False)
    writer.put(entry)
    writer.drop(entry, NOW)
    assert store.retired(KEY, "a:1") == -1


def test_the_removal_of_an_unannounced_peer_is_not_announced() -> None:
    writer = RegistryWriter(MemoryPeerStore())
    entry = PeerEntry("a:1", proved=False)
    writer.put(entry)
    assert writer.drop(entry, NOW) is None
