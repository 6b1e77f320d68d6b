"""Which peers a node dials, and which peer that has dialled it makes room when all places are taken.

The peers that a node has dialled are the ones that an attacker cannot choose for it. So there are only
OUTBOUND of them, and a network group that has one already comes last: an attacker needs addresses in many
networks to hold them all, not many addresses. It is a preference, no rule: a hall is one group. All names
that others gave are one group, too, until it is known where they lead.

An attacker can open as many links as it likes, but not choose where honest peers are, how long they have been
there, or what a keyed hash of their network is. So those are kept that no new link can push out; of the rest
the network with the most links gives up its youngest, which may be the newcomer.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from votenet.protocol.peers.address_manager import group_of
from votenet.protocol.wire.address import Address

OUTBOUND: Final = 8
"""Peers that a node keeps dialled: as many as Bitcoin's; with 8 links each a message crosses thousands of
nodes in four hops."""
KEPT_OLDEST: Final = 32
"""Inbound peers that have been here longest: an eighth of all places."""
KEPT_GROUPS: Final = 32
"""Networks whose oldest peer is kept, chosen by a hash with a secret of this process."""


class Inbound(NamedTuple):
    """A peer that has dialled us: its link, its IP address, when it came (monotonic seconds)."""

    link: int
    host: str
    since: float


def choose_outbound(
    due: Sequence[Address],
    joined: Iterable[str],
    free: int,
    group_at: Callable[[Address], str] = lambda address: group_of(address.host),
) -> list[Address]:
    """Up to `free` addresses to dial.

    Args:
        due: in order of preference within their groups.
        joined: groups of the peers that are dialled already.
        group_at: the group of an address that is due.
    """
    groups = Counter(joined)
    waiting: dict[str, list[Address]] = {}
    for address in reversed(due):
        waiting.setdefault(group_at(address), []).append(address)
    order = {group_at(address): place for place, address in reversed(list(enumerate(due)))}
    chosen: list[Address] = []
    while waiting and len(chosen) < free:
        group = min(waiting, key=lambda one: (groups[one], order[one]))
        chosen.append(waiting[group].pop())
        groups[group] += 1
        if not waiting[group]:
            del waiting[group]
    return chosen


def inbound_to_evict(peers: Sequence[Inbound], secret: bytes) -> int | None:
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
