"""The bootstrap port's rules: which peers are registered, listed and removed, and by which clients.

`step(call, now)` answers at once, or says which fact it needs first: whether the client's address belongs to
a host (NeedsOwner), whether a peer answers (NeedsProbe). The caller finds out and steps again with the fact
in the call. The caller's order: save the changes to the registry, then answer, then send the notices.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from msgspec.structs import replace

from votenet.errors import Rejected
from votenet.protocol.bootstrap import bootstrap_messages as messages
from votenet.protocol.bootstrap.liveness_policy import UNKEYED_CHECK_SECONDS, LivenessPolicy
from votenet.protocol.bootstrap.peer_record import check_record, check_removal
from votenet.protocol.bootstrap.registry import (
    MAX_REGISTERED,
    PEER_JOINED,
    Notice,
    PeerEntry,
    Registry,
    RegistryWriter,
)
from votenet.protocol.bootstrap.sample_cache import SampleCache, Sampler
from votenet.protocol.wire.address import Address, network_group, parse_address, parse_peer_address, plain_ip

PLAIN_SAMPLE: Final = 256
"""Peers in a plain list once all do not fit: enough to find the rest, a millisecond's work."""
MAX_TOLD_DIRECTLY: Final = 256
"""Peers told of one join or leave by this server; in larger networks they pass it on."""
LIST_CACHE_SECONDS: Final = 2
"""How long a plain answer is reused while nothing changes: a full list costs tens of milliseconds."""
LONG_LIST: Final = 64 * 1024
"""A longer plain answer, of some 2,000 peers, is reused for as long whatever changes: with so many peers the
list changes every second, and each question would cost a list of its own."""

Trusts = Callable[[str], bool]


@lru_cache(maxsize=4096)
def is_loopback(client: str) -> bool:
    """Whether a client is on this machine: it operates it, unless a proxy stands between."""
    plain = plain_ip(client)
    return plain is not None and ipaddress.ip_address(plain).is_loopback


@dataclass(frozen=True, slots=True)
class AdmissionPolicy:
    """Limits for clients, except for those that operate this machine, which `trusts` tells."""

    trusts: Trusts = is_loopback
    network: str | None = None
    """The id of the only network whose records are taken; None for all."""
    max_peers: int = MAX_REGISTERED
    max_per_host: int = 128
    """Peers registered from one IP address: as many nodes as a class behind one router may run."""
    max_per_group: int = 1024
    """Peers registered from one network, /24 or /48: the owner of one cannot fill the registry."""
    host_rate: tuple[float, float] = (5.0, 300.0)
    """Requests a second from one IP address, and at once. Many nodes may share a router."""
    group_rate: tuple[float, float] = (20.0, 1200.0)
    check_again_seconds: float = 5.0
    """Before one address is dialled again for a client: at most 0.2 connections a second for any peer."""
    silence_gaps: tuple[float, ...] = (2.0, 4.0, 8.0, 16.0, 30.0)
    """Seconds between the pings of a keyed peer whose removal a stranger wants: a minute in all."""


class Answer(NamedTuple):
    """The answer line (without newline), and the notice to send once it is saved and answered."""

    line: bytes
    notice: Notice | None = None


class NeedsOwner(NamedTuple):
    """Find out whether `host` resolves to the client's address, then step with `owner` set.

    The operator, who may speak for any address, only has to name a host that resolves at all.
    """

    host: str


class NeedsProbe(NamedTuple):
    """Find out whether the peer at `target` answers, then step with `probed` set.

    With `node_key` and `network_id`: whether that key does. `sequence` is that of the entry in doubt.
    """

    target: Address
    sequence: int
    node_key: str | None = None
    network_id: str | None = None


class Probed(NamedTuple):
    """The fact for NeedsProbe, about the entry that had `sequence` then."""

    sequence: int
    alive: bool


class Call(NamedTuple):
    """A request, where it came from (an IP address), and the facts found out so far."""

    request: messages.Request
    client: str
    owner: bool | None = None
    probed: Probed | None = None


CallResult = Answer | NeedsOwner | NeedsProbe


