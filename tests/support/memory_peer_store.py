"""The registry in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from contextlib import AbstractContextManager

from votenet.protocol.bootstrap.registry import PeerEntry
from votenet.protocol.wire.address import network_group


class MemoryPeerStore:
    """A PeerStore whose `saving` undoes nothing, and whose calls cost more with more entries."""

    def __init__(self) -> None:
        self._ids: dict[int, PeerEntry] = {}  # in the order of registration
        self._by_address: dict[str, int] = {}
        self._slots: list[int] = []
        self._retired: dict[tuple[str, str], tuple[int, int]] = {}
        self._last_id = 0

    def saving(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def prefetch(self, addresses: Sequence[str]) -> None:
        return None

    def close(self) -> None:
        return None

    def count(self) -> int:
        return len(self._ids)

    def find(self, address: str) -> PeerEntry | None:
        found = self._by_address.get(address.lower())
        return None if found is None else self._ids[found]

    def put(self, entry: PeerEntry) -> None:
        found = self._by_address.get(entry.address.lower())
        if found is None:
            self._last_id += 1
            found = self._by_address[entry.address.lower()] = self._last_id
            self._slots.append(found)
        self._ids[found] = entry

    def remove(self, address: str) -> None:
        found = self._by_address.pop(address.lower(), None)
        if found is not None:
            del self._ids[found]
            self._slots.remove(found)

    def page(self, after: int, limit: int, now: int) -> tuple[list[PeerEntry], int | None]:
        found = [(i, entry) for i, entry in self._ids.items() if i > after and entry.listed(now)]
        cursor = found[limit - 1][0] if len(found) > limit else None
        return [entry for _, entry in found[:limit]], cursor

    def addresses(self, limit: int, now: int) -> list[str]:
        return [entry.address for entry in self._ids.values() if entry.listed(now)][:limit]

    def at(self, slots: Sequence[int], now: int) -> list[PeerEntry]:
        found = [self._ids[self._slots[slot]] for slot in slots if slot < len(self._slots)]
        return [entry for entry in found if entry.listed(now)]

    def held(self, name: str) -> int:
        return sum(name in (e.source, network_group(e.source)) for e in self._ids.values() if e.source)

    def expired(self, limit: int, now: int) -> list[PeerEntry]:
        return [entry for entry in self._ids.values() if not entry.live(now)][:limit]

    def due(self, limit: int, now: int) -> list[PeerEntry]:
        dated = [(e.check_at, n, e) for n, e in self._ids.items() if e.check_at is not None]
        return [entry for when, _, entry in sorted(dated, key=lambda row: row[:2]) if when <= now][:limit]

    def retire(self, node_key: str, address: str, sequence: int, until: int) -> None:
        old = self._retired.get((node_key, address.lower()), (-1, 0))
        self._retired[node_key, address.lower()] = (max(old[0], sequence), max(old[1], until))

    def retired(self, node_key: str, address: str) -> int:
        return self._retired.get((node_key, address.lower()), (-1, 0))[0]

    def forget_retired(self, limit: int, now: int) -> None:
        over = [key for key, (_, until) in self._retired.items() if until <= now]
        for key in over[:limit]:
            del self._retired[key]
