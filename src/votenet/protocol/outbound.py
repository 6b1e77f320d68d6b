"""Which peers a node chooses for itself: a few, from as many networks as it can.

What lives here: `choose`, pure. What must not: addresses that are not due (`address_book.py`), dialling.

The peers that a node has dialled are the ones that an attacker cannot choose for it. So there are only
OUTBOUND of them, and a network group that has one already comes last: an attacker needs addresses in many
networks to hold them all, not many addresses. It is a preference, no rule: a hall is one group.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from votenet.protocol.address import Address
from votenet.protocol.address_book import group_of

OUTBOUND: Final = 8
"""Peers that a node keeps dialled: as many as Bitcoin's; with 8 links each a message crosses thousands of
nodes in four hops."""


def choose(due: Sequence[Address], joined: Iterable[str], free: int) -> list[Address]:
    """Up to `free` addresses to dial.

    Args:
        due: in order of preference within their groups.
        joined: hosts of the peers that are dialled already.
    """
    groups = Counter(group_of(host) for host in joined)
    waiting: dict[str, list[Address]] = {}
    for address in reversed(due):
        waiting.setdefault(group_of(address.host), []).append(address)
    order = {group_of(address.host): place for place, address in reversed(list(enumerate(due)))}
    chosen: list[Address] = []
    while waiting and len(chosen) < free:
        group = min(waiting, key=lambda one: (groups[one], order[one]))
        chosen.append(waiting[group].pop())
        groups[group] += 1
        if not waiting[group]:
            del waiting[group]
    return chosen
