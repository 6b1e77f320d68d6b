"""Which links have shown that they have a vote: they need not be told of it.

What lives here: Holders. What must not: what is told to whom (`vote_relay.py`).

Only votes that are *followed* are noted: those being checked, and those that wait to be told. So what
peers say about others costs nothing, however much of it they say. Votes are named by their short ids with
our own seed, and all of it is work on whole sets: this is done for every vote and every link.
"""

from __future__ import annotations

from collections.abc import Iterable, Set


class Holders:
    """Links are numbers; short ids are bytes."""

    def __init__(self) -> None:
        self._followed: set[bytes] = set()
        self._by_link: dict[int, set[bytes]] = {}

    def follow(self, shorts: Iterable[bytes]) -> None:
        """From now on note who has these."""
        self._followed.update(shorts)

    def note(self, link: int, shorts: Iterable[bytes]) -> None:
        """A link has shown that it has these, or was told of them. What is not followed is passed over."""
        found = self._followed.intersection(shorts)
        if found:
            self._by_link.setdefault(link, set()).update(found)

    def of(self, link: int) -> Set[bytes]:
        """What a link has, of those that are followed."""
        return self._by_link.get(link, frozenset())

    def forget(self, shorts: Iterable[bytes]) -> None:
        """These are followed no more."""
        gone = set(shorts)
        self._followed -= gone
        for held in self._by_link.values():
            held -= gone

    def drop_link(self, link: int) -> None:
        self._by_link.pop(link, None)

    def __len__(self) -> int:
        """How many are followed."""
        return len(self._followed)
