"""Which peer is known to have which vote: it needs no announcement.

Only votes that are *followed* are noted: those being checked, and those that wait to be announced. So what
peers say about other votes costs nothing. Votes are named by their short ids with our own seed. This is done
for every vote and every link: all of it is work on whole sets.
"""

from __future__ import annotations

from collections.abc import Iterable, Set


class KnownInventory:
    """Links are numbers; short ids are bytes."""

    def __init__(self) -> None:
        self._followed: set[bytes] = set()
        self._by_link: dict[int, set[bytes]] = {}

    def follow(self, shorts: Iterable[bytes]) -> None:
        self._followed.update(shorts)

    def note(self, link: int, shorts: Iterable[bytes]) -> None:
        """A link has shown that it has these, or was told of them. Other votes are ignored."""
        followed = self._followed.intersection(shorts)
        if followed:
            self._by_link.setdefault(link, set()).update(followed)

    def of(self, link: int) -> Set[bytes]:
        """The followed votes that a link has."""
        return self._by_link.get(link, frozenset())

    def forget(self, shorts: Iterable[bytes]) -> None:
        gone = set(shorts)
        self._followed -= gone
        for held in self._by_link.values():
            held -= gone

    def drop_link(self, link: int) -> None:
        self._by_link.pop(link, None)

    def __len__(self) -> int:
        """Number of votes that are followed."""
        return len(self._followed)
