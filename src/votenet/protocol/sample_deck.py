"""Fair samples of a registry, at a cost that does not grow with it.

What lives here: SampleDeck. What must not: databases, who asks.

Each peer of a sample lies somewhere else in a large registry: 256 look-ups, few of them near each other. So
what was drawn lately is kept for DECK_SECONDS and drawn from again. In every single answer every set of peers
is still equally likely; only answers within two seconds of each other share more peers than chance would
have it. A small registry, where everybody expects to see a change at once, is always asked.
"""

from __future__ import annotations

from typing import Final, Protocol

from votenet.protocol.registry import PeerEntry, Registry

SMALL: Final = 512
"""Registries of so many entries are always asked: a sample may be all of them."""
DECK: Final = 1024
"""Entries drawn for a deck: four samples' worth, which is all that two seconds of questions cost."""
DECK_SECONDS: Final = 2
"""How long: another server's changes are seen after this time. This one's own are seen at once."""


class Sampler(Protocol):
    """`random.Random` and `random.SystemRandom` are ones."""

    def sample(self, population: range, k: int, /) -> list[int]: ...


class SampleDeck:
    """Samples of one registry. Whoever changes an entry calls `forget`."""

    def __init__(self, registry: Registry, sampler: Sampler) -> None:
        self._registry, self._sampler = registry, sampler
        self._entries: dict[str, PeerEntry] = {}
        self._drawn, self._until = 0, 0

    def draw(self, count: int, now: int) -> list[PeerEntry]:
        """Up to `count` listed entries, every set of them equally likely."""
        total = self._registry.count()
        count = min(count, total)
        if total <= SMALL:
            return self._look_up(total, count, now)
        if now >= self._until:
            self._entries.clear()
            self._drawn, self._until = 0, now + DECK_SECONDS
        if self._drawn < min(DECK, total) or len(self._entries) < count:
            found = self._look_up(total, count, now)
            self._entries.update((entry.address.lower(), entry) for entry in found)
            self._drawn += count
            return found
        entries = list(self._entries.values())
        chosen = self._sampler.sample(range(len(entries)), count)
        return [entry for place in chosen if (entry := entries[place]).listed(now)]

    def forget(self, address: str) -> None:
        """This entry is another one now, or none."""
        self._entries.pop(address.lower(), None)

    def _look_up(self, total: int, count: int, now: int) -> list[PeerEntry]:
        return self._registry.at(self._sampler.sample(range(total), count), now)
