"""The bootstrap port's rules: who may be added to, listed from and removed from the registry.

What lives here: BootstrapCore, the outcomes of a step. What must not: entries and what a store must do
(`registry.py`), dialling peers again later (`upkeep.py`), bytes of requests (`bootstrap_messages.py`),
sockets, databases, clocks, randomness (all are arguments).

`step(call, now)` answers at once, or says which fact it needs first: whether the client's address
belongs to a host (NeedsOwner), whether a peer answers (NeedsProbe). The caller finds out and steps
again with the fact in the call. The order for the caller is: save what the step put into the
registry, then answer, then tell the notices.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from votenet.errors import Rejected
from votenet.protocol.address import Address, network_group, parse_address, parse_peer_address, plain_ip
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
from votenet.protocol.peer_record import check_record, check_removal
from votenet.protocol.registry import JOINED, MAX_PEERS, Book, Notice, PeerEntry, Registry
from votenet.protocol.sample_deck import SampleDeck, Sampler
from votenet.protocol.upkeep import CHECK_SECONDS, Upkeep

PLAIN_SAMPLE: Final = 256
"""Peers in the chapter's GET_PEERS once all do not fit: enough to find the rest, a millisecond's work."""
MAX_TOLD_DIRECTLY: Final = 256
"""Peers told of one join or leave by this server; in larger networks they pass it on."""
LIST_CACHE_SECONDS: Final = 2
"""How long a plain answer is reused while nothing changes: a full list costs tens of milliseconds."""
LONG_LIST: Final = 64 * 1024
"""A longer plain answer, of some 2,000 peers, is reused for as long whatever changes: among so many somebody
comes, goes or renews a record every second, and each question would cost a list of its own."""
MAX_PER_HOST: Final = 128
"""Peers registered from one IP address: as many nodes as a class behind one router may run."""
MAX_PER_GROUP: Final = 1024
"""Peers registered from one network, /24 or /48: whoever owns one cannot fill the registry."""

Trusts = Callable[[str], bool]


@lru_cache(maxsize=4096)
def is_loopback(client: str) -> bool:
    """Whether a client is on this machine: it operates it, unless a proxy stands between."""
    plain = plain_ip(client)
    return plain is not None and ipaddress.ip_address(plain).is_loopback


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer line (without newline), and whom to tell what once it is saved and sent."""

    line: bytes
    notice: Notice | None = None


@dataclass(frozen=True, slots=True)
class NeedsOwner:
    """Find out whether `host` resolves to the client's address, then step with `owner` set.

    The operator, who may speak for any address, only has to name a host that resolves at all.
    """

    host: str


@dataclass(frozen=True, slots=True)
class NeedsProbe:
    """Find out whether the peer at `target` answers, then step with `probed` set.

    With `node_key` and `network_id`: whether that key does. `sequence` is that of the entry in doubt.
    """

    target: Address
    sequence: int
    node_key: str | None = None
    network_id: str | None = None


@dataclass(frozen=True, slots=True)
class Probed:
    """A finding of NeedsProbe, about the entry that had `sequence` then."""

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


