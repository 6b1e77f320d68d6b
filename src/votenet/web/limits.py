"""How much one client may ask of the page, and who a client is. Pure: time is an argument."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from cachetools import LRUCache
from starlette.requests import Request

MAX_BODY_BYTES: Final = 64 * 1024
"""Of the body of a request."""
BODY_SECONDS: Final = 10.0
"""Within which the whole body must be here."""
HEAD_SECONDS: Final = 10.0
"""Within which a request line and its headers must be here, and the first one on a new connection."""
KEEP_ALIVE_SECONDS: Final = 30
"""So long a connection may be silent between two requests."""
MAX_HEAD_BYTES: Final = 16 * 1024
"""Of a request line with its headers."""
MAX_PATH: Final = 2048
"""Characters of a path with its query."""
NO_PATH: Final = re.compile("//|/\\.\\.?(?:/|\\Z)|[\x00-\x1f\x7f\ufffd\\\\]")
"""Found in the decoded path of no page: browsers and proxies change such paths, or take them for others."""
UNREAD_SECONDS: Final = 60.0
"""So long a client may not read what it has asked for."""
MAX_BROWSERS: Final = 4096
"""At one time, as far as the system allows so many open files; one more is answered with 503 and closed.

By TLS it is closed before its handshake; the others are counted from their first moment.
"""
MAX_BROWSERS_OF_ADDRESS: Final = 2048
"""Of one address, unless it is a trusted proxy: a browser opens six at most, and a hall has one router."""
MAX_STREAMS: Final = 1000
"""Event streams at one time, shared as `Shares` does it: readers beyond them poll."""
REQUESTS_AT_ONCE, REQUESTS_PER_SECOND = 3000.0, 100.0
"""Of one client address: for pages and files, and once more for the API.

A hall of 500 voters behind one router loads the page, votes and looks after its votes within seconds.
"""
POSTS_AT_ONCE, POSTS_PER_SECOND = 1000.0, 60.0
"""Of one client address: votes and enrolments, which cost a node work."""
PROOFS_AT_ONCE, PROOFS_PER_SECOND = 100_000.0, 5_000.0
"""Of one client address: units of the proofs of secret ballots, each a tenth of a millisecond.

A hall of 500 voters has ballots of 25 candidates checked at once, and half a core is free for others. A node
could not do it: there all voters of the page are one client, and one of them could use up what all have.
"""
MAX_ADDRESSES: Final = 20_000
"""Addresses whose use is remembered: those that have been silent longest are forgotten."""

THIS_MACHINE: Final = ("127.", "::/64")
"""Beginnings of the names that `client_of` gives to this machine."""

Network = IPv4Network | IPv6Network


class TokenBuckets:
    """A bucket of tokens for each key, filled at a rate; at most MAX_ADDRESSES keys are remembered."""

    def __init__(self, at_once: float, per_second: float) -> None:
        self._at_once, self._per_second = at_once, per_second
        self._buckets: LRUCache[str, tuple[float, float]] = LRUCache(MAX_ADDRESSES)

    def wait(self, key: str, now: float, price: float = 1.0) -> float:
        """Take tokens of this key. Returns 0, or the seconds until they are there: none was taken then."""
        tokens, at = self._buckets.get(key, (self._at_once, now))
        tokens = min(self._at_once, tokens + (now - at) * self._per_second)
        enough = tokens >= price
        self._buckets[key] = tokens - price if enough else tokens, now
        return 0.0 if enough else (price - tokens) / self._per_second


class Shares:
    """So many places for all clients; each client (`client_of`) may hold as many as are free then.

    The first client gets half of them: a hall behind one router has some hundreds of readers. The next one
    gets a quarter, the one after that an eighth. So few clients never have all. Loopback may have all: it is
    this machine, or a proxy that was not named and stands for all readers.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: Counter[str] = Counter()

    def take(self, who: str, instead_of: str | None = None) -> bool:
        """Take a place for a client. Returns whether there was one for it.

        Args:
            instead_of: a client that loses one of its places for it; nothing changes if that does not help.
        """
        free = self._most - self._taken.total() + (instead_of is not None)
        held = self._taken[who] - (who == instead_of)
        has_room = free > 0 and (held < free or who.startswith(THIS_MACHINE))
        if has_room:
            if instead_of is not None:
                self.give_back(instead_of)
            self._taken[who] += 1
        return has_room

    def give_back(self, who: str) -> None:
        self._taken[who] -= 1
        if not self._taken[who]:
            del self._taken[who]


def client_of(host: str) -> str:
    """What is counted as one client: an IPv4 address, or the /64 network of an IPv6 address."""
    address = _read(host)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, 64), strict=False))
    return host if address is None else str(address)


def client_address(peer: str, forwarded: Collection[str], trusted: Collection[Network]) -> str:
    """Whose request it is, as `client_of` names clients.

    Only a trusted proxy is believed about whom it asks for, and of several proxies each one only if the next
    one is trusted, too.

    Args:
        peer: address of the other side of the connection.
        forwarded: the X-Forwarded-For headers, in their order.
        trusted: proxies that are believed.
    """
    client = _read(peer)
    if client is None:
        return peer
    chain = [part.strip() for header in forwarded for part in header.split(",")]
    while chain and _is_in(client, trusted):
        before = _read(chain.pop())
        if before is None:
            break
        client = before
    return client_of(str(client))


def asked_by(request: Request, trusted: Collection[Network]) -> str:
    """`client_address` of a request."""
    peer = request.client.host if request.client else ""
    return client_address(peer, request.headers.getlist("x-forwarded-for"), trusted)


def is_trusted(host: str, trusted: Collection[Network]) -> bool:
    """Whether a connection comes from a proxy that is believed."""
    address = _read(host)
    return address is not None and _is_in(address, trusted)


def _is_in(address: IPv4Address | IPv6Address, networks: Collection[Network]) -> bool:
    return any(address in network for network in networks)


def _read(text: str) -> IPv4Address | IPv6Address | None:
    """An address; an IPv4 address that is written as IPv6 becomes IPv4. None: it is none."""
    try:
        found = ip_address(text.strip("[]"))
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
