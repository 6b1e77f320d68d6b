"""Addresses of possible peers, in buckets by network, and when to dial each.

An address is *new* until a handshake succeeds; then it is *tried*. New and tried addresses lie in buckets,
chosen by a keyed hash of the network group of the address (and, for a new one, of the source that named it),
as in Bitcoin's address manager: a source with a few networks, or with a million addresses, fills a few
buckets and pushes no address out of the others. A full bucket of new addresses keeps those that did not fail,
then those with the smallest hash. A full bucket of tried addresses has its oldest member dialled, and gives
its place away only if it does not answer (test before evict).

An address that keeps failing is dialled ever more rarely; a new one is at last forgotten.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from votenet.errors import Rejected
from votenet.protocol.wire.address import Address, is_own_host, parse_address, parse_peer_address, plain_ip

BUCKET_SIZE: Final = 32
NEW_BUCKETS: Final = 64
TRIED_BUCKETS: Final = 32
BUCKETS_OF_GROUP: Final = 4
"""Buckets that one group can reach (for new addresses: out of one source): 128 addresses."""
BUCKETS_OF_SOURCE: Final = 16
"""Buckets of new addresses that one source group can reach: a quarter of all."""
BUCKETS_OF_NAMES: Final = 8
"""The same for all names that the operator has not given: 256 addresses, a quarter of the tried ones."""
NAMES: Final = "names of others"
"""The group of these names together: a name costs little, and names of many domains may lead to one host."""
LOCAL: Final = "local"
"""The group of this machine's own addresses, which has one large bucket of each kind."""
LOCAL_SIZE: Final = 256
MAX_KNOWN: Final = BUCKET_SIZE * (NEW_BUCKETS + TRIED_BUCKETS) + 2 * LOCAL_SIZE
"""Addresses at most: about 2 MB."""
FIRST_RETRY: Final = 0.25
LONGEST_RETRY: Final = 30.0
FORGET_AFTER: Final = 12
"""Failures in a row of an address that was never met: about four minutes of trying."""
DOUBT_TRIES: Final = 3
"""Dials, 30 s apart, that a tried address must fail to be forgotten when a peer says that it has left."""
EVICT_AFTER: Final = 2
"""Failures in a row after which a tried address gives its place in a full bucket away; one may be chance."""
LONG_GONE_RETRY: Final = 300.0
"""Between dials of a tried address that failed more often: its node may come back any day."""
FORGET_MET_SECONDS: Final = 30 * 24 * 3600
"""The next start leaves out a cached address that has had no handshake for so long."""
ALIAS_REST: Final = 600.0
"""Seconds before an address that led to a node we are already joined to is dialled again."""
TWIN_REST: Final = 6.0
"""The same where another process with our own key is joined, or answers."""
STABLE_SECONDS: Final = 60.0
"""A link that was up for so long has worked; one that breaks sooner counts as one more failure."""
QUARANTINE_AFTER: Final = 6
"""Links in a row that broke sooner: then the address rests."""
QUARANTINE_SECONDS: Final = 600.0


class CachedPeer(NamedTuple):
    """A row of the cache. `source`: group that named it; `met`: Unix time of the last handshake, 0 for never;
    `anchor`: it was an outbound peer when the row was written."""

    address: str
    source: str = ""
    met: int = 0
    anchor: bool = False


@dataclass(slots=True)
class _Known:
    address: Address
    source: str
    met: int = 0
    anchor: bool = False
    failures: int = 0
    flaps: int = 0
    doubted: bool = False
    configured: bool = False  # named by the operator: never forgotten
    vouched: bool = False  # the operator's, or a named node's: pushed out by no other
    testing: bool = False
    group: str = ""  # of the IP address where its node was last met
    next_try: float = 0.0
    bucket: tuple[str, int] = ("", 0)


