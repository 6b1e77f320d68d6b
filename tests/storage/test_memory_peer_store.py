"""The twin in memory: that it behaves as the others is in test_peer_store.py; here what is its own."""

from __future__ import annotations

from votenet.protocol.registry import PeerEntry
from votenet.storage.memory_peer_store import MemoryPeerStore


def test_saving_undoes_nothing() -> None:
    store = MemoryPeerStore()
    with store.saving():
        store.put(PeerEntry("a:1"))
    store.close()
    assert store.count() == 1
