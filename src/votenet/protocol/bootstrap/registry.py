"""The bootstrap server's registry as its rules see it: entries, the interface of stores, notices, changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from votenet.errors import Rejected
from votenet.protocol.bootstrap.peer_record import MAX_LIFETIME
from votenet.protocol.wire.address import Address, parse_address

MAX_REGISTERED: Final = 2_000_000
"""Entries of one registry: twice the largest network planned for, about 500 MB of disk."""

PEER_JOINED: Final = "new_peer_joined"
PEER_LEFT: Final = "shutdown_peer"


class PeerEntry(msgspec.Struct, frozen=True, array_like=True):
    """One registered peer. Unkeyed entries (reference nodes) have None, None, 0, None.

    `source` is the IP address it was registered from, empty when this machine's operator did it. `proved`:
    it was dialled back, or the operator vouches for it; only such entries are told to others. `misses` are
    dials in a row that failed; the next one is due at the unix time `check_at`, None: never.
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
        """Whether the server may tell its address to others."""
        return self.proved and self.live(now)

    @property
    def target(self) -> Address:
        """Where to dial it: at the address it came from rather than one that its name resolves to by now.

        Otherwise a name could be pointed at a third party after the registration, to have it dialled.
        """
        host, port = parse_address(self.address)
        return Address(self.source or host, port)


class Registry(Protocol):
    """A store of entries. Addresses match whatever the case of their letters.

    Entries stand in two orders: by registration (`page`, `addresses`), and in slots 0 … count-1 without gaps
    (`at`), from which a fair sample is drawn. Every call costs the same however many entries there are.
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


class Notice(NamedTuple):
    """News for the other peers: `kind` is PEER_JOINED or PEER_LEFT."""

    kind: str
    address: str


class RegistryWriter:
    """Changes a registry. `revision` grows with each change, so that answers made before are known to be old.

    `changed` is called with the address of each entry that is put or dropped.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        max_peers: int = MAX_REGISTERED,
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
        """Remove an entry and remember that its records are spent; the notice, if others know of it."""
        self.revision += 1
        self.registry.remove(entry.address)
        self._changed(entry.address)
        self.spend(entry, now)
        return Notice(PEER_LEFT, entry.address) if entry.proved else None

    def spend(self, entry: PeerEntry, now: int) -> None:
        """Remember that the record of an entry must not be taken again.

        Not of one that was never proved: its record leads to a dial at most, and strangers can make many.
        """
        if entry.node_key is not None and entry.proved:
            self.registry.retire(entry.node_key, entry.address, entry.sequence, now + MAX_LIFETIME)

    def rolled_back(self) -> None:
        """Note that the store has undone recent changes: nothing remembered may rest on them."""
        self.revision += 1