class BootstrapCore:
    """The rules over one registry. Not thread-safe: one owner steps it.

    Args:
        network: the id of the only network whose records are taken; None for all.
    """

    def __init__(
        self,
        registry: Registry,
        sampler: Sampler,
        *,
        max_peers: int = MAX_PEERS,
        max_per_host: int = MAX_PER_HOST,
        max_per_group: int = MAX_PER_GROUP,
        trusts: Trusts = is_loopback,
        network: str | None = None,
    ) -> None:
        self._registry, self._trusts, self._network = registry, trusts, network
        self._deck = SampleDeck(registry, sampler)
        self._max_per_host, self._max_per_group = max_per_host, max_per_group
        self._book = Book(registry, max_peers=max_peers, changed=self._deck.forget)
        self.upkeep = Upkeep(self._book)
        self._plain: bytes | None = None  # the last plain answer, while it is true
        self._plain_until, self._plain_revision = 0, 0

    def step(self, call: Call, now: int) -> Outcome:
        """Carry out one request at unix time `now`.

        Raises:
            Rejected: bad-address, network-mismatch, not-owner, still-alive, stale-record, expired-record,
                bad-record, registry-full, too-many-peers; nothing was changed, except that an expired
                entry may be gone.
        """
        body = call.request.body
        if isinstance(body, Register):
            return self._register(str(parse_peer_address(body.address)), call, now)
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
        """Up to `count` listed entries, every set of them equally likely; the cost is that of `count`."""
        return self._deck.draw(count, now)

    def audience(self, notice: Notice, now: int) -> list[PeerEntry]:
        """The peers to tell directly: all others that are not silent, or a fair sample of many."""
        total = self._registry.count()
        if total <= MAX_TOLD_DIRECTLY:
            found = self._registry.at(range(total), now)
        else:
            found = self.sample(MAX_TOLD_DIRECTLY, now)
        return [entry for entry in found if entry.address != notice.address and not entry.misses]

    def import_addresses(self, addresses: Sequence[str], now: int) -> int:
        """Add unkeyed entries (a `peers.json`) that are not there yet; how many were added.

        Raises:
            Rejected: bad-address, registry-full. Entries before it are in: call within a transaction.
        """
        added = 0
        for text in addresses:
            address = str(parse_peer_address(text))
            if self._live(address, now) is None:
                self._book.add(PeerEntry(address, check_at=now + CHECK_SECONDS))
                added += 1
        return added

    def rolled_back(self) -> None:
        """The store has undone recent changes: nothing remembered here may rest on them."""
        self._book.rolled_back()

    # -- the rules -----------------------------------------------------------------------------

    def _register(self, address: str, call: Call, now: int) -> Outcome:
        if self._live(address, now) is not None:
            return Answer(ALREADY_REGISTERED)
        needs = self._ownership(address, call) or self._existence(address, call)
        return needs if needs is not None else self._join(PeerEntry(address), call, now)

    def _register_signed(self, body: RegisterSigned, call: Call, now: int) -> Outcome:
        record = body.signed.record
        address = check_record(body.signed, now)
        if self._network is not None and record.network_id != self._network:
            raise Rejected("network-mismatch", "this bootstrap server serves another network")
        found = self._live(address, now)
        new = PeerEntry(address, record.node_key, record.network_id, record.sequence, record.expires)
        if found is not None and found.node_key == record.node_key:
            return self._renew(found, new, now)
        if record.sequence <= self._registry.retired(record.node_key, address):
            raise Rejected("stale-record", "this record was removed or replaced before")
        needs = self._ownership(address, call)
        if needs is not None:
            return needs
        if found is None:
            return self._existence(address, call) or self._join(new, call, now)
        return self._take_over(found, new, call, now)

    def _join(self, new: PeerEntry, call: Call, now: int) -> Answer:
        """An address that is not there. The operator's word is taken; others are dialled back first."""
        if self._trusts(call.client):
            self._book.add(replace(new, check_at=None if new.node_key else now + CHECK_SECONDS))
            return Answer(REGISTERED, Notice(JOINED, new.address))
        source = plain_ip(call.client) or call.client
        self._check_quota(source, self._max_per_host)
        self._check_quota(network_group(source), self._max_per_group)
        self._book.add(replace(new, source=source, proved=False, check_at=now))
        return Answer(REGISTERED)

    def _renew(self, found: PeerEntry, new: PeerEntry, now: int) -> Answer:
        if new.sequence <= found.sequence:
            raise Rejected("stale-record", "the registry holds a record of this or a later sequence")
        renewed = replace(found, sequence=new.sequence, expires=new.expires, network_id=new.network_id)
        if found.network_id != new.network_id and found.source:  # what was proved is not this
            renewed = replace(renewed, proved=False, misses=0, check_at=now)
        elif found.proved:  # the key lives
            renewed = replace(renewed, misses=0, check_at=None)
        self._book.put(renewed)
        return Answer(ALREADY_REGISTERED)

    def _take_over(self, found: PeerEntry, new: PeerEntry, call: Call, now: int) -> Outcome:
        """Another key for an address that is there: it must answer at that address, now."""
        trusted = self._trusts(call.client)
        source = "" if trusted else plain_ip(call.client) or call.client
        if found.node_key is not None or not trusted:  # the operator gives an unkeyed entry its key
            if call.probed is None:
                target = replace(new, source=source).target
                return NeedsProbe(target, found.sequence, new.node_key, new.network_id)
            if not call.probed.alive or call.probed.sequence != found.sequence:
                raise Rejected(
                    "not-owner",
                    f"{found.address} is registered, and does not answer with the key of this record",
                    expires=found.expires,
                )
        if source != found.source:
            self._check_quota(source, self._max_per_host)
            self._check_quota(network_group(source), self._max_per_group)
        self._book.spend(found, now)
        self._book.put(replace(new, source=source))
        return Answer(ALREADY_REGISTERED)

    def _check_quota(self, name: str, most: int) -> None:
        if name and self._registry.held(name) >= most:
            raise Rejected("too-many-peers", f"{most} peers are registered from {name} already")

    def _remove(self, address: str, call: Call, now: int) -> Outcome:
        found = self._live(address, now)
        if found is None:
            return Answer(NOT_FOUND)
        if found.node_key is not None:
            if call.probed is None:
                return NeedsProbe(found.target, found.sequence)
            if call.probed.alive or call.probed.sequence != found.sequence:  # or renewed meanwhile
                raise Rejected("still-alive", f"{found.address} answers and has a key: it stays registered")
        else:
            needs = self._ownership(found.address, call)
            if needs is not None:
                return needs
        return Answer(REMOVED, self._book.drop(found, now))

    def _remove_signed(self, body: RemoveSigned, now: int) -> Outcome:
        removal = body.signed.removal
        found = self._live(check_removal(body.signed), now)
        if found is None:
            return Answer(NOT_FOUND)
        if found.node_key != removal.node_key:
            raise Rejected("not-owner", f"{found.address} is not registered by this key")
        if removal.sequence <= found.sequence:
            raise Rejected("stale-record", "the registry holds a record of this or a later sequence")
        notice = self._book.drop(replace(found, sequence=removal.sequence), now)
        return Answer(REMOVED, notice)

    def _ownership(self, address: str, call: Call) -> NeedsOwner | None:
        """None when the client may speak for the address; raises when it may not."""
        if self._trusts(call.client):
            return None
        host = parse_address(address).host
        owner = call.owner
        literal = plain_ip(host)
        if literal is not None:
            owner = literal == plain_ip(call.client)
        if owner is None:
            return NeedsOwner(host)
        if not owner:
            raise Rejected("not-owner", f"{address} is not an address of {call.client}")
        return None

    def _existence(self, address: str, call: Call) -> NeedsOwner | None:
        """None when the operator names a host that there is. (A stranger's was compared with his own.)"""
        host = parse_address(address).host
        if not self._trusts(call.client) or plain_ip(host) is not None or host.lower() == "localhost":
            return None
        if call.owner is None:
            return NeedsOwner(host)
        if not call.owner:
            raise Rejected("bad-address", f"{host!r} does not resolve to an address")
        return None

    def _live(self, address: str, now: int) -> PeerEntry | None:
        found = self._registry.find(address)
        if found is None or found.live(now):
            return found
        self._book.drop(found, now)
        return None

    # -- the chapter's list --------------------------------------------------------------------

    def _plain_answer(self, now: int) -> bytes:
        changed = self._plain_revision != self._book.revision and 0 < len(self._plain or b"") <= LONG_LIST
        if self._plain is None or changed or now >= self._plain_until:
            self._plain = self._all_if_they_fit(now)
            self._plain_until, self._plain_revision = now + LIST_CACHE_SECONDS, self._book.revision
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
