"""Where the named nodes of an election are, as far as one node knows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

LINKS_OF_RELAY: Final = 2
"""Named nodes that a relay keeps dialled: with one it is ready, and one of them may go."""
MAX_PLACES: Final = 4
"""Addresses that are remembered for one named node."""


class NamedNodes:
    """Addresses of the other named nodes.

    Args:
        names: their names, by node key.
        decides: this node is a named node, too.
    """

    def __init__(self, names: Mapping[str, str] | None = None, *, decides: bool = False) -> None:
        self._names, self.decides = names or {}, decides
        self._places: dict[str, str] = {}
        """Keys by address."""
        self._vouched: set[str] = set()
        """Places where the node proved its key, or that a server of the operator lists."""
        self._taken: dict[str, str] = {}
        """Keys that were at an address before another node answered there."""

    def __contains__(self, node_key: str) -> bool:
        return node_key in self._names

    def __len__(self) -> int:
        return len(self._names)

    def is_vouched(self, address: str) -> bool:
        """Whether a named node has proved its key at an address, or a configured server lists it there."""
        return address in self._vouched

    def listed(self, address: str, node_key: str | None, *, trusted: bool) -> None:
        """Note that a bootstrap server lists a key at an address.

        Args:
            trusted: the operator has configured the server. Lists are not signed: another server may list
                any address under any key.
        """
        known = self._vouched if trusted else self._places
        if node_key not in self._names or address in known:
            return
        assert node_key is not None
        places = [place for place in self._places_of(node_key) if place != address]
        if trusted and len(places) >= MAX_PLACES and places[-1] not in self._vouched:
            del self._places[places.pop()]
        if len(places) < MAX_PLACES:
            self._places[address] = node_key
            if trusted:
                self._vouched.add(address)

    def answered(self, address: str, node_key: str) -> set[str]:
        """Note that the node at an address has proved to have a key.

        Returns the addresses that lost their vouching by that.
        """
        before_vouched = set(self._vouched)
        self._move(address, node_key)
        return before_vouched - self._vouched

    def _move(self, address: str, node_key: str) -> None:
        """Take an address from the key that was there, and give it to the one that answers there."""
        self._vouched.discard(address)
        before = self._places.pop(address, node_key)
        if before != node_key:
            self._taken[address] = before
        if node_key not in self._names:
            return
        if self._taken.get(address) == node_key:
            del self._taken[address]
        for place in self._places_of(node_key)[MAX_PLACES - 1 :]:
            del self._places[place]
            self._vouched.discard(place)
        self._places[address] = node_key
        self._vouched.add(address)

    def _places_of(self, node_key: str) -> list[str]:
        """The places of a key, those that are vouched for first."""
        places = [place for place, key in self._places.items() if key == node_key]
        return sorted(places, key=lambda place: place not in self._vouched)

    def wanted(self, joined: Collection[str]) -> set[str]:
        """Addresses to dial before all others. A named node wants all named nodes, a relay a few.

        Args:
            joined: the keys of the peers.
        """
        if not self.decides and len(self._names.keys() & set(joined)) >= min(LINKS_OF_RELAY, len(self)):
            return set()
        return {address for address, key in self._places.items() if key not in joined}

    def replaced(self, joined: Collection[str]) -> list[tuple[str, str]]:
        """Addresses of named nodes that are not joined, where another node answers now; and their names."""
        return sorted((at, self._names[key]) for at, key in self._taken.items() if key not in joined)
