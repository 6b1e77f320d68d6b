"""The bootstrap port's rules: who may be added to, listed from and removed from the registry.

What lives here: BootstrapCore, the Registry it works on, the outcomes of a step. What must not: bytes
of requests (`bootstrap_messages.py`), sockets, databases, clocks, randomness (all are arguments).

`step(call, now)` answers at once, or says which fact it needs first: whether the client's address
belongs to a host (NeedsOwner), whether a peer answers (NeedsProbe). The caller finds out and steps
again with the fact in the call. The order for the caller is: save what the step put into the
registry, then answer, then tell the notices.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

from votenet.errors import Rejected
from votenet.protocol.address import parse_address
from votenet.protocol.bootstrap_messages import (
    ALREADY_REGISTERED,
    MAX_ANSWER_LINE,
    MIN_LISTED_PEER,
    NOT_FOUND,
    REGISTERED,
    REMOVED,
    GetPage,
    GetPeers,
    GetSample,
    KnownPeer,
    Register,
    RegisterSigned,
    Remove,
    RemoveSigned,
    Request,
    encode_page,
    encode_plain,
)
from votenet.protocol.peer_record import MAX_LIFETIME, check_record, check_removal

MAX_PEERS: Final = 2_000_000
"""Entries of one registry: twice the largest network planned for, about 300 MB of disk."""
PLAIN_SAMPLE: Final = 256
"""Peers in the chapter's GET_PEERS once all do not fit: enough to find the rest, a millisecond's work."""
MAX_TOLD_DIRECTLY: Final = 256
"""Peers told of one join or leave by this server; in larger networks they pass it on."""
LIST_CACHE_SECONDS: Final = 2
"""How long a plain answer is reused while nothing changes: a full list costs tens of milliseconds."""


@dataclass(frozen=True, slots=True)
class PeerEntry:
    """One registered peer. Unkeyed entries (the chapter's clients) have None, None, 0, None."""

    address: str
    node_key: str | None = None
    network_id: str | None = None
    sequence: int = 0
    expires: int | None = None

    def live(self, now: int) -> bool:
        return self.expires is None or self.expires > now


class Registry(Protocol):
    """What the core asks of a store. Addresses match whatever the case of their letters.

    Entries stand in two orders: by registration (`page`, `addresses`), and in slots 0 … count-1
    without gaps, in no order (`at`), from which a fair sample is drawn.
    """

    def count(self) -> int: ...

    def find(self, address: str) -> PeerEntry | None: ...

    def put(self, entry: PeerEntry) -> None:
        """Add at the end, or replace the entry of the same address in its place."""

    def remove(self, address: str) -> None: ...

    def page(self, after: int, limit: int, now: int) -> tuple[list[PeerEntry], int | None]:
        """Live entries past the cursor `after` (0: from the start), and the next cursor, None at the end."""

    def addresses(self, limit: int, now: int) -> list[str]:
        """Addresses of the first `limit` live entries."""

    def at(self, slots: Sequence[int], now: int) -> list[PeerEntry]:
        """The live entries in these slots."""

    def expired(self, limit: int, now: int) -> list[PeerEntry]:
        """Entries whose time is over."""

    def retire(self, node_key: str, address: str, sequence: int, until: int) -> None:
        """Remember until the unix time `until` that this key's records up to `sequence` are spent."""

    def retired(self, node_key: str, address: str) -> int:
        """The highest spent sequence, -1 when none is remembered."""

    def forget_retired(self, limit: int, now: int) -> None:
        """Drop up to `limit` memories whose time is over."""


class Sampler(Protocol):
    """`random.Random` and `random.SystemRandom` are ones."""

    def sample(self, population: range, k: int, /) -> list[int]: ...


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the other peers should hear: `kind` is new_peer_joined or shutdown_peer."""

    kind: str
    address: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer line (without newline), and whom to tell what once it is saved and sent."""

    line: bytes
    notice: Notice | None = None


@dataclass(frozen=True, slots=True)
class NeedsOwner:
    """Find out whether `host` resolves to the client's address, then step with `owner` set."""

    host: str


@dataclass(frozen=True, slots=True)
class NeedsProbe:
    """Find out whether `address` answers, then step with `probed` set."""

    address: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Probed:
    """A finding: the peer whose record had `sequence` is alive or not."""

    sequence: int
    alive: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A request, where it came from (an IP address), and the facts found out so far."""

    request: Request
    client: str
    owner: bool | None = None
    probed: Probed | None = None


Outcome = Answer | NeedsOwner | NeedsProbe

JOINED: Final = "new_peer_joined"
LEFT: Final = "shutdown_peer"


class BootstrapCore:
    """The rules over one registry. Not thread-safe: one owner steps it."""

    def __init__(self, registry: Registry, sampler: Sampler, *, max_peers: int = MAX_PEERS) -> None:
        self._registry, self._sampler, self._max_peers = registry, sampler, max_peers
        self._plain: bytes | None = None  # the last plain answer, while it is true
        self._plain_until = 0

    def step(self, call: Call, now: int) -> Outcome:
        """Carry out one request at unix time `now`.

        Raises:
            Rejected: bad-address, not-owner, still-alive, stale-record, expired-record, bad-record,
                registry-full; nothing was changed, except that an expired entry may be gone.
        """
        body = call.request.body
        if isinstance(body, Register):
            return self._register(str(parse_address(body.address)), call, now)
        if isinstance(body, RegisterSigned):
            return self._register_signed(body, call, now)
        if isinstance(body, Remove):
            return self._remove(str(parse_address(body.address)), call, now)
        if isinstance(body, RemoveSigned):
            return self._remove_signed(body, now)
        if isinstance(body, GetPage):
            found, cursor = self._registry.page(body.after, body.limit, now)
            return Answer(encode_page([_known(entry) for entry in found], cursor))
        if isinstance(body, GetSample):
            return Answer(encode_page([_known(entry) for entry in self.sample(body.count, now)], None))
        assert isinstance(body, GetPeers)
        return Answer(self._plain_answer(now))

    def sample(self, count: int, now: int) -> list[PeerEntry]:
        """Up to `count` live entries, every set of them equally likely; the cost is that of `count`."""
        total = self._registry.count()
        return self._registry.at(self._sampler.sample(range(total), min(count, total)), now)

    def audience(self, notice: Notice, now: int) -> list[str]:
        """Addresses of the peers to tell directly: all others, or a fair sample of many."""
        if self._registry.count() <= MAX_TOLD_DIRECTLY:
            found = self._registry.addresses(MAX_TOLD_DIRECTLY, now)
        else:
            found = [entry.address for entry in self.sample(MAX_TOLD_DIRECTLY, now)]
        return [address for address in found if address != notice.address]

    def expire(self, limit: int, now: int) -> list[Notice]:
        """Drop up to `limit` entries whose time is over, and memories of removed ones."""
        gone = self._registry.expired(limit, now)
        for entry in gone:
            self._drop(entry, now)
        self._registry.forget_retired(limit, now)
        return [Notice(LEFT, entry.address) for entry in gone]

    def import_addresses(self, addresses: Sequence[str], now: int) -> int:
        """Add unkeyed entries (a `peers.json`) that are not there yet; how many were added.

        Raises:
            Rejected: bad-address, registry-full. Entries before it are in: call within a transaction.
        """
        added = 0
        for text in addresses:
            address = str(parse_address(text))
            if self._live(address, now) is None:
                self._add(PeerEntry(address))
                added += 1
        return added

    def rolled_back(self) -> None:
        """The store has undone recent changes: nothing remembered here may rest on them."""
        self._plain = None

    # -- the rules -----------------------------------------------------------------------------

    def _register(self, address: str, call: Call, now: int) -> Outcome:
        if self._live(address, now) is not None:
            return Answer(ALREADY_REGISTERED)
        needs = self._ownership(address, call)
        if needs is not None:
            return needs
        self._add(PeerEntry(address))
        return Answer(REGISTERED, Notice(JOINED, address))

    def _register_signed(self, body: RegisterSigned, call: Call, now: int) -> Outcome:
        record = body.signed.record
        address = check_record(body.signed, now)
        found = self._live(address, now)
        new = PeerEntry(address, record.node_key, record.network_id, record.sequence, record.expires)
        if found is not None and found.node_key == record.node_key:
            if record.sequence <= found.sequence:
                raise Rejected("stale-record", "the registry holds a record of this or a later sequence")
            self._put(new)
            return Answer(ALREADY_REGISTERED)
        if found is not None and found.node_key is not None:
            raise Rejected("not-owner", f"{address} is registered by another key", expires=found.expires)
        if record.sequence <= self._registry.retired(record.node_key, address):
            raise Rejected("stale-record", "this record was removed or replaced before")
        needs = self._ownership(address, call)
        if needs is not None:
            return needs
        if found is not None:  # the chapter's registration of the same peer gets its key
            self._put(new)
            return Answer(ALREADY_REGISTERED)
        self._add(new)
        return Answer(REGISTERED, Notice(JOINED, address))

    def _remove(self, address: str, call: Call, now: int) -> Outcome:
        found = self._live(address, now)
        if found is None:
            return Answer(NOT_FOUND)
        if found.node_key is not None:
            if call.probed is None:
                return NeedsProbe(found.address, found.sequence)
            if call.probed.alive or call.probed.sequence != found.sequence:  # or renewed meanwhile
                raise Rejected("still-alive", f"{found.address} answers and has a key: it stays registered")
        else:
            needs = self._ownership(found.address, call)
            if needs is not None:
                return needs
        self._drop(found, now)
        return Answer(REMOVED, Notice(LEFT, found.address))

    def _remove_signed(self, body: RemoveSigned, now: int) -> Outcome:
        removal = body.signed.removal
        found = self._live(check_removal(body.signed), now)
        if found is None:
            return Answer(NOT_FOUND)
        if found.node_key != removal.node_key:
            raise Rejected("not-owner", f"{found.address} is not registered by this key")
        if removal.sequence <= found.sequence:
            raise Rejected("stale-record", "the registry holds a record of this or a later sequence")
        self._drop(found, now)
        self._registry.retire(removal.node_key, found.address, removal.sequence, now + MAX_LIFETIME)
        return Answer(REMOVED, Notice(LEFT, found.address))

    def _ownership(self, address: str, call: Call) -> NeedsOwner | None:
        """None when the client may speak for the address; raises when it may not."""
        client = _ip(call.client)
        if client is not None and client.is_loopback:
            return None  # whoever is on this machine operates it
        host = parse_address(address).host
        owner = call.owner
        literal = _ip(host)
        if literal is not None:
            owner = literal == client
        if owner is None:
            return NeedsOwner(host)
        if not owner:
            raise Rejected("not-owner", f"{address} is not an address of {call.client}")
        return None

    def _live(self, address: str, now: int) -> PeerEntry | None:
        found = self._registry.find(address)
        if found is None or found.live(now):
            return found
        self._drop(found, now)
        return None

    # -- changes -------------------------------------------------------------------------------

    def _add(self, entry: PeerEntry) -> None:
        if self._registry.count() >= self._max_peers:
            raise Rejected("registry-full", f"this registry holds {self._max_peers} peers already")
        self._put(entry)

    def _put(self, entry: PeerEntry) -> None:
        self._plain = None
        self._registry.put(entry)

    def _drop(self, entry: PeerEntry, now: int) -> None:
        self._plain = None
        self._registry.remove(entry.address)
        if entry.node_key is not None:
            self._registry.retire(entry.node_key, entry.address, entry.sequence, now + MAX_LIFETIME)

    # -- the chapter's list --------------------------------------------------------------------

    def _plain_answer(self, now: int) -> bytes:
        if self._plain is None or now >= self._plain_until:
            self._plain = self._all_if_they_fit(now)
            self._plain_until = now + LIST_CACHE_SECONDS
        if self._plain:
            return self._plain
        return encode_plain([entry.address for entry in self.sample(PLAIN_SAMPLE, now)])

    def _all_if_they_fit(self, now: int) -> bytes:
        """All live peers in the order of registration; empty when the line would be too long."""
        most = MAX_ANSWER_LINE // MIN_LISTED_PEER
        if self._registry.count() > most:
            return b""
        line = encode_plain(self._registry.addresses(most, now))
        return line if len(line) <= MAX_ANSWER_LINE else b""


def _known(entry: PeerEntry) -> KnownPeer:
    return KnownPeer(entry.address, entry.node_key, entry.network_id)


@lru_cache(maxsize=4096)
def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An IP address in the form in which two are compared; None for a name."""
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found