class BootstrapCore:
    """The rules over one registry. Not thread-safe: one owner steps it."""

    def __init__(
        self, registry: Registry, sampler: Sampler, policy: AdmissionPolicy = AdmissionPolicy()
    ) -> None:
        self._registry, self._policy, self._trusts = registry, policy, policy.trusts
        self._samples = SampleCache(registry, sampler)
        self.writer = RegistryWriter(registry, max_peers=policy.max_peers, changed=self._samples.forget)
        self.liveness_policy = LivenessPolicy(self.writer)
        self._plain: bytes | None = None  # the last plain answer, while it is true
        self._plain_until, self._plain_revision = 0, 0

    def step(self, call: Call, now: int) -> CallResult:
        """Carry out one request at unix time `now`.

        Raises:
            Rejected: bad-address, network-mismatch, not-owner, still-alive, stale-record, expired-record,
                bad-record, registry-full, too-many-peers; nothing was changed, except that an expired
                entry may be gone.
        """
        body = call.request.body
        if isinstance(body, messages.RegisterAddress):
            return self._register(str(parse_peer_address(body.address)), call, now)
        if isinstance(body, messages.RegisterSigned):
            return self._register_signed(body, call, now)
        if isinstance(body, messages.RemoveAddress):
            return self._remove(str(parse_address(body.address)), call, now)
        if isinstance(body, messages.RemoveSigned):
            return self._remove_signed(body, now)
        if isinstance(body, messages.GetPage):
            return _page(*self._registry.page(body.after, body.limit, now))
        if isinstance(body, messages.GetSample):
            return _page(self.sample(body.count, now), None)
        assert isinstance(body, messages.ListPeers)
        return Answer(self._plain_answer(now))

    def sample(self, count: int, now: int) -> list[PeerEntry]:
        """Up to `count` listed entries, every set of them equally likely; the cost is that of `count`."""
        return self._samples.sample(count, now)

    def audience(self, notice: Notice, now: int) -> list[PeerEntry]:
        """The peers to tell directly: all others that are not silent, or a fair sample of many."""
        total = self._registry.count()
        if total <= MAX_TOLD_DIRECTLY:
            peers = self._registry.at(range(total), now)
        else:
            peers = self.sample(MAX_TOLD_DIRECTLY, now)
        return [entry for entry in peers if entry.address != notice.address and not entry.misses]

    def import_addresses(self, addresses: Sequence[str], now: int) -> int:
        """Add unkeyed entries (a `peers.json`) that are not there yet; how many were added.

        Raises:
            Rejected: bad-address, registry-full. Entries before it are in: call within a transaction.
        """
        added = 0
        for text in addresses:
            address = str(parse_peer_address(text))
            if self._live(address, now) is None:
                self.writer.add(PeerEntry(address, check_at=now + UNKEYED_CHECK_SECONDS))
                added += 1
        return added

    # -- the rules -----------------------------------------------------------------------------

    def _register(self, address: str, call: Call, now: int) -> CallResult:
        if self._live(address, now) is not None:
            return Answer(messages.ALREADY_REGISTERED)
        needs = self._ownership(address, call) or self._existence(address, call)
        return needs if needs is not None else self._join(PeerEntry(address), call, now)

    def _register_signed(self, body: messages.RegisterSigned, call: Call, now: int) -> CallResult:
        record = body.signed.record
        address = check_record(body.signed, now)
        if self._policy.network not in (None, record.network_id):
            raise Rejected("network-mismatch", "this bootstrap server serves another network")
        # The key of an entry renews it. A record that was removed or replaced before stays spent.
        entry = self._live(address, now)
        new = PeerEntry(address, record.node_key, record.network_id, record.sequence, record.expires)
        if entry is not None and entry.node_key == record.node_key:
            return self._renew(entry, new, now)
        if record.sequence <= self._registry.retired(record.node_key, address):
            raise Rejected("stale-record", "this record was removed or replaced before")
        # The client must be allowed to speak for the address; a key that takes it over must answer there.
        needs = self._ownership(address, call)
        if needs is not None:
            return needs
        if entry is None:
            return self._existence(address, call) or self._join(new, call, now)
        return self._take_over(entry, new, call, now)

    def _join(self, new: PeerEntry, call: Call, now: int) -> Answer:
        """Add a new entry. The operator's are listed at once, others once they were dialled back."""
        if self._trusts(call.client):
            self.writer.add(replace(new, check_at=None if new.node_key else now + UNKEYED_CHECK_SECONDS))
            return Answer(messages.REGISTERED, Notice(PEER_JOINED, new.address))
        source = plain_ip(call.client) or call.client
        self._check_quotas(source)
        self.writer.add(replace(new, source=source, proved=False, check_at=now))
        return Answer(messages.REGISTERED)

    def _renew(self, entry: PeerEntry, new: PeerEntry, now: int) -> Answer:
        if new.sequence <= entry.sequence:
            raise Rejected("stale-record", "the registry holds a record of this or a later sequence")
        renewed = replace(entry, sequence=new.sequence, expires=new.expires, network_id=new.network_id)
        if entry.network_id != new.network_id and entry.source:  # it was proved for another network
            renewed = replace(renewed, proved=False, misses=0, check_at=now)
        elif entry.proved:  # the key lives
            renewed = replace(renewed, misses=0, check_at=None)
        self.writer.put(renewed)
        return Answer(messages.ALREADY_REGISTERED)

    def _take_over(self, entry: PeerEntry, new: PeerEntry, call: Call, now: int) -> CallResult:
        """Give a registered address to another key, which must answer there now."""
        trusted = self._trusts(call.client)
        source = "" if trusted else plain_ip(call.client) or call.client
        if entry.node_key is not None or not trusted:  # the operator gives an unkeyed entry its key
            if call.probed is None:
                target = replace(new, source=source).target
                return NeedsProbe(target, entry.sequence, new.node_key, new.network_id)
            if not call.probed.alive or call.probed.sequence != entry.sequence:
                raise Rejected(
                    "not-owner",
                    f"{entry.address} is registered, and does not answer with the key of this record",
                    expires=entry.expires,
                )
        if source != entry.source:
            self._check_quotas(source)
        self.writer.spend(entry, now)
        self.writer.put(replace(new, source=source))
        return Answer(messages.ALREADY_REGISTERED)

    def _check_quotas(self, source: str) -> None:
        limits = {source: self._policy.max_per_host, network_group(source): self._policy.max_per_group}
        for name, most in limits.items():
            if name and self._registry.held(name) >= most:
                raise Rejected("too-many-peers", f"{most} peers are registered from {name} already")

    def _remove(self, address: str, call: Call, now: int) -> CallResult:
        entry = self._live(address, now)
        if entry is None:
            return Answer(messages.NOT_FOUND)
        if entry.node_key is not None:
            if call.probed is None:
                return NeedsProbe(entry.target, entry.sequence)
            if call.probed.alive or call.probed.sequence != entry.sequence:  # or renewed meanwhile
                raise Rejected("still-alive", f"{entry.address} answers and has a key: it stays registered")
        else:
            needs = self._ownership(entry.address, call)
            if needs is not None:
                return needs
        return Answer(messages.REMOVED, self.writer.drop(entry, now))

    def _remove_signed(self, body: messages.RemoveSigned, now: int) -> CallResult:
        removal = body.signed.removal
        entry = self._live(check_removal(body.signed), now)
        if entry is None:
            return Answer(messages.NOT_FOUND)
        if entry.node_key != removal.node_key:
            raise Rejected("not-owner", f"{entry.address} is not registered by this key")
        if removal.sequence <= entry.sequence:
            raise Rejected("stale-record", "the registry holds a record of this or a later sequence")
        notice = self.writer.drop(replace(entry, sequence=removal.sequence), now)
        return Answer(messages.REMOVED, notice)

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
        """None when the operator names a host that exists. (A stranger's host was compared with its own.)"""
        host = parse_address(address).host
        if not self._trusts(call.client) or plain_ip(host) is not None or host.lower() == "localhost":
            return None
        if call.owner is None:
            return NeedsOwner(host)
        if not call.owner:
            raise Rejected("bad-address", f"{host!r} does not resolve to an address")
        return None

    def _live(self, address: str, now: int) -> PeerEntry | None:
        entry = self._registry.find(address)
        if entry is None or entry.live(now):
            return entry
        self.writer.drop(entry, now)
        return None

    # -- the plain list ------------------------------------------------------------------------

    def _plain_answer(self, now: int) -> bytes:
        changed = self._plain_revision != self.writer.revision and 0 < len(self._plain or b"") <= LONG_LIST
        if self._plain is None or changed or now >= self._plain_until:
            self._plain = self._all_if_they_fit(now)
            self._plain_until, self._plain_revision = now + LIST_CACHE_SECONDS, self.writer.revision
        if self._plain:
            return self._plain
        return messages.encode_plain([entry.address for entry in self.sample(PLAIN_SAMPLE, now)])

    def _all_if_they_fit(self, now: int) -> bytes:
        """All live peers in the order of registration; empty when the line would be too long."""
        most = messages.MAX_ANSWER_LINE // messages.MIN_LISTED_PEER
        if self._registry.count() > most:
            return b""
        line = messages.encode_plain(self._registry.addresses(most, now))
        return line if len(line) <= messages.MAX_ANSWER_LINE else b""


def _page(entries: Sequence[PeerEntry], cursor: int | None) -> Answer:
    peers = [messages.KnownPeer(entry.address, entry.node_key, entry.network_id) for entry in entries]
    return Answer(messages.encode_page(peers, cursor))
