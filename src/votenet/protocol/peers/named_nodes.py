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
        self._taken: dict[str, str] = {}
        """Keys that were at an address before another node answered there."""

    def __contains__(self, node_key: str) -> bool:
        return node_key in self._names

    def __len__(self) -> int:
        return len(self._names)

    def is_place(self, address: str) -> bool:
        """Whether a named node is, or is said by a bootstrap server to be, at an address."""
        return address in self._places

    def listed(self, address: str, node_key: str | None) -> None:
        """Note that a bootstrap server lists a key at an address."""
        if node_key in self._names and address not in self._places:
            assert node_key is not None
            if sum(key == node_key for key in self._places.values()) < MAX_PLACES:
                self._places[address] = node_key

    def answered(self, address: str, node_key: str) -> None:
        """Note that the node at an address has proved to have a key."""
        before = self._places.pop(address, node_key)
        if before != node_key:
            self._taken[address] = before
        if node_key not in self._names:
            return
        if self._taken.get(address) == node_key:
            del self._taken[address]
        places = [place for place, key in self._places.items() if key == node_key]
        for place in places[MAX_PLACES - 1 :]:  # only listed there
            del self._places[place]
        self._places[address] = node_key

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
