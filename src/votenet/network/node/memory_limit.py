"""The memory of all links of a node together: when it is used up, links are closed."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Final

from votenet.errors import RemoteProtocolError
from votenet.network.node.backpressure import OpenLink

MAX_MEMORY: Final = 96 * 1024 * 1024
"""Bytes of all links together: lines not yet whole, taken, being checked; unsent answers."""
MAX_STRANGERS_MEMORY: Final = 64 * 1024 * 1024
"""Of this for links without a handshake."""
MEASURE_BYTES: Final = 16 * 1024 * 1024
"""After so many bytes in or out the memory of all links is added up."""

log = logging.getLogger("votenet.links")


class MemoryLimit:
    """Watches the open links of one node."""

    def __init__(self, links: dict[int, OpenLink], most: int, most_of_strangers: int) -> None:
        self._open, self._most, self._most_of_strangers = links, most, most_of_strangers
        self._moved = 0

    def moved(self, size: int) -> None:
        """A link has taken or been given so many bytes."""
        self._moved += size
        if self._moved > MEASURE_BYTES:
            self.enforce()

    def enforce(self) -> None:
        """Close links of the addresses that hold most, while strangers, or all together, hold too much."""
        self._moved = 0
        peers = [link for link in self._open.values() if link.is_peer]
        strangers = [link for link in self._open.values() if not link.is_peer]
        held = _evict_fattest(strangers, self._most_of_strangers)
        _evict_fattest(peers, self._most - held)


def _evict_fattest(links: list[OpenLink], most: int) -> int:
    """If these links hold more than `most` bytes, close some until it is a quarter less; what they hold then.

    First those of the address that holds most in all, so that no crowd pushes others out; last those that
    we have dialled ourselves, and may be catching up from.
    """
    total = sum(link.memory for link in links)
    if total <= most:
        return total
    crowds = Counter[str]()
    for link in links:
        crowds[link.crowd] += link.memory
    links.sort(key=lambda link: (link.link.outbound, -crowds[link.crowd], -link.memory))
    for link in links:
        if total <= most // 4 * 3:
            break
        log.warning("%d bytes wait for all links: closing %s:%s", total, link.link.host, link.link.port)
        total -= link.memory
        link.link.evict(RemoteProtocolError("busy", "this node's memory for connections is used up"))
    return total
