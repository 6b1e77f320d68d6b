"""The pool on the disk: votes that were accepted and are in no block yet.

What lives here: the table `waiting`. What must not: which votes wait (the core says so).

Votes come in batches and leave in blocks, so a row is a batch: its records joined by commas, and a digest
to notice damage. When some of a batch have left, the row is written again with the others; with the last
one it goes. Which batch a vote is in is kept in memory: a row for each vote, with an index by its id, would
cost a node more than anything else that it does for the vote but checking the signature.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from votenet.core.merkle import leaf_hash
from votenet.core.vote import SealedVote
from votenet.storage.bodies import split_records


class WaitingVotes:
    """The table of one connection. After a failed transaction call `forget`."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        self._batches: dict[int, dict[bytes, bytes]] = {}
        """Row number to what is left of the batch: vote id to record, in order of arrival."""
        self._batch_of: dict[bytes, int] = {}
        self._known = False

    def load(self) -> list[SealedVote]:
        """All of them, in order of arrival.

        Raises:
            ValueError, TypeError: a row is not what was saved.
        """
        self.forget()
        found: list[SealedVote] = []
        for number, records, digest in self._conn.execute(
            "SELECT batch, records, digest FROM waiting ORDER BY batch"
        ):
            if leaf_hash(records) != digest:
                raise ValueError("a batch of waiting votes is not the one that was saved")
            votes = split_records(records)
            self._batches[number] = {sealed.id: sealed.record for sealed in votes}
            self._batch_of.update((sealed.id, number) for sealed in votes)
            found += votes
        self._known = True
        return found

    def forget(self) -> None:
        """What is on the disk may be another state now: look when it is needed."""
        self._batches, self._batch_of, self._known = {}, {}, False

    def add(self, votes: Sequence[SealedVote]) -> None:
        """Save votes; those that wait already keep their place."""
        self._know()
        new = {sealed.id: sealed.record for sealed in votes if sealed.id not in self._batch_of}
        if not new:
            return
        records = b",".join(new.values())
        number = self._conn.execute(
            "INSERT INTO waiting (records, digest) VALUES (?, ?)", (records, leaf_hash(records))
        ).lastrowid
        assert number is not None
        self._batches[number] = new
        self._batch_of.update(dict.fromkeys(new, number))

    def drop(self, ids: Iterable[bytes]) -> None:
        """These wait no more; ids of others are passed over."""
        self._know()
        touched = set()
        for vote_id in ids:
            number = self._batch_of.pop(vote_id, None)
            if number is not None:
                del self._batches[number][vote_id]
                touched.add(number)
        empty = [number for number in touched if not self._batches[number]]
        left = [(b",".join(self._batches[number].values()), number) for number in touched.difference(empty)]
        for number in empty:
            del self._batches[number]
        self._conn.executemany("DELETE FROM waiting WHERE batch = ?", [(number,) for number in empty])
        self._conn.executemany(
            "UPDATE waiting SET records = ?, digest = ? WHERE batch = ?",
            [(records, leaf_hash(records), number) for records, number in left],
        )

    def _know(self) -> None:
        if not self._known:
            self.load()
