"""How often a node dials addresses that others name and that it never met: so naming a victim buys little."""

from __future__ import annotations

from typing import Final

from votenet.protocol.peers.address_manager import group_of
from votenet.protocol.wire.token_bucket import Buckets, TokenBucket

DIALS_OF_HOST: Final = 20
DIALS_OF_HOST_PER_SECOND: Final = 1.0
"""To one host, or to names of others of one domain."""
DIALS_OF_NAMES: Final = 64
DIALS_OF_NAMES_PER_SECOND: Final = 4.0
"""To all names of others: names of many domains may lead to one victim."""


class DialRates:
    """The rates of one node."""

    def __init__(self) -> None:
        self._hosts = Buckets(DIALS_OF_HOST_PER_SECOND, DIALS_OF_HOST)
        self._names = TokenBucket(DIALS_OF_NAMES_PER_SECOND, DIALS_OF_NAMES)

    def take(self, host: str, name_of_others: bool, now: float) -> bool:
        """Whether a host may be dialled now; the dial is counted if so."""
        if not name_of_others:
            return self._hosts.of(host).take(now)
        if not self.ready(host, name_of_others, now):
            return False
        return self._names.take(now) and self._hosts.of(group_of(host)).take(now)

    def ready(self, host: str, name_of_others: bool, now: float) -> bool:
        """Whether `take` would let a host be dialled now; nothing is counted."""
        if not name_of_others:
            return self._hosts.ready(host, now)
        return self._hosts.ready(group_of(host), now) and self._names.wait(now) == 0.0