@lru_cache(maxsize=4096)
def group_of(host: str) -> str:
    """The network that one owner may have: /16 of IPv4, /32 of IPv6, the last two labels of a name."""
    plain = plain_ip(host)
    if plain is None:
        name = host.rstrip(".").lower()
        return LOCAL if name == "localhost" else ".".join(name.split(".")[-2:])
    if ipaddress.ip_address(plain).is_loopback:
        return LOCAL
    return str(ipaddress.ip_network(f"{plain}/{32 if ':' in plain else 16}", strict=False))


def source_of(host: str) -> str:
    """The group of a source that a stranger has named: all sources with names count as one."""
    return NAMES if is_name(host) else group_of(host)


def host_of(address: str) -> str:
    """The host in `host:port`, without brackets."""
    return address.rpartition(":")[0].strip("[]")


def is_name(host: str) -> bool:
    """Whether a host is a name that only a resolver can tell the address of."""
    return plain_ip(host) is None and group_of(host) != LOCAL


def is_own_host_of_another(address: str, source: str) -> bool:
    """Whether an address leads all who dial it to their own machine, and another machine names it.

    Others could have us dial each port of this machine.
    """
    return source != LOCAL and is_own_host(host_of(address))


class AddressManager:
    """The addresses that a node knows, except its `own`.

    `secret` is the node's, the same at every start: no other node knows which buckets an address falls into.
    """

    def __init__(self, own: str, secret: bytes = b"") -> None:
        self.own, self._secret = own, hashlib.sha256(b"votenet/address-book/1\n" + secret).digest()
        self._known: dict[str, _Known] = {}
        self._buckets: dict[tuple[str, int], list[str]] = {}
        self.changed = False
        """Whether `cached` returns something else since this was last set to False."""

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __contains__(self, text: str) -> bool:
        return text in self._known

    # -- addresses that others name ------------------------------------------------------------

    def add(self, text: str, source: str = "") -> bool:
        """Add an address that a node of the group `source` named; whether it was added.

        Malformed addresses, and those whose bucket is full of better ones, are dropped.
        """
        try:
            address = parse_peer_address(text)
        except Rejected:
            return False
        return self._add(_Known(address, source))

    def add_configured(self, text: str) -> None:
        """Add an address that the operator names. Malformed ones are dropped."""
        try:
            address = parse_peer_address(text)
        except Rejected:
            return
        self._add(_Known(address, "", configured=True, vouched=True))
        known = self._known.get(str(address))
        if known is not None:
            known.configured = known.vouched = True

    def add_named(self, text: str, source: str = "") -> None:
        """Add an address of a named node, or mark it as one. Malformed ones are dropped."""
        try:
            address = parse_peer_address(text)
        except Rejected:
            return
        self._add(_Known(address, source, vouched=True))
        known = self._known.get(str(address))
        if known is not None:
            known.vouched = True

    def unvouch(self, text: str) -> None:
        """Note that a named node is no longer known to be there: other addresses may push this one out."""
        known = self._known.get(text)
        if known is not None:
            known.vouched = known.configured

    def _add(self, known: _Known) -> bool:
        name = str(known.address)
        if name == self.own or name in self._known:
            return False
        return self._put_new(name, known)

    def doubt(self, text: str) -> None:
        """Dial an address at once: its node is said to have left. The next dials decide."""
        known = self._known.get(text)
        if known is not None:
            tries = DOUBT_TRIES if known.met else 1
            known.failures, known.next_try = max(known.failures, FORGET_AFTER - tries), 0.0
            known.doubted = True

    def retry_soon(self, text: str, now: float) -> None:
        """Dial an address sooner, but not at once: its node is said to be there again after failures."""
        known = self._known.get(text)
        if known is not None and known.failures:
            known.next_try = min(known.next_try, now + FIRST_RETRY * 2.0 ** min(known.failures, 5))

    # -- dials and links -----------------------------------------------------------------------

    def succeeded(self, text: str, now: float, wall: int) -> None:
        """Note a handshake with the node there. `wall` is Unix time in seconds."""
        known = self._known.get(text)
        if known is None:
            return
        self.changed |= not known.met
        known.met, known.failures, known.next_try = wall, 0, 0.0
        known.doubted = known.testing = False
        if known.bucket[0] != "tried":
            self._promote(text, known, now)

    def met_at(self, text: str, host: str) -> None:
        """Note the IP address of the node that was met there: the group of a name is known from then on."""
        known = self._known.get(text)
        if known is not None:
            known.group = group_of(host) if is_name(known.address.host) else ""

    def reached(self, text: str) -> None:
        """Note a handshake with a node that does not know this address as its own: it is not met."""
        known = self._known.get(text)
        if known is not None:
            known.failures, known.next_try = 0, 0.0

    def failed(self, text: str, now: float) -> None:
        known = self._known.get(text)
        if known is None:
            return
        known.failures += 1
        if known.failures >= FORGET_AFTER and (known.doubted or not known.met) and not known.configured:
            self._forget(text)
        elif known.failures > FORGET_AFTER:
            known.next_try = now + LONG_GONE_RETRY
        else:
            known.next_try = now + min(FIRST_RETRY * 2.0 ** (known.failures - 1), LONGEST_RETRY)

    def link_lost(self, text: str, lived: float, now: float) -> None:
        """Note that a link that we had dialled ended after `lived` seconds: it rests longer each time."""
        known = self._known.get(text)
        if known is not None and lived >= STABLE_SECONDS:
            known.flaps = 0
        elif known is not None:
            known.flaps += 1
            wait = min(FIRST_RETRY * 2.0 ** (known.flaps - 1), LONGEST_RETRY)
            if known.flaps >= QUARANTINE_AFTER:
                wait = QUARANTINE_SECONDS
            known.next_try = max(known.next_try, now + wait)

    def postpone(self, text: str, now: float, seconds: float = ALIAS_REST) -> None:
        """Do not dial an address that leads to ourselves, or to a node that we know by another one."""
        known = self._known.get(text)
        if known is not None:
            known.next_try = now + seconds

    def shorten_waits(self, now: float, names: Collection[str] | None = None) -> None:
        """Let trusted addresses, all or those of `names`, wait LONGEST_RETRY at most, whatever they did."""
        for known in self._known.values() if names is None else filter(None, map(self._known.get, names)):
            if known.met or known.configured:
                known.next_try = min(known.next_try, now + LONGEST_RETRY)

    # -- questions -----------------------------------------------------------------------------

    def due(self, now: float, busy: set[str]) -> list[Address]:
        """Addresses to dial now: anchors first, then those with the fewest failures."""
        ready = [k for name, k in self._known.items() if name not in busy and k.next_try <= now]
        return [k.address for k in sorted(ready, key=lambda known: (not known.anchor, known.failures))]

    def untried(self, names: Iterable[str]) -> bool:
        """Whether one of these was never dialled."""
        known = (self._known.get(name) for name in names)
        return any(one is not None and not one.failures and not one.next_try for one in known)

    def trusted(self) -> set[str]:
        """Addresses that no stranger could have made up: met before, or named by the operator."""
        return {name for name, known in self._known.items() if known.met or known.configured}

    def unreachable(self) -> set[str]:
        """Addresses that were met, are not the operator's, and failed DOUBT_TRIES times in a row."""
        known = self._known.items()
        return {n for n, k in known if k.met and not k.configured and k.failures >= DOUBT_TRIES}

    def is_met(self, text: str) -> bool:
        known = self._known.get(text)
        return known is not None and bool(known.met)

    def is_name_of_others(self, text: str) -> bool:
        """Whether an address is a name that the operator has not given."""
        known = self._known.get(text)
        return is_name(host_of(text)) and (known is None or not known.configured)

    def met_group(self, text: str) -> str:
        """The group of the IP address to which a name led when its node was last met; empty before."""
        known = self._known.get(text)
        return "" if known is None else known.group

    def is_anchor(self, text: str) -> bool:
        """Whether an address was an outbound peer at the end of the last run."""
        known = self._known.get(text)
        return known is not None and known.anchor

    def wants_test(self, text: str) -> bool:
        """Whether a feeler would tell something new: never met, or its place is wanted by another."""
        known = self._known.get(text)
        return known is not None and (not known.met or known.failures > 0 or known.testing)

    def cached(self, anchors: Iterable[str]) -> list[CachedPeer]:
        """The rows to keep for the next start."""
        chosen = set(anchors)
        return [CachedPeer(name, k.source, k.met, name in chosen) for name, k in self._known.items()]

    def restore(self, cache: Iterable[CachedPeer], wall: int) -> None:
        """Add the rows of an earlier start, except malformed and old ones."""
        for row in sorted(cache, key=lambda row: -row.met):
            if row.met and row.met < wall - FORGET_MET_SECONDS:
                continue
            if self.add(row.address, row.source):
                known = self._known[str(parse_address(row.address))]
                known.anchor = row.anchor
                if row.met:
                    known.met = row.met
                    self._promote(str(known.address), known, 0.0)
        self.changed = False

    # -- buckets -------------------------------------------------------------------------------

    def _put_new(self, name: str, known: _Known) -> bool:
        where = self._new_bucket(known)
        bucket = self._buckets.setdefault(where, [])
        if len(bucket) >= _size(where):
            worst = max(bucket, key=self._dispensable)
            gone = self._known[worst]
            stays = gone.vouched or (not gone.failures and self._rank(name) > self._rank(worst))
            if stays and not known.vouched:
                return False
            if not gone.vouched:  # a bucket outgrows its size only by addresses that are vouched for
                self._forget(worst)
        bucket.append(name)
        known.bucket = where
        self._known[name] = known
        self.changed = True
        return True

    def _promote(self, name: str, known: _Known, now: float) -> None:
        """Move a new address to the tried ones, if there is room or a tried one is gone."""
        where = self._tried_bucket(known)
        bucket = self._buckets.setdefault(where, [])
        if len(bucket) >= _size(where):
            worst = min(bucket, key=lambda other: (-self._known[other].failures, self._known[other].met))
            gone = self._known[worst]
            if gone.failures < EVICT_AFTER:
                gone.testing, gone.next_try = True, now
                return
        self._buckets[known.bucket].remove(name)
        bucket.append(name)
        known.bucket = where
        if len(bucket) > _size(where):
            bucket.remove(worst)
            del self._known[worst]
            gone.met = 0
            self._put_new(worst, gone)

    def _forget(self, name: str) -> None:
        known = self._known.pop(name)
        self._buckets[known.bucket].remove(name)
        self.changed = True

    def _dispensable(self, name: str) -> tuple[bool, int, int]:
        """The larger, the sooner an address of a full bucket of new ones goes."""
        known = self._known[name]
        return not known.vouched, known.failures, self._rank(name)

    def _place(self, known: _Known) -> tuple[str, int]:
        """The group of an address, and which of the buckets of the group it falls into."""
        named = is_name(known.address.host) and not known.vouched
        group, buckets = (
            (NAMES, BUCKETS_OF_NAMES) if named else (group_of(known.address.host), BUCKETS_OF_GROUP)
        )
        return group, self._hash("spread", str(known.address)) % buckets

    def _new_bucket(self, known: _Known) -> tuple[str, int]:
        group, spread = self._place(known)
        if group == LOCAL:
            return ("local new", 0)
        row = self._hash("row", group, known.source, str(spread)) % BUCKETS_OF_SOURCE
        return ("new", self._hash("new", known.source, str(row)) % NEW_BUCKETS)

    def _tried_bucket(self, known: _Known) -> tuple[str, int]:
        group, spread = self._place(known)
        if group == LOCAL:
            return ("tried", -1)
        return ("tried", self._hash("tried", group, str(spread)) % TRIED_BUCKETS)

    def _rank(self, name: str) -> int:
        return self._hash("rank", name)

    def _hash(self, *words: str) -> int:
        text = "\n".join(words).encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.blake2b(text, digest_size=8, key=self._secret).digest(), "big")


def _size(bucket: tuple[str, int]) -> int:
    return LOCAL_SIZE if bucket in (("local new", 0), ("tried", -1)) else BUCKET_SIZE
