"""Samples of small and of large registries: fair, current, and cheap."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from support.memory_peer_store import MemoryPeerStore
from votenet.protocol.bootstrap.registry import PeerEntry
from votenet.protocol.bootstrap.sample_cache import CACHE_SECONDS, CACHED_ENTRIES, SMALL, SampleCache

NOW = 1000
MANY = CACHED_ENTRIES + 1000


class Counting(MemoryPeerStore):
    """Counts the entries that were looked up."""

    looked_up = 0

    def at(self, slots: Sequence[int], now: int) -> list[PeerEntry]:
        self.looked_up += len(slots)
        return super().at(slots, now)


def deck(number: int, seed: int = 7) -> tuple[Counting, SampleCache]:
    store = Counting()
    for port in range(1, number + 1):
        store.put(PeerEntry(f"a:{port}"))
    return store, SampleCache(store, random.Random(seed))


def test_a_small_registry_is_always_asked() -> None:
    store, samples = deck(3)
    assert len(samples.sample(100, NOW)) == 3
    store.put(PeerEntry("new:1"))
    assert "new:1" in {entry.address for entry in samples.sample(100, NOW)}
    store.remove("a:1")
    assert len(samples.sample(100, NOW)) == 3
    assert SampleCache(MemoryPeerStore(), random.Random(1)).sample(5, NOW) == []


def test_a_sample_of_all_is_all_of_them() -> None:
    store, samples = deck(SMALL + 100)
    for _ in range(10):
        samples.sample(256, NOW)
    store.put(PeerEntry("new:1"))
    assert {entry.address for entry in samples.sample(1000, NOW)} == set(store.addresses(10_000, NOW))


def test_a_flood_of_questions_costs_a_large_registry_one_cached_sample() -> None:
    store, samples = deck(MANY)
    for _ in range(500):
        found = {entry.address for entry in samples.sample(256, NOW)}
        assert len(found) == 256
    assert store.looked_up < CACHED_ENTRIES + 256
    samples.sample(256, NOW + CACHE_SECONDS)
    assert store.looked_up > CACHED_ENTRIES


def test_every_peer_of_a_large_registry_is_as_likely_as_any_other() -> None:
    """Over many decks: the first answers of a deck, and those that are drawn from it again."""
    _, samples = deck(MANY)
    seen: Counter[str] = Counter()
    for round_ in range(60):
        for _ in range(20):
            seen.update(entry.address for entry in samples.sample(1000, NOW + CACHE_SECONDS * round_))
    assert len(seen) == MANY
    mean = seen.total() / MANY
    halves = [sum(n for a, n in seen.items() if int(a[2:]) % 2 == odd) for odd in (0, 1)]
    assert abs(halves[0] - halves[1]) < 0.03 * seen.total()
    assert max(seen.values()) < 2 * mean, "no peer is drawn again and again"


def test_changed_and_expired_peers_are_not_drawn_again() -> None:
    store, samples = deck(MANY)
    while store.looked_up < CACHED_ENTRIES:
        samples.sample(1000, NOW)
    before = store.looked_up
    gone = {entry.address for entry in samples.sample(1000, NOW)}
    assert store.looked_up == before, "this came from the deck"
    for address in gone:
        store.remove(address)
        samples.forget(address.upper())
    for _ in range(20):
        assert not gone & {entry.address for entry in samples.sample(1000, NOW)}


def test_an_entry_that_expires_meanwhile_is_not_told_of() -> None:
    store = MemoryPeerStore()
    for port in range(1, MANY + 1):
        store.put(PeerEntry(f"a:{port}", "11" * 32, "22" * 32, 1, NOW + 1 + port % 2))
    samples = SampleCache(store, random.Random(3))
    for _ in range(10):
        samples.sample(1000, NOW)
    found = samples.sample(1000, NOW + 1)
    assert 300 < len(found) < 700
    assert all(entry.live(NOW + 1) for entry in found)
