"""The bootstrap server's registry as its rules see it: entries, what is asked of a store, notices.

What lives here: PeerEntry, the Registry interface, Notice, Book (changes to a registry). What must not:
who may change what (`bootstrap.py`), when peers are looked after (`upkeep.py`), databases.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from votenet.errors import Rejected
from votenet.protocol.address import Address, parse_address
from votenet.protocol.peer_record import MAX_LIFETIME

MAX_PEERS: Final = 2_000_000
"""Entries of one registry: twice the largest network planned for, about 500 MB of disk."""

JOINED: Final = "new_peer_joined"
LEFT: Final = "shutdown_peer"


@dataclass(frozen=True, slots=True)
class PeerEntry:
    """One registered peer. Unkeyed entries (the chapter's clients) have None, None, 0, None.

    `source` is the IP address it was registered from, empty when this machine's operator did it.
    `proved`: it was dialled back, or the operator vouches for it; only such entries are told to
    others. `misses` are dials in a row that failed; at the unix time `check_at` the next one is due,
    None: never.
    """

    address: str
    node_key: str | None = None
    network_id: str | None = None
    sequence: int = 0
    expires: int | None = None
    source: str = ""
    proved: bool = True
    misses: int = 0
    check_at: int | None = None

    def live(self, now: int) -> bool:
        return self.expires is None or self.expires > now

    def listed(self, now: int) -> bool:
        """Whether others may hear of it."""
        return self.proved and self.live(now)

    @property
    def target(self) -> Address:
        """Where to dial it: the address it came from rather than what its name resolves to by now.

        So nobody can point a name at a third party after the registration and have it dialled.
        """
        host, port = parse_address(self.address)
        return Address(self.source or host, port)


class Registry(Protocol):
    """What the rules ask of a store. Addresses match whatever the case of their letters.

    Entries stand in two orders: by registration (`page`, `addresses`), and in slots 0 … count-1
    without gaps (`at`), from which a fair sample is drawn. Every call costs the same however many
    entries there are.
    """

    def count(self) -> int: ...

    def held(self, name: str) -> int:
        """Entries registered from this IP address or network group (see `network_group`)."""

    def find(self, address: str) -> PeerEntry | None: ...

    def put(self, entry: PeerEntry) -> None:
        """Add at the end, or replace the entry of the same address in its place."""

    def remove(self, address: str) -> None: ...

    def page(self, after: int, limit: int, now: int) -> tuple[list[PeerEntry], int | None]:
        """Listed entries past the cursor `after` (0: the start), and the next cursor, None at the end."""

    def addresses(self, limit: int, now: int) -> list[str]:
        """Addresses of the first `limit` listed entries."""

    def at(self, slots: Sequence[int], now: int) -> list[PeerEntry]:
        """The listed entries in these slots."""

    def expired(self, limit: int, now: int) -> list[PeerEntry]:
        """Entries whose time is over."""

    def due(self, limit: int, now: int) -> list[PeerEntry]:
        """Entries to be dialled by now, the longest overdue first."""

    def retire(self, node_key: str, address: str, sequence: int, until: int) -> None:
        """Remember until the unix time `until` that this key's records up to `sequence` are spent."""

    def retired(self, node_key: str, address: str) -> int:
        """The highest spent sequence, -1 when none is remembered."""

    def forget_retired(self, limit: int, now: int) -> None:
        """Drop up to `limit` memories whose time is over."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the other peers should hear: `kind` is new_peer_joined or shutdown_peer."""

    kind: str
    address: str


class Book:
    """Changes to a registry. `revision` grows with each, so that answers made before can be told apart.

    `changed` is called with the address of each entry that is put or dropped.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        max_peers: int = MAX_PEERS,
        changed: Callable[[str], None] = lambda address: None,
    ) -> None:
        self.registry, self._max_peers, self._changed = registry, max_peers, changed
        self.revision = 0

    def add(self, entry: PeerEntry) -> None:
        """Put an entry that is not there. Raises Rejected: registry-full."""
        if self.registry.count() >= self._max_peers:
            raise Rejected("registry-full", f"this registry holds {self._max_peers} peers already")
        self.put(entry)

    def put(self, entry: PeerEntry) -> None:
        self.revision += 1
        self.registry.put(entry)
        self._changed(entry.address)

    def drop(self, entry: PeerEntry, now: int) -> Notice | None:
        """Remove an entry; its records up to now are spent. The notice, if others know of it."""
        self.revision += 1
        self.registry.remove(entry.address)
        self._changed(entry.address)
        self.spend(entry, now)
        return Notice(LEFT, entry.address) if entry.proved else None

    def spend(self, entry: PeerEntry, now: int) -> None:
        """Remember that the record of an entry must not be taken again."""
        if entry.node_key is not None:
            self.registry.retire(entry.node_key, entry.address, entry.sequence, now + MAX_LIFETIME)

    def rolled_back(self) -> None:
        """The store has undone recent changes: nothing remembered may rest on them."""
        self.revision += 1
