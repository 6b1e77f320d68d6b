"""Which registered peers are dialled when, and what follows from an answer or from silence.

A new entry that the operator does not vouch for is dialled until it answers; before that it is told to no
peer, and after MISSES_UNPROVED tries it is dropped. An unkeyed entry does not renew itself, so it is dialled
every UNKEYED_CHECK_SECONDS; a keyed one does, and is dialled only when others could not reach it. Either is
dropped after MISSES_PROVED failures in a row.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple

from msgspec.structs import replace

from votenet.protocol.bootstrap.registry import PEER_JOINED, Notice, PeerEntry, RegistryWriter

MISSES_UNPROVED: Final = 7
"""Tries after 0, 1, 3, 7, 15, 31 and 63 s: a reference node registers before it listens."""
MISSES_PROVED: Final = 5
"""Tries after 0, 2, 6, 14 and 30 minutes: a machine that is restarted stays registered."""
FIRST_WAIT_PROVED: Final = 120
UNKEYED_CHECK_SECONDS: Final = 3600
"""Between dials of an unkeyed peer that answers: dead ones are gone within two hours, as keyed ones."""
LEASE_SECONDS: Final = 60
"""A check that was taken may be taken again only after this: longer than any dial takes."""

POSTPONE_SECONDS: Final = 5
MAX_LOOKED_AT: Final = 256
"""Due entries looked at for those that may be dialled now. Where too few of so many may, the others are
postponed, so that those behind them are seen: one network can register more."""


class Dial(Enum):
    """When a due entry may be dialled: LATER is in POSTPONE_SECONDS, SOON as soon as a dial has ended."""

    NOW = "now"
    SOON = "soon"
    LATER = "later"


class Taken(NamedTuple):
    """Entries to dial now; how many others were postponed; whether more may be due behind those."""

    entries: list[PeerEntry]
    postponed: int
    more: bool


class LivenessPolicy:
    """The rules over one registry."""

    def __init__(self, writer: RegistryWriter) -> None:
        self.writer, self._registry = writer, writer.registry

    def expire(self, limit: int, now: int) -> tuple[int, list[Notice]]:
        """Drop up to `limit` expired entries, and as many memories of removed ones.

        Returns the number of dropped entries, and the notices of it.
        """
        gone = self._registry.expired(limit, now)
        notices = [self.writer.drop(entry, now) for entry in gone]
        self._registry.forget_retired(limit, now)
        return len(gone), [notice for notice in notices if notice is not None]

    def take_checks(
        self, limit: int, now: int, when: Callable[[PeerEntry], Dial] = lambda entry: Dial.NOW
    ) -> Taken:
        """Up to `limit` entries to dial now; they are not returned again for LEASE_SECONDS.

        Args:
            when: asked once for each of the entries that are due, the longest overdue first.
        """
        due = self._registry.due(MAX_LOOKED_AT, now) if limit else []
        taken: list[PeerEntry] = []
        waiting: dict[Dial, list[PeerEntry]] = {Dial.SOON: [], Dial.LATER: []}
        for entry in due:
            if len(taken) == limit:
                break
            dial = when(entry)
            (taken if dial is Dial.NOW else waiting[dial]).append(entry)
        more = len(due) == MAX_LOOKED_AT and len(taken) < limit
        postponed = waiting[Dial.LATER] + (waiting[Dial.SOON] if more else [])
        for entry in taken:
            self._registry.put(replace(entry, check_at=now + LEASE_SECONDS))
        for entry in postponed:
            self._registry.put(replace(entry, check_at=now + POSTPONE_SECONDS))
        return Taken(taken, len(postponed), more)

    def postpone(self, address: str, until: int) -> None:
        """Check an entry at the unix time `until`: the check that was taken could not be made."""
        entry = self._registry.find(address)
        if entry is not None:
            self._registry.put(replace(entry, check_at=until))

    def suspect(self, address: str, now: int) -> None:
        """Check a peer that could not be sent a notice now, unless it failed checks already."""
        entry = self._registry.find(address)
        if entry is not None and not entry.misses and (entry.check_at is None or entry.check_at > now):
            self._registry.put(replace(entry, check_at=now))

    def silent(self, address: str, sequence: int, now: int) -> Notice | None:
        """Drop a keyed peer whose removal was asked for, and that never answered a ping."""
        entry = self._registry.find(address)
        if entry is None or entry.node_key is None or entry.sequence != sequence:
            return None  # gone, or renewed meanwhile
        return self.writer.drop(entry, now)

    def checked(self, taken: PeerEntry, alive: bool, now: int) -> Notice | None:
        """Apply the result of a dial of an entry from `take_checks`; the notice of it."""
        entry = self._registry.find(taken.address)
        if entry is None or entry.node_key != taken.node_key or entry.source != taken.source:
            return None  # removed, or another registration by now
        if alive:
            return self._answered(entry, now)
        # Waits double from miss to miss. A peer that has answered before gets minutes, a new one seconds.
        misses = entry.misses + 1
        if misses >= (MISSES_PROVED if entry.proved else MISSES_UNPROVED):
            return self.writer.drop(entry, now)
        wait = (FIRST_WAIT_PROVED if entry.proved else 1) * 2 ** (misses - 1)
        self._registry.put(replace(entry, misses=misses, check_at=now + wait))
        return None

    def _answered(self, entry: PeerEntry, now: int) -> Notice | None:
        again = now + UNKEYED_CHECK_SECONDS if entry.node_key is None else None
        seen = replace(entry, proved=True, misses=0, check_at=again)
        if entry.proved:
            self._registry.put(seen)
            return None
        self.writer.put(seen)
        return Notice(PEER_JOINED, entry.address)
