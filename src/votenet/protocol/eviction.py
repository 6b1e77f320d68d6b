"""Which peer that has dialled us makes room when all places are taken.

What lives here: `worst_of`, pure. What must not: closing links.

An attacker can open as many links as he likes, but not choose where honest peers are, how long they have
been there, or what a keyed hash of their network is. So those are kept that he cannot push out by any of
his own doing; of the rest the network with the most links gives up its youngest, which may be the newcomer.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from votenet.protocol.address_book import group_of

KEPT_OLDEST: Final = 32
"""Peers that have been here longest: an eighth of all places."""
KEPT_GROUPS: Final = 32
"""Networks whose oldest peer is kept, chosen by a hash with a secret of this process."""


class Inbound(NamedTuple):
    """A peer that has dialled us: its link, its IP address, when it came (monotonic seconds)."""

    link: int
    host: str
    since: float


def worst_of(peers: Sequence[Inbound], secret: bytes) -> int | None:
    """The link of the peer that goes; None when all are kept."""
    by_age = sorted(peers, key=lambda peer: (peer.since, peer.link))
    kept = {peer.link for peer in by_age[:KEPT_OLDEST]}
    eldest: dict[str, Inbound] = {}
    for peer in by_age:
        eldest.setdefault(group_of(peer.host), peer)
    for group in sorted(eldest, key=lambda group: _rank(group, secret))[:KEPT_GROUPS]:
        kept.add(eldest[group].link)
    rest = [peer for peer in by_age if peer.link not in kept]
    if not rest:
        return None
    crowds = Counter(group_of(peer.host) for peer in peers)
    largest = max(crowds[group_of(peer.host)] for peer in rest)
    return [peer for peer in rest if crowds[group_of(peer.host)] == largest][-1].link


def _rank(group: str, secret: bytes) -> bytes:
    return hashlib.blake2b(group.encode(), digest_size=8, key=secret).digest()
