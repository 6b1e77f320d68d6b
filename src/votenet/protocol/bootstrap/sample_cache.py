"""Fair samples of a registry, at a cost that does not grow with it.

Each peer of a sample lies somewhere else in a large registry: 256 look-ups, few of them near each other. So
entries sampled lately are kept for CACHE_SECONDS and sampled again. In every single answer every set of peers
is still equally likely; only answers within two seconds of each other share more peers than chance would
have it. A small registry, where a change is expected to show at once, is always asked.
"""

from __future__ import annotations

from typing import Final, Protocol

from votenet.protocol.bootstrap.registry import PeerEntry, Registry

SMALL: Final = 512
"""Registries of so many entries are always asked: a sample may be all of them."""
CACHED_ENTRIES: Final = 1024
"""Entries looked up in that time: four samples, which is all that two seconds of questions cost."""
CACHE_SECONDS: Final = 2
"""Changes of another server are seen after this time; this server's own at once."""


class Sampler(Protocol):
    """`random.Random` and `random.SystemRandom` fit."""

    def sample(self, population: range, k: int, /) -> list[int]: ...


class SampleCache:
    """Samples of one registry. `forget` must be called for each entry that is changed."""

    def __init__(self, registry: Registry, sampler: Sampler) -> None:
        self._registry, self._sampler = registry, sampler
        self._entries: dict[str, PeerEntry] = {}
        self._looked_up, self._until = 0, 0

    def sample(self, count: int, now: int) -> list[PeerEntry]:
        """Up to `count` listed entries, every set of them equally likely."""
        total = self._registry.count()
        count = min(count, total)
        if total <= SMALL:
            return self._look_up(total, count, now)
        if now >= self._until:
            self._entries.clear()
            self._looked_up, self._until = 0, now + CACHE_SECONDS
        if self._looked_up < min(CACHED_ENTRIES, total) or len(self._entries) < count:
            sampled = self._look_up(total, count, now)
            self._entries.update((entry.address.lower(), entry) for entry in sampled)
            self._looked_up += count
            return sampled
        entries = list(self._entries.values())
        chosen = self._sampler.sample(range(len(entries)), count)
        return [entry for place in chosen if (entry := entries[place]).listed(now)]

    def forget(self, address: str) -> None:
        """Note that an entry was changed or removed."""
        self._entries.pop(address.lower(), None)

    def _look_up(self, total: int, count: int, now: int) -> list[PeerEntry]:
        return self._registry.at(self._sampler.sample(range(total), count), now)
