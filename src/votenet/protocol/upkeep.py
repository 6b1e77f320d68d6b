"""Looking after registered peers: who is dialled when, and what follows from an answer or from silence.

What lives here: Upkeep, pure: time is an argument, dials are somebody else's. What must not: requests
(`bootstrap.py`), sockets.

A new entry that the operator does not vouch for is dialled until it answers; before that nobody hears
of it, and after MISSES_UNPROVED tries it is dropped. An unkeyed entry has nobody to renew it, so it is
dialled every CHECK_SECONDS; a keyed one renews itself, and is dialled only when others could not
reach it. Either is dropped after MISSES_PROVED failures in a row.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from votenet.protocol.registry import JOINED, Book, Notice, PeerEntry

MISSES_UNPROVED: Final = 7
"""Tries after 0, 1, 3, 7, 15, 31 and 63 s: the chapter's peer registers before it listens."""
MISSES_PROVED: Final = 5
"""Tries after 0, 2, 6, 14 and 30 minutes: a machine that is restarted stays registered."""
FIRST_WAIT_PROVED: Final = 120
CHECK_SECONDS: Final = 3600
"""Between dials of an unkeyed peer that answers: dead ones are gone within two hours, as keyed ones."""
LEASE_SECONDS: Final = 60
"""A check that was handed out is handed out again only after this: longer than any dial takes."""


class Upkeep:
    """The rules of upkeep over one registry."""

    def __init__(self, book: Book) -> None:
        self._book, self._registry = book, book.registry

    def expire(self, limit: int, now: int) -> tuple[int, list[Notice]]:
        """Drop up to `limit` entries whose time is over, and as many memories of removed ones.

        Returns how many entries were dropped, and what to tell of them.
        """
        gone = self._registry.expired(limit, now)
        notices = [self._book.drop(entry, now) for entry in gone]
        self._registry.forget_retired(limit, now)
        return len(gone), [notice for notice in notices if notice is not None]

    def take_checks(self, limit: int, now: int) -> list[PeerEntry]:
        """Up to `limit` entries to dial now; nobody else is given them meanwhile."""
        found = self._registry.due(limit, now)
        for entry in found:
            self._registry.put(replace(entry, check_at=now + LEASE_SECONDS))
        return found

    def postpone(self, address: str, until: int) -> None:
        """A check that was taken could not be made: not before the unix time `until`."""
        found = self._registry.find(address)
        if found is not None:
            self._registry.put(replace(found, check_at=until))

    def suspect(self, address: str, now: int) -> None:
        """A peer could not be told something: look whether it is there. It is never dialled sooner twice."""
        found = self._registry.find(address)
        if found is not None and not found.misses and (found.check_at is None or found.check_at > now):
            self._registry.put(replace(found, check_at=now))

    def silent(self, address: str, sequence: int, now: int) -> Notice | None:
        """A keyed peer was asked again and again, since somebody wants it removed, and never answered."""
        found = self._registry.find(address)
        if found is None or found.node_key is None or found.sequence != sequence:
            return None  # gone, or renewed meanwhile
        return self._book.drop(found, now)

    def checked(self, taken: PeerEntry, alive: bool, now: int) -> Notice | None:
        """What a dial has shown of an entry that `take_checks` gave out; what to tell of it."""
        found = self._registry.find(taken.address)
        if found is None or found.node_key != taken.node_key or found.source != taken.source:
            return None  # removed, or somebody else's by now
        if alive:
            return self._answered(found, now)
        misses = found.misses + 1
        if misses >= (MISSES_PROVED if found.proved else MISSES_UNPROVED):
            return self._book.drop(found, now)
        wait = FIRST_WAIT_PROVED * 2 ** (misses - 1) if found.proved else 2 ** (misses - 1)
        self._registry.put(replace(found, misses=misses, check_at=now + wait))
        return None

    def rolled_back(self) -> None:
        """As `Book.rolled_back`."""
        self._book.rolled_back()

    def _answered(self, found: PeerEntry, now: int) -> Notice | None:
        again = now + CHECK_SECONDS if found.node_key is None else None
        seen = replace(found, proved=True, misses=0, check_at=again)
        if found.proved:
            self._registry.put(seen)
            return None
        self._book.put(seen)
        return Notice(JOINED, found.address)
